from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.model import (
    Constraint,
    Earlier,
    History,
    Objective,
    StudySpec,
    Trial,
    TrialState,
)
from tunesmith.search.bayesian.cube import Cube
from tunesmith.search.bayesian.data import Data, Lesson, read_data, read_lesson
from tunesmith.search.bayesian.features import Features
from tunesmith.search.table import Table
from tunesmith.space import Categorical, Double, Space, Value

LINE = Space({"x": Double(0.0, 10.0)})
LOSS = Objective("loss", "minimize")


def _trial(
    number: int,
    values: Mapping[str, Value],
    metrics: Mapping[str, float] | None = None,
    *,
    state: TrialState = TrialState.COMPLETED,
    revision: int | None = None,
) -> Trial:
    revision = number if revision is None else revision
    return Trial(number, values, state, metrics=metrics or {}, revision=revision)


def _read(spec: StudySpec, *trials: Trial, lessons: list[Lesson] | None = None) -> Data:
    cube = Cube(spec.space)
    features = Features(cube, 1 + len(lessons or []))
    rows = Table().rows(History(spec, trials))
    return read_data(spec, rows, cube, features, lessons or [])


def _at(x: float, loss: float, number: int, revision: int | None = None) -> Trial:
    return _trial(number, {"x": x}, {"loss": loss}, revision=revision)


def test_values_of_one_point_are_averaged_and_share_the_noise() -> None:
    data = _read(
        StudySpec(LINE, (LOSS,)),
        _at(2.0, 1.0, 1),
        _at(5.0, 7.0, 2),
        _at(2.0, 3.0, 3),
        _at(2.0, 8.0, 4),
    )

    (sample,) = data.objectives
    assert sample.vectors.tolist() == [[0.2], [0.5]]
    assert sample.values.tolist() == [4.0, 7.0]
    np.testing.assert_allclose(sample.share, [1 / 3, 1.0])
    assert data.points.tolist() == [[0.2], [0.5]]
    assert data.learnt == 2
    assert data.own == 4


def test_known_errors_of_one_point_shrink_with_its_mean() -> None:
    spec = StudySpec(LINE, (Objective("loss", "minimize", "loss_se"),))

    data = _read(
        spec,
        _trial(1, {"x": 2.0}, {"loss": 1.0, "loss_se": 0.3}),
        _trial(2, {"x": 2.0}, {"loss": 2.0, "loss_se": 0.4}),
        _trial(3, {"x": 4.0}, {"loss": 2.0, "loss_se": 0.2}),
        _trial(4, {"x": 6.0}, {"loss": 2.0, "loss_se": np.nan}),
        _trial(5, {"x": 8.0}, {"loss": 2.0}),
    )

    # The mean of two values with deviations 0.3 and 0.4 has √(0.09 + 0.16) / 2.
    np.testing.assert_allclose(data.objectives[0].errors, [0.25, 0.2, 0.0, 0.0], rtol=1e-12)


def test_trials_stand_in_the_order_in_which_they_ended() -> None:
    data = _read(
        StudySpec(LINE, (LOSS,)),
        _at(1.0, 10.0, 1, revision=9),
        _at(2.0, 20.0, 2, revision=4),
        _at(3.0, 30.0, 3, revision=7),
    )

    assert data.objectives[0].values.tolist() == [20.0, 30.0, 10.0]
    assert data.points[:, 0].tolist() == [0.2, 0.3, 0.1]


def test_what_is_to_be_great_is_turned() -> None:
    spec = StudySpec(LINE, (Objective("gain", "maximize"),))

    data = _read(spec, _trial(1, {"x": 1.0}, {"gain": 3.0}))

    assert data.objectives[0].values.tolist() == [-3.0]


def test_failures_of_every_kind_are_told_apart_from_trials_that_ran() -> None:
    data = _read(
        StudySpec(LINE, (LOSS,)),
        _at(1.0, 1.0, 1),
        _trial(2, {"x": 2.0}, state=TrialState.FAILED),
        _trial(3, {"x": 3.0}, state=TrialState.INFEASIBLE),
        _at(4.0, np.nan, 4),
        _at(5.0, np.inf, 5),
        _trial(6, {"x": 6.0}, {"other": 1.0}),
        _trial(7, {"x": 7.0}, {"loss": 2.0}, state=TrialState.STOPPED),
        _trial(8, {"x": 8.0}, state=TrialState.CANCELLED),
        _trial(9, {"x": 9.0}, state=TrialState.RUNNING),
    )

    assert data.running is not None
    assert data.running.values.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    np.testing.assert_allclose(data.running.vectors[:, 0], np.arange(1, 8) / 10)
    # Failed points are no good, as far as a vague value can say so.
    assert data.objectives[0].values.tolist() == [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    assert (data.objectives[0].errors > 0).tolist() == [False, *[True] * 5, False]
    assert data.losses.tolist() == [[1.0], [2.0]]
    assert data.learnt == 2
    assert data.pending.tolist() == [[0.9]]
    assert data.own == 7
    assert len(data.keys) == 9


def test_points_that_failed_count_as_the_worst_known_with_a_large_error() -> None:
    data = _read(
        StudySpec(LINE, (LOSS,)),
        _at(1.0, 1.0, 1),
        _trial(2, {"x": 2.0}, state=TrialState.FAILED),
        _at(4.0, 5.0, 3),
        _trial(4, {"x": 1.0}, state=TrialState.FAILED),  # but it ran once
    )

    (sample,) = data.objectives
    np.testing.assert_allclose(sample.vectors[:, 0], [0.1, 0.2, 0.4])
    assert sample.values.tolist() == [1.0, 5.0, 5.0]
    # Three quarters of what lies between the quartiles of 1 and 5.
    assert sample.errors.tolist() == [0.0, 1.5, 0.0]
    assert data.learnt == 2


def test_without_a_failure_there_is_nothing_to_learn_of_failing() -> None:
    assert _read(StudySpec(LINE, (LOSS,)), _at(1.0, 1.0, 1)).running is None


def test_excesses_are_measured_by_their_median_and_far_ones_drawn_in() -> None:
    spec = StudySpec(LINE, (LOSS,), constraints=(Constraint("ms", 20.0),))
    excesses = [-10.0, 4.0, 0.0, 4.0, 400.0]

    data = _read(
        spec,
        *(
            _trial(n, {"x": float(n)}, {"loss": 0.0, "ms": 20.0 + excess})
            for n, excess in enumerate(excesses, start=1)
        ),
    )

    (sample,) = data.constraints
    assert sample is not None
    scale = 7.0  # the median of 4, 4, 10 and 400
    expected = np.sign(excesses) * np.log1p(np.abs(excesses) / scale)
    np.testing.assert_allclose(sample.values, expected)
    assert data.feasible.tolist() == [True, False, True, False, False]


def test_a_constraint_is_kept_if_it_was_at_every_repetition() -> None:
    spec = StudySpec(LINE, (LOSS,), constraints=(Constraint("recall", 0.9, "at_least"),))

    data = _read(
        spec,
        _trial(1, {"x": 1.0}, {"loss": 0.0, "recall": 0.95}),
        _trial(2, {"x": 1.0}, {"loss": 0.0, "recall": 0.85}),
        _trial(3, {"x": 2.0}, {"loss": 0.0, "recall": 0.9}),
    )

    assert data.feasible.tolist() == [False, True]


def test_a_constraint_that_was_not_measured_is_not_kept_and_tells_nothing_of_its_size() -> None:
    spec = StudySpec(LINE, (LOSS,), constraints=(Constraint("ms", 20.0),))

    data = _read(spec, _at(1.0, 0.0, 1), _trial(2, {"x": 2.0}, {"loss": 0.0, "ms": 5.0}))
    never = _read(spec, _at(1.0, 0.0, 1))

    (sample,) = data.constraints
    assert sample is not None
    assert sample.vectors.tolist() == [[0.2]]
    assert data.feasible.tolist() == [False, True]
    assert never.constraints == [None]


def test_the_greatest_numbers_have_means_and_errors() -> None:
    spec = StudySpec(LINE, (Objective("loss", "minimize", "se"),))

    data = _read(
        spec,
        _trial(1, {"x": 1.0}, {"loss": 1.7e308, "se": 1e300}),
        _trial(2, {"x": 1.0}, {"loss": 1.7e308, "se": 1e300}),
    )

    assert data.objectives[0].values.tolist() == [pytest.approx(1.7e308)]
    assert data.objectives[0].errors.tolist() == [pytest.approx(1e300 / np.sqrt(2.0))]


def _earlier(space: Space, losses: Mapping[float, float], **more: Value) -> Earlier:
    spec = StudySpec(space, (LOSS,))
    trials = [
        _trial(n, {"x": x, **more}, {"loss": loss})
        for n, (x, loss) in enumerate(losses.items(), start=1)
    ]
    return Earlier("before", spec, tuple(trials))


def test_an_earlier_study_of_the_same_space_comes_before_one_s_own_values() -> None:
    earlier = _earlier(LINE, {1.0: 5.0, 9.0: 3.0})

    lesson = read_lesson(earlier, Cube(LINE))
    data = _read(StudySpec(LINE, (LOSS,)), _at(5.0, 1.0, 1), lessons=[lesson])

    (sample,) = data.objectives
    assert sample.values.tolist() == [3.0, 5.0, 1.0]  # the best first
    assert sample.study.tolist() == [1, 1, 0]
    np.testing.assert_allclose(sample.vectors[:, 0], [0.9, 0.1, 0.5])
    assert data.points.tolist() == [[0.5]]
    assert data.learnt == 3


def test_before_a_study_has_values_the_points_of_earlier_ones_guide_it() -> None:
    lesson = read_lesson(_earlier(LINE, {1.0: 5.0, 9.0: 3.0}), Cube(LINE))

    data = _read(StudySpec(LINE, (LOSS,)), lessons=[lesson])

    np.testing.assert_allclose(data.points[:, 0], [0.9, 0.1])
    assert data.feasible.all()
    assert data.own == 0


def test_an_earlier_study_may_measure_other_things_or_its_errors_otherwise() -> None:
    lesson = read_lesson(_earlier(LINE, {1.0: 5.0}), Cube(LINE))
    with_errors = Objective("loss", "minimize", "loss_se")

    known = _read(StudySpec(LINE, (with_errors,)), lessons=[lesson])
    turned = _read(StudySpec(LINE, (Objective("loss", "maximize"),)), lessons=[lesson])
    two = _read(StudySpec(LINE, (LOSS, Objective("ms", "minimize"))), lessons=[lesson])

    assert known.objectives[0].values.tolist() == [5.0]
    assert len(turned.objectives[0].values) == 0
    assert [len(sample.values) for sample in two.objectives] == [1, 0]
    assert two.learnt == 0  # nothing is known of the second


def test_what_an_earlier_study_could_not_have_is_as_if_it_were_not_there() -> None:
    now = Space(
        {
            "x": Double(0.0, 10.0),
            "new": Double(0.0, 1.0),
            "kind": Categorical(["a", "b"]),
        }
    )
    then = Space({"x": Double(-90.0, 90.0), "kind": Categorical(["a", "z"])})
    spec = StudySpec(then, (LOSS,))
    trials = [
        _trial(1, {"x": 5.0, "kind": "a"}, {"loss": 0.0}),
        _trial(2, {"x": 50.0, "kind": "z"}, {"loss": 1.0}),
    ]

    lesson = read_lesson(Earlier("before", spec, tuple(trials)), Cube(now))

    assert lesson.mask.tolist() == [[True, False, True], [False, False, False]]
    assert lesson.points[0, [0, 2]].tolist() == [0.5, 0.25]


def test_of_a_large_earlier_study_the_best_and_some_of_all_others_are_taken() -> None:
    rng = np.random.default_rng(0)
    losses = {
        float(x): float(loss) for x, loss in zip(rng.random(500), rng.random(500), strict=True)
    }

    lesson = read_lesson(_earlier(LINE, losses), Cube(LINE))

    taken = np.sort(lesson.losses[:, 0])
    ranked = np.sort(np.array(list(losses.values())))
    assert len(taken) == 100
    np.testing.assert_array_equal(taken[:50], ranked[:50])
    assert taken[50:].mean() > ranked.mean()
    assert taken[-1] > ranked[-50]


def test_an_earlier_study_may_have_lost_some_of_its_trials() -> None:
    earlier = _earlier(LINE, {1.0: 5.0, 2.0: 4.0, 3.0: 3.0, 4.0: np.nan})
    later = replace(earlier, trials=earlier.trials[1:])  # numbers no longer begin at 1
    failed = tuple(replace(t, state=TrialState.FAILED, metrics={}) for t in later.trials)

    assert read_lesson(later, Cube(LINE)).losses.tolist() == [[3.0], [4.0]]
    assert read_lesson(replace(later, trials=failed), Cube(LINE)).losses.shape == (0, 1)
    assert read_lesson(replace(later, trials=()), Cube(LINE)).points.shape == (0, 1)
