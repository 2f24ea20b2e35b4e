import math
from dataclasses import replace

import pytest

from tunesmith.errors import SpecError
from tunesmith.model import Constraint, History, StudySpec, TrialState
from tunesmith.stopping.curve_prediction import CurvePrediction
from tunesmith.testing.rules import Steps, history_of, study

SPEC = study(max_steps=30)


def curve(end: float, *, speed: float = 1.0, length: int = 30) -> list[float]:
    """Return a curve that begins at 2 and falls to ``end``, with a little that looks like noise."""
    return [
        end + (2.0 - end) * t**-speed + 0.01 * math.sin(7 * t + 50 * end)
        for t in range(1, length + 1)
    ]


OTHERS: list[Steps] = [curve(0.2 + 0.1 * n, speed=0.8 + 0.1 * (n % 4)) for n in range(8)]


def with_others(trial: Steps, spec: StudySpec = SPEC) -> History:
    return history_of(spec, *OTHERS, trial, running=[9])


def judged(trial: Steps, rule: CurvePrediction | None = None, spec: StudySpec = SPEC) -> str | None:
    history = with_others(trial, spec)
    return (rule or CurvePrediction()).stop_reason(history.trials[8], history)


def test_a_trial_ends_whose_curve_will_not_get_near_the_best() -> None:
    reason = judged(curve(0.9)[:10])

    assert reason is not None
    assert reason.startswith("at step 10 it is expected to end with ")
    assert "better than the best 0.3193 only with a probability of less than 0.1%" in reason


def test_a_trial_goes_on_whose_curve_will_be_better() -> None:
    for seen in range(5, 30):
        assert judged(curve(0.15)[:seen]) is None


def test_a_trial_that_is_behind_but_falls_faster_goes_on() -> None:
    # Slow at first: at step 8 it is worse than every other at that step.
    late = [2.0 - 1.9 / (1.0 + (10.0 / t) ** 4) for t in range(1, 31)]
    worst_at_eight = max(other[7] for other in OTHERS if isinstance(other, list))

    assert late[7] > worst_at_eight
    assert judged(late[:8]) is None


def test_a_trial_that_was_ahead_and_has_levelled_off_ends() -> None:
    # At step 6 it is better than every other; since then it has not moved.
    early = [0.5 + 1.5 * math.exp(-(t - 1) / 1.5) + 0.01 * math.sin(9 * t) for t in range(1, 31)]
    best_at_six = min(other[5] for other in OTHERS if isinstance(other, list))

    assert early[5] < best_at_six
    assert judged(early[:10]) is not None


def test_nothing_is_said_of_too_few_measurements() -> None:
    assert judged(curve(0.9)[:4]) is None
    assert judged(curve(0.9)[:7], CurvePrediction(min_measurements=8)) is None
    assert judged(curve(0.9)[:8], CurvePrediction(min_measurements=8)) is not None


def test_nothing_is_said_before_enough_trials_are_complete() -> None:
    assert judged(curve(0.9)[:10], CurvePrediction(min_trials=9)) is None
    assert judged(curve(0.9)[:10], CurvePrediction(min_trials=8)) is not None


def test_a_larger_probability_ends_more() -> None:
    middling = curve(0.3)[:10]

    assert judged(middling, CurvePrediction(probability=1e-9)) is None
    assert judged(middling, CurvePrediction(probability=0.5)) is not None


def test_where_the_end_is_unknown_it_is_where_the_longest_trial_ended() -> None:
    assert judged(curve(0.9)[:10], spec=study(max_steps=None)) is not None


def test_where_the_end_is_told_a_trial_is_judged_up_to_there() -> None:
    rule = CurvePrediction(max_steps=12)

    assert judged(curve(0.9)[:11], rule) is not None
    assert judged(curve(0.9)[:12], rule) is None


def test_seconds_may_be_counted_in_place_of_steps() -> None:
    reason = judged(curve(0.9)[:10], CurvePrediction(by="elapsed"))

    assert reason is not None
    assert reason.startswith("after 10 s it is expected")


def test_where_the_best_measurement_counts_one_that_is_best_already_goes_on() -> None:
    # It had 0.1 once, and has diverged since.
    once = [*curve(0.9)[:5], 0.1, *curve(0.9)[6:12]]
    by_best = study(max_steps=30)

    assert judged(once) is not None
    assert judged(once, spec=replace(by_best, measurement="best")) is None
    assert judged(once, spec=replace(by_best, measurement="minimum")) is None


def test_the_best_to_beat_keeps_the_constraints() -> None:
    spec = replace(study(max_steps=30), constraints=(Constraint("time", 1.0),))
    others: list[Steps] = [
        {t + 1: {"loss": loss, "time": 2.0 if n < 6 else 0.5} for t, loss in enumerate(c)}
        for n, c in enumerate(OTHERS)
        if isinstance(c, list)
    ]
    trial = {t + 1: {"loss": loss, "time": 0.5} for t, loss in enumerate(curve(0.55)[:10])}
    history = history_of(spec, *others, trial, running=[9])

    # Beyond the constraint there is 0.2; within it 0.8.
    assert CurvePrediction().stop_reason(history.trials[8], history) is None
    assert judged(curve(0.55)[:10]) is not None


def test_without_a_trial_that_counts_there_is_nothing_to_beat() -> None:
    history = with_others(curve(0.9)[:10])
    failed = [replace(t, state=TrialState.FAILED, metrics={}) for t in history.trials[:8]]
    history.update(failed)

    assert CurvePrediction().stop_reason(history.trials[8], history) is None


def test_a_trial_that_has_become_nan_ends() -> None:
    assert judged([*curve(0.3)[:5], *[math.nan] * 8]) is not None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"probability": 0.0}, "'probability' is a number above 0 and up to 0.5; given 0"),
        ({"probability": 0.6}, "'probability' is a number above 0 and up to 0.5; given 0.6"),
        ({"min_measurements": 0}, "'min_measurements' is a whole number from 1; given 0"),
        ({"min_trials": 0}, "'min_trials' is a whole number from 1; given 0"),
        ({"max_steps": -5}, "'max_steps' is a number above 0; given -5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        CurvePrediction(**settings)  # type: ignore[arg-type]
