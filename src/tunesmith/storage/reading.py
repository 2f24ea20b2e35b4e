"""What is read of studies: records, summaries, trials, what changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from tunesmith.model import StudyRecord, StudySummary, Trial, TrialState
from tunesmith.storage.base import Changes, Measured, Order
from tunesmith.storage.engine import Now
from tunesmith.storage.locked import can_name, no_study, no_trial
from tunesmith.storage.rows import measured_from_rows, record_from_row, trial_from_row
from tunesmith.storage.schema import measurement, study, trial
from tunesmith.storage.summaries import THE_TRIAL, choices, in_order, outcomes

__all__ = [
    "THE_STUDY",
    "changes",
    "measured",
    "names",
    "one_trial",
    "record",
    "revisions",
    "study_row",
    "summary",
    "trials",
]

THE_STUDY = select(study, Now().label("now")).where(
    study.c.project == bindparam("project"), study.c.name == bindparam("study_name")
)
"""The row of the study ``study_name`` of ``project``, and the time."""

_NAMES = (
    select(study.c.name)
    .where(study.c.project == bindparam("project"))
    .order_by(study.c.used.desc(), study.c.id.desc())
)
_REVISIONS = select(study.c.name, study.c.revision).where(study.c.project == bindparam("project"))
_COUNTS = (
    select(trial.c.state, func.count())
    .where(trial.c.study_id == bindparam("sid"))
    .group_by(trial.c.state)
)
_CHANGED = (
    select(trial)
    .where(trial.c.study_id == bindparam("sid"), trial.c.revision > bindparam("since"))
    .order_by(trial.c.number)
)
_MEASURED_SINCE = select(measurement).where(
    measurement.c.study_id == bindparam("sid"), measurement.c.revision > bindparam("since")
)
_MEASURED = select(measurement).where(
    measurement.c.study_id == bindparam("sid"), measurement.c.number == bindparam("n")
)


def study_row(connection: Connection, project: str, name: str) -> Row[Any]:
    """Return a study's row."""
    if not can_name(name):
        raise no_study(name)
    row = connection.execute(THE_STUDY, {"project": project, "study_name": name}).first()
    if row is None:
        raise no_study(name)
    return row


def record(connection: Connection, project: str, name: str) -> StudyRecord:
    """Return one study's record."""
    return record_from_row(study_row(connection, project, name))


def names(connection: Connection, project: str) -> Sequence[str]:
    """Return the names of all studies, the last used first."""
    return connection.scalars(_NAMES, {"project": project}).all()


def revisions(connection: Connection, project: str) -> Mapping[str, int]:
    """Return the revisions of all studies by name."""
    rows = connection.execute(_REVISIONS, {"project": project})
    return {row.name: row.revision for row in rows}


def summary(connection: Connection, project: str, name: str) -> StudySummary:
    """Return one study with what its trials add up to."""
    row = study_row(connection, project, name)
    by_state = {
        TrialState(state): count for state, count in connection.execute(_COUNTS, {"sid": row.id})
    }
    the_record = record_from_row(row)
    best = connection.execute(in_order("best").limit(1), {"sid": row.id}).first()
    front, feasibility = outcomes(connection, row.id, the_record.spec)
    return StudySummary(
        the_record,
        by_state,
        trial_from_row(best) if best is not None else None,
        front,
        feasibility,
        choices(connection, row.id),
    )


def changes(
    connection: Connection, project: str, name: str, since: int, *, curves: bool
) -> tuple[Changes, float | None]:
    """Return what changed after revision ``since``, and the database's time."""
    row = study_row(connection, project, name)
    the_record = record_from_row(row)
    if the_record.revision <= since:
        return Changes(the_record, ()), row.now
    key = {"sid": row.id, "since": since}
    found = [trial_from_row(r) for r in connection.execute(_CHANGED, key)]
    new = measured_from_rows(connection.execute(_MEASURED_SINCE, key)) if curves else ()
    return Changes(the_record, found, new), row.now


def _trial_row(connection: Connection, sid: int, name: str, number: int) -> Row[Any]:
    row = connection.execute(THE_TRIAL, {"sid": sid, "n": number}).first()
    if row is None:
        raise no_trial(name, number)
    return row


def one_trial(connection: Connection, project: str, name: str, number: int) -> Trial:
    """Return one trial."""
    sid = study_row(connection, project, name).id
    return trial_from_row(_trial_row(connection, sid, name, number))


def trials(
    connection: Connection, project: str, name: str, order: Order, limit: int | None
) -> Sequence[Trial]:
    """Return trials in an order."""
    sid = study_row(connection, project, name).id
    rows = connection.execute(in_order(order).limit(limit), {"sid": sid})
    return [trial_from_row(row) for row in rows]


def measured(connection: Connection, project: str, name: str, number: int) -> Sequence[Measured]:
    """Return what all attempts of a trial measured, in the order in which it was stored."""
    sid = study_row(connection, project, name).id
    _trial_row(connection, sid, name, number)
    return measured_from_rows(connection.execute(_MEASURED, {"sid": sid, "n": number}))
