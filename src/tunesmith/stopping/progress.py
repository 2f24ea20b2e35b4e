"""How far a study and its trials have come, as a schedule sees it."""

from tunesmith.model import History, Trial, TrialState

__all__ = ["is_done", "is_out", "is_resting", "room_in"]


def room_in(history: History, limit: int | None) -> int:
    """Return how many new trials a study of ``limit`` may still have; many if that is None."""
    if limit is None:
        return 1_000_000
    return max(0, limit - len(history.trials) + history.count(TrialState.CANCELLED))


def is_out(trial: Trial) -> bool:
    """Whether nobody need wait for the trial: it has ended, or a person holds it."""
    return trial.is_final or bool(trial.pause_requested)


def is_resting(trial: Trial) -> bool:
    """Whether the trial is paused and nobody holds it."""
    return trial.state is TrialState.PAUSED and not trial.pause_requested


def is_done(trial: Trial, history: History) -> bool:
    """Whether the trial has trained the steps of its budget."""
    return trial.budget is not None and history.curve(trial.number).reach >= trial.budget
