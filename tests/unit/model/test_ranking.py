import math
from collections.abc import Sequence

import pytest

from tunesmith.model import (
    Measurement,
    Objective,
    Selection,
    StudySpec,
    Trial,
    TrialState,
    best_trial,
    loss,
    select_measurement,
)
from tunesmith.space import Double, Space

LOW, HIGH = Objective("m", "minimize"), Objective("m", "maximize")
LINE = Space({"x": Double(0.0, 1.0)})


def spec(measurement: Selection, objective: Objective = HIGH) -> StudySpec:
    others = (Objective("cost", "minimize"),)
    return StudySpec(LINE, (objective, *others), measurement=measurement)


def curve(*values: float) -> list[Measurement]:
    return [Measurement(step, {"m": value}) for step, value in enumerate(values)]


def completed(*values: float) -> list[Trial]:
    return [
        Trial(number, {"x": 0.5}, TrialState.COMPLETED, metrics={"m": value})
        for number, value in enumerate(values, start=1)
    ]


@pytest.mark.parametrize(
    ("measurement", "objective", "step"),
    [
        ("last", HIGH, 4),
        ("best", HIGH, 2),
        ("best", LOW, 1),
        ("minimum", HIGH, 1),
        ("minimum", LOW, 1),
        ("maximum", HIGH, 2),
        ("maximum", LOW, 2),
    ],
)
def test_the_rule_chooses_the_step(measurement: Selection, objective: Objective, step: int) -> None:
    chosen = select_measurement(curve(0.5, 0.1, 0.9, 0.3, 0.4), spec(measurement, objective))

    assert chosen is not None
    assert chosen.step == step


def test_the_earliest_of_equals_is_chosen() -> None:
    chosen = select_measurement(curve(0.1, 0.7, 0.3, 0.7), spec("best"))

    assert chosen is not None
    assert chosen.step == 1


@pytest.mark.parametrize("measurement", ["best", "minimum", "maximum"])
def test_a_step_that_is_nan_is_never_the_best(measurement: Selection) -> None:
    chosen = select_measurement(curve(math.nan, 0.5, math.nan), spec(measurement))

    assert chosen is not None
    assert chosen.step == 1


def test_the_last_is_the_last_even_when_it_is_nan() -> None:
    chosen = select_measurement(curve(0.5, math.nan), spec("last"))

    assert chosen is not None
    assert chosen.step == 1


@pytest.mark.parametrize("measurement", ["last", "best", "minimum", "maximum"])
def test_a_curve_of_nothing_but_nan_gives_its_last(measurement: Selection) -> None:
    chosen = select_measurement(curve(math.nan, math.nan), spec(measurement))

    assert chosen is not None
    assert chosen.step == 1


def test_infinity_is_a_value_like_others() -> None:
    high = select_measurement(curve(0.5, math.inf, 0.1), spec("best"))
    low = select_measurement(curve(0.5, math.inf, 0.1), spec("best", LOW))

    assert high is not None
    assert low is not None
    assert (high.step, low.step) == (1, 2)


@pytest.mark.parametrize("measurements", [[], [Measurement(3, {"cost": 1.0})]])
def test_without_the_first_objective_there_is_nothing_to_choose(
    measurements: Sequence[Measurement],
) -> None:
    assert select_measurement(measurements, spec("last")) is None


def test_steps_decide_not_the_order_of_arrival() -> None:
    chosen = select_measurement(list(reversed(curve(0.1, 0.2, 0.3))), spec("last"))

    assert chosen is not None
    assert chosen.metrics["m"] == 0.3


def test_other_metrics_come_from_the_step_or_the_latest_before_or_the_first_after() -> None:
    measurements = [
        Measurement(0, {"cost": 10.0, "before": 1.0}),
        Measurement(1, {"before": 2.0}),
        Measurement(2, {"m": 0.9, "cost": 20.0}, elapsed_s=7.5),
        Measurement(3, {"before": 3.0, "after": 4.0, "m": 0.1}),
        Measurement(4, {"after": 5.0, "cost": 30.0}),
    ]

    chosen = select_measurement(measurements, spec("best"))

    metrics = {"m": 0.9, "cost": 20.0, "before": 2.0, "after": 4.0}
    assert chosen == Measurement(2, metrics, elapsed_s=7.5)


def test_loss_is_smaller_for_the_better() -> None:
    worse, better = completed(1.0, 2.0)

    assert loss(worse, LOW) == 1.0
    assert loss(better, HIGH) == -2.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("objective", [LOW, HIGH])
def test_a_value_that_is_not_finite_does_not_count(value: float, objective: Objective) -> None:
    bad, good = completed(value, 5.0)

    assert loss(bad, objective) is None
    assert best_trial([bad, good], objective) is good
    assert best_trial([bad], objective) is None


def test_a_trial_without_the_metric_does_not_count() -> None:
    assert loss(completed(1.0)[0], Objective("other", "minimize")) is None


def test_the_best_trial_is_the_earliest_of_equals() -> None:
    trials = completed(0.5, 0.9, 0.9, 0.1)

    high = best_trial(reversed(trials), HIGH)
    low = best_trial(trials, LOW)

    assert high is trials[1]
    assert low is trials[3]
    assert best_trial([], HIGH) is None
