"""How long trials have trained, and what early stopping has saved."""

from collections.abc import Mapping, Sequence

import pytest

from tunesmith.model import History, Measurement, Objective, StudySpec, Trial, TrialState
from tunesmith.reporting import Training, saved_text, seconds_per_step, steps_reached
from tunesmith.space import Double, Space

SPACE = Space({"lr": Double(0.0, 1.0)})


def history(
    trials: Sequence[Trial], curves: Mapping[int, Sequence[int]], max_steps: int | None = None
) -> History:
    """Return a study whose trials measured at these steps, two seconds apart."""
    spec = StudySpec(SPACE, (Objective("acc", "maximize"),), max_steps=max_steps)
    made = History(spec, trials)
    for number, steps in curves.items():
        for i, step in enumerate(steps, start=1):
            made.measure(number, 1, Measurement(step, {"acc": 0.5}, 2.0 * i))
    return made


def ended(number: int, state: TrialState, parent: int | None = None) -> Trial:
    metrics = {"acc": 0.5} if state in (TrialState.COMPLETED, TrialState.STOPPED) else {}
    return Trial(number, {"lr": 0.1 * number}, state, metrics=metrics, parent=parent)


COMPLETED, STOPPED = TrialState.COMPLETED, TrialState.STOPPED


@pytest.mark.parametrize("first", [0, 1])
def test_what_was_saved_is_the_share_that_whole_trials_would_have_trained_more(first: int) -> None:
    trials = [ended(1, COMPLETED), ended(2, STOPPED), ended(3, STOPPED)]
    steps = {1: range(first, 10 + first), 2: range(first, 3 + first), 3: range(first, 2 + first)}

    training = Training.of(history(trials, steps, max_steps=10))

    assert training == Training(trials=3, stopped=2, steps=15, whole=10)
    assert training.saved == pytest.approx(0.5)
    assert saved_text(training) == "early stopping saved 50 %"


def test_without_a_known_length_the_longest_completed_trial_is_whole() -> None:
    trials = [ended(1, COMPLETED), ended(2, COMPLETED), ended(3, STOPPED)]

    training = Training.of(history(trials, {1: [8], 2: [4], 3: [2]}))

    assert training is not None
    assert training.whole == 8
    assert training.saved == pytest.approx(1 - 14 / 24)


def test_before_a_trial_is_whole_nobody_knows_what_was_saved() -> None:
    training = Training.of(history([ended(1, STOPPED)], {1: [2]}))

    assert training is not None
    assert training.saved is None
    assert saved_text(training) == ""


def test_what_failed_or_runs_is_not_counted_unless_asked_for() -> None:
    trials = [ended(1, COMPLETED), ended(2, TrialState.FAILED), ended(3, TrialState.RUNNING)]
    study = history(trials, {1: [4], 2: [3], 3: [2]})

    assert Training.of(study) == Training(trials=1, stopped=0, steps=4, whole=4)
    assert Training.of(study, counted=False) == Training(trials=3, stopped=0, steps=9, whole=4)
    assert Training.of(history([], {})) is None


def test_a_study_without_stopped_trials_has_saved_nothing() -> None:
    training = Training.of(history([ended(1, COMPLETED)], {1: [2]}, max_steps=4))

    assert saved_text(training) == ""
    assert saved_text(None) == ""


def test_steps_that_a_child_takes_over_from_its_parent_are_counted_once() -> None:
    trials = [ended(1, STOPPED), ended(2, COMPLETED, parent=1)]

    training = Training.of(history(trials, {1: [2, 4, 6], 2: [6, 8, 10]}, max_steps=10))

    assert training is not None
    assert training.steps == 6 + 6  # the parent had last reported step 4 when the child began


def test_a_child_that_begins_anew_has_done_all_its_steps_itself() -> None:
    trials = [ended(1, STOPPED), ended(2, COMPLETED, parent=1)]

    training = Training.of(history(trials, {1: [2, 4], 2: [1, 2, 3]}, max_steps=4))

    assert training is not None
    assert training.steps == 4 + 3


def test_how_far_each_trial_has_come_counts_what_its_parent_did() -> None:
    trials = [ended(1, STOPPED), ended(2, COMPLETED, parent=1), ended(3, TrialState.QUEUED)]

    assert steps_reached(history(trials, {1: [0, 1, 2], 2: [3, 4]})) == {1: 3, 2: 5, 3: 0}


def test_a_step_takes_what_it_took_most_trials() -> None:
    trials = [ended(n, COMPLETED) for n in (1, 2, 3, 4)]
    study = history(trials, {1: [1, 2], 2: [4, 8], 3: [1, 4]})

    assert seconds_per_step(study) == 1.0  # 2.0, 0.5 and 1.0
    assert seconds_per_step(history(trials, {})) is None
