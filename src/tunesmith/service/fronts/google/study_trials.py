"""The trials of Vizier's studies: suggested, measured, judged and ended by clients."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, Response
from fastapi.concurrency import run_in_threadpool

from tunesmith.errors import MetricError, StateError, StudyEnded, StudyWaiting
from tunesmith.model import Measurement, Trial, TrialState, leaders
from tunesmith.service.call import Call, Reader, Worker, Writer, answer
from tunesmith.service.faults import Refused
from tunesmith.service.fronts.google.bodies import (
    End,
    field_of,
    read_ask,
    read_end,
    read_measurement,
    read_new,
)
from tunesmith.service.fronts.google.listing import Wished, listed
from tunesmith.service.fronts.google.operations import Version
from tunesmith.service.fronts.google.orders import papers_of
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.studies import Named
from tunesmith.service.fronts.google.suggesting import add_trial, suggest
from tunesmith.service.fronts.google.trial_answers import (
    document_of,
    documents_of,
    teller,
    trial_of,
)
from tunesmith.service.fronts.google.trial_operations import checked, suggested
from tunesmith.service.fronts.google.trials import curves_of, worker_of
from tunesmith.service.strict import Router
from tunesmith.storage import Claim
from tunesmith.study import Study

__all__ = ["router"]

_ALL = "/projects/{project}/locations/{location}/studies/{id}/trials"
_ONE = _ALL + "/{number}"

router = Router(tags=["google"])


@router.post(_ALL + ":suggest")
async def suggest_trials(
    call: Worker,
    paper: Named,
    version: Version,
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
    return answer(await run_in_threadpool(suggested, call, version, paper, numbers))


@router.get(_ALL)
def get_all(call: Reader, paper: Named, wish: Wished) -> Response:
    """List the trials, all of them unless fewer are asked for: the client reads the first page only."""
    found = documents_of(call, paper)
    return answer(listed("trials", found, wish, default=len(found) or 1))


@router.post(_ALL)
def create(
    call: Worker,
    paper: Named,
    body: Annotated[Any, Body()] = None,
) -> Response:
    """Add a trial of the client's own: to be run, or with what it measured."""
    new = read_new(body, paper)
    spec = call.storage.study(paper.study).spec
    if new.final is None:
        trial = add_trial(call, paper, spec, new.values, None)
        return answer(document_of(call, paper, trial.number))
    claim = Claim(worker_of("import"))
    _check_complete(new.final, spec.objective.metric)
    trial = add_trial(call, paper, spec, new.values, claim)
    _finish(call, paper, trial, new.final)
    return answer(document_of(call, paper, trial.number))


@router.post(_ALL + ":listOptimalTrials")
def get_optimal(call: Reader, paper: Named) -> Response:
    """Give the best trial, or all that are best in some way where there are several metrics."""
    changes = call.storage.changes(paper.study, -1, curves=True)
    shown = [t for t in changes.trials if t.number not in paper.deleted]
    best = leaders(shown, changes.record.spec)
    curves, spec = curves_of(changes), changes.record.spec
    tell = teller(paper)
    found = [tell(paper, spec, trial, curves.get(trial.number, ())) for trial in best]
    key = "trials" if paper.is_older else "optimalTrials"
    return answer({key: found} if found else {})


@router.get(_ONE)
def get(call: Reader, paper: Named, number: str) -> Response:
    """Answer with a trial."""
    return answer(document_of(call, paper, trial_of(call, paper, number).number))


@router.delete(_ONE)
def delete(call: Writer, paper: Named, number: str) -> Response:
    """Show a trial no more; one that has not ended is ended."""
    trial = trial_of(call, paper, number)
    if not trial.is_final:
        _end(call, paper, trial, "its client deleted it")
    papers = papers_of(call)
    with papers.changing():  # others may delete other trials meanwhile
        paper = papers.get("studies", paper.id, paper.parent)
        papers.put(replace(paper, deleted=[*paper.deleted, trial.number]))
    return answer({})


@router.post(_ONE + ":addTrialMeasurement")
@router.post(_ONE + ":addMeasurement")
def measure(
    call: Worker,
    paper: Named,
    number: str,
    body: Annotated[Any, Body()] = None,
) -> Response:
    """Store what a running trial measured; a rule may find that it should stop."""
    measured = read_measurement(body)
    trial = _running(trial_of(call, paper, number))
    study = Study.load(paper.study, call.storage)
    with call.once(), field_of("measurement.metrics"):
        verdict = study.record_measurements(trial, [_in_order(call, paper, trial, measured)])
        if verdict and not verdict.pause:
            call.storage.request_stop(paper.study, trial.number, verdict.reason)
    return answer(document_of(call, paper, trial.number))


@router.post(_ONE + ":checkTrialEarlyStoppingState")
@router.post(_ONE + ":checkEarlyStoppingState")
def check_stopping(call: Worker, paper: Named, number: str, version: Version) -> Response:
    """Say whether a trial should stop, by what it has measured so far."""
    trial = trial_of(call, paper, number)
    return answer(checked(version, paper, trial.number, stops=bool(trial.stop_requested)))


@router.post(_ONE + ":complete")
def complete(
    call: Worker,
    paper: Named,
    number: str,
    body: Annotated[Any, Body()] = None,
) -> Response:
    """End a trial: by its last measurement, by those before, or without any."""
    end = read_end(body)
    trial = trial_of(call, paper, number)
    if call.key and _has_come_to(trial, end):  # the same request, whose answer was lost
        return answer(document_of(call, paper, trial.number))
    _running(trial)
    if end.infeasible:
        with call.once():
            Study.load(paper.study, call.storage).end(trial, TrialState.INFEASIBLE, _reason(end))
    else:
        _finish(call, paper, trial, end.final)
    return answer(document_of(call, paper, trial.number))


@router.post(_ONE + ":stop")
def stop(call: Worker, paper: Named, number: str) -> Response:
    """Have a trial stop; it is to be completed then."""
    trial = trial_of(call, paper, number)
    if not trial.is_final:
        with call.once():
            call.storage.request_stop(paper.study, trial.number, "its client stopped it")
    return answer(document_of(call, paper, trial.number))


def _running(trial: Trial) -> Trial:
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


def _has_come_to(trial: Trial, end: End) -> bool:
    """Return whether a trial has ended as it is asked to."""
    if not trial.is_final:
        return False
    if end.infeasible:
        return trial.state is TrialState.INFEASIBLE and trial.reason == _reason(end)
    if end.final is None or not end.final.metrics:
        return trial.counts
    return trial.counts and dict(trial.metrics) == dict(end.final.metrics)


def _reason(end: End) -> str:
    return end.reason or "its client found it infeasible"


def _end(call: Call, paper: Paper, trial: Trial, reason: str) -> None:
    with call.once():
        if trial.state is TrialState.RUNNING:
            Study.load(paper.study, call.storage).end(trial, TrialState.INFEASIBLE, reason)
        else:
            call.storage.request_stop(paper.study, trial.number, reason)
