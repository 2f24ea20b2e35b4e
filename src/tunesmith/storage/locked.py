"""Changes of one study under its lock: whose row is held, who holds a trial, which moves are allowed."""

import json
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from tunesmith.errors import LeaseLostError, NotFoundError, StateError, StudyEnded
from tunesmith.model import MOVES, Measurement, Trial, TrialState
from tunesmith.storage.rows import TrialRow, rank_columns, spec_from_text, storable, trial_from_row
from tunesmith.storage.schema import measurement, trial
from tunesmith.storage.summaries import THE_TRIAL
from tunesmith.storage.writes import Writes

__all__ = [
    "Locked",
    "can_name",
    "cancel",
    "check_held",
    "held",
    "hold",
    "known_points",
    "look_up",
    "no_study",
    "no_trial",
    "refuse_more_than_budget",
    "set_study",
    "set_trial",
    "trial_row",
    "write_trial",
]

_THESE = select(trial).where(
    trial.c.study_id == bindparam("sid"),
    trial.c.number.in_(bindparam("numbers", expanding=True)),
)
_KNOWN = select(measurement.c.metric, measurement.c.step).where(
    measurement.c.study_id == bindparam("sid"),
    measurement.c.number == bindparam("n"),
    measurement.c.attempt == bindparam("a"),
    measurement.c.metric.in_(bindparam("metrics", expanding=True)),
    measurement.c.step.between(bindparam("first"), bindparam("last")),
)
_SET_TRIAL = update(trial).where(
    trial.c.study_id == bindparam("sid"), trial.c.number == bindparam("n")
)


@dataclass(slots=True)
class Locked:
    """A study whose row this transaction holds, for several changes one after another.

    Attributes:
        writes: What waits for the end of the transaction.
        name: The study's name; likewise the next five are its columns, as the changes so far left them.
        id: Its key.
        revision: The revision that the change under way will have.
        size: How many trials it has.
        max_trials: How many it may have.
        spec: Its description.
        now: The time, in seconds since the epoch.
        columns: What is to be written to its row.
        together: How many changes share the transaction.
        queue: Queued trials in the order of their numbers, the first of them; None if nobody has looked.
        rows: Trials by number, as the changes so far left them, as far as they were looked at.
        touched: Whether the change under way has changed anything.
        changed: Whether any change has.
        gone: Whether it was deleted.
    """

    writes: Writes
    name: str
    id: int
    revision: int
    size: int
    max_trials: int | None
    spec: str
    now: float
    columns: dict[str, object] = field(default_factory=dict)
    together: int = 1
    queue: deque[TrialRow] | None = None
    rows: dict[int, TrialRow] = field(default_factory=dict)
    touched: bool = False
    changed: bool = False
    gone: bool = False

    def begin(self) -> None:
        """Begin with a change; raise `NotFoundError` if an earlier one has deleted the study."""
        self.touched = False
        if self.gone:
            raise no_study(self.name)

    def end(self) -> None:
        """End a change; if it touched something, the next one has another revision."""
        if self.touched:
            self.revision += 1
            self.changed = True


def can_name(name: str) -> bool:
    """Whether a study may have this name; PostgreSQL raises an error if it is asked for others."""
    return name == storable(name)


def no_study(name: str) -> NotFoundError:
    """Return the error that there is no such study."""
    return NotFoundError(f"There is no study {name!r}.")


def no_trial(name: str, number: int) -> NotFoundError:
    """Return the error that there is no such trial."""
    return NotFoundError(f"Study {name!r} has no trial {number}.")


def look_up(connection: Connection, locked: Locked, numbers: Collection[int]) -> None:
    """Read the rows of several trials at once, those that are there."""
    found = connection.execute(_THESE, {"sid": locked.id, "numbers": sorted(numbers)})
    locked.rows |= {row.number: TrialRow._make(row) for row in found}


def trial_row(connection: Connection, locked: Locked, number: int) -> TrialRow:
    """Return the row of a trial."""
    if number not in locked.rows:
        locked.writes.now("trial", number)
        row = connection.execute(THE_TRIAL, {"sid": locked.id, "n": number}).first()
        if row is None:
            raise no_trial(locked.name, number)
        locked.rows[number] = TrialRow._make(row)
    return locked.rows[number]


def held(connection: Connection, locked: Locked, number: int, attempt: int) -> TrialRow:
    """Return the trial's row if this attempt still holds it."""
    row = trial_row(connection, locked, number)
    check_held(row, attempt)
    return row


def check_held(row: TrialRow, attempt: int) -> None:
    """Raise `LeaseLostError` or `StateError` unless the attempt runs the trial."""
    if row.attempt != attempt:
        msg = (
            f"Trial {row.number} is at attempt {row.attempt} by now; attempt {attempt} has lost it."
        )
        raise LeaseLostError(msg)
    if row.state != TrialState.RUNNING:
        if row.state == TrialState.QUEUED:
            msg = f"Trial {row.number} was taken back to the queue; attempt {attempt} has lost it."
            raise LeaseLostError(msg)
        msg = f"Trial {row.number} is {row.state}, not running."
        raise StateError(msg)


def set_trial(locked: Locked, row: TrialRow, **changes: Any) -> Trial:
    """Write ``changes`` to a trial, if the table of moves allows the new state; return it as it is now."""
    state = changes.get("state", row.state)
    if state != row.state and state not in MOVES[TrialState(row.state)]:
        msg = f"Trial {row.number} is {row.state}; it can't become {state}."
        raise StateError(msg)
    changes["revision"] = locked.revision
    locked.touched = True
    if state != row.state:
        locked.queue = None
    return trial_from_row(write_trial(locked, row, **changes))


def write_trial(locked: Locked, row: TrialRow, **changes: Any) -> TrialRow:
    """Write columns of a trial; return its row as it is now."""
    key = {"sid": locked.id, "n": row.number}
    locked.writes.later(_SET_TRIAL, row.number, [{**key, **changes}])
    locked.rows[row.number] = row._replace(**changes)
    return locked.rows[row.number]


def cancel(locked: Locked, row: TrialRow, reason: str) -> Trial:
    """End a trial that does not run; what it measured before a pause counts."""
    metrics = json.loads(row.metrics) if row.state == TrialState.PAUSED else {}
    state = TrialState.STOPPED if metrics else TrialState.CANCELLED
    return set_trial(
        locked,
        row,
        state=state,
        **rank_columns(state, metrics, spec_from_text(locked.spec)),
        reason=storable(reason),
        lease_until=None,
        finished=locked.now,
        pause_requested="",
    )


def hold(locked: Locked, row: TrialRow, reason: str) -> Trial:
    """Pause a trial that waits in the queue, or ran until now, because a person wants it so."""
    return set_trial(
        locked,
        row,
        state=TrialState.PAUSED,
        reason=storable(reason),
        pause_requested=storable(reason),
        lease_until=None,
        worker="",
    )


def known_points(
    connection: Connection,
    locked: Locked,
    number: int,
    attempt: int,
    measurements: Sequence[Measurement],
) -> Sequence[tuple[str, int]]:
    """Return the metrics and steps of the attempt that are stored already, near the given ones."""
    metrics = sorted({metric for m in measurements for metric in m.metrics})
    if not metrics:
        return ()
    locked.writes.now("measurement", number)
    steps = [m.step for m in measurements]
    key = {"sid": locked.id, "n": number, "a": attempt}
    near = {"metrics": metrics, "first": min(steps), "last": max(steps)}
    return [(metric, step) for metric, step in connection.execute(_KNOWN, key | near)]


def set_study(locked: Locked, **changes: Any) -> None:
    """Change columns of the study; they are written at the end of the transaction."""
    locked.touched = True
    locked.columns |= changes
    locked.size = changes.get("size", locked.size)
    locked.max_trials = changes.get("max_trials", locked.max_trials)
    locked.spec = changes.get("spec", locked.spec)


def refuse_more_than_budget(connection: Connection, locked: Locked, more: int) -> None:
    """Raise `StudyEnded` if ``more`` trials were more than ``max_trials``."""
    if locked.max_trials is None or locked.size + more <= locked.max_trials:
        return
    locked.writes.now("trial")
    cancelled = connection.execute(
        select(func.count()).where(
            trial.c.study_id == locked.id, trial.c.state == TrialState.CANCELLED
        )
    ).scalar_one()
    if locked.size - cancelled + more > locked.max_trials:
        msg = f"Study {locked.name!r} has its {locked.max_trials} trials (max_trials). One more: tunesmith set {locked.name} trials=+1"
        raise StudyEnded(msg)
