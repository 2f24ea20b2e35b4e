"""A trial's life: what each verb does to it, while its study's row is locked."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from tunesmith.errors import ConflictError, StateError
from tunesmith.model import FINAL, Measurement, Suggestion, Trial, TrialState
from tunesmith.storage.base import Claim, Reply
from tunesmith.storage.locked import (
    Locked,
    cancel,
    check_held,
    held,
    hold,
    known_points,
    refuse_more_than_budget,
    set_study,
    set_trial,
    trial_row,
    write_trial,
)
from tunesmith.storage.rows import (
    TrialRow,
    dump,
    measurement_rows,
    rank_columns,
    spec_from_text,
    storable,
    trial_columns,
    trial_from_row,
)
from tunesmith.storage.schema import measurement, trial

__all__ = [
    "add",
    "claim",
    "extend",
    "finish",
    "lease_end",
    "pause",
    "renew",
    "report",
    "request_pause",
    "request_stop",
    "requeue",
    "resume",
    "retry",
]

_QUEUED = (
    select(trial)
    .where(trial.c.study_id == bindparam("sid"), trial.c.state == TrialState.QUEUED)
    .order_by(trial.c.number)
    .limit(bindparam("most"))
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
_RENEW = update(trial).where(
    trial.c.study_id == bindparam("sid"),
    trial.c.state == TrialState.RUNNING,
    trial.c.worker == bindparam("by"),
)
_ADD_TRIAL = insert(trial)
_ADD_MEASUREMENT = insert(measurement)

_BACK_IN_QUEUE: Mapping[str, object] = {
    "state": TrialState.QUEUED,
    "worker": "",
    "lease_until": None,
    "stop_requested": "",
    "pause_requested": "",
}


def lease_end(claim: Claim, now: float) -> float | None:
    """Return when a lease that begins now runs out."""
    return None if claim.lease_s is None else now + claim.lease_s


def add(
    connection: Connection,
    study: Locked,
    suggestions: Sequence[Suggestion],
    *,
    after: int,
    claim: Claim | None,
) -> Sequence[Trial]:
    """Add trials ``after + 1, after + 2, …``: queued, or running for ``claim``."""
    if study.size != after:
        msg = (
            f"Study {study.name!r} has grown from {after} to {study.size} trials since it was read."
        )
        raise ConflictError(msg)
    refuse_more_than_budget(connection, study, len(suggestions))
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
            queued=study.now,
            started=None if claim is None else study.now,
            lease_until=None if claim is None else lease_end(claim, study.now),
            revision=study.revision,
        )
        for number, suggestion in enumerate(suggestions, start=after + 1)
    ]
    if trials:
        for t in trials:
            study.writes.later(_ADD_TRIAL, t.number, [trial_columns(study.id, t)])
        study.queue = None
        set_study(study, size=after + len(trials))
    return trials


def claim(connection: Connection, study: Locked, by: Claim) -> Trial | None:
    """Hand out the first queued trial, or one whose lease ran out; None if there is neither."""
    row = _next_queued(connection, study)
    queue = study.queue
    while row is None:
        row = _first_expired(connection, study)
        if row is None:
            return None
        if row.stop_requested:  # what a person wants stopped does not start again
            cancel(study, row, row.stop_requested)
            row = None
        elif row.pause_requested:
            hold(study, row, row.pause_requested)
            row = None
    claimed = set_trial(
        study,
        row,
        state=TrialState.RUNNING,
        attempt=row.attempt + 1,
        worker=by.worker,
        lease_until=lease_end(by, study.now),
        stop_requested="",
        started=study.now,
        reason="",
    )
    study.queue = queue  # but for this trial, it is as it was
    return claimed


def _next_queued(connection: Connection, study: Locked) -> TrialRow | None:
    """Take the first trial from the queue, of which as many are read as may be claimed together."""
    if not study.queue:
        study.writes.now("trial")
        rows = connection.execute(_QUEUED, {"sid": study.id, "most": study.together})
        study.queue = deque(map(TrialRow._make, rows))
    return study.queue.popleft() if study.queue else None


def _first_expired(connection: Connection, study: Locked) -> TrialRow | None:
    study.writes.now("trial")
    row = connection.execute(_EXPIRED, {"sid": study.id, "now": study.now}).first()
    return None if row is None else TrialRow._make(row)


def renew(
    connection: Connection, of: Row[Any], by: Claim, clock: Callable[[float | None], float]
) -> None:
    """Begin anew the lease of every running trial that this worker holds in the study of row ``of``."""
    key = {"sid": of.id, "by": by.worker, "lease_until": lease_end(by, clock(of.now))}
    connection.execute(_RENEW, key)


def report(
    connection: Connection,
    study: Locked,
    number: int,
    attempt: int,
    measurements: Sequence[Measurement],
    *,
    superseded: frozenset[str],
    of_attempt: int | None,
    claim: Claim | None,
) -> Reply:
    """Store measurements; return what a person wants of the trial."""
    row = held(connection, study, number, attempt)
    if claim is not None:  # no change that others would want to hear of
        row = write_trial(study, row, lease_until=lease_end(claim, study.now))
    if superseded or of_attempt is not None:
        set_trial(study, row)  # its curve is another
    if superseded:
        study.writes.now("measurement", number)
        connection.execute(
            delete(measurement).where(
                measurement.c.study_id == study.id,
                measurement.c.number == number,
                measurement.c.attempt == attempt,
                measurement.c.metric.in_(sorted(superseded)),
            )
        )
    by = attempt if of_attempt is None else of_attempt
    known = known_points(connection, study, number, by, measurements)
    key = {"study_id": study.id, "number": number, "attempt": by}
    columns = key | {"revision": study.revision}
    if rows := measurement_rows(columns, measurements, known):
        study.writes.later(_ADD_MEASUREMENT, number, rows)
        study.touched = True
    revision = study.revision if study.touched else study.revision - 1
    return Reply(revision, row.stop_requested, row.pause_requested or "")


def finish(
    connection: Connection,
    study: Locked,
    number: int,
    attempt: int,
    state: TrialState,
    *,
    metrics: Mapping[str, float],
    step: int | None,
    reason: str,
) -> Trial:
    """Move a running or paused trial to a final state; a second delivery changes nothing."""
    if state not in FINAL:
        msg = f"A trial does not end as {state}, but as one of {', '.join(sorted(FINAL))}."
        raise StateError(msg)
    row = trial_row(connection, study, number)
    if row.attempt == attempt and row.state == state:
        return trial_from_row(row)
    if row.attempt != attempt or row.state != TrialState.PAUSED:
        check_held(row, attempt)
    return set_trial(
        study,
        row,
        state=state,
        metrics=dump(dict(metrics)),
        step=step,
        **rank_columns(state, metrics, spec_from_text(study.spec)),
        reason=storable(reason),
        lease_until=None,
        finished=study.now,
    )


def pause(
    connection: Connection,
    study: Locked,
    number: int,
    attempt: int,
    reason: str,
    *,
    metrics: Mapping[str, float],
    step: int | None,
) -> Trial:
    """Pause a running trial with what it measured so far; a second delivery changes nothing."""
    row = trial_row(connection, study, number)
    if row.attempt == attempt and row.state == TrialState.PAUSED:
        return trial_from_row(row)
    check_held(row, attempt)
    if row.stop_requested:
        reason = row.stop_requested
    paused = set_trial(
        study,
        row,
        state=TrialState.PAUSED,
        metrics=dump(dict(metrics)),
        step=step,
        reason=storable(reason),
        lease_until=None,
    )
    if not row.stop_requested:
        return paused
    row = trial_row(connection, study, number)
    return cancel(study, row, reason)


def resume(
    connection: Connection, study: Locked, number: int, reason: str, *, budget: int | None
) -> Trial:
    """Put a paused trial back in the queue, whoever paused it; with ``budget`` it trains so far."""
    row = trial_row(connection, study, number)
    if row.state != TrialState.PAUSED:
        msg = f"Trial {number} is {row.state}, not paused."
        raise StateError(msg)
    return set_trial(
        study,
        row,
        **_BACK_IN_QUEUE,
        reason=storable(reason),
        budget=row.budget if budget is None else budget,
        metrics="{}",
        step=None,
    )


def extend(connection: Connection, study: Locked, number: int, attempt: int, budget: int) -> Trial:
    """Let a running trial train further."""
    row = held(connection, study, number, attempt)
    return set_trial(study, row, budget=budget)


def requeue(
    connection: Connection, study: Locked, number: int, attempt: int, reason: str, *, fault: bool
) -> None:
    """Put a running trial back in the queue; ``fault`` counts it against the allowed retries."""
    row = held(connection, study, number, attempt)
    if row.stop_requested:  # what a person wants stopped does not start again
        cancel(study, row, row.stop_requested)
        return
    if row.pause_requested:
        hold(study, row, row.pause_requested)
        return
    faults = row.faults + 1 if fault else row.faults
    set_trial(study, row, **_BACK_IN_QUEUE, reason=storable(reason), faults=faults)


def retry(connection: Connection, study: Locked, number: int) -> None:
    """Put an ended trial back in the queue; raise `StateError` if its state does not allow it."""
    row = trial_row(connection, study, number)
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
        refuse_more_than_budget(connection, study, 1)
    set_trial(
        study,
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


def request_stop(connection: Connection, study: Locked, number: int, reason: str) -> Trial:
    """Cancel a trial that does not run; ask the worker of one that runs to stop it."""
    row = trial_row(connection, study, number)
    if row.state == TrialState.RUNNING:
        return set_trial(study, row, stop_requested=storable(reason))
    if row.state == TrialState.CANCELLED:
        return trial_from_row(row)
    return cancel(study, row, reason)


def request_pause(connection: Connection, study: Locked, number: int, reason: str) -> Trial:
    """Hold a trial that does not run; ask the worker of one that runs to pause it."""
    row = trial_row(connection, study, number)
    if row.state in FINAL:
        msg = f"Trial {number} is {row.state}; only a trial that has not ended can be paused."
        raise StateError(msg)
    if row.state == TrialState.RUNNING:
        return set_trial(study, row, pause_requested=storable(reason))
    return hold(study, row, reason)
