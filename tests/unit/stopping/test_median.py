import math
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import History, TrialState
from tunesmith.stopping.averages import quantile
from tunesmith.stopping.median import Median
from tunesmith.stopping.percentile import Percentile
from tunesmith.testing.rules import Steps, history_of, study

# Accuracies; running averages by step 3 are 0.4, 0.5 and 0.6.
OTHERS = ([0.2, 0.4, 0.6, 0.9], [0.4, 0.5, 0.6, 0.7], [0.6, 0.6, 0.6, 0.6])


def judged(trial: Steps, *others: Steps) -> tuple[str | None, History]:
    history = history_of(study("maximize"), *others, trial, running=[len(others) + 1])
    rule = Median(min_steps=1)
    return rule.stop_reason(history.trials[-1], history), history


def test_a_best_value_below_the_median_of_running_averages_ends_the_trial() -> None:
    reason, _ = judged([0.3, 0.49, 0.1], *OTHERS)

    assert reason == "best 0.49 at step 3 is worse than the median 0.5 of 3 trials"


def test_a_best_value_at_the_median_goes_on() -> None:
    reason, _ = judged([0.5, 0.1, 0.1], *OTHERS)

    assert reason is None


def test_what_others_measured_later_does_not_count() -> None:
    at_three, _ = judged([0.1, 0.1, 0.52], *OTHERS)
    at_four, _ = judged([0.1, 0.1, 0.52, 0.1], *OTHERS)

    assert at_three is None
    assert at_four == "best 0.52 at step 4 is worse than the median 0.55 of 3 trials"


def test_of_an_even_number_of_averages_the_median_lies_between_the_middle_ones() -> None:
    reason, _ = judged([0.54, 0.54, 0.54], *OTHERS, [0.9, 0.9, 0.9])

    assert reason == "best 0.54 at step 3 is worse than the median 0.55 of 4 trials"


def test_losses_are_judged_the_other_way_round() -> None:
    history = history_of(study(), [1.0], [2.0], [3.0], [2.5], running=[4])

    reason = Median(min_steps=1).stop_reason(history.trials[3], history)

    assert reason == "best 2.5 at step 1 is worse than the median 2 of 3 trials"


def test_nothing_is_said_with_fewer_trials_than_asked_for() -> None:
    reason, history = judged([0.0], *OTHERS[:2])

    assert reason is None
    assert Median(min_trials=2, min_steps=1).stop_reason(history.trials[-1], history) is not None


def test_without_being_told_nothing_is_said_before_the_fourth_step() -> None:
    history = history_of(study("maximize"), *OTHERS, [0.0, 0.0, 0.0], running=[4])
    later = history_of(study("maximize"), *OTHERS, [0.0, 0.0, 0.0, 0.0], running=[4])

    assert Median().stop_reason(history.trials[-1], history) is None
    assert Median().stop_reason(later.trials[-1], later) is not None


def test_trials_that_run_or_were_stopped_count_only_if_asked_for() -> None:
    _, history = judged([0.3], *OTHERS)
    states = [TrialState.RUNNING, TrialState.STOPPED, TrialState.PAUSED]
    history.update([replace(t, state=s) for t, s in zip(history.trials[:3], states, strict=True)])

    trial = history.trials[-1]
    assert Median(min_steps=1).stop_reason(trial, history) is None
    assert Median(min_steps=1, among="all").stop_reason(trial, history) is not None


def test_among_all_only_those_count_that_came_as_far_or_are_complete() -> None:
    spec = study("maximize")
    history = history_of(spec, [0.9, 0.9], [0.9], [0.9], [0.1] * 3, [0.5] * 3, running=[2, 4, 5])
    rule = Median(min_steps=1, min_trials=1, among="all")

    reason = rule.stop_reason(history.trials[4], history)

    # The averages are 0.9 and 0.9 of trials 1 and 3, which are complete, and 0.1 of trial 4.
    assert reason == "best 0.5 at step 3 is worse than the median 0.9 of 3 trials"


def test_failed_trials_set_no_bar() -> None:
    _, history = judged([0.3], *OTHERS)
    history.update([replace(t, state=TrialState.FAILED) for t in history.trials[:3]])

    rule = Median(min_steps=1, among="all")
    assert rule.stop_reason(history.trials[-1], history) is None


def test_a_trial_without_a_finite_value_is_worse_than_any_median() -> None:
    reason, _ = judged([math.nan], *OTHERS)

    assert reason == "best nan at step 1 is worse than the median 0.4 of 3 trials"


def test_others_without_finite_values_raise_no_bar() -> None:
    reason, _ = judged([0.0], [math.nan], [math.inf], [0.9])

    assert reason is None


def test_seconds_may_be_counted_in_place_of_steps() -> None:
    history = history_of(study("maximize"), *OTHERS, [0.3, 0.3], running=[4])

    reason = Median(by="elapsed", min_steps=2).stop_reason(history.trials[3], history)

    assert reason == "best 0.3 after 2 s is worse than the median 0.45 of 3 trials"


def test_equal_curves_are_not_worse_than_each_other() -> None:
    # The mean of three times 0.1 is not 0.1 in floating point.
    history = history_of(study(), *[[0.1] * 3] * 5, [0.1] * 3, running=[6])

    assert Median(min_steps=1).stop_reason(history.trials[5], history) is None


def test_the_median_is_the_percentile_fifty() -> None:
    rng = np.random.default_rng(0)
    curves = [rng.normal(size=6).tolist() for _ in range(30)]
    one, other = (
        Median(min_steps=1, among="all"),
        Percentile(percentile=50, min_trials=3, min_steps=1, among="all"),
    )

    for number in range(1, 31):
        history = history_of(study(), *curves, running=[number])
        trial = history.trials[number - 1]
        assert (one.stop_reason(trial, history) is None) == (
            other.stop_reason(trial, history) is None
        )


@pytest.mark.parametrize(("percentile", "bar"), [(0, 1.0), (25, 2.0), (50, 3.0), (90, 4.6)])
def test_a_percentile_leaves_so_many_percent_of_the_best_below_the_bar(
    percentile: float, bar: float
) -> None:
    rule = Percentile(percentile=percentile, min_steps=1)
    others = [[5.0], [1.0], [3.0], [2.0], [4.0]]
    within = history_of(study(), *others, [bar], running=[6])
    beyond = history_of(study(), *others, [bar + 0.01], running=[6])

    assert rule.stop_reason(within.trials[5], within) is None
    reason = rule.stop_reason(beyond.trials[5], beyond)
    assert reason is not None
    assert f"worse than the {percentile}% quantile {bar:g} of 5 trials" in reason


def test_quantiles_are_those_of_numpy() -> None:
    rng = np.random.default_rng(1)
    for n in range(1, 12):
        values = rng.normal(size=n)
        for share in (0.0, 0.1, 0.25, 0.5, 0.77, 1.0):
            assert quantile(values, share) == pytest.approx(np.quantile(values, share), abs=1e-14)


def test_quantiles_of_infinite_values_are_infinite_and_no_nan() -> None:
    assert quantile(np.array([1.0, math.inf, math.inf]), 0.75) == math.inf
    assert quantile(np.array([1.0, 2.0, math.inf]), 0.5) == 2.0
    assert quantile(np.array([-1.7e308, 1.7e308]), 0.5) == 0.0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"among": "running"},
            "median's setting 'among' is one of completed, all; given 'running'",
        ),
        ({"min_trials": 0}, "median's setting 'min_trials' is a whole number from 1; given 0"),
        ({"min_trials": 2.5}, "median's setting 'min_trials' is a whole number from 1; given 2.5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        Median(**settings)  # type: ignore[arg-type]


def test_a_percentile_beyond_a_hundred_is_refused() -> None:
    with pytest.raises(
        SpecError, match="'percentile' is a finite number from 0 up to 100; given 101"
    ):
        Percentile(percentile=101)
