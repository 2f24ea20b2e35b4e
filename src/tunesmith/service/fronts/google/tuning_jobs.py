"""Vertex AI's HyperparameterTuningJob."""

import time
from typing import Annotated, Any, Literal

from fastapi import Body, Query, Response

from tunesmith.service.call import Call, Reader, Writer, answer
from tunesmith.service.fronts.google import orders
from tunesmith.service.fronts.google.documents import Document
from tunesmith.service.fronts.google.earlier import with_own_names
from tunesmith.service.fronts.google.listing import matches, ordered, page
from tunesmith.service.fronts.google.operations import deleted
from tunesmith.service.fronts.google.orders import Order, papers_of
from tunesmith.service.fronts.google.papers import Paper, new_id
from tunesmith.service.fronts.google.states import standing
from tunesmith.service.fronts.google.trials import curves_of, trial_document
from tunesmith.service.fronts.google.vertex import job_document
from tunesmith.service.strict import Router
from tunesmith.specs.google import read_request

__all__ = ["router"]

_KIND: Literal["hyperparameterTuningJobs"] = "hyperparameterTuningJobs"
_PARENT = "/projects/{project}/locations/{location}"
_ALL = _PARENT + "/" + _KIND

router = Router(tags=["google"])


@router.post(_ALL)
def create(
    project: str, location: str, call: Writer, body: Annotated[Any, Body()] = None
) -> Response:
    """Make a tuning job, and have the server run it."""
    now = time.time()
    found = read_request("tuning job", body, now=now)
    assert found.spec is not None, "a tuning job searches something"
    orders.check_runs_jobs(call)
    spec = with_own_names(call, found.spec)
    orders.check_searchable(spec)
    parent = f"projects/{project}/locations/{location}"
    paper = Paper(_KIND, new_id(), parent, "", body, now)
    identity = {"job": paper.id, "project": project, "region": location}
    first = spec.max_failed_trials is None
    order = Order("tuning job", body, identity, first_decides=first)
    return answer(_document(call, orders.hand_in(call, paper, found, spec, order)))


@router.get(_ALL)
def get_all(
    project: str,
    location: str,
    call: Reader,
    *,
    wanted: Annotated[str, Query(alias="filter", max_length=2000)] = "",
    order_by: Annotated[str, Query(alias="orderBy", max_length=200)] = "",
    size: Annotated[int, Query(alias="pageSize", ge=0, le=2**31 - 1)] = 0,
    token: Annotated[str, Query(alias="pageToken", max_length=200)] = "",
) -> Response:
    """List the tuning jobs, the newest first."""
    passes = matches(wanted)
    papers = papers_of(call).all(_KIND, f"projects/{project}/locations/{location}")
    found = [d for paper in papers if passes(d := _document(call, paper, whole=False))]
    shown, following = page(ordered(found, order_by), size, token)
    document: Document = {_KIND: shown} if shown else {}
    return answer({**document, "nextPageToken": following} if following else document)


@router.get(_ALL + "/{id}")
def get(project: str, location: str, id: str, call: Reader) -> Response:  # noqa: A002
    """Answer with a tuning job as it stands."""
    return answer(_document(call, _paper(call, project, location, id)))


@router.post(_ALL + "/{id}:cancel")
def cancel(project: str, location: str, id: str, call: Writer) -> Response:  # noqa: A002
    """End a tuning job."""
    orders.cancel(call, _paper(call, project, location, id))
    return answer({})


@router.delete(_ALL + "/{id}")
def delete(project: str, location: str, id: str, call: Writer) -> Response:  # noqa: A002
    """Delete a tuning job that has ended, with its study."""
    orders.forget(call, _paper(call, project, location, id))
    return answer(deleted(f"projects/{project}/locations/{location}"))


def _paper(call: Call, project: str, location: str, id_: str) -> Paper:
    return papers_of(call).get(_KIND, id_, f"projects/{project}/locations/{location}")


def _document(call: Call, paper: Paper, *, whole: bool = True) -> Document:
    """Return a job; ``whole`` with what its trials measured."""
    stands = standing(call, paper, curves=whole)
    document = job_document(paper, stands)
    if stands.changes is not None and stands.changes.trials:
        spec = stands.changes.record.spec
        curves = curves_of(stands.changes)
        document["trials"] = [
            trial_document(paper, spec, trial, curves.get(trial.number, ()))
            for trial in stands.changes.trials
        ]
    return document
