import math
from collections.abc import Sequence

import numpy as np
import pytest

from tunesmith.model import (
    Constraint,
    Measurement,
    Objective,
    Selection,
    StudySpec,
    Trial,
    TrialState,
    best_trial,
    is_feasible,
    leaders,
    loss,
    pareto_front,
    rank,
    select_measurement,
    violation,
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
    assert best_trial([bad, good], StudySpec(LINE, (objective,))) is good
    assert best_trial([bad], StudySpec(LINE, (objective,))) is None


def test_a_trial_without_the_metric_does_not_count() -> None:
    assert loss(completed(1.0)[0], Objective("other", "minimize")) is None


def test_the_best_trial_is_the_earliest_of_equals() -> None:
    trials = completed(0.5, 0.9, 0.9, 0.1)

    high = best_trial(reversed(trials), spec("last", HIGH))
    low = best_trial(trials, spec("last", LOW))

    assert high is trials[1]
    assert low is trials[3]
    assert best_trial([], spec("last")) is None


# Constraints

BOUNDED = StudySpec(
    LINE,
    (LOW,),
    constraints=(Constraint("ms", 20.0), Constraint("recall", 0.5, "at_least")),
)


def trial(number: int, state: TrialState = TrialState.COMPLETED, **metrics: float) -> Trial:
    return Trial(number, {"x": 0.5}, state, metrics=metrics)


@pytest.mark.parametrize(
    ("metrics", "broken"),
    [
        ({"ms": 20.0, "recall": 0.5}, 0.0),
        ({"ms": 3.0, "recall": 0.9}, 0.0),
        ({"ms": 23.5, "recall": 0.9}, 3.5),
        ({"ms": 23.5, "recall": 0.25}, 3.75),
        ({"ms": math.inf, "recall": 0.9}, math.inf),
        ({"ms": math.nan, "recall": 0.9}, math.inf),
        ({"recall": 0.9}, math.inf),
    ],
)
def test_the_violation_is_what_lies_beyond_the_bounds(
    metrics: dict[str, float], broken: float
) -> None:
    assert violation(metrics, BOUNDED.constraints) == broken


def test_trials_that_keep_the_constraints_rank_first_and_then_the_nearest() -> None:
    trials = [
        trial(1, m=0.1, ms=21.0, recall=0.9),
        trial(2, m=9.0, ms=20.0, recall=0.9),
        trial(3, m=0.0, recall=0.9),
        trial(4, m=0.5, ms=20.5, recall=0.9),
        trial(5, m=8.0, ms=1.0, recall=0.5),
        trial(6, TrialState.FAILED, m=0.0, ms=1.0, recall=0.9),
    ]

    ranked = sorted(place for t in trials if (place := rank(t, BOUNDED)))

    assert [number for _, _, number in ranked] == [5, 2, 4, 1, 3]
    assert best_trial(trials, BOUNDED) is trials[4]
    assert [is_feasible(t, BOUNDED) for t in trials] == [False, True, False, False, True, False]


def test_where_no_trial_keeps_the_constraints_the_best_is_the_nearest() -> None:
    trials = [trial(1, m=0.1, ms=30.0, recall=1.0), trial(2, m=5.0, ms=25.0, recall=1.0)]

    assert best_trial(trials, BOUNDED) is trials[1]
    assert leaders(trials, BOUNDED) == [trials[1]]
    assert pareto_front(trials, BOUNDED) == []


# Several objectives

TWO = StudySpec(LINE, (Objective("acc", "maximize"), Objective("ms", "minimize")))
THREE = StudySpec(LINE, tuple(Objective(name, "minimize") for name in "abc"))


def numbers(trials: Sequence[Trial]) -> list[int]:
    return [t.number for t in trials]


def test_the_front_is_what_no_other_beats_in_every_objective() -> None:
    trials = [
        trial(1, acc=0.8, ms=5.0),
        trial(2, acc=0.9, ms=9.0),
        trial(3, acc=0.7, ms=6.0),  # worse than 1 in both
        trial(4, acc=0.9, ms=9.5),  # as accurate as 2, and slower
        trial(5, acc=0.5, ms=1.0),
    ]

    assert numbers(pareto_front(trials, TWO)) == [2, 1, 5]
    assert numbers(pareto_front(list(reversed(trials)), TWO)) == [2, 1, 5]


def test_of_equal_trials_the_earliest_stands_for_all() -> None:
    same = [trial(n, acc=0.8, ms=5.0) for n in (3, 1, 2)]

    assert numbers(pareto_front(same, TWO)) == [1]


def test_the_front_of_one_objective_is_the_best_trial() -> None:
    trials = completed(0.5, 0.9, 0.9, 0.1)

    assert pareto_front(trials, StudySpec(LINE, (HIGH,))) == [trials[1]]


@pytest.mark.parametrize("ms", [math.nan, math.inf, -math.inf, None])
def test_a_trial_without_every_objective_is_not_on_the_front(ms: float | None) -> None:
    lacks = trial(1, acc=1.0) if ms is None else trial(1, acc=1.0, ms=ms)
    trials = [lacks, trial(2, acc=0.1, ms=99.0)]

    assert numbers(pareto_front(trials, TWO)) == [2]


def test_a_trial_that_breaks_a_constraint_is_not_on_the_front() -> None:
    bounded = StudySpec(LINE, TWO.objectives, constraints=(Constraint("mib", 100.0),))
    trials = [trial(1, acc=1.0, ms=1.0, mib=101.0), trial(2, acc=0.1, ms=9.0, mib=100.0)]

    assert numbers(pareto_front(trials, bounded)) == [2]


@pytest.mark.parametrize("spec", [TWO, THREE])
def test_the_front_is_that_of_the_definition(spec: StudySpec) -> None:
    rng = np.random.default_rng(0)
    metrics = [o.metric for o in spec.objectives]
    trials = [  # on a coarse grid, so that many are equal
        Trial(n, {"x": 0.5}, TrialState.COMPLETED, metrics=dict(zip(metrics, row, strict=True)))
        for n, row in enumerate(rng.integers(0, 8, (200, len(metrics))).astype(float), start=1)
    ]

    def beats(a: Trial, b: Trial) -> bool:
        pairs = [(loss(a, o) or 0.0, loss(b, o) or 0.0) for o in spec.objectives]
        equal = all(x == y for x, y in pairs)
        return all(x <= y for x, y in pairs) and (not equal or a.number < b.number)

    wanted = {b.number for b in trials if not any(beats(a, b) for a in trials if a is not b)}
    assert set(numbers(pareto_front(trials, spec))) == wanted
