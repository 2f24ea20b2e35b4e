import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from tunesmith.errors import MetricError, NotFoundError, StateError
from tunesmith.model import Measurement, TrialState
from tunesmith.study import Study, check_metrics, check_step

Make = Callable[..., Study]


class Tensor:
    """A stand-in for PyTorch's: a scalar gives its value, another raises what PyTorch raises."""

    def __init__(self, *values: float) -> None:
        self._values = values

    def __repr__(self) -> str:
        return f"Tensor{self._values}"

    def item(self) -> float:
        if len(self._values) != 1:
            msg = f"a Tensor with {len(self._values)} elements cannot be converted to Scalar"
            raise RuntimeError(msg)
        return self._values[0]


def test_a_trial_is_told_by_name_or_by_place_or_by_number(make: Make) -> None:
    study = make()
    by_name, by_place, by_number = study.ask(3)

    ends = [
        study.tell(by_name, loss=0.5, accuracy=0.9),
        study.tell(by_place, 0.5),
        study.tell(by_number.number, 0.5),
    ]

    assert {t.state for t in ends} == {TrialState.COMPLETED}
    assert ends[0].metrics == {"loss": 0.5, "accuracy": 0.9}
    assert ends[1].metrics == ends[2].metrics == {"loss": 0.5}
    assert list(study.trials) == ends


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.0,
        True,
        np.float32(1),
        np.float64(1),
        np.int64(1),
        np.bool_(True),
        np.array(1.0),
        np.array([1.0]),
        Decimal(1),
        Fraction(1),
        Tensor(1.0),
    ],
    ids=repr,
)
def test_everything_that_is_one_number_is_taken_as_a_float(make: Make, value: float) -> None:
    study = make()

    trial = study.tell(study.ask(), loss=value)

    assert trial.metrics == {"loss": 1.0}
    assert type(trial.metrics["loss"]) is float


@pytest.mark.parametrize(
    "value",
    [
        "0.5",
        b"1",
        1j,
        np.complex128(1j),
        np.array([1.0, 2.0]),
        np.str_("1"),
        Tensor(1.0, 2.0),
        None,
        [1.0],
        {},
        10**400,
        object,
    ],
    ids=repr,
)
def test_what_is_no_number_is_refused_and_the_trial_runs_on(make: Make, value: float) -> None:
    study = make()
    trial = study.ask()

    with pytest.raises(MetricError, match="'loss' is a number; given"):
        study.tell(trial, loss=value)
    with pytest.raises(MetricError, match="'loss' is a number; given"):
        study.report(trial, 0, loss=value)

    assert study.trials[0].state is TrialState.RUNNING


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_objective_that_is_not_finite_fails_the_trial(make: Make, value: float) -> None:
    study = make()

    trial = study.tell(study.ask(), loss=value)

    assert trial.state is TrialState.FAILED
    assert trial.reason == f"loss was {value}"
    with pytest.raises(NotFoundError, match=r"No trial .* ended with 'loss'"):
        _ = study.best_trial


def test_another_metric_may_be_infinite(make: Make) -> None:
    study = make()

    trial = study.tell(study.ask(), loss=1.0, ratio=math.inf)

    assert trial.state is TrialState.COMPLETED
    assert study.trials[0].metrics == {"loss": 1.0, "ratio": math.inf}


def test_a_missing_metric_is_named_beside_those_given(make: Make) -> None:
    study = make()
    trial = study.ask()

    with pytest.raises(MetricError, match="without its metric 'loss'; given: accuracy, cost"):
        study.tell(trial, accuracy=1.0, cost=2.0)
    with pytest.raises(MetricError, match="given: nothing"):
        study.tell(trial)

    assert study.trials[0].state is TrialState.RUNNING


def test_a_trial_that_reported_is_told_without_a_value(make: Make) -> None:
    study = make(measurement="best")
    trial = study.ask()
    for step, loss in enumerate([0.5, 0.2, 0.4]):
        study.report(trial, step, loss=loss, epoch=step)

    ended = study.tell(trial)

    assert (ended.metrics, ended.step) == ({"loss": 0.2, "epoch": 1.0}, 1)


def test_an_error_fails_the_trial(make: Make) -> None:
    study = make()

    trial = study.tell(study.ask(), error="CUDA: память закончилась")

    assert (trial.state, trial.reason) == (TrialState.FAILED, "CUDA: память закончилась")
    assert trial.metrics == {}


def test_values_that_can_not_be_tried_are_infeasible(make: Make) -> None:
    study = make()

    trial = study.tell(study.ask(), infeasible="heads must divide width")

    assert (trial.state, trial.reason) == (TrialState.INFEASIBLE, "heads must divide width")


@pytest.mark.parametrize("value", [0.25, 1, np.float32(0.25), math.nan])
def test_a_metric_may_be_called_error(make: Make, value: float) -> None:
    study = make(minimize="error")

    trial = study.tell(study.ask(), error=value)

    assert trial.state is (TrialState.FAILED if math.isnan(value) else TrialState.COMPLETED)
    if not math.isnan(value):
        assert trial.metrics == {"error": float(value)}


def test_a_study_whose_metric_is_error_still_hears_of_errors(make: Make) -> None:
    study = make(minimize="error")

    assert study.tell(study.ask(), error="broken").state is TrialState.FAILED


def test_the_same_end_told_twice_changes_nothing(make: Make) -> None:
    study = make()
    trial = study.ask()

    first, second = study.tell(trial, 0.5), study.tell(trial, 0.7)

    assert first == second == study.trials[0]


def test_another_end_is_refused(make: Make) -> None:
    study = make()
    trial = study.ask()
    study.tell(trial, 0.5)

    with pytest.raises(StateError, match="completed"):
        study.tell(trial, error="on second thought")
    with pytest.raises(StateError, match="completed"):
        study.report(trial, 9, loss=0.1)

    assert study.trials[0].metrics == {"loss": 0.5}


def test_a_trial_that_does_not_exist_is_not_told(make: Make) -> None:
    with pytest.raises(NotFoundError, match="no trial 7"):
        make().tell(7, 0.5)


def test_the_best_trial_follows_the_goal(make: Make) -> None:
    for settings, best in [({"minimize": "m"}, 2), ({"maximize": "m"}, 3)]:
        study = make(**settings)
        for trial, value in zip(study.ask(3), (0.5, 0.1, 0.9), strict=True):
            study.tell(trial, m=value)

        assert study.best_trial.number == best


def test_the_first_objective_decides_and_all_are_kept(make: Make) -> None:
    study = make(minimize=["loss", "cost"], maximize="speed")
    for trial, loss in zip(study.ask(2), (2.0, 1.0), strict=True):
        study.tell(trial, loss=loss, cost=-loss, speed=loss)

    assert study.best_trial.metrics == {"loss": 1.0, "cost": -1.0, "speed": 1.0}


# Reports


def test_reports_are_kept_by_step(make: Make) -> None:
    study = make()
    trial = study.ask()

    study.report(trial, 5, loss=0.5)
    study.report(trial, 0, loss=1.5, **{"val/точность": 0.25})
    study.report(trial, 5, loss=9.0)

    assert study.measurements(trial) == [
        Measurement(0, {"loss": 1.5, "val/точность": 0.25}),
        Measurement(5, {"loss": 0.5}),
    ]
    assert study.measurements(1) == study.measurements(trial)


@pytest.mark.parametrize("step", [0, 3, 7.0, np.int32(4), np.array(4), np.float64(2.0)])
def test_a_step_is_a_whole_number(step: float) -> None:
    assert check_step(step) == int(step)
    assert type(check_step(step)) is int


@pytest.mark.parametrize(
    "step",
    [-1, 0.5, math.nan, math.inf, "3", None, True, 2**63, np.array([1, 2]), 1j],
    ids=repr,
)
def test_what_is_no_step_is_refused(step: object) -> None:
    with pytest.raises(MetricError, match="whole number from 0; given"):
        check_step(step)


def test_a_metric_needs_a_proper_name() -> None:
    with pytest.raises(MetricError, match="'a  b'"):
        check_metrics({"a  b": 1.0})


# Ending by what was reported


def test_a_program_that_never_reported_the_metric_has_failed(make: Make) -> None:
    study = make()
    silent, other, told = study.ask(3)
    study.report(other, 0, accuracy=0.9)

    ends = [
        study.complete(silent),
        study.complete(other, missing="it printed 'accuracy', but never 'loss'"),
        study.complete(told, {"accuracy": 0.9}),
    ]

    assert {t.state for t in ends} == {TrialState.FAILED}
    assert ends[0].reason == ends[2].reason == "it never reported 'loss'"
    assert ends[1].reason == "it printed 'accuracy', but never 'loss'"


def test_a_program_whose_last_value_is_nan_has_failed_at_that_step(make: Make) -> None:
    study = make()
    trial = study.ask()
    study.report(trial, 0, loss=1.0)
    study.report(trial, 8, loss=math.nan)

    assert study.complete(trial).reason == "loss was nan at step 8"
