"""The SQL storage: SQLite today, the same statements on PostgreSQL and MySQL.

Every change of a study or its trials first raises the study's revision. That locks the study's row
until the end of the transaction, so changes of one study happen one after another and in the order
of their revisions: who reads "what changed since r" misses nothing, and no trial is handed out twice.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from tunesmith.errors import ConflictError, NotFoundError, StateError
from tunesmith.model import (
    FINAL,
    Ending,
    Measurement,
    StudyRecord,
    StudySpec,
    StudyState,
    StudySummary,
    Suggestion,
    Trial,
    TrialState,
    joined,
)
from tunesmith.storage.base import Changes, Claim, Measured, Order, Reply
from tunesmith.storage.engine import Database
from tunesmith.storage.locked import (
    SET_TRIAL,
    THE_STUDY,
    StudyWrite,
    cancel,
    check_held,
    held,
    hold,
    known_points,
    no_study,
    refuse_more_than_budget,
    set_study,
    set_trial,
)
from tunesmith.storage.rows import (
    dump,
    explanation_columns,
    measured_from_rows,
    measurement_rows,
    rank_columns,
    record_from_row,
    spec_from_text,
    storable,
    trial_from_row,
)
from tunesmith.storage.schema import measurement, study, trial
from tunesmith.storage.summaries import THE_TRIAL, choices, in_order, outcomes

__all__ = ["SqlStorage"]

_QUEUED = (
    select(trial)
    .where(trial.c.study_id == bindparam("sid"), trial.c.state == TrialState.QUEUED)
    .order_by(trial.c.number)
    .limit(1)
)
_EXPIRED = (
    select(trial)
    .where(
        trial.c.study_id == bindparam("sid"),
        trial.c.state == TrialState.RUNNING,
        trial.c.lease_until < bindparam("now"),
    )
    .order_by(trial.c.number)
    .limit(1)
)
_CHANGED = (
    select(trial)
    .where(trial.c.study_id == bindparam("sid"), trial.c.revision > bindparam("since"))
    .order_by(trial.c.number)
)
_MEASURED = select(measurement).where(
    measurement.c.study_id == bindparam("sid"), measurement.c.revision > bindparam("since")
)
_ADD_TRIAL = insert(trial)
_ADD_MEASUREMENT = insert(measurement)


class SqlStorage:
    """Keeps studies in a SQL database; see `Storage` for the verbs.

    Args:
        url: As SQLAlchemy takes it; ``sqlite://`` is a database in memory.
        create: Whether to make a SQLite file that is not there.
        clock: Gives the time in seconds since the epoch.
    """

    def __init__(
        self, url: str, *, create: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = Database(url, create=create)
        self._clock = clock

    @property
    def url(self) -> str:
        """Where it is."""
        return self._database.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    # Studies

    def create_study(self, name: str, spec: StudySpec, *, command: str = "") -> StudyRecord:
        """Make an empty study; raise `ConflictError` if the name is taken."""
        now = self._clock()
        with self._database.write(durable=True) as connection:
            if connection.execute(THE_STUDY, {"study_name": name}).first() is not None:
                msg = f"There is a study {name!r} already."
                raise ConflictError(msg)
            connection.execute(
                insert(study).values(
                    name=name,
                    spec=dump(spec.to_json()),
                    state=StudyState.ACTIVE,
                    reason="",
                    max_trials=spec.max_trials,
                    parallel_trials=spec.parallel_trials,
                    size=0,
                    revision=0,
                    created=now,
                    used=now,
                    command=command,
                )
            )
        return StudyRecord(name, spec, created=now, used=now, command=command)

    def study(self, name: str) -> StudyRecord:
        """Return one study's record."""
        with self._database.read() as connection:
            return record_from_row(self._study_row(connection, name))

    def study_names(self) -> Sequence[str]:
        """Return the names of all studies, the last used first."""
        with self._database.read() as connection:
            return connection.scalars(
                select(study.c.name).order_by(study.c.used.desc(), study.c.id.desc())
            ).all()

    def summary(self, name: str) -> StudySummary:
        """Return one study with what its trials add up to."""
        with self._database.read() as connection:
            row = self._study_row(connection, name)
            counts = connection.execute(
                select(trial.c.state, func.count())
                .where(trial.c.study_id == row.id)
                .group_by(trial.c.state)
            )
            by_state = {TrialState(state): count for state, count in counts}
            record = record_from_row(row)
            best = connection.execute(in_order("best").limit(1), {"sid": row.id}).first()
            front, feasibility = outcomes(connection, row.id, record.spec)
            return StudySummary(
                record,
                by_state,
                trial_from_row(best) if best is not None else None,
                front,
                feasibility,
                choices(connection, row.id),
            )

    def delete_study(self, name: str) -> None:
        """Delete a study, its trials and their measurements."""
        with self._write(name, durable=True) as (connection, locked):
            for table in (measurement, trial):
                connection.execute(delete(table).where(table.c.study_id == locked.id))
            connection.execute(delete(study).where(study.c.id == locked.id))
        self._database.forget(name)

    def set_state(
        self, study: str, state: StudyState, reason: str = "", *, at: int | None = None
    ) -> None:
        """Set whether the study asks for more trials, and why."""
        with self._write(study, durable=True) as (connection, locked):
            if at is not None and locked.revision != at + 1:
                msg = f"Study {study!r} has changed since revision {at}."
                raise ConflictError(msg)
            set_study(connection, locked, state=state, reason=storable(reason))

    def set_budget(
        self,
        study: str,
        *,
        max_trials: int | None = None,
        parallel_trials: int | None = None,
        ending: Ending | None = None,
    ) -> None:
        """Change the budget of a living study; what is None stays as it is."""
        wanted = {"max_trials": max_trials, "parallel_trials": parallel_trials}
        with self._write(study, durable=True) as (connection, locked):
            given: dict[str, Any] = {k: v for k, v in wanted.items() if v is not None}
            spec = json.loads(locked.spec)
            StudySpec.from_json(spec | given)  # raises where it makes no sense
            if ending is not None:
                given["spec"] = dump(spec | {"ending": asdict(ending)})
            set_study(connection, locked, **given)

    def touch(self, study: str, command: str = "") -> None:
        """Note that the study is being run now, and by what command."""
        given = {"command": command} if command else {}
        with self._write(study) as (connection, locked):
            set_study(connection, locked, used=self._clock(), **given)

    # A trial's life

    def add_trials(
        self,
        study: str,
        suggestions: Sequence[Suggestion],
        *,
        after: int,
        claim: Claim | None = None,
    ) -> Sequence[Trial]:
        """Add trials ``after + 1, after + 2, …``: queued, or running for ``claim``."""
        now = self._clock()
        with self._write(study) as (connection, locked):
            if locked.size != after:
                msg = f"Study {study!r} has grown from {after} to {locked.size} trials since it was read."
                raise ConflictError(msg)
            refuse_more_than_budget(connection, locked, len(suggestions))
            trials = [
                Trial(
                    number=number,
                    values=suggestion.values,
                    state=TrialState.QUEUED if claim is None else TrialState.RUNNING,
                    attempt=0 if claim is None else 1,
                    origin=suggestion.origin,
                    explanation=suggestion.explanation,
                    budget=suggestion.budget,
                    parent=suggestion.parent,
                    worker="" if claim is None else claim.worker,
                    queued=now,
                    started=None if claim is None else now,
                    lease_until=None if claim is None else _lease_end(claim, now),
                    revision=locked.revision,
                )
                for number, suggestion in enumerate(suggestions, start=after + 1)
            ]
            connection.execute(_ADD_TRIAL, [_new_row(locked.id, t) for t in trials])
            set_study(connection, locked, size=after + len(trials))
        return trials

    def asking(self, study: str) -> AbstractContextManager[None]:
        """Let one at a time think about a study's next trials."""
        return self._database.alone(study)

    def claim(self, study: str, claim: Claim) -> Trial | None:
        """Hand out the first queued trial, or one whose lease ran out; None if there is neither."""
        now = self._clock()
        with self._write(study) as (connection, locked):
            row = connection.execute(_QUEUED, {"sid": locked.id}).first()
            while row is None:
                row = connection.execute(_EXPIRED, {"sid": locked.id, "now": now}).first()
                if row is None:
                    return None
                if row.stop_requested:  # what a person wants stopped does not start again
                    cancel(connection, locked, row, row.stop_requested, now)
                    row = None
                elif row.pause_requested:
                    hold(connection, locked, row, row.pause_requested)
                    row = None
            return set_trial(
                connection,
                locked,
                row,
                state=TrialState.RUNNING,
                attempt=row.attempt + 1,
                worker=claim.worker,
                lease_until=_lease_end(claim, now),
                stop_requested="",
                started=now,
                reason="",
            )

    def renew(self, study: str, claim: Claim) -> None:
        """Begin anew the lease of every running trial that this worker holds."""
        # No revision: that somebody still lives is no change that others would want to hear of.
        with self._database.write() as connection:
            sid = self._study_row(connection, study).id
            connection.execute(
                update(trial)
                .where(
                    trial.c.study_id == sid,
                    trial.c.state == TrialState.RUNNING,
                    trial.c.worker == claim.worker,
                )
                .values(lease_until=_lease_end(claim, self._clock()))
            )

    def report(
        self,
        study: str,
        number: int,
        attempt: int,
        measurements: Sequence[Measurement],
        *,
        superseded: frozenset[str] = frozenset(),
        of_attempt: int | None = None,
        claim: Claim | None = None,
    ) -> Reply:
        """Store measurements; return what a person wants of the trial."""
        with self._write(study) as (connection, locked):
            row = held(connection, locked, number, attempt)
            if claim is not None:
                until = _lease_end(claim, self._clock())
                key = {"sid": locked.id, "n": number}
                connection.execute(SET_TRIAL, {**key, "lease_until": until})
            if superseded or of_attempt is not None:
                set_trial(connection, locked, row)  # its curve is another
            if superseded:
                connection.execute(
                    delete(measurement).where(
                        measurement.c.study_id == locked.id,
                        measurement.c.number == number,
                        measurement.c.attempt == attempt,
                        measurement.c.metric.in_(sorted(superseded)),
                    )
                )
            by = attempt if of_attempt is None else of_attempt
            known = known_points(connection, locked, number, by, measurements)
            key = {"study_id": locked.id, "number": number, "attempt": by}
            columns = key | {"revision": locked.revision}
            if rows := measurement_rows(columns, measurements, known):
                connection.execute(_ADD_MEASUREMENT, rows)
            return Reply(locked.revision, row.stop_requested, row.pause_requested or "")

    def finish(
        self,
        study: str,
        number: int,
        attempt: int,
        state: TrialState,
        *,
        metrics: Mapping[str, float],
        step: int | None = None,
        reason: str = "",
    ) -> Trial:
        """Move a running or paused trial to a final state; a second delivery changes nothing."""
        if state not in FINAL:
            msg = f"A trial does not end as {state}, but as one of {', '.join(sorted(FINAL))}."
            raise StateError(msg)
        with self._write(study, durable=True) as (connection, locked):
            row = self._trial_row(connection, locked.id, study, number)
            if row.attempt == attempt and row.state == state:
                return trial_from_row(row)
            if row.attempt != attempt or row.state != TrialState.PAUSED:
                check_held(row, attempt)
            return set_trial(
                connection,
                locked,
                row,
                state=state,
                metrics=dump(dict(metrics)),
                step=step,
                **rank_columns(state, metrics, spec_from_text(locked.spec)),
                reason=storable(reason),
                lease_until=None,
                finished=self._clock(),
            )

    def pause(
        self,
        study: str,
        number: int,
        attempt: int,
        reason: str,
        *,
        metrics: Mapping[str, float],
        step: int | None = None,
    ) -> Trial:
        """Pause a running trial with what it measured so far; a second delivery changes nothing."""
        with self._write(study, durable=True) as (connection, locked):
            row = self._trial_row(connection, locked.id, study, number)
            if row.attempt == attempt and row.state == TrialState.PAUSED:
                return trial_from_row(row)
            check_held(row, attempt)
            if row.stop_requested:
                reason = row.stop_requested
            paused = set_trial(
                connection,
                locked,
                row,
                state=TrialState.PAUSED,
                metrics=dump(dict(metrics)),
                step=step,
                reason=storable(reason),
                lease_until=None,
            )
            if not row.stop_requested:
                return paused
            row = self._trial_row(connection, locked.id, study, number)
            return cancel(connection, locked, row, reason, self._clock())

    def resume(
        self, study: str, number: int, reason: str = "", *, budget: int | None = None
    ) -> Trial:
        """Put a paused trial back in the queue, whoever paused it; with ``budget`` it trains so far."""
        with self._write(study, durable=True) as (connection, locked):
            row = self._trial_row(connection, locked.id, study, number)
            if row.state != TrialState.PAUSED:
                msg = f"Trial {number} is {row.state}, not paused."
                raise StateError(msg)
            return set_trial(
                connection,
                locked,
                row,
                **_BACK_IN_QUEUE,
                reason=storable(reason),
                budget=row.budget if budget is None else budget,
                metrics="{}",
                step=None,
            )

    def extend(self, study: str, number: int, attempt: int, budget: int) -> Trial:
        """Let a running trial train further."""
        with self._write(study) as (connection, locked):
            row = held(connection, locked, number, attempt)
            return set_trial(connection, locked, row, budget=budget)

    def requeue(
        self, study: str, number: int, attempt: int, reason: str, *, fault: bool = False
    ) -> None:
        """Put a running trial back in the queue; ``fault`` counts it against the allowed retries."""
        with self._write(study, durable=True) as (connection, locked):
            row = held(connection, locked, number, attempt)
            if row.stop_requested:  # what a person wants stopped does not start again
                cancel(connection, locked, row, row.stop_requested, self._clock())
                return
            if row.pause_requested:
                hold(connection, locked, row, row.pause_requested)
                return
            faults = row.faults + 1 if fault else row.faults
            reason = storable(reason)
            set_trial(connection, locked, row, **_BACK_IN_QUEUE, reason=reason, faults=faults)

    def retry(self, study: str, number: int) -> None:
        """Put an ended trial back in the queue; raise `StateError` if its state does not allow it."""
        with self._write(study, durable=True) as (connection, locked):
            row = self._trial_row(connection, locked.id, study, number)
            if row.state == TrialState.RUNNING:
                msg = f"Trial {number} is running. Stop it first, or wait for its end."
                raise StateError(msg)
            if row.state not in FINAL:
                msg = f"Trial {number} is {row.state}: it has not ended yet."
                raise StateError(msg)
            if row.state == TrialState.COMPLETED:
                msg = f"Trial {number} is completed. To run its values once more: enqueue them with repeat."
                raise StateError(msg)
            if row.state == TrialState.CANCELLED:  # it was not counted, and will be again
                refuse_more_than_budget(connection, locked, 1)
            set_trial(
                connection,
                locked,
                row,
                **_BACK_IN_QUEUE,
                reason=f"asked for again after it was {row.state}",
                faults=0,
                metrics="{}",
                step=None,
                loss=None,
                violation=None,
                finished=None,
            )

    def request_stop(self, study: str, number: int, reason: str) -> Trial:
        """Cancel a trial that does not run; ask the worker of one that runs to stop it."""
        with self._write(study, durable=True) as (connection, locked):
            row = self._trial_row(connection, locked.id, study, number)
            if row.state == TrialState.RUNNING:
                return set_trial(connection, locked, row, stop_requested=storable(reason))
            if row.state == TrialState.CANCELLED:
                return trial_from_row(row)
            return cancel(connection, locked, row, reason, self._clock())

    def request_pause(self, study: str, number: int, reason: str) -> Trial:
        """Hold a trial that does not run; ask the worker of one that runs to pause it."""
        with self._write(study, durable=True) as (connection, locked):
            row = self._trial_row(connection, locked.id, study, number)
            if row.state in FINAL:
                msg = (
                    f"Trial {number} is {row.state}; only a trial that has not ended can be paused."
                )
                raise StateError(msg)
            if row.state == TrialState.RUNNING:
                return set_trial(connection, locked, row, pause_requested=storable(reason))
            return hold(connection, locked, row, reason)

    # Reading

    def changes(self, study: str, since: int, *, curves: bool = False) -> Changes:
        """Return the record, and the trials changed after revision ``since`` in number order."""
        with self._database.read() as connection:
            row = self._study_row(connection, study)
            record = record_from_row(row)
            if record.revision <= since:
                return Changes(record, ())
            key = {"sid": row.id, "since": since}
            trials = [trial_from_row(r) for r in connection.execute(_CHANGED, key)]
            new = measured_from_rows(connection.execute(_MEASURED, key)) if curves else ()
            return Changes(record, trials, new)

    def trial(self, study: str, number: int) -> Trial:
        """Return one trial."""
        with self._database.read() as connection:
            sid = self._study_row(connection, study).id
            return trial_from_row(self._trial_row(connection, sid, study, number))

    def trials(
        self, study: str, *, order: Order = "number", limit: int | None = None
    ) -> Sequence[Trial]:
        """Return trials by number, newest first, or best first (only those that count)."""
        with self._database.read() as connection:
            sid = self._study_row(connection, study).id
            rows = connection.execute(in_order(order).limit(limit), {"sid": sid})
            return [trial_from_row(row) for row in rows]

    def measurements(
        self, study: str, number: int, *, attempt: int | None = None
    ) -> Sequence[Measurement]:
        """Return what an attempt measured, by step; by default all of them, joined to one curve."""
        found = self.measured(study, number)
        return joined((m.attempt, m.measurement) for m in found if attempt in (None, m.attempt))

    def measured(self, study: str, number: int) -> Sequence[Measured]:
        """Return what all attempts of a trial measured, in the order in which it was stored."""
        with self._database.read() as connection:
            sid = self._study_row(connection, study).id
            self._trial_row(connection, sid, study, number)
            wanted = select(measurement).where(
                measurement.c.study_id == sid, measurement.c.number == number
            )
            return measured_from_rows(connection.execute(wanted))

    def _write(self, name: str, *, durable: bool = False) -> "StudyWrite":
        return StudyWrite(self._database.write(durable=durable), name)

    def _study_row(self, connection: Connection, name: str) -> Row[Any]:
        row = connection.execute(THE_STUDY, {"study_name": name}).first()
        if row is None:
            raise no_study(name)
        return row

    def _trial_row(self, connection: Connection, sid: int, name: str, number: int) -> Row[Any]:
        row = connection.execute(THE_TRIAL, {"sid": sid, "n": number}).first()
        if row is None:
            msg = f"Study {name!r} has no trial {number}."
            raise NotFoundError(msg)
        return row


_BACK_IN_QUEUE: Mapping[str, object] = {
    "state": TrialState.QUEUED,
    "worker": "",
    "lease_until": None,
    "stop_requested": "",
    "pause_requested": "",
}


def _lease_end(claim: Claim, now: float) -> float | None:
    return None if claim.lease_s is None else now + claim.lease_s


def _new_row(sid: int, t: Trial) -> dict[str, object]:
    return {
        "study_id": sid,
        "number": t.number,
        "params": dump(dict(t.values)),
        "origin": t.origin,
        "state": t.state,
        "attempt": t.attempt,
        "faults": 0,
        "worker": t.worker,
        "lease_until": t.lease_until,
        "stop_requested": "",
        "metrics": "{}",
        "step": None,
        "loss": None,
        "reason": "",
        "queued": t.queued,
        "started": t.started,
        "finished": None,
        "revision": t.revision,
        "violation": None,
        "budget": t.budget,
        "parent": t.parent,
        "pause_requested": "",
        **explanation_columns(t.explanation),
    }
