"""A stored study with all that its trials measured, for what goes by steps."""

from collections.abc import Mapping

from tunesmith.model import History, StudySpec
from tunesmith.reporting import NO_STEPS, steps_reached
from tunesmith.storage import Storage

__all__ = ["goes_by_steps", "read_history", "read_steps"]


def goes_by_steps(spec: StudySpec) -> bool:
    """Whether it matters in a study how long its trials train; to find out reads all their curves."""
    return bool(spec.stopping) or spec.max_steps is not None


def read_history(storage: Storage, study: str) -> History:
    """Return a study's trials and their curves."""
    changes = storage.changes(study, -1, curves=True)
    history = History(changes.record.spec, changes.trials)
    for measured in changes.measurements:
        history.measure(measured.number, measured.attempt, measured.measurement)
    return history


def read_steps(storage: Storage, study: str, spec: StudySpec) -> Mapping[int, int]:
    """Return how many steps each trial has done; nothing for a study that does not go by steps."""
    return steps_reached(read_history(storage, study)) if goes_by_steps(spec) else NO_STEPS
