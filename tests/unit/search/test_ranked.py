from collections.abc import Sequence

import numpy as np

from tunesmith.model import (
    Constraint,
    History,
    Objective,
    StudySpec,
    Trial,
    TrialState,
)
from tunesmith.search.ranked import crowding, fronts, ranked
from tunesmith.search.table import Table
from tunesmith.space import Double, Space

SPACE = Space({"x": Double(0.0, 1.0)})
ONE = (Objective("loss", "minimize"),)
TWO = (Objective("loss", "minimize"), Objective("gain", "maximize"))


def order(
    spec: StudySpec, metrics: Sequence[dict[str, float]], states: Sequence[TrialState] = ()
) -> list[int]:
    """Return the numbers of the trials from best to worst."""
    states = states or [TrialState.COMPLETED] * len(metrics)
    trials = [
        Trial(n, {"x": 0.5}, state, metrics=m)
        for n, (m, state) in enumerate(zip(metrics, states, strict=True), start=1)
    ]
    return [int(row) + 1 for row in ranked(Table().rows(History(spec, trials)))]


def test_trials_are_ranked_by_their_loss_and_equals_by_their_number() -> None:
    spec = StudySpec(SPACE, ONE)

    assert order(spec, [{"loss": v} for v in (2.0, 1.0, 3.0, 1.0)]) == [2, 4, 1, 3]


def test_a_metric_to_maximize_is_ranked_from_above() -> None:
    spec = StudySpec(SPACE, (Objective("gain", "maximize"),))

    assert order(spec, [{"gain": v} for v in (2.0, 1.0, 3.0)]) == [3, 1, 2]


def test_what_failed_or_measured_no_number_is_worst() -> None:
    spec = StudySpec(SPACE, ONE)
    metrics = [{}, {"loss": float("nan")}, {"loss": float("inf")}, {"loss": 9.0}]

    states = [TrialState.FAILED, *[TrialState.COMPLETED] * 3]

    assert order(spec, metrics, states) == [4, 1, 2, 3]


def test_whoever_breaks_a_constraint_comes_after_all_that_keep_it() -> None:
    spec = StudySpec(SPACE, ONE, constraints=(Constraint("memory", 10.0),))
    metrics = [
        {"loss": 1.0, "memory": 30.0},
        {"loss": 2.0, "memory": 11.0},
        {"loss": 9.0, "memory": 10.0},
        {"loss": 0.0},
        {"loss": 8.0, "memory": 1.0},
    ]

    assert order(spec, metrics) == [5, 3, 2, 1, 4]


def test_constraints_count_alike_whatever_their_units() -> None:
    bounds = (Constraint("bytes", 1e9), Constraint("error", 0.1))
    spec = StudySpec(SPACE, ONE, constraints=bounds)
    metrics = [
        {"loss": 0.0, "bytes": 2e9, "error": 0.0},  # the most in bytes
        {"loss": 0.0, "bytes": 0.0, "error": 0.15},  # half of the most in error
        {"loss": 0.0, "bytes": 0.0, "error": 0.2},
    ]

    assert order(spec, metrics) == [2, 1, 3]


def test_with_two_objectives_fronts_come_first_and_the_lonelier_before_the_crowded() -> None:
    spec = StudySpec(SPACE, TWO)
    metrics = [
        {"loss": 0.5, "gain": 0.55},
        {"loss": 0.6, "gain": 0.5},  # dominated by the first
        {"loss": 0.0, "gain": 0.0},
        {"loss": 1.0, "gain": 1.0},
        {"loss": 0.55, "gain": 0.6},
        {"loss": 0.1, "gain": 0.15},
    ]

    assert order(spec, metrics) == [3, 4, 6, 5, 1, 2]


def test_a_trial_without_one_of_its_objectives_is_worst() -> None:
    spec = StudySpec(SPACE, TWO)

    assert order(spec, [{"loss": 0.0}, {"loss": 9.0, "gain": -9.0}]) == [2, 1]


def test_fronts_are_those_of_peeling_one_after_another() -> None:
    losses = np.random.default_rng(0).integers(0, 12, (150, 3)).astype(float)

    front = fronts(losses)

    left = np.arange(len(losses))
    for expected in range(int(front.max()) + 1):
        dominated = [
            any((b <= a).all() and (b < a).any() for b in losses[left]) for a in losses[left]
        ]
        members = left[~np.array(dominated)]
        assert set(members) == set(np.flatnonzero(front == expected))
        left = np.setdiff1d(left, members)
    assert not len(left)


def test_of_very_many_points_the_first_fronts_are_still_exact() -> None:
    losses = np.random.default_rng(0).random((2500, 2))

    front = fronts(losses)

    first = [not ((losses <= a).all(axis=1) & (losses < a).any(axis=1)).any() for a in losses]
    assert (np.array(first) == (front == 0)).all()


def test_the_ends_of_a_front_are_the_loneliest() -> None:
    lonely = crowding(np.array([[0.0, 1.0], [0.1, 0.8], [0.2, 0.7], [1.0, 0.0]]))

    assert np.isinf(lonely[[0, 3]]).all()
    assert lonely[2] > lonely[1]


def test_points_that_are_all_alike_are_as_lonely_as_each_other_but_for_two() -> None:
    assert sorted(crowding(np.zeros((4, 2)))) == [0.0, 0.0, np.inf, np.inf]
