"""The trials of Vizier's studies: suggested, measured, judged and ended by clients."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from tunesmith.errors import MetricError, NotFoundError, StateError, StudyEnded, StudyWaiting
from tunesmith.model import Measurement, Trial, TrialState, leaders
from tunesmith.service.call import Call, Reader, Worker, Writer, answer
from tunesmith.service.faults import Refused
from tunesmith.service.fronts.google import operations
from tunesmith.service.fronts.google.bodies import (
    field_of,
    read_ask,
    read_end,
    read_measurement,
    read_new,
)
from tunesmith.service.fronts.google.documents import Document
from tunesmith.service.fronts.google.listing import page
from tunesmith.service.fronts.google.older import older_trial_document
from tunesmith.service.fronts.google.orders import papers_of
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.studies import Named, state_of
from tunesmith.service.fronts.google.suggesting import add_trial, suggest
from tunesmith.service.fronts.google.trials import curves_of, trial_document, worker_of
from tunesmith.service.strict import Router
from tunesmith.storage import Claim
from tunesmith.study import Study

__all__ = ["router"]

_PLACE = "/projects/{project}/locations/{location}"
_ALL = _PLACE + "/studies/{id}/trials"
_ONE = _ALL + "/{number}"

router = Router(tags=["google"])


@router.post(_ALL + ":suggest")
async def suggest_trials(
    paper: Named,
    call: Worker,
    request: Request,
    body: Annotated[Any, Body()] = None,
) -> Response:
    """Give trials to a client."""
    ask = read_ask(body, paper)
    try:
        trials = await suggest(call, paper, ask)
    except StudyWaiting as error:
        raise Refused(503, "StudyWaiting", str(error)) from error
    except StudyEnded as error:
        if paper.is_older:  # for its client this means that the search is over
            raise Refused(429, "TooMany429", str(error)) from error
        trials = []
    numbers = [trial.number for trial in trials]
    return answer(await run_in_threadpool(_suggested, call, request, paper, numbers))


@router.get(_ALL)
def get_all(
    paper: Named,
    call: Reader,
    *,
    size: Annotated[int, Query(alias="pageSize", ge=0, le=2**31 - 1)] = 0,
    token: Annotated[str, Query(alias="pageToken", max_length=200)] = "",
) -> Response:
    """List the trials, all of them unless fewer are asked for: the client reads the first page only."""
    found = _documents(call, paper)
    shown, following = page(found, size, token, default=len(found) or 1)
    document: Document = {"trials": shown} if shown else {}
    return answer({**document, "nextPageToken": following} if following else document)


@router.post(_ALL)
def create(
    paper: Named,
    call: Worker,
    body: Annotated[Any, Body()] = None,
) -> Response:
    """Add a trial of the client's own: to be run, or with what it measured."""
    new = read_new(body, paper)
    spec = call.storage.study(paper.study).spec
    if new.final is None:
        return answer(_document(call, paper, add_trial(call, paper, spec, new.values, None).number))
    claim = Claim(worker_of("import"))
    _check_complete(new.final, spec.objective.metric)
    trial = add_trial(call, paper, spec, new.values, claim)
    _finish(call, paper, trial, new.final)
    return answer(_document(call, paper, trial.number))


@router.post(_ALL + ":listOptimalTrials")
def get_optimal(paper: Named, call: Reader) -> Response:
    """Give the best trial, or all that are best in some way where there are several metrics."""
    changes = call.storage.changes(paper.study, -1, curves=True)
    shown = [t for t in changes.trials if t.number not in paper.deleted]
    best = leaders(shown, changes.record.spec)
    curves, spec = curves_of(changes), changes.record.spec
    tell = _teller(paper)
    found = [tell(paper, spec, trial, curves.get(trial.number, ())) for trial in best]
    key = "trials" if paper.is_older else "optimalTrials"
    return answer({key: found} if found else {})


@router.get(_ONE)
def get(paper: Named, number: str, call: Reader) -> Response:
    """Answer with a trial."""
    return answer(_document(call, paper, _number(call, paper, number)))


@router.delete(_ONE)
def delete(paper: Named, number: str, call: Writer) -> Response:
    """Show a trial no more; one that has not ended is ended."""
    trial = _trial(call, paper, number)
    if not trial.is_final:
        _end(call, paper, trial, "its client deleted it")
    papers_of(call).put(replace(paper, deleted=[*paper.deleted, trial.number]))
    return answer({})


@router.post(_ONE + ":addTrialMeasurement")
@router.post(_ONE + ":addMeasurement")
def measure(
    paper: Named,
    number: str,
    call: Worker,
    body: Annotated[Any, Body()] = None,
) -> Response:
    """Store what a running trial measured; a rule may find that it should stop."""
    measured = read_measurement(body)
    trial = _running(call, paper, number)
    study = Study.load(paper.study, call.storage)
    with call.once(), field_of("measurement.metrics"):
        verdict = study.record_measurements(trial, [_in_order(call, paper, trial, measured)])
    if verdict and not verdict.pause:
        call.storage.request_stop(paper.study, trial.number, verdict.reason)
    return answer(_document(call, paper, trial.number))


@router.post(_ONE + ":checkTrialEarlyStoppingState")
@router.post(_ONE + ":checkEarlyStoppingState")
def check_stopping(
    paper: Named,
    number: str,
    call: Worker,
    request: Request,
) -> Response:
    """Say whether a trial should stop, by what it has measured so far."""
    trial = _trial(call, paper, number)
    return answer(_checked(request, paper, trial.number, stops=bool(trial.stop_requested)))


@router.post(_ONE + ":complete")
def complete(
    paper: Named,
    number: str,
    call: Worker,
    body: Annotated[Any, Body()] = None,
) -> Response:
    """End a trial: by its last measurement, by those before, or without any."""
    end = read_end(body)
    trial = _running(call, paper, number)
    if end.infeasible:
        reason = end.reason or "its client found it infeasible"
        with call.once():
            Study.load(paper.study, call.storage).end(trial, TrialState.INFEASIBLE, reason)
    else:
        _finish(call, paper, trial, end.final)
    return answer(_document(call, paper, trial.number))


@router.post(_ONE + ":stop")
def stop(
    paper: Named,
    number: str,
    call: Worker,
) -> Response:
    """Have a trial stop; it is to be completed then."""
    trial = _trial(call, paper, number)
    if not trial.is_final:
        call.storage.request_stop(paper.study, trial.number, "its client stopped it")
    return answer(_document(call, paper, trial.number))


# Operations


@router.get(_PLACE + "/studies/{id}/operations/{operation}")
@router.get(_ONE + "/operations/{operation}")
def get_operation(
    paper: Named,
    operation: str,
    call: Reader,
    request: Request,
) -> Response:
    """Answer with what an operation came to."""
    return answer(_answered(call, request, paper, operation))


@router.get(_PLACE + "/operations/{operation}")
def get_older_operation(
    project: str, location: str, operation: str, call: Reader, request: Request
) -> Response:
    """Answer with what an operation came to, where its name alone says of which study."""
    parent = f"projects/{project}/locations/{location}"
    if re.fullmatch(r"\d{1,30}", operation):
        return answer(operations.done(f"{parent}/operations/{operation}", operations.EMPTY))
    study, _, rest = operation.partition("-")
    if not re.fullmatch(r"([0-9a-f]{2})+", study):
        raise _no_operation(operation)
    try:
        paper = papers_of(call).get("studies", bytes.fromhex(study).decode(), parent)
    except (NotFoundError, UnicodeDecodeError):
        raise _no_operation(operation) from None
    return answer(_answered(call, request, paper, rest))


def _operation(paper: Paper, kind: str, *numbers: int, within: int = 0) -> str:
    """Return the name of an operation, which says all that is to be answered for it."""
    id_ = "-".join([kind, *map(str, numbers)])
    if paper.is_older:
        return f"{paper.parent}/operations/{paper.id.encode().hex()}-{id_}"
    trial = f"/trials/{within}" if within else ""
    return f"{paper.name}{trial}/operations/{id_}"


def _answered(call: Call, request: Request, paper: Paper, operation: str) -> Document:
    match = re.fullmatch(r"([sc])((?:-\d{1,10})*)", operation)
    numbers = [int(part) for part in match[2].split("-")[1:]] if match else []
    if match and match[1] == "s":
        return _suggested(call, request, paper, numbers)
    if match and len(numbers) == 2:
        return _checked(request, paper, numbers[0], stops=bool(numbers[1]))
    raise _no_operation(operation)


def _suggested(call: Call, request: Request, paper: Paper, numbers: Sequence[int]) -> Document:
    response = {
        "@type": _type(request, paper, "SuggestTrialsResponse"),
        "trials": [_document(call, paper, number) for number in numbers],
        "studyState": state_of(call, paper),
    }
    name = _operation(paper, "s", *numbers)
    return operations.done(name, response, _bare(request, paper, "SuggestTrialsMetadata"))


def _checked(request: Request, paper: Paper, number: int, *, stops: bool) -> Document:
    name = _operation(paper, "c", number, int(stops), within=number)
    response = {
        "@type": _type(request, paper, "CheckTrialEarlyStoppingStateResponse"),
        "shouldStop": stops,
    }
    # The service's own message has this name.
    metadata = "CheckTrialEarlyStoppingStateMetatdata"
    return operations.done(name, response, _bare(request, paper, metadata))


def _type(request: Request, paper: Paper, word: str) -> str:
    return f"type.googleapis.com/{_bare(request, paper, word)}"


def _bare(request: Request, paper: Paper, word: str) -> str:
    if paper.is_older:
        return f"google.cloud.ml.v1.{word}"
    beta = "/v1beta1/" in request.url.path
    return f"google.cloud.aiplatform.{'v1beta1' if beta else 'v1'}.{word}"


def _no_operation(operation: str) -> NotFoundError:
    return NotFoundError(f"There is no operation {operation[:100]!r}.")


# Trials


def _number(call: Call, paper: Paper, text: str) -> int:
    return _trial(call, paper, text).number


def _trial(call: Call, paper: Paper, text: str) -> Trial:
    if not re.fullmatch(r"[1-9]\d{0,8}", text) or int(text) in paper.deleted:
        msg = f"There is no {paper.name}/trials/{text[:50]}."
        raise NotFoundError(msg)
    return call.storage.trial(paper.study, int(text))


def _running(call: Call, paper: Paper, text: str) -> Trial:
    trial = _trial(call, paper, text)
    if trial.state is not TrialState.RUNNING:
        msg = f"Trial {trial.number} is {trial.state}, and not running."
        raise StateError(msg)
    return trial


def _in_order(call: Call, paper: Paper, trial: Trial, measured: Measurement) -> Measurement:
    """Return a measurement behind those there are: without steps, it is the time that tells them apart."""
    if measured.step:
        return measured
    before = call.storage.measurements(paper.study, trial.number)
    if not before:
        return measured
    return replace(measured, step=before[-1].step + 1)


def _check_complete(final: Measurement, metric: str) -> None:
    with field_of("finalMeasurement.metrics"):
        if metric not in final.metrics:
            msg = f"the study's metric {metric!r} is missing"
            raise MetricError(msg)


def _finish(call: Call, paper: Paper, trial: Trial, final: Measurement | None) -> None:
    study = Study.load(paper.study, call.storage)
    with field_of("finalMeasurement.metrics"):
        if final is None or not final.metrics:
            with call.once():
                study.conclude(trial, {})
            return
        _check_complete(final, study.spec.objective.metric)
        steps = {m.step for m in call.storage.measurements(paper.study, trial.number)}
        with call.once():
            if final.step not in steps:
                study.record_measurements(trial, [final])
            study.conclude(trial, final.metrics)


def _end(call: Call, paper: Paper, trial: Trial, reason: str) -> None:
    if trial.state is TrialState.RUNNING:
        Study.load(paper.study, call.storage).end(trial, TrialState.INFEASIBLE, reason)
    else:
        call.storage.request_stop(paper.study, trial.number, reason)


def _document(call: Call, paper: Paper, number: int) -> Document:
    trial = call.storage.trial(paper.study, number)
    curve = call.storage.measurements(paper.study, number)
    return _teller(paper)(paper, call.storage.study(paper.study).spec, trial, curve)


def _documents(call: Call, paper: Paper) -> list[Document]:
    changes = call.storage.changes(paper.study, -1, curves=True)
    curves, tell = curves_of(changes), _teller(paper)
    return [
        tell(paper, changes.record.spec, trial, curves.get(trial.number, ()))
        for trial in changes.trials
        if trial.number not in paper.deleted
    ]


def _teller(paper: Paper) -> Callable[..., Document]:
    return older_trial_document if paper.is_older else trial_document
