"""Cloud ML Engine's Job, ``projects.jobs``: a training program, tuned or not."""

import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, Depends, Query, Response

from tunesmith.errors import ConflictError
from tunesmith.execution import value_texts
from tunesmith.model import Measurement, StudySpec, Trial, TrialState, rank
from tunesmith.service.call import Call, Reader, Writer, answer
from tunesmith.service.fronts.google import orders
from tunesmith.service.fronts.google.documents import Document, metric_value, timestamp
from tunesmith.service.fronts.google.earlier import own_name_of, with_own_names
from tunesmith.service.fronts.google.faults import fault
from tunesmith.service.fronts.google.listing import Wished, listed
from tunesmith.service.fronts.google.orders import Wanted, papers_of
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.states import Standing, standing
from tunesmith.service.fronts.google.trials import curves_of
from tunesmith.service.fronts.google.web import Shown, Web
from tunesmith.service.strict import Router
from tunesmith.specs.google import GoogleJob, read_request
from tunesmith.specs.google.message import camel

__all__ = ["router"]

_ALL = "/projects/{project}/jobs"
_RESUMES = "trainingInput.hyperparameters.resumePreviousJobId"
_PER_PAGE = 100
_STATES = {
    TrialState.QUEUED: "QUEUED",
    TrialState.RUNNING: "RUNNING",
    TrialState.PAUSED: "QUEUED",
    TrialState.CANCELLED: "CANCELLED",
}

router = Router(tags=["google"])


def _named(project: str, id: str, call: Reader) -> Paper:  # noqa: A002
    return papers_of(call).get("jobs", id, f"projects/{project}")


_Named = Annotated[Paper, Depends(_named)]


@router.post(_ALL)
def create(project: str, call: Writer, web: Shown, body: Annotated[Any, Body()] = None) -> Response:
    """Make a job, and have the server run it."""
    now = time.time()
    found = read_request("training job", body, now=now)
    orders.check_runs_jobs(call)
    spec = _searched(call, found)
    if spec is not None:
        orders.check_searchable(spec)
    paper = Paper("jobs", found.title, f"projects/{project}", "", body, now)
    wanted = Wanted("training job", found, spec)
    identity = {"job": paper.id, "project": project}
    return answer(_document(call, orders.hand_in(call, paper, wanted, identity), web))


@router.get(_ALL)
def get_all(project: str, call: Reader, web: Shown, wish: Wished) -> Response:
    """List the jobs, the newest first."""
    papers = papers_of(call).all("jobs", f"projects/{project}")
    documents = [_document(call, paper, web, whole=False) for paper in papers]
    return answer(listed("jobs", documents, wish, default=_PER_PAGE))


@router.get(_ALL + "/{id}")
def get(call: Reader, paper: _Named, web: Shown) -> Response:
    """Answer with a job as it stands."""
    return answer(_document(call, paper, web))


@router.patch(_ALL + "/{id}")
def patch(
    call: Writer,
    paper: _Named,
    web: Shown,
    mask: Annotated[str, Query(alias="updateMask", max_length=1000)] = "",
    body: Annotated[Any, Body()] = None,
) -> Response:
    """Change a job's labels; nothing else of it can be changed."""
    if other := [part for part in mask.split(",") if part.strip() != "labels"]:
        raise fault("updateMask", f"only labels can be changed; given {other[0].strip()!r}")
    given = {camel(str(key)): value for key, value in (body or {}).items()} if _is_map(body) else {}
    labels = given.get("labels") or {}
    if not _is_map(labels) or not all(isinstance(text, str) for text in labels.values()):
        raise fault("labels", "a mapping from texts to texts is needed")
    for text in (*labels, *labels.values()):
        if not re.fullmatch(r"[\w-]{0,63}", text) or text != text.lower():
            raise fault(
                "labels", f"a label has up to 63 small letters, digits, _ and -; not {text!r}"
            )
    papers = papers_of(call)
    with papers.changing():
        paper = papers.get("jobs", paper.id, paper.parent)
        # Under a key, labels that are as they are to be were changed by this request before.
        is_done = bool(call.key) and labels == paper.labels
        if not is_done and given.get("etag") not in (None, "", _etag(paper)):
            msg = f"{paper.name} has been changed meanwhile; get it again."
            raise ConflictError(msg)
        paper = replace(paper, labels=labels)
        papers.put(paper)
    return answer(_document(call, paper, web))


@router.post(_ALL + "/{id}:cancel")
def cancel(call: Writer, paper: _Named) -> Response:
    """End a job."""
    orders.cancel(call, paper)
    return answer({})


def _searched(call: Call, found: GoogleJob) -> StudySpec | None:
    """Return what a job searches: by itself, or as the earlier job that goes on."""
    if found.resumes is not None:
        own = own_name_of(call, found.resumes.study, _RESUMES)
        return replace(found.resumes, study=own).spec(call.storage.study(own).spec)
    return None if found.spec is None else with_own_names(call, found.spec, _RESUMES)


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping)


def _etag(paper: Paper) -> str:
    text = json.dumps([paper.id, paper.created, paper.labels], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# What is told of a job


def _document(call: Call, paper: Paper, web: Web, *, whole: bool = True) -> Document:
    """Return a job; ``whole`` with what its trials measured."""
    stands = standing(call, paper, curves=whole)
    sent = {camel(key): value for key, value in paper.document.items()}
    document: Document = {
        "jobId": paper.id,
        "trainingInput": sent["trainingInput"],
        "state": "QUEUED" if stands.word == "PENDING" else stands.word,
        "createTime": timestamp(paper.created),
        "etag": _etag(paper),
        "trainingOutput": _output(paper, stands, web),
    }
    labels = sent.get("labels") if paper.labels is None else paper.labels
    if labels:
        document["labels"] = labels
    if stands.job.started is not None:
        document["startTime"] = timestamp(stands.job.started)
    if stands.job.finished is not None:
        document["endTime"] = timestamp(stands.job.finished)
    if stands.reason:
        document["errorMessage"] = stands.reason
    return document


def _output(paper: Paper, stands: Standing, web: Web) -> Document:
    """Return what a job has come to, its best trial first."""
    uris_of = web.of(paper)
    if not paper.tunes:
        uris = uris_of(0) if stands.job.started is not None else {}
        return {"webAccessUris": uris} if uris else {}
    output: Document = {"isHyperparameterTuningJob": True}
    if stands.changes is None:
        return output
    spec, trials = stands.changes.record.spec, stands.changes.trials
    curves = curves_of(stands.changes)
    output["hyperparameterMetricTag"] = spec.objective.metric
    output["completedTrialCount"] = str(sum(trial.counts for trial in trials))
    documents = []
    for trial in sorted(trials, key=lambda trial: _place(trial, spec)):
        document = _trial(paper, spec, trial, curves.get(trial.number, ()))
        if trial.started is not None and (uris := uris_of(trial.number)):
            document["webAccessUris"] = uris
        documents.append(document)
    return {**output, "trials": documents} if documents else output


def _place(trial: Trial, spec: StudySpec) -> tuple[bool, tuple[float, ...]]:
    place = rank(trial, spec)
    return (place is None, place or (float(trial.number),))


def _trial(paper: Paper, spec: StudySpec, trial: Trial, curve: Sequence[Measurement]) -> Document:
    texts = value_texts(trial.values, spec.space)
    document: Document = {
        "trialId": str(trial.number),
        "hyperparameters": {paper.names.get(name, name): text for name, text in texts.items()},
        "state": _STATES.get(trial.state, "SUCCEEDED" if trial.counts else "FAILED"),
    }
    tag = spec.objective.metric
    if trial.counts:
        final = Measurement(trial.step or 0, trial.metrics)
        document["finalMetric"] = _metric(final, tag)
    if trial.state is TrialState.STOPPED and not trial.stop_requested:
        document["isTrialStoppedEarly"] = True
    if trial.started is not None:
        document["startTime"] = timestamp(trial.started)
    if trial.finished is not None:
        document["endTime"] = timestamp(trial.finished)
    if measured := [
        _metric(measurement, tag) for measurement in curve if tag in measurement.metrics
    ]:
        document["allMetrics"] = measured
    return document


def _metric(measurement: Measurement, tag: str) -> Document:
    value = metric_value(measurement.metrics[tag])
    return {"trainingStep": str(measurement.step), "objectiveValue": value}
