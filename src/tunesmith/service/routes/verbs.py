"""The verbs of the storage, one route each: what a tuner on another machine needs of its server."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from tunesmith.errors import NotFoundError
from tunesmith.model import StudyState, Trial, TrialState, check_study_name
from tunesmith.service.call import Call, Reader, Worker, Writer, answer
from tunesmith.service.faults import Refused
from tunesmith.service.strict import Router
from tunesmith.storage import Changes, Order, ServedStorage, wire

__all__ = ["router"]

router = Router(prefix="/studies", tags=["studies"])

_STOPPED_BY_WORKERS = frozenset({StudyState.FINISHED, StudyState.FAILED})
_LONGEST_WAIT_S = 10.0

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Turn = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{8,100}$")]
Attempt = Annotated[int, Field(ge=0, le=2**31 - 1)]
Budget = Annotated[int, Field(ge=1, le=2**63 - 1)]
Step = Annotated[int, Field(ge=0, le=2**63 - 1)]
Bound = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Metrics = dict[wire.Name, wire.Number]


class _Body(BaseModel):
    """What a request says; what it can't say is refused."""

    model_config = ConfigDict(extra="forbid")


class NewStudy(_Body):
    """A study to make."""

    name: str
    spec: wire.SpecDocument
    command: wire.Text = ""


class NewState(_Body):
    """A state to set."""

    state: StudyState
    reason: str = ""
    at: int | None = None


class NewBudget(_Body):
    """A budget to set; what is null stays as it is."""

    max_trials: Bound | None = None
    parallel_trials: Bound | None = None
    ending: wire.EndingDocument | None = None


class Touch(_Body):
    """By what command a study is run."""

    command: wire.Text = ""


class NewTrials(_Body):
    """Trials to add after trial ``after``, running for ``claim`` where it is given."""

    suggestions: list[wire.SuggestionDocument]
    after: Attempt
    claim: wire.ClaimDocument | None = None


class Report(_Body):
    """What an attempt measured."""

    attempt: Attempt
    measurements: list[wire.MeasurementDocument]
    superseded: list[wire.Name] = []
    of_attempt: Attempt | None = None
    claim: wire.ClaimDocument | None = None


class Finish(_Body):
    """How a trial ended."""

    attempt: Attempt
    state: TrialState
    metrics: Metrics
    step: Step | None = None
    reason: str = ""


class Hold(_Body):
    """Why a trial pauses, and what it measured so far."""

    attempt: Attempt
    reason: str
    metrics: Metrics
    step: Step | None = None


class Release(_Body):
    """Why a paused trial goes on, and how far it trains."""

    reason: str = ""
    budget: Budget | None = None


class Extend(_Body):
    """How far a running trial trains."""

    attempt: Attempt
    budget: Budget


class Requeue(_Body):
    """Why a running trial goes back to the queue."""

    attempt: Attempt
    reason: str
    fault: bool = False


class Reason(_Body):
    """Why."""

    reason: str


class Listed(TypedDict):
    """A study in the list of all: its name, and its record where that was asked for."""

    name: str
    record: wire.RecordDocument | None


class StudiesDocument(TypedDict):
    """Studies, the last used first."""

    studies: list[Listed]


class TrialsDocument(TypedDict):
    """Trials."""

    trials: list[wire.TrialDocument]


class MeasurementsDocument(TypedDict):
    """Measurements by step."""

    measurements: list[wire.MeasurementDocument]


class AllMeasuredDocument(TypedDict):
    """What all attempts measured, in the order in which it was stored."""

    measurements: list[wire.MeasuredDocument]


class TurnDocument(TypedDict):
    """Whether it is the asker's turn."""

    granted: bool


def _trials(trials: Sequence[Trial]) -> Response:
    return answer({"trials": [wire.trial_document(trial) for trial in trials]})


def _done() -> Response:
    return Response(status_code=204)


# Studies


@router.post("", response_model=wire.RecordDocument)
def create_study(body: NewStudy, call: Writer) -> Response:
    """Make an empty study; a name that is taken is a conflict."""
    check_study_name(body.name)
    _refuse_one_too_many(call)
    spec = wire.spec_from(body.spec)
    with call.once():
        record = call.storage.create_study(body.name, spec, command=body.command)
    return answer(wire.record_document(record))


@router.post("/{study}/import", status_code=204)
def import_study(study: str, body: wire.ChangesDocument, call: Writer) -> Response:
    """Make a study of what /changes since -1, with curves, gave of another, anywhere."""
    check_study_name(study)
    _refuse_one_too_many(call)
    whole = wire.changes_from(body)
    _refuse_unsound(whole)
    with call.once():
        call.storage.import_study(study, whole)
    return _done()


def _refuse_one_too_many(call: Call) -> None:
    most = call.parts.settings.limits.studies
    if len(call.storage.revisions()) >= most:
        message = f"The project {call.caller.project!r} has its {most} studies. Delete one first."
        raise Refused(409, "TooManyStudies", message)


def _refuse_unsound(whole: Changes) -> None:
    """Refuse what is no whole study."""
    size = len(whole.trials)
    points = [
        (m.number, m.attempt, m.measurement.step, metric)
        for m in whole.measurements
        for metric in m.measurement.metrics
    ]
    if [t.number for t in whole.trials] != list(range(1, size + 1)) or whole.record.size != size:
        message = "The trials of a study have the numbers from 1 to its size, in their order."
    elif any(not 1 <= number <= size for number, *_ in points):
        message = "There are measurements of trials that are not there."
    elif len(set(points)) < len(points):
        message = "A metric is measured once at a step of an attempt; one is there twice."
    else:
        return
    raise Refused(422, "RequestError", message)


@router.get("", response_model=StudiesDocument)
def studies(
    call: Reader,
    fields: Literal["names", "records"] = "records",
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """List the studies, the last used first: all names, or some of the records."""
    names = call.storage.study_names()
    if fields == "names":
        return answer({"studies": [{"name": name, "record": None} for name in names]})
    listed = [_listed(call.storage, name) for name in names[offset : offset + limit]]
    return answer({"studies": [study for study in listed if study is not None]})


def _listed(storage: ServedStorage, name: str) -> Listed | None:
    try:
        return {"name": name, "record": wire.record_document(storage.study(name))}
    except NotFoundError:  # deleted since it was named
        return None


@router.get("/{study}", response_model=wire.RecordDocument)
def study(study: str, call: Reader) -> Response:
    """Return a study."""
    return answer(wire.record_document(call.storage.study(study)))


@router.get("/{study}/summary", response_model=wire.SummaryDocument)
def summary(study: str, call: Reader) -> Response:
    """Return a study with what its trials add up to."""
    return answer(wire.summary_document(call.storage.summary(study)))


@router.delete("/{study}", status_code=204)
def delete_study(study: str, call: Writer) -> Response:
    """Delete a study, its trials and their measurements."""
    with call.once():
        call.storage.delete_study(study)
    return _done()


@router.post("/{study}/state", status_code=204)
def set_state(study: str, body: NewState, call: Worker) -> Response:
    """Set a study's state; a worker may say that it has come to its end, but nothing else."""
    if body.state not in _STOPPED_BY_WORKERS and not call.caller.may("write"):
        message = f"This needs the role write; your token has {call.caller.role}."
        raise Refused(403, "Forbidden", message, needs="write")
    with call.once():
        call.storage.set_state(study, body.state, body.reason, at=body.at)
    return _done()


@router.patch("/{study}", status_code=204)
def set_budget(study: str, body: NewBudget, call: Writer) -> Response:
    """Change the budget of a study."""
    with call.once():
        call.storage.set_budget(
            study,
            max_trials=body.max_trials,
            parallel_trials=body.parallel_trials,
            ending=None if body.ending is None else wire.ending_from(body.ending),
        )
    return _done()


@router.post("/{study}/touch", status_code=204)
def touch(study: str, body: Touch, call: Worker) -> Response:
    """Note that a study is being run now."""
    with call.once():
        call.storage.touch(study, body.command)
    return _done()


# Asking for trials


@router.post("/{study}/asking/{turn}", response_model=TurnDocument)
async def take_turn(
    study: str, turn: Turn, call: Worker, wait_s: Annotated[float, Query(ge=0)] = 0.0
) -> Response:
    """Wait for one's turn to think about a study's next trials; without it one may think too."""
    topic = (call.caller.project, study)
    granted = await call.parts.turns.take(topic, turn, min(wait_s, _LONGEST_WAIT_S))
    return answer({"granted": granted})


@router.delete("/{study}/asking/{turn}", status_code=204)
async def give_turn_back(study: str, turn: Turn, call: Worker) -> Response:
    """Let the next one think."""
    call.parts.turns.give_back((call.caller.project, study), turn)
    return _done()


@router.post("/{study}/claim", response_model=TrialsDocument)
def claim(study: str, body: wire.ClaimDocument, call: Worker) -> Response:
    """Hand out a trial that waits, or whose lease ran out; none if there is none."""
    with call.once():
        trial = call.storage.claim(study, wire.claim_from(body))
    return _trials([] if trial is None else [trial])


@router.post("/{study}/renew", status_code=204)
def renew(study: str, body: wire.ClaimDocument, call: Worker) -> Response:
    """Begin the leases of a worker's trials anew."""
    call.storage.renew(study, wire.claim_from(body))
    return _done()


@router.post("/{study}/trials", response_model=TrialsDocument)
def add_trials(study: str, body: NewTrials, call: Worker) -> Response:
    """Add trials; if others have added some since, that is a conflict."""
    most = call.parts.settings.limits.trials_per_request
    if len(body.suggestions) > most:
        message = f"A request may add {most} trials; given {len(body.suggestions)}."
        raise Refused(422, "RequestError", message)
    suggestions = [wire.suggestion_from(document) for document in body.suggestions]
    claimed = None if body.claim is None else wire.claim_from(body.claim)
    with call.once():
        return _trials(call.storage.add_trials(study, suggestions, after=body.after, claim=claimed))


# A trial's life


@router.post("/{study}/trials/{number}/measurements", response_model=wire.ReplyDocument)
def report(study: str, number: Number, body: Report, call: Worker) -> Response:
    """Store what an attempt measured; say what a person wants of the trial."""
    measurements = [wire.measurement_from(document) for document in body.measurements]
    with call.once():
        reply = call.storage.report(
            study,
            number,
            body.attempt,
            measurements,
            superseded=frozenset(body.superseded),
            of_attempt=body.of_attempt,
            claim=None if body.claim is None else wire.claim_from(body.claim),
        )
    return answer(wire.reply_document(reply))


@router.post("/{study}/trials/{number}/finish", response_model=wire.TrialDocument)
def finish(study: str, number: Number, body: Finish, call: Worker) -> Response:
    """Move a trial to a final state."""
    metrics = wire.metrics_from(body.metrics)
    with call.once():
        return answer(
            wire.trial_document(
                call.storage.finish(
                    study,
                    number,
                    body.attempt,
                    body.state,
                    metrics=metrics,
                    step=body.step,
                    reason=body.reason,
                )
            )
        )


@router.post("/{study}/trials/{number}/hold", response_model=wire.TrialDocument)
def hold(study: str, number: Number, body: Hold, call: Worker) -> Response:
    """Pause a running trial whose program has ended."""
    metrics = wire.metrics_from(body.metrics)
    with call.once():
        return answer(
            wire.trial_document(
                call.storage.pause(
                    study, number, body.attempt, body.reason, metrics=metrics, step=body.step
                )
            )
        )


@router.post("/{study}/trials/{number}/release", response_model=wire.TrialDocument)
def release(study: str, number: Number, body: Release, call: Worker) -> Response:
    """Put a paused trial back in the queue."""
    with call.once():
        trial = call.storage.resume(study, number, body.reason, budget=body.budget)
    return answer(wire.trial_document(trial))


@router.post("/{study}/trials/{number}/extend", response_model=wire.TrialDocument)
def extend(study: str, number: Number, body: Extend, call: Worker) -> Response:
    """Let a running trial train further."""
    with call.once():
        trial = call.storage.extend(study, number, body.attempt, body.budget)
    return answer(wire.trial_document(trial))


@router.post("/{study}/trials/{number}/requeue", status_code=204)
def requeue(study: str, number: Number, body: Requeue, call: Worker) -> Response:
    """Put a running trial back in the queue."""
    with call.once():
        call.storage.requeue(study, number, body.attempt, body.reason, fault=body.fault)
    return _done()


@router.post("/{study}/trials/{number}/retry", status_code=204)
def retry(study: str, number: Number, call: Writer) -> Response:
    """Put an ended trial back in the queue."""
    with call.once():
        call.storage.retry(study, number)
    return _done()


@router.post("/{study}/trials/{number}/request-stop", response_model=wire.TrialDocument)
def request_stop(study: str, number: Number, body: Reason, call: Writer) -> Response:
    """Cancel a trial that does not run; ask the worker of one that runs to stop it."""
    with call.once():
        trial = call.storage.request_stop(study, number, body.reason)
    return answer(wire.trial_document(trial))


@router.post("/{study}/trials/{number}/request-pause", response_model=wire.TrialDocument)
def request_pause(study: str, number: Number, body: Reason, call: Writer) -> Response:
    """Hold a trial that does not run; ask the worker of one that runs to pause it."""
    with call.once():
        trial = call.storage.request_pause(study, number, body.reason)
    return answer(wire.trial_document(trial))


# Reading


@router.get(
    "/{study}/changes",
    response_model=wire.ChangesDocument,
    responses={304: {"description": "Nothing has changed since; Tunesmith-Time is the time."}},
)
def changes(
    study: str,
    call: Reader,
    since: Annotated[int, Query(ge=-1, le=2**31 - 1)] = -1,
    curves: bool = False,
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """Return what changed after a revision; 304 to who has the record and missed nothing."""
    found = call.storage.changes(study, since, curves=curves)
    record = found.record
    etag = f'"{record.created!r}-{record.revision}"'  # a study of that name may be made anew
    if if_none_match == etag and record.revision <= since:
        time = {"ETag": etag, "Tunesmith-Time": repr(found.now)}
        return Response(status_code=304, headers=time)
    response = answer(wire.changes_document(found))
    response.headers["ETag"] = etag
    return response


@router.get("/{study}/trials", response_model=TrialsDocument)
def trials(
    study: str,
    call: Reader,
    order: Order = "number",
    limit: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> Response:
    """Return trials: by number, the newest first, or the best first."""
    return _trials(call.storage.trials(study, order=order, limit=limit))


@router.get("/{study}/trials/{number}", response_model=wire.TrialDocument)
def trial(study: str, number: Number, call: Reader) -> Response:
    """Return a trial."""
    return answer(wire.trial_document(call.storage.trial(study, number)))


@router.get("/{study}/trials/{number}/measurements", response_model=MeasurementsDocument)
def measurements(
    study: str,
    number: Number,
    call: Reader,
    attempt: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> Response:
    """Return what an attempt measured, by step; or all of them, joined to one curve."""
    found = call.storage.measurements(study, number, attempt=attempt)
    return answer({"measurements": [wire.measurement_document(m) for m in found]})


@router.get("/{study}/trials/{number}/measured", response_model=AllMeasuredDocument)
def measured(study: str, number: Number, call: Reader) -> Response:
    """Return what all attempts of a trial measured, in the order in which it was stored."""
    found = call.storage.measured(study, number)
    return answer({"measurements": [wire.measured_document(m) for m in found]})
