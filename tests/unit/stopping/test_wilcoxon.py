import math

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import StudySpec
from tunesmith.stopping.wilcoxon import Wilcoxon
from tunesmith.testing.rules import Steps, history_of, study

FOLDS = [0.10, 0.50, 0.30, 0.80, 0.20]
WORSE = [0.15, 0.56, 0.37, 0.88, 0.29]


def judged(
    trial: Steps, *others: Steps, rule: Wilcoxon | None = None, spec: StudySpec | None = None
) -> str | None:
    spec = spec or study()
    history = history_of(spec, *others, trial, running=[len(others) + 1])
    return (rule or Wilcoxon()).stop_reason(history.trials[-1], history)


def test_a_trial_that_is_worse_on_enough_folds_ends() -> None:
    # p is 1/8 after three folds, 1/16 after four.
    assert judged(WORSE[:3], FOLDS) is None
    assert judged(WORSE[:4], FOLDS) == (
        "mean loss 0.49 is worse than 0.425 of trial 1 on the 4 instances both measured (p = 0.0625)"
    )


def test_hard_folds_are_no_evidence() -> None:
    # All values are higher than the other trial's mean, and better than its values on the same folds.
    assert judged({4: 0.75, 2: 0.45}, FOLDS) is None


def test_folds_are_paired_by_their_number_in_whatever_order_they_come() -> None:
    pairs = list(enumerate(WORSE[:4], start=1))
    rng = np.random.default_rng(0)

    reasons = {
        judged({pairs[i][0]: pairs[i][1] for i in rng.permutation(4)}, FOLDS) for _ in range(9)
    }

    assert len(reasons) == 1
    assert None not in reasons


def test_folds_are_paired_before_fold_zero_is_there() -> None:
    from_zero = dict(enumerate(FOLDS))
    late = {fold: WORSE[fold] for fold in (1, 2, 3, 4)}

    assert judged(late, from_zero) == judged(WORSE[1:], FOLDS[1:])


def test_only_folds_that_both_measured_count() -> None:
    assert judged({1: 0.15, 2: 0.56, 3: 0.37, 9: 5.0}, FOLDS) is None


def test_a_trial_with_a_better_mean_goes_on() -> None:
    # Worse on nine of ten by a little, better on one by a lot: p is 0.08.
    best = [0.5] * 10
    trial = [0.51, 0.52, 0.53, 0.54, 0.55, 0.56, 0.57, 0.58, -1.0, 0.60]

    assert judged(trial, best) is None


def test_a_trial_is_held_against_the_one_with_the_best_mean() -> None:
    reason = judged(WORSE, [0.9] * 5, FOLDS, [0.7] * 5)

    assert reason is not None
    assert "of trial 2 on" in reason


def test_only_completed_trials_are_held_against() -> None:
    history = history_of(study(), FOLDS, WORSE, running=[1, 2])

    assert Wilcoxon().stop_reason(history.trials[1], history) is None


def test_more_folds_may_be_asked_for() -> None:
    assert judged(WORSE[:4], FOLDS, rule=Wilcoxon(n_startup=5)) is None
    assert judged(WORSE, FOLDS, rule=Wilcoxon(n_startup=5)) is not None


def test_a_p_value_just_at_the_threshold_rules_nothing_out() -> None:
    assert judged(WORSE[:4], FOLDS, rule=Wilcoxon(p_threshold=0.0625)) is None
    assert judged(WORSE[:4], FOLDS, rule=Wilcoxon(p_threshold=0.063)) is not None


def test_a_fold_that_broke_counts_as_worse_and_broken_pairs_as_equal() -> None:
    broken = [*WORSE[:3], math.nan]

    assert judged(broken, FOLDS) is not None
    assert judged([math.nan] * 5, [*FOLDS[:1], math.nan, math.nan]) is None


def test_the_metric_of_single_folds_may_be_another_than_the_objective() -> None:
    spec = study("maximize")
    folds: Steps = {n: {"fold": 0.9 - n / 100} for n in range(1, 6)}
    worse: Steps = {n: {"fold": 0.8 - n / 90} for n in range(1, 6)}
    rule = Wilcoxon(metric="fold")
    rule.check(spec)

    reason = judged(worse, folds, rule=rule, spec=spec)

    assert reason is not None
    assert reason.startswith("mean fold 0.7667 is worse than 0.87 of trial 1")
    assert judged(folds, worse, rule=rule, spec=spec) is None


def test_several_objectives_need_a_metric() -> None:
    with pytest.raises(SpecError, match="wilcoxon judges trials by one metric"):
        Wilcoxon().check(study(metrics=("loss", "size")))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"p_threshold": 0.0}, "'p_threshold' is a number above 0 and up to 1; given 0"),
        ({"n_startup": 0}, "'n_startup' is a whole number from 1; given 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        Wilcoxon(**settings)  # type: ignore[arg-type]
