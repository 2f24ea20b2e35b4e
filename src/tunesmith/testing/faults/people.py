"""A person who steps in at any moment: stops, pauses, resumes, retries, enqueues, raises the budget."""

import random
from collections.abc import Callable
from contextlib import suppress

from tunesmith.errors import TunesmithError
from tunesmith.model import StudyState, TrialState
from tunesmith.study import Study

__all__ = ["let_go", "step_in"]


def step_in(study: Study, dice: random.Random) -> None:
    """Do one thing with the study; whatever makes no sense just now is refused."""
    size = len(study.trials)
    number = dice.randint(1, size) if size else 1
    acts: list[Callable[[], object]] = [
        lambda: study.request_stop(number),
        lambda: study.request_pause(number),
        lambda: study.resume_trial(number),
        lambda: study.retry(number),
        lambda: study.enqueue({"x": dice.random()}),
        lambda: study.set_budget(max_trials=(study.spec.max_trials or 1) + dice.randint(-1, 2)),
        lambda: study.set_budget(parallel_trials=dice.randint(1, 3)),
        lambda: study.continue_trial(number, dice.randint(1, 12)),
        study.pause,
        study.resume,
        study.resume,
    ]
    if dice.random() < 0.05:
        study.stop()
        return
    with suppress(TunesmithError):
        dice.choice(acts)()


def let_go(study: Study) -> None:
    """Let everything go on that the person holds."""
    for trial in study.trials:
        if trial.state is TrialState.PAUSED and trial.pause_requested:
            with suppress(TunesmithError):
                study.resume_trial(trial)
    if study.record.state is StudyState.PAUSED:
        study.resume()
