import math

import pytest

from tunesmith.errors import SpecError
from tunesmith.stopping.threshold import Threshold
from tunesmith.testing.rules import Steps, history_of, study


def judged(rule: Threshold, trial: Steps, goal: str = "minimize") -> str | None:
    history = history_of(study(goal, metrics=("loss", "size")), trial, running=[1])
    return rule.stop_reason(history.trials[0], history)


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_a_value_beyond_a_bound_ends_the_trial_whatever_the_goal(goal: str) -> None:
    rule = Threshold(upper=2.0, lower=-1.0)

    assert judged(rule, [5.0, 2.0], goal) is None
    assert judged(rule, [0.0, 2.5], goal) == "loss is 2.5 at step 2, above 2"
    assert judged(rule, [-1.25], goal) == "loss is -1.25 at step 1, below -1"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_a_value_that_is_not_finite_ends_the_trial(value: float, goal: str) -> None:
    assert judged(Threshold(), [1.0, value], goal) == "loss is not finite at step 2"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_may_be_borne_with(value: float) -> None:
    assert judged(Threshold(upper=1.0, nan=False), [value]) is None


def test_only_the_latest_value_counts() -> None:
    assert judged(Threshold(upper=1.0), [math.nan, 9.0, 0.5]) is None


def test_nothing_is_said_before_the_first_step_to_judge() -> None:
    rule = Threshold(upper=1.0, min_steps=3)

    assert judged(rule, [9.0, 9.0]) is None
    assert judged(rule, [9.0, 9.0, 9.0]) is not None


def test_any_metric_of_the_program_may_be_watched() -> None:
    rule = Threshold(upper=100.0, metric="memory_mib")

    reason = judged(rule, {1: {"loss": 1.0}, 2: {"memory_mib": 101.0}})

    assert reason == "memory_mib is 101 at step 2, above 100"


def test_every_objective_is_watched_for_nan() -> None:
    several = study(metrics=("loss", "size"))
    rule = Threshold()
    history = history_of(several, {1: {"loss": 1.0, "size": math.nan}}, running=[1])

    rule.check(several)

    assert rule.stop_reason(history.trials[0], history) == "size is not finite at step 1"


def test_bounds_on_one_of_several_objectives_have_to_say_on_which() -> None:
    several = study(metrics=("loss", "size"))

    Threshold(upper=1.0, metric="size").check(several)
    with pytest.raises(SpecError, match="Say by which: metric=loss or metric=size"):
        Threshold(upper=1.0).check(several)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"upper": math.nan}, "'upper' is a finite number; given nan"),
        ({"lower": "0"}, "'lower' is a finite number; given '0'"),
        ({"lower": 2, "upper": 1}, "lower <= upper; given lower=2 and upper=1"),
        ({"nan": "yes"}, "'nan' is true or false; given 'yes'"),
        ({"nan": False}, "nothing to do: give it upper, lower, or nan=true"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        Threshold(**settings)  # type: ignore[arg-type]
