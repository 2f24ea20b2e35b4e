"""Keeps the curves of a history up to date with what a storage says has changed."""

from tunesmith.model import History, TrialState
from tunesmith.storage import Changes, Storage

__all__ = ["take_in"]


def take_in(changes: Changes, history: History, storage: Storage) -> None:
    """Add what was measured since to the curves of a history that has the changed trials already.

    The curve of a running trial that is among them is read anew: it may have been superseded.
    """
    anew = {
        t.number
        for t in changes.trials
        if t.state is TrialState.RUNNING and len(history.curve(t.number))
    }
    for number in sorted(anew):
        history.forget_curve(number)
        for measured in storage.measured(changes.record.name, number):
            history.measure(number, measured.attempt, measured.measurement)
    for measured in changes.measurements:
        if measured.number not in anew:
            history.measure(measured.number, measured.attempt, measured.measurement)
