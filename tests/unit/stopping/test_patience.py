import math

import pytest

from tunesmith.errors import SpecError
from tunesmith.stopping.patience import Patience
from tunesmith.testing.rules import Steps, history_of, study


def judged(rule: Patience, trial: Steps, goal: str = "minimize") -> str | None:
    history = history_of(study(goal), trial, running=[1])
    return rule.stop_reason(history.trials[0], history)


def ends_at(rule: Patience, losses: list[float]) -> int | None:
    """Return the step at which a trial would be ended."""
    steps = range(1, len(losses) + 1)
    return next((n for n in steps if judged(rule, losses[:n]) is not None), None)


def test_a_trial_ends_when_it_has_not_improved_for_so_many_steps() -> None:
    # As in Keras' EarlyStopping(patience=3): the best is that of step 2.
    assert ends_at(Patience(steps=3), [5.0, 3.0, 4.0, 3.0, 3.5, 2.0]) == 5


def test_what_has_not_improved_is_told() -> None:
    reason = judged(Patience(steps=2, min_delta=0.1), [0.5, 0.9, 0.95, 0.97], "maximize")

    assert reason == ("loss has not improved by 0.1 in 2 steps: best 0.97 at step 4, before 0.9")


def test_a_trial_that_improves_goes_on() -> None:
    assert ends_at(Patience(steps=3), [9.0, 8.0, 8.0, 8.0, 7.0, 7.0, 7.0, 6.0]) is None


def test_an_improvement_of_just_the_least_counts() -> None:
    rule = Patience(steps=2, min_delta=0.5)

    assert judged(rule, [2.0, 2.0, 1.5]) is None
    assert judged(rule, [2.0, 2.0, 1.75]) is not None


def test_small_improvements_add_up_over_the_window() -> None:
    assert ends_at(Patience(steps=4, min_delta=0.35), [3.0, 2.9, 2.8, 2.7, 2.6, 2.5, 2.4]) is None


def test_without_a_least_improvement_any_will_do_but_none_does_not() -> None:
    rule = Patience(steps=1)

    assert judged(rule, [1.0, 1.0 - 1e-12]) is None
    assert judged(rule, [1.0, 1.0]) is not None


def test_steps_are_counted_not_measurements() -> None:
    rule = Patience(steps=10)

    assert judged(rule, {1: 1.0, 3: 2.0, 5: 2.0, 7: 2.0}) is None
    assert judged(rule, {1: 1.0, 3: 2.0, 5: 2.0, 11: 2.0}) is not None


def test_seconds_may_be_counted_in_place_of_steps() -> None:
    reason = judged(Patience(steps=2.5, by="elapsed"), [1.0, 2.0, 2.0, 2.0])

    assert reason == "loss has not improved in 2.5 s: best 2 after 4 s, before 1"


def test_a_first_finite_value_is_an_improvement() -> None:
    rule = Patience(steps=2)

    assert judged(rule, [math.nan, math.nan, math.nan, 5.0]) is None
    assert judged(rule, [math.nan, math.nan, math.nan]) is not None


def test_a_trial_may_be_given_time_at_first() -> None:
    rule = Patience(steps=2, min_steps=6)

    assert ends_at(rule, [1.0] * 8) == 6


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, "'steps' is a number above 0; given 0"),
        ({"min_delta": -1}, "'min_delta' is a finite number from 0; given -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        Patience(**settings)  # type: ignore[arg-type]
