import math

import numpy as np
import pytest

from tunesmith.model import Curve, History, Measurement, Objective, StudySpec, Trial, TrialState
from tunesmith.space import Double, Space

LOSS, GAIN = Objective("loss", "minimize"), Objective("gain", "maximize")
SPEC = StudySpec(Space({"x": Double(0.0, 1.0)}), (LOSS,))


def curve_of(*losses: float, first: int = 1, attempt: int = 1) -> Curve:
    return Curve(
        (attempt, Measurement(step, {"loss": loss}, float(step), step))
        for step, loss in enumerate(losses, start=first)
    )


def steps(curve: Curve) -> list[tuple[int, float]]:
    return [(m.step, m.metrics["loss"]) for m in curve.measurements]


# One curve over attempts


def test_an_attempt_that_goes_on_continues_the_curve() -> None:
    curve = curve_of(3.0, 2.0)

    curve.add(2, Measurement(3, {"loss": 1.0}))

    assert steps(curve) == [(1, 3.0), (2, 2.0), (3, 1.0)]


def test_an_attempt_that_begins_anew_replaces_what_follows_its_first_step() -> None:
    curve = curve_of(3.0, 2.0, 1.0)

    curve.add(2, Measurement(2, {"loss": 9.0}))

    assert steps(curve) == [(1, 3.0), (2, 9.0)]


def test_the_first_step_of_an_attempt_is_its_least_in_whatever_order_they_come() -> None:
    curve = curve_of(3.0, 2.0, 1.0)

    for step in (5, 2):
        curve.add(2, Measurement(step, {"loss": 9.0}))

    assert steps(curve) == [(1, 3.0), (2, 9.0), (5, 9.0)]


def test_what_an_earlier_attempt_says_late_is_left_out() -> None:
    curve = curve_of(3.0)
    curve.add(2, Measurement(2, {"loss": 2.0}))

    curve.add(1, Measurement(3, {"loss": 0.0}))

    assert steps(curve) == [(1, 3.0), (2, 2.0)]


def test_the_first_value_of_a_metric_at_a_step_stays_and_others_join_it() -> None:
    curve = curve_of(3.0)

    curve.add(1, Measurement(1, {"loss": 0.0, "gain": 5.0}))

    assert curve.measurements[0].metrics == {"loss": 3.0, "gain": 5.0}


def test_seconds_add_up_over_attempts_that_go_on() -> None:
    curve = curve_of(3.0, 2.0)  # its second step after two seconds

    curve.add(2, Measurement(3, {"loss": 1.0}, 5.0))

    assert [m.elapsed_s for m in curve.measurements] == [1.0, 2.0, 7.0]
    assert list(curve.series(LOSS, "elapsed").at) == [1.0, 2.0, 7.0]


# How far it has come


@pytest.mark.parametrize(("first", "reach"), [(0, 3), (1, 3), (5, 7)])
def test_reach_counts_steps_that_are_done(first: int, reach: int) -> None:
    curve = curve_of(3.0, 2.0, 1.0, first=first)

    assert curve.reach == reach
    assert curve.series(LOSS).reach == reach
    assert curve.from_zero == (first == 0)


def test_a_copy_of_a_trial_that_counts_from_zero_counts_like_it() -> None:
    trials = [Trial(1, {"x": 0.5}), Trial(2, {"x": 0.5}, parent=1)]
    history = History(SPEC, trials)
    history.measure(1, 1, Measurement(0, {"loss": 1.0}))

    history.measure(2, 1, Measurement(4, {"loss": 1.0}))

    assert history.curve(2).reach == 5


def test_before_anything_is_measured_nothing_is_reached() -> None:
    curve = Curve()

    assert (curve.reach, len(curve), list(curve.steps)) == (0, 0, [])
    assert math.isinf(curve.series(LOSS).last)
    assert curve.at(5) == {}


# Losses


def test_losses_are_turned_and_nan_is_the_worst() -> None:
    curve = Curve((1, Measurement(s, {"gain": g})) for s, g in ((1, 0.5), (2, math.nan), (3, 0.9)))

    series = curve.series(GAIN)

    assert list(series.losses) == [-0.5, math.inf, -0.9]
    assert (series.best, series.last) == (-0.9, -0.9)
    assert math.isinf(series.mean)
    assert series.until(1).mean == -0.5


def test_a_metric_that_is_not_measured_at_every_step_has_fewer_points() -> None:
    curve = curve_of(3.0, 2.0, 1.0)
    curve.add(1, Measurement(2, {"gain": 0.5}))

    assert list(curve.series(GAIN).at) == [2.0]
    assert curve.at(3) == {"loss": 1.0, "gain": 0.5}
    assert curve.at(1) == {"loss": 3.0}


def test_a_series_follows_what_is_added_after_it_was_read() -> None:
    curve = curve_of(3.0)
    assert len(curve.series(LOSS)) == 1

    curve.add(1, Measurement(2, {"loss": 1.0}))

    np.testing.assert_array_equal(curve.series(LOSS).losses, [3.0, 1.0])


# Whether a program keeps checkpoints


def test_an_attempt_that_begins_where_the_first_did_has_kept_nothing() -> None:
    curve = Curve([(1, Measurement(1, {"loss": 3.0})), (1, Measurement(2, {"loss": 2.0}))])

    curve.add(2, Measurement(1, {"loss": 3.0}))

    assert curve.begins_anew
    assert not curve.goes_on


def test_an_attempt_that_begins_later_goes_on() -> None:
    curve = Curve([(1, Measurement(1, {"loss": 3.0})), (1, Measurement(2, {"loss": 2.0}))])

    curve.add(2, Measurement(2, {"loss": 2.0}))

    assert curve.goes_on
    assert not curve.begins_anew


def test_a_first_attempt_neither_goes_on_nor_begins_anew() -> None:
    curve = Curve([(1, Measurement(1, {"loss": 3.0})), (1, Measurement(1, {"other": 2.0}))])

    assert not curve.goes_on
    assert not curve.begins_anew


def test_a_curve_as_it_was_had_not_begun_anew_before_it_did() -> None:
    curve = Curve([(1, Measurement(1, {"loss": 3.0}, revision=4))])
    curve.add(2, Measurement(1, {"loss": 3.0}, revision=6))

    assert not curve.until(5).begins_anew
    assert curve.until(6).begins_anew


# As it was


def test_a_history_is_given_as_it_was_at_a_revision() -> None:
    history = History(
        SPEC, [Trial(n, {"x": n / 4}, TrialState.RUNNING, 1, revision=n) for n in (1, 2)]
    )
    history.measure(1, 1, Measurement(1, {"loss": 3.0}, revision=3))
    history.measure(2, 1, Measurement(1, {"loss": 5.0}, revision=4))
    history.measure(1, 1, Measurement(2, {"loss": 2.0}, revision=5))
    done = Trial(1, {"x": 0.25}, TrialState.COMPLETED, 1, metrics={"loss": 2.0}, revision=6)
    history.update([done])

    past = history.as_of(4)

    assert past.trials[0].state is TrialState.RUNNING
    assert past.count("completed") == 0
    assert len(past.open) == 2
    assert steps(past.curve(1)) == [(1, 3.0)]
    assert steps(past.curve(2)) == [(1, 5.0)]
    assert past.tried(SPEC.space.key({"x": 0.25})) == 1
    # The present is as it was.
    assert history.count("completed") == 1
    assert steps(history.curve(1)) == [(1, 3.0), (2, 2.0)]
    assert history.as_of(6) is history
