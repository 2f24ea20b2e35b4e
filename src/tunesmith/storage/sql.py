"""The SQL storage: SQLite today, the same statements on PostgreSQL and MySQL.

Every change of a study or its trials first raises the study's revision. That locks the study's row
until the end of the transaction, so changes of one study happen one after another and in the order
of their revisions: who reads "what changed since r" misses nothing, and no trial is handed out twice.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select, update

from tunesmith.errors import ConflictError, LeaseLostError, NotFoundError, StateError, StudyEnded
from tunesmith.model import (
    FINAL,
    MOVES,
    Feasibility,
    Front,
    Measurement,
    StudyRecord,
    StudySpec,
    StudyState,
    StudySummary,
    Suggestion,
    Trial,
    TrialState,
    is_feasible,
)
from tunesmith.storage.base import Changes, Claim, Order
from tunesmith.storage.engine import Database
from tunesmith.storage.rows import (
    dump,
    explanation_columns,
    measurement_rows,
    measurements_from_rows,
    rank_columns,
    record_from_row,
    spec_from_text,
    storable,
    trial_from_row,
)
from tunesmith.storage.schema import measurement, study, trial

__all__ = ["SqlStorage"]

_BUMP = (
    update(study)
    .where(study.c.name == bindparam("study_name"))
    .values(revision=study.c.revision + 1)
)
_STUDY = select(study).where(study.c.name == bindparam("study_name"))
_LOCKED = select(
    study.c.id, study.c.revision, study.c.size, study.c.max_trials, study.c.spec
).where(study.c.name == bindparam("study_name"))
_TRIAL = select(trial).where(trial.c.study_id == bindparam("sid"), trial.c.number == bindparam("n"))
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
_COUNTED = (
    select(trial.c.number, trial.c.state, trial.c.metrics)
    .where(trial.c.study_id == bindparam("sid"), trial.c.violation >= 0)
    .order_by(trial.c.number)
)
_NEXT_SEARCHER = select(func.min(trial.c.searcher)).where(
    trial.c.study_id == bindparam("sid"), trial.c.searcher > bindparam("after")
)
_LAST_OF_SEARCHER = select(func.max(trial.c.number)).where(
    trial.c.study_id == bindparam("sid"),
    trial.c.searcher == bindparam("searcher"),
    trial.c.number < bindparam("below"),
)
_FIRST_OF_SEARCHER = select(func.min(trial.c.number)).where(
    trial.c.study_id == bindparam("sid"),
    trial.c.searcher == bindparam("searcher"),
    trial.c.number > bindparam("above"),
)
_KNOWN = select(measurement.c.metric, measurement.c.step).where(
    measurement.c.study_id == bindparam("sid"),
    measurement.c.number == bindparam("n"),
    measurement.c.attempt == bindparam("a"),
    measurement.c.metric.in_(bindparam("metrics", expanding=True)),
    measurement.c.step.between(bindparam("first"), bindparam("last")),
)
_CHOICES_KEPT = 20  # a study that changes its searcher more often is not read to its beginning
_SET_TRIAL = update(trial).where(
    trial.c.study_id == bindparam("sid"), trial.c.number == bindparam("n")
)
_ADD_TRIAL = insert(trial)
_ADD_MEASUREMENT = insert(measurement)


@dataclass(frozen=True, slots=True)
class _Locked:
    """A study whose row this transaction holds."""

    name: str
    id: int
    revision: int
    size: int
    max_trials: int | None
    spec: str


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
            if connection.execute(_STUDY, {"study_name": name}).first() is not None:
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
            best = connection.execute(_in_order("best").limit(1), {"sid": row.id}).first()
            front, feasibility = _outcomes(connection, row.id, record.spec)
            return StudySummary(
                record,
                by_state,
                trial_from_row(best) if best is not None else None,
                front,
                feasibility,
                _choices(connection, row.id),
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
            _set_study(connection, locked, state=state, reason=storable(reason))

    def set_budget(
        self, study: str, *, max_trials: int | None = None, parallel_trials: int | None = None
    ) -> None:
        """Change the budget of a living study; what is None stays as it is."""
        wanted = {"max_trials": max_trials, "parallel_trials": parallel_trials}
        with self._write(study, durable=True) as (connection, locked):
            given = {name: value for name, value in wanted.items() if value is not None}
            StudySpec.from_json(json.loads(locked.spec) | given)  # raises where it makes no sense
            _set_study(connection, locked, **given)

    def touch(self, study: str, command: str = "") -> None:
        """Note that the study is being run now, and by what command."""
        given = {"command": command} if command else {}
        with self._write(study) as (connection, locked):
            _set_study(connection, locked, used=self._clock(), **given)

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
            _refuse_more_than_budget(connection, locked, len(suggestions))
            trials = [
                Trial(
                    number=number,
                    values=suggestion.values,
                    state=TrialState.QUEUED if claim is None else TrialState.RUNNING,
                    attempt=0 if claim is None else 1,
                    origin=suggestion.origin,
                    explanation=suggestion.explanation,
                    worker="" if claim is None else claim.worker,
                    queued=now,
                    started=None if claim is None else now,
                    lease_until=None if claim is None else _lease_end(claim, now),
                    revision=locked.revision,
                )
                for number, suggestion in enumerate(suggestions, start=after + 1)
            ]
            connection.execute(_ADD_TRIAL, [_new_row(locked.id, t) for t in trials])
            _set_study(connection, locked, size=after + len(trials))
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
                    _cancel(connection, locked, row, row.stop_requested, now)
                    row = None
            return _set_trial(
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
        claim: Claim | None = None,
    ) -> str:
        """Store measurements; return why a person wants the trial stopped, or ``""``."""
        with self._write(study) as (connection, locked):
            row = _held(connection, locked, number, attempt)
            if claim is not None:
                until = _lease_end(claim, self._clock())
                key = {"sid": locked.id, "n": number}
                connection.execute(_SET_TRIAL, {**key, "lease_until": until})
            if superseded:
                connection.execute(
                    delete(measurement).where(
                        measurement.c.study_id == locked.id,
                        measurement.c.number == number,
                        measurement.c.attempt == attempt,
                        measurement.c.metric.in_(sorted(superseded)),
                    )
                )
            known = _known(connection, locked, number, attempt, measurements)
            columns = {"study_id": locked.id, "number": number, "attempt": attempt}
            if rows := measurement_rows(columns, measurements, known):
                connection.execute(_ADD_MEASUREMENT, rows)
            return str(row.stop_requested)

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
        """Move a running trial to a final state; a second delivery of the same end changes nothing."""
        if state not in FINAL:
            msg = f"A trial does not end as {state}, but as one of {', '.join(sorted(FINAL))}."
            raise StateError(msg)
        with self._write(study, durable=True) as (connection, locked):
            row = self._trial_row(connection, locked.id, study, number)
            if row.attempt == attempt and row.state == state:
                return trial_from_row(row)
            _check_held(row, attempt)
            return _set_trial(
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

    def requeue(
        self, study: str, number: int, attempt: int, reason: str, *, fault: bool = False
    ) -> None:
        """Put a running trial back in the queue; ``fault`` counts it against the allowed retries."""
        with self._write(study, durable=True) as (connection, locked):
            row = _held(connection, locked, number, attempt)
            if row.stop_requested:  # what a person wants stopped does not start again
                _cancel(connection, locked, row, row.stop_requested, self._clock())
                return
            faults = row.faults + 1 if fault else row.faults
            reason = storable(reason)
            _set_trial(connection, locked, row, **_BACK_IN_QUEUE, reason=reason, faults=faults)

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
                _refuse_more_than_budget(connection, locked, 1)
            _set_trial(
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
                return _set_trial(connection, locked, row, stop_requested=storable(reason))
            if row.state == TrialState.CANCELLED:
                return trial_from_row(row)
            return _cancel(connection, locked, row, reason, self._clock())

    # Reading

    def changes(self, study: str, since: int) -> Changes:
        """Return the record, and the trials changed after revision ``since`` in number order."""
        with self._database.read() as connection:
            row = self._study_row(connection, study)
            record = record_from_row(row)
            if record.revision <= since:
                return Changes(record, ())
            rows = connection.execute(_CHANGED, {"sid": row.id, "since": since})
            return Changes(record, [trial_from_row(r) for r in rows])

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
            rows = connection.execute(_in_order(order).limit(limit), {"sid": sid})
            return [trial_from_row(row) for row in rows]

    def measurements(
        self, study: str, number: int, *, attempt: int | None = None
    ) -> Sequence[Measurement]:
        """Return what an attempt measured (the latest by default), by step."""
        with self._database.read() as connection:
            sid = self._study_row(connection, study).id
            row = self._trial_row(connection, sid, study, number)
            wanted = select(measurement).where(
                measurement.c.study_id == sid,
                measurement.c.number == number,
                measurement.c.attempt == (row.attempt if attempt is None else attempt),
            )
            return measurements_from_rows(connection.execute(wanted))

    def _write(self, name: str, *, durable: bool = False) -> "_StudyWrite":
        return _StudyWrite(self._database.write(durable=durable), name)

    def _study_row(self, connection: Connection, name: str) -> Row[Any]:
        row = connection.execute(_STUDY, {"study_name": name}).first()
        if row is None:
            raise _no_study(name)
        return row

    def _trial_row(self, connection: Connection, sid: int, name: str, number: int) -> Row[Any]:
        row = connection.execute(_TRIAL, {"sid": sid, "n": number}).first()
        if row is None:
            msg = f"Study {name!r} has no trial {number}."
            raise NotFoundError(msg)
        return row


class _StudyWrite:
    """A transaction that holds one study's row and has raised its revision."""

    def __init__(self, transaction: AbstractContextManager[Connection], name: str) -> None:
        self._transaction = transaction
        self._name = name

    def __enter__(self) -> tuple[Connection, _Locked]:
        connection = self._transaction.__enter__()
        try:
            connection.execute(_BUMP, {"study_name": self._name})
            row = connection.execute(_LOCKED, {"study_name": self._name}).first()
            if row is None:
                raise _no_study(self._name)
        except BaseException as error:
            self._transaction.__exit__(type(error), error, error.__traceback__)
            raise
        return connection, _Locked(self._name, *row)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._transaction.__exit__(kind, error, trace)


_BACK_IN_QUEUE: Mapping[str, object] = {
    "state": TrialState.QUEUED,
    "worker": "",
    "lease_until": None,
    "stop_requested": "",
}


def _no_study(name: str) -> NotFoundError:
    return NotFoundError(f"There is no study {name!r}.")


def _lease_end(claim: Claim, now: float) -> float | None:
    return None if claim.lease_s is None else now + claim.lease_s


def _refuse_more_than_budget(connection: Connection, locked: _Locked, more: int) -> None:
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


def _held(connection: Connection, locked: _Locked, number: int, attempt: int) -> Row[Any]:
    """Return the trial's row if this attempt still holds it."""
    row = connection.execute(_TRIAL, {"sid": locked.id, "n": number}).first()
    if row is None:
        msg = f"Study {locked.name!r} has no trial {number}."
        raise NotFoundError(msg)
    _check_held(row, attempt)
    return row


def _check_held(row: Row[Any], attempt: int) -> None:
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


def _set_trial(connection: Connection, locked: _Locked, row: Row[Any], **changes: object) -> Trial:
    """Write ``changes`` to a trial, if the table of moves allows the new state; return it as it is now."""
    state = changes.get("state", row.state)
    if state != row.state and state not in MOVES[TrialState(row.state)]:
        msg = f"Trial {row.number} is {row.state}; it can't become {state}."
        raise StateError(msg)
    changes["revision"] = locked.revision
    connection.execute(_SET_TRIAL, {"sid": locked.id, "n": row.number, **changes})
    return trial_from_row({**row._mapping, **changes}.values())  # noqa: SLF001 - SQLAlchemy's public name


def _cancel(
    connection: Connection, locked: _Locked, row: Row[Any], reason: str, now: float
) -> Trial:
    return _set_trial(
        connection,
        locked,
        row,
        state=TrialState.CANCELLED,
        reason=storable(reason),
        lease_until=None,
        finished=now,
    )


def _known(
    connection: Connection,
    locked: _Locked,
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


def _set_study(connection: Connection, locked: _Locked, **changes: object) -> None:
    connection.execute(update(study).where(study.c.id == locked.id).values(**changes))


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
        **explanation_columns(t.explanation),
    }


def _outcomes(
    connection: Connection, sid: int, spec: StudySpec
) -> tuple[Front | None, Feasibility | None]:
    """Return what needs more than the first objective of each trial, for studies that have more."""
    several = len(spec.objectives) > 1
    if not several and not spec.constraints:
        return None, None
    trials = [
        Trial(row.number, {}, TrialState(row.state), metrics=json.loads(row.metrics))
        for row in connection.execute(_COUNTED, {"sid": sid})
    ]
    feasibility = None
    if spec.constraints:
        kept = [
            sum(c.excess(t.metrics.get(c.metric, math.nan)) <= 0 for t in trials)
            for c in spec.constraints
        ]
        feasible = sum(is_feasible(t, spec) for t in trials)
        feasibility = Feasibility(len(trials), tuple(kept), feasible)
    if not several:
        return None, feasibility
    front = Front.of(trials, spec)
    whole = [connection.execute(_TRIAL, {"sid": sid, "n": t.number}).one() for t in front.trials]
    return replace(front, trials=tuple(map(trial_from_row, whole))), feasibility


def _choices(connection: Connection, sid: int) -> tuple[Trial, ...]:
    """Return the trials with which a searcher took over, the latest of them.

    Backwards from the last, by the ends of each searcher's runs: a few looks into an index for each,
    however long the study is.
    """

    def look(query: Select[Any], **key: object) -> Any:
        return connection.execute(query, {"sid": sid, **key}).scalar()

    def last(below: int, besides: str) -> tuple[int, str] | None:
        """Return the last trial below a number that another searcher made, with that searcher."""
        others = [s for s in searchers if s != besides]
        ends = [(look(_LAST_OF_SEARCHER, searcher=s, below=below), s) for s in others]
        return max((end for end in ends if end[0] is not None), default=None)

    searchers = [""]
    while (searcher := look(_NEXT_SEARCHER, after=searchers[-1])) is not None:
        searchers.append(searcher)
    first: list[int] = []
    end = last(2**31 - 1, "")
    while end is not None and len(first) < _CHOICES_KEPT:
        before = last(*end)
        above = 0 if before is None else before[0]
        first.append(look(_FIRST_OF_SEARCHER, searcher=end[1], above=above))
        end = before
    rows = [connection.execute(_TRIAL, {"sid": sid, "n": n}).one() for n in reversed(first)]
    return tuple(map(trial_from_row, rows))


def _in_order(order: Order) -> Any:
    query = select(trial).where(trial.c.study_id == bindparam("sid"))
    if order == "best":
        return query.where(trial.c.violation >= 0).order_by(
            trial.c.violation, trial.c.loss, trial.c.number
        )
    return query.order_by(trial.c.number.desc() if order == "newest" else trial.c.number)
