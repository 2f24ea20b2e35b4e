import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.model import Objective, StudySpec, Suggestion, TrialState
from tunesmith.space import Categorical, Double, Integer, Space, Value
from tunesmith.stopping import Begin
from tunesmith.stopping.pb2 import gains, pb2
from tunesmith.testing.schedules import Trained, history_of

SPACE = Space({"x": Double(0.0, 1.0), "kind": Categorical(["a", "b"])})
SPEC = StudySpec(SPACE, (Objective("loss", "minimize"),), max_steps=100)
RUNNING, PAUSED = TrialState.RUNNING, TrialState.PAUSED


def copies(trials: Sequence[Trained], spec: StudySpec = SPEC, seeds: int = 1) -> list[Suggestion]:
    """Return the copies that take the place of the last trial, one for each seed."""
    schedule = pb2(population=len(trials), interval=10, resample=0.5)
    found = []
    for seed in range(seeds):
        moves = schedule.moves(history_of(spec, trials), 1, 100, np.random.default_rng(seed))
        (begin,) = (move for move in moves if isinstance(move, Begin))
        assert begin.suggestion is not None
        found.append(begin.suggestion)
    return found


def steady(pace: float, values: Mapping[str, Value], reach: int = 50) -> Trained:
    """Return a member whose loss falls by ``pace`` from look to look."""
    losses = [10.0 - pace * step / 10 for step in range(1, reach + 1)]
    return Trained(losses, reach, RUNNING, values=values)


def falling(x: float, pace: float, reach: int, state: TrialState = RUNNING) -> Trained:
    return replace(steady(pace, {"x": x, "kind": "a"}, reach), state=state)


def test_gains_are_how_much_the_loss_fell_between_looks() -> None:
    history = history_of(SPEC, [Trained([9.0] * 9 + [5.0] * 10 + [4.0] + [1.0] * 5, 30)])

    assert list(gains(history.trials[0], history, 10)) == [(1.0, 1.0)]


def test_a_copys_first_gain_is_what_it_added_to_its_parents_loss_per_interval() -> None:
    parent = Trained([9.0] * 9 + [8.0] * 10 + [6.0], 20, RUNNING)
    copy = Trained([7.0] * 13 + [4.0] + [4.0] * 9 + [3.5], 40, RUNNING, parent=1, since=16)
    history = history_of(SPEC, [parent, copy])

    # It began after 16 steps, with a loss of 8, so that its first interval of 14 steps brought 8 - 4.
    assert list(gains(history.trials[1], history, 10)) == [
        (1.6, pytest.approx(4.0 * 10 / 14)),
        (3.0, 0.5),
    ]


def test_gains_of_maximized_metrics_are_rises() -> None:
    spec = StudySpec(SPACE, (Objective("loss", "maximize"),), max_steps=100)
    history = history_of(spec, [Trained([9.0] * 10 + [5.0] * 10, 20)])

    assert list(gains(history.trials[0], history, 10)) == [(1.0, 4.0)]


def test_what_is_no_number_is_no_gain() -> None:
    broken = [9.0] * 9 + [math.nan] + [5.0] * 10 + [4.0] * 10
    history = history_of(SPEC, [Trained(broken, 30), Trained([], 10)])

    assert list(gains(history.trials[0], history, 10)) == [(2.0, 1.0)]
    assert list(gains(history.trials[1], history, 10)) == []


def test_numbers_are_chosen_where_they_brought_most() -> None:
    xs = np.linspace(0.05, 0.95, 10)
    members = [falling(float(x), 1.0 - 4.0 * (float(x) - 0.75) ** 2, 50) for x in xs[::-1]]
    members[-1] = falling(0.05, -1.0, 50, PAUSED)

    found = copies(members, seeds=5)

    assert np.mean([abs(float(s.values["x"]) - 0.75) for s in found]) < 0.15
    for suggestion in found:
        assert suggestion.origin == "pb2"
        assert suggestion.explanation is not None
        assert suggestion.explanation.acquisition == "ucb"
        assert suggestion.explanation.value is not None


def test_categories_are_drawn_anew_or_kept_as_in_pbt() -> None:
    members = [falling(0.1 * n, 0.5 - 0.1 * n, 50) for n in range(9)]

    found = copies([*members, falling(0.9, -1.0, 50, PAUSED)], seeds=40)

    kinds = [s.values["kind"] for s in found]
    assert 18 <= kinds.count("a") <= 38, "kept by a half, and by a quarter drawn"


def test_with_little_to_learn_from_values_are_varied_as_in_pbt() -> None:
    members = [falling(0.5, 0.1 * n, 10) for n in range(4, 0, -1)]

    found = copies([*members[:-1], falling(0.9, -1.0, 10, PAUSED)], seeds=20)

    assert all(s.explanation is not None and not s.explanation.acquisition for s in found)
    assert any(float(s.values["x"]) in {0.4, 0.6} for s in found)


def test_points_of_spaces_with_conditions_are_complete() -> None:
    space = Space(
        {
            "kind": Categorical(["flat", "deep"]),
            "depth": Integer(1, 9, when={"kind": ["deep"]}),
            "rate": Double(1e-4, 1.0, scale="log"),
        }
    )
    spec = StudySpec(space, (Objective("loss", "minimize"),), max_steps=100)
    values: list[Mapping[str, Value]] = [
        {"kind": "flat", "rate": 0.1},
        {"kind": "deep", "depth": 3, "rate": 0.01},
    ]
    members = [steady(0.1 * n, values[n % 2]) for n in range(6, 0, -1)]
    members[-1] = replace(members[-1], state=PAUSED)

    found = copies(members, spec, seeds=20)

    assert all(space.contains(s.values) for s in found)
    assert {s.values["kind"] for s in found} == {"flat", "deep"}


def test_a_space_of_categories_alone_is_served_as_by_pbt() -> None:
    spec = StudySpec(
        Space({"kind": Categorical(["a", "b", "c"])}),
        (Objective("loss", "minimize"),),
        max_steps=100,
    )
    members = [steady(pace, {"kind": "a"}) for pace in (0.3, 0.2, 0.1)]

    (found,) = copies([*members[:-1], replace(members[-1], state=PAUSED)], spec)

    assert found.values["kind"] in {"b", "c"}
