import math
from dataclasses import replace

import pytest

from tunesmith.errors import SpecError
from tunesmith.model import Constraint, History, Measurement, Objective, StudySpec, Trial
from tunesmith.space import Double, Space
from tunesmith.stopping.rungs import (
    check_rungs,
    levels,
    metrics_at,
    ranked,
    rung_of,
    value_at,
    whole_steps,
)
from tunesmith.testing.schedules import Trained, history_of

SPACE = Space({"x": Double(0.0, 1.0)})
SPEC = StudySpec(SPACE, (Objective("loss", "minimize"),), max_steps=81)


def order(spec: StudySpec, *losses: list[float], reach: float = 9) -> list[int]:
    history = history_of(spec, [Trained(curve, budget=9) for curve in losses])
    return [trial.number for trial in ranked(history.trials, history, reach)]


def measured(spec: StudySpec, *rows: dict[str, float]) -> History:
    """Return a study in which each trial measured one row, at step 1."""
    history = History(spec)
    for number, row in enumerate(rows, start=1):
        history.update([Trial(number, {}, budget=1)])
        history.measure(number, 1, Measurement(1, row))
    return history


@pytest.mark.parametrize(
    ("least", "whole", "factor", "expected"),
    [
        (1, 81, 3, (1, 3, 9, 27, 81)),
        (3, 81, 3, (3, 9, 27, 81)),
        (4, 81, 3, (9, 27, 81)),
        (1, 100, 3, (1, 4, 11, 33, 100)),
        (1, 20, 3, (2, 7, 20)),
        (1, 16, 2, (1, 2, 4, 8, 16)),
        (5, 9, 3, (9,)),
        (1, 1, 2, (1,)),
        (1, 10**6, 10, (1, 10, 100, 1000, 10**4, 10**5, 10**6)),
    ],
)
def test_rungs_are_the_whole_and_its_parts_down_to_the_least(
    least: int, whole: int, factor: int, expected: tuple[int, ...]
) -> None:
    assert levels(least, whole, factor) == expected


def test_rungs_rise_and_none_lies_below_the_least_by_more_than_rounding() -> None:
    for whole in range(1, 200):
        for factor in (2, 3, 4):
            steps = levels(2, whole, factor)

            assert list(steps) == sorted(set(steps))
            assert steps[-1] == whole
            assert len(steps) == 1 or steps[0] >= 2


def test_a_trial_is_at_the_rung_that_its_budget_leads_to() -> None:
    steps = (1, 3, 9)

    found = [rung_of(Trial(1, {}, budget=b), steps) for b in (1, 2, 3, 4, 9, 12, None)]

    assert found == [0, 1, 1, 2, 2, 2, 2]


def test_who_is_not_told_how_long_a_trial_is_says_what_to_say() -> None:
    with pytest.raises(SpecError, match=r"hyperband .* say how many steps \(epochs\).*: max_steps"):
        whole_steps("hyperband", replace(SPEC, max_steps=None))


def test_too_few_steps_to_compare_are_refused() -> None:
    check_rungs("halving", 1, 3, replace(SPEC, max_steps=3))

    with pytest.raises(SpecError, match="max_steps=2 is less than eta=3 times min_steps=1"):
        check_rungs("halving", 1, 3, replace(SPEC, max_steps=2))


def test_the_least_loss_at_the_rung_is_the_best_whatever_came_later() -> None:
    assert order(SPEC, [3.0, 0.0], [1.0, 9.0], [2.0, 5.0], reach=1) == [2, 3, 1]
    assert order(SPEC, [3.0, 0.0], [1.0, 9.0], [2.0, 5.0], reach=2) == [1, 3, 2]


def test_greater_is_better_where_the_study_says_so() -> None:
    spec = replace(SPEC, objectives=(Objective("loss", "maximize"),))

    # `history_of` turns losses into the study's own values.
    assert order(spec, [3.0], [1.0], [2.0]) == [2, 3, 1]


def test_of_equals_the_earliest_is_first() -> None:
    assert order(SPEC, [1.0], [1.0], [0.5], [1.0]) == [3, 1, 2, 4]


def test_what_is_no_number_comes_last() -> None:
    found = order(SPEC, [math.nan], [5.0], [-math.inf], [], [math.inf], [2.0])

    assert found == [6, 2, 1, 3, 4, 5]


def test_who_has_measured_nothing_by_then_is_taken_at_the_first_measurement_after() -> None:
    history = history_of(SPEC, [Trained([5.0], 3), Trained([1.0, 9.0], 3, since=9)])

    found = ranked(history.trials, history, 3)

    assert [t.number for t in found] == [2, 1]
    assert value_at(history.trials[1], history, 3) == 1.0


def test_the_measurement_that_counts_for_the_study_counts_at_a_rung() -> None:
    curve = [3.0, 1.0, math.nan, 2.0, 7.0]

    for chosen, expected in {"last": 2.0, "best": 1.0, "minimum": 1.0, "maximum": 3.0}.items():
        spec = replace(SPEC, measurement=chosen)  # type: ignore[arg-type]
        history = history_of(spec, [Trained(curve, budget=4)])
        assert value_at(history.trials[0], history, 4) == expected
        assert value_at(history.trials[0], history, 4, "last") == 2.0


def test_trials_that_keep_the_constraints_come_first_then_those_that_nearly_do() -> None:
    spec = replace(SPEC, constraints=(Constraint("size", 10.0),))
    history = measured(
        spec,
        {"loss": 0.1, "size": 30.0},
        {"loss": 0.9, "size": 9.0},
        {"loss": 0.2, "size": 11.0},
        {"loss": 0.5, "size": 10.0},
        {"size": 1.0},
        {"loss": 0.7},
    )

    assert [t.number for t in ranked(history.trials, history, 1)] == [4, 2, 3, 1, 6, 5]


def test_with_several_objectives_the_front_comes_first_and_its_ends_before_its_middle() -> None:
    goals = (Objective("loss", "minimize"), Objective("speed", "maximize"))
    history = measured(
        replace(SPEC, objectives=goals),
        {"loss": 3.0, "speed": 1.0},  # dominated by all others that measured both
        {"loss": 1.0, "speed": 2.0},
        {"loss": 1.5, "speed": 2.5},
        {"loss": 2.0, "speed": 9.0},
        {"loss": 0.0},
    )

    assert [t.number for t in ranked(history.trials, history, 1)] == [2, 4, 3, 1, 5]


def test_metrics_at_a_rung_are_the_latest_of_each_by_then() -> None:
    history = History(SPEC)
    history.update([Trial(1, {}, budget=3)])
    history.measure(1, 1, Measurement(1, {"loss": 5.0, "size": 1.0}))
    history.measure(1, 1, Measurement(2, {"loss": 4.0}))
    history.measure(1, 1, Measurement(3, {"loss": 3.0, "size": 2.0}))

    assert metrics_at(history.trials[0], history, 2) == {"loss": 4.0, "size": 1.0}
    assert metrics_at(Trial(2, {}), history, 2) == {}
