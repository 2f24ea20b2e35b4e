"""What each verb does to a study: makes and deletes it, sets its state and budget."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from tunesmith.errors import ConflictError
from tunesmith.model import Ending, StudyRecord, StudySpec, StudyState
from tunesmith.storage.base import Changes
from tunesmith.storage.engine import Now
from tunesmith.storage.locked import Locked, set_study
from tunesmith.storage.reading import THE_STUDY
from tunesmith.storage.rows import (
    dump,
    measurement_rows,
    rank_columns,
    record_from_row,
    storable,
    trial_columns,
)
from tunesmith.storage.schema import artifact, measurement, study, trial

__all__ = ["Creation", "Import", "delete_whole", "insert_study", "set_budget", "set_state", "touch"]

_ADD_STUDY = insert(study)
_AT_ONCE = 5000  # rows that go in one statement; a packet to MySQL holds 16 MiB


def insert_study(connection: Connection, project: str, record: StudyRecord) -> int:
    """Add a study's row; return its key.

    Raises:
        IntegrityError: the name is taken.
    """
    result = connection.execute(
        _ADD_STUDY,
        {
            "project": project,
            "name": record.name,
            "spec": dump(record.spec.to_json()),
            "state": record.state,
            "reason": storable(record.reason),
            "max_trials": record.spec.max_trials,
            "parallel_trials": record.spec.parallel_trials,
            "size": record.size,
            "revision": record.revision,
            "created": record.created,
            "used": record.used,
            "command": storable(record.command),
        },
    )
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


class Creation:
    """Makes an empty study, in a transaction that may have to be repeated without one's knowing how it ended."""

    def __init__(
        self,
        project: str,
        name: str,
        spec: StudySpec,
        command: str,
        clock: Callable[[float | None], float],
    ) -> None:
        self._project = project
        self._name = name
        self._spec = spec
        self._command = storable(command)
        self._clock = clock
        self._made: StudyRecord | None = None

    def __call__(self, connection: Connection) -> StudyRecord:
        """Add the study's row; raise `ConflictError` if the name is taken."""
        key = {"project": self._project, "study_name": self._name}
        there = connection.execute(THE_STUDY, key).first()
        if there is not None:
            if self._made is not None and there.created == self._made.created:
                return self._made
            raise _taken(self._name)
        now = self._clock(connection.execute(select(Now())).scalar())
        self._made = StudyRecord(
            self._name, self._spec, created=now, used=now, command=self._command
        )
        try:
            insert_study(connection, self._project, self._made)
        except IntegrityError as error:  # it was taken in between
            raise _taken(self._name) from error
        return self._made


class Import:
    """Makes a study of what was read of another, in a transaction that may have to be repeated."""

    def __init__(self, project: str, name: str, whole: Changes) -> None:
        self._project = project
        self._record = replace(whole.record, name=name)
        self._whole = whole
        self._tried = False

    def __call__(self, connection: Connection) -> None:
        """Add the rows of the study, its trials and their measurements."""
        key = {"project": self._project, "study_name": self._record.name}
        there = connection.execute(THE_STUDY, key).first()
        if there is not None:
            same = record_from_row(there) == self._record
            if self._tried and same:  # a commit that was not heard of
                return
            raise _taken(self._record.name)
        self._tried = True
        try:
            sid = insert_study(connection, self._project, self._record)
        except IntegrityError as error:  # it was taken in between
            raise _taken(self._record.name) from error
        spec = self._record.spec
        trials = [
            {**trial_columns(sid, t), **rank_columns(t.state, t.metrics, spec)}
            for t in self._whole.trials
        ]
        points = [
            row
            for m in self._whole.measurements
            for row in measurement_rows(
                {
                    "study_id": sid,
                    "number": m.number,
                    "attempt": m.attempt,
                    "revision": m.measurement.revision,
                },
                [m.measurement],
                known=(),
            )
        ]
        for statement, rows in ((insert(trial), trials), (insert(measurement), points)):
            for start in range(0, len(rows), _AT_ONCE):
                connection.execute(statement, rows[start : start + _AT_ONCE])


def _taken(name: str) -> ConflictError:
    return ConflictError(f"There is a study {name!r} already.")


def delete_whole(connection: Connection, locked: Locked) -> None:
    """Delete a study with all that belongs to it."""
    locked.writes.all()
    for table in (artifact, measurement, trial):
        connection.execute(delete(table).where(table.c.study_id == locked.id))
    connection.execute(delete(study).where(study.c.id == locked.id))
    locked.touched = locked.gone = True


def set_state(locked: Locked, state: StudyState, reason: str, *, at: int | None) -> None:
    """Set whether the study asks for more trials, and why."""
    if at is not None and locked.revision != at + 1:
        msg = f"Study {locked.name!r} has changed since revision {at}."
        raise ConflictError(msg)
    set_study(locked, state=state, reason=storable(reason))


def set_budget(
    locked: Locked,
    *,
    max_trials: int | None,
    parallel_trials: int | None,
    ending: Ending | None,
) -> None:
    """Change the budget of a living study; what is None stays as it is."""
    wanted = {"max_trials": max_trials, "parallel_trials": parallel_trials}
    given: dict[str, Any] = {k: v for k, v in wanted.items() if v is not None}
    spec = json.loads(locked.spec)
    StudySpec.from_json(spec | given)  # raises where it makes no sense
    if ending is not None:
        given["spec"] = dump(spec | {"ending": asdict(ending)})
    set_study(locked, **given)


def touch(locked: Locked, command: str) -> None:
    """Note that the study is being run now, and by what command."""
    given = {"command": storable(command)} if command else {}
    set_study(locked, used=locked.now, **given)
