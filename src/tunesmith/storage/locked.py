"""Changes of one study under its lock: whose row is held, who holds a trial, which moves are allowed."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from tunesmith.errors import LeaseLostError, NotFoundError, StateError, StudyEnded
from tunesmith.model import MOVES, Measurement, Trial, TrialState
from tunesmith.storage.rows import rank_columns, spec_from_text, storable, trial_from_row
from tunesmith.storage.schema import measurement, study, trial
from tunesmith.storage.summaries import THE_TRIAL

__all__ = [
    "SET_TRIAL",
    "THE_STUDY",
    "Locked",
    "StudyWrite",
    "cancel",
    "check_held",
    "held",
    "hold",
    "known_points",
    "no_study",
    "refuse_more_than_budget",
    "set_study",
    "set_trial",
]

_BUMP = (
    update(study)
    .where(study.c.name == bindparam("study_name"))
    .values(revision=study.c.revision + 1)
)
THE_STUDY = select(study).where(study.c.name == bindparam("study_name"))
_LOCKED = select(
    study.c.id, study.c.revision, study.c.size, study.c.max_trials, study.c.spec
).where(study.c.name == bindparam("study_name"))
_KNOWN = select(measurement.c.metric, measurement.c.step).where(
    measurement.c.study_id == bindparam("sid"),
    measurement.c.number == bindparam("n"),
    measurement.c.attempt == bindparam("a"),
    measurement.c.metric.in_(bindparam("metrics", expanding=True)),
    measurement.c.step.between(bindparam("first"), bindparam("last")),
)
SET_TRIAL = update(trial).where(
    trial.c.study_id == bindparam("sid"), trial.c.number == bindparam("n")
)


@dataclass(frozen=True, slots=True)
class Locked:
    """A study whose row this transaction holds."""

    name: str
    id: int
    revision: int
    size: int
    max_trials: int | None
    spec: str


class StudyWrite:
    """A transaction that holds one study's row and has raised its revision."""

    def __init__(self, transaction: AbstractContextManager[Connection], name: str) -> None:
        self._transaction = transaction
        self._name = name

    def __enter__(self) -> tuple[Connection, Locked]:
        connection = self._transaction.__enter__()
        try:
            connection.execute(_BUMP, {"study_name": self._name})
            row = connection.execute(_LOCKED, {"study_name": self._name}).first()
            if row is None:
                raise no_study(self._name)
        except BaseException as error:
            self._transaction.__exit__(type(error), error, error.__traceback__)
            raise
        return connection, Locked(self._name, *row)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._transaction.__exit__(kind, error, trace)


def no_study(name: str) -> NotFoundError:
    """Return the error that there is no such study."""
    return NotFoundError(f"There is no study {name!r}.")


def held(connection: Connection, locked: Locked, number: int, attempt: int) -> Row[Any]:
    """Return the trial's row if this attempt still holds it."""
    row = connection.execute(THE_TRIAL, {"sid": locked.id, "n": number}).first()
    if row is None:
        msg = f"Study {locked.name!r} has no trial {number}."
        raise NotFoundError(msg)
    check_held(row, attempt)
    return row


def check_held(row: Row[Any], attempt: int) -> None:
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


def set_trial(connection: Connection, locked: Locked, row: Row[Any], **changes: object) -> Trial:
    """Write ``changes`` to a trial, if the table of moves allows the new state; return it as it is now."""
    state = changes.get("state", row.state)
    if state != row.state and state not in MOVES[TrialState(row.state)]:
        msg = f"Trial {row.number} is {row.state}; it can't become {state}."
        raise StateError(msg)
    changes["revision"] = locked.revision
    connection.execute(SET_TRIAL, {"sid": locked.id, "n": row.number, **changes})
    return trial_from_row({**row._mapping, **changes}.values())  # noqa: SLF001 - SQLAlchemy's public name


def cancel(connection: Connection, locked: Locked, row: Row[Any], reason: str, now: float) -> Trial:
    """End a trial that does not run; what it measured before a pause counts."""
    metrics = json.loads(row.metrics) if row.state == TrialState.PAUSED else {}
    state = TrialState.STOPPED if metrics else TrialState.CANCELLED
    return set_trial(
        connection,
        locked,
        row,
        state=state,
        **rank_columns(state, metrics, spec_from_text(locked.spec)),
        reason=storable(reason),
        lease_until=None,
        finished=now,
        pause_requested="",
    )


def hold(connection: Connection, locked: Locked, row: Row[Any], reason: str) -> Trial:
    """Pause a trial that waits in the queue, or ran until now, because a person wants it so."""
    return set_trial(
        connection,
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
    steps = [m.step for m in measurements]
    key = {"sid": locked.id, "n": number, "a": attempt}
    near = {"metrics": metrics, "first": min(steps), "last": max(steps)}
    return [(metric, step) for metric, step in connection.execute(_KNOWN, key | near)]


def set_study(connection: Connection, locked: Locked, **changes: object) -> None:
    """Write ``changes`` to the study."""
    connection.execute(update(study).where(study.c.id == locked.id).values(**changes))


def refuse_more_than_budget(connection: Connection, locked: Locked, more: int) -> None:
    """Raise `StudyEnded` if ``more`` trials were more than ``max_trials``."""
    if locked.max_trials is None or locked.size + more <= locked.max_trials:
        return
    cancelled = connection.execute(
        select(func.count()).where(
            trial.c.study_id == locked.id, trial.c.state == TrialState.CANCELLED
        )
    ).scalar_one()
    if locked.size - cancelled + more > locked.max_trials:
        msg = f"Study {locked.name!r} has its {locked.max_trials} trials (max_trials). One more: tunesmith set {locked.name} trials=+1"
        raise StudyEnded(msg)
