"""Vertex AI's CustomJob: a program that runs once, and tunes nothing."""

import time
from typing import Annotated, Any, Literal

from fastapi import Body, Query, Response

from tunesmith.service.call import Call, Reader, Writer, answer
from tunesmith.service.fronts.google import orders
from tunesmith.service.fronts.google.documents import Document
from tunesmith.service.fronts.google.listing import matches, ordered, page
from tunesmith.service.fronts.google.operations import deleted
from tunesmith.service.fronts.google.orders import Order, papers_of
from tunesmith.service.fronts.google.papers import Paper, new_id
from tunesmith.service.fronts.google.states import standing
from tunesmith.service.fronts.google.vertex import job_document
from tunesmith.service.strict import Router
from tunesmith.specs.google import read_request

__all__ = ["router"]

_KIND: Literal["customJobs"] = "customJobs"
_ALL = "/projects/{project}/locations/{location}/" + _KIND

router = Router(tags=["google"])


@router.post(_ALL)
def create(
    project: str, location: str, call: Writer, body: Annotated[Any, Body()] = None
) -> Response:
    """Make a job, and have the server run it."""
    now = time.time()
    found = read_request("custom job", body, now=now)
    orders.check_runs_jobs(call)
    paper = Paper(_KIND, new_id(), f"projects/{project}/locations/{location}", "", body, now)
    identity = {"job": paper.id, "project": project, "region": location}
    order = Order("custom job", body, identity)
    return answer(_document(call, orders.hand_in(call, paper, found, None, order)))


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
    """List the jobs, the newest first."""
    passes = matches(wanted)
    papers = papers_of(call).all(_KIND, f"projects/{project}/locations/{location}")
    found = [d for paper in papers if passes(d := _document(call, paper))]
    shown, following = page(ordered(found, order_by), size, token)
    document: Document = {_KIND: shown} if shown else {}
    return answer({**document, "nextPageToken": following} if following else document)


@router.get(_ALL + "/{id}")
def get(project: str, location: str, id: str, call: Reader) -> Response:  # noqa: A002
    """Answer with a job as it stands."""
    return answer(_document(call, _paper(call, project, location, id)))


@router.post(_ALL + "/{id}:cancel")
def cancel(project: str, location: str, id: str, call: Writer) -> Response:  # noqa: A002
    """End a job."""
    orders.cancel(call, _paper(call, project, location, id))
    return answer({})


@router.delete(_ALL + "/{id}")
def delete(project: str, location: str, id: str, call: Writer) -> Response:  # noqa: A002
    """Delete a job that has ended."""
    orders.forget(call, _paper(call, project, location, id))
    return answer(deleted(f"projects/{project}/locations/{location}"))


def _paper(call: Call, project: str, location: str, id_: str) -> Paper:
    return papers_of(call).get(_KIND, id_, f"projects/{project}/locations/{location}")


def _document(call: Call, paper: Paper) -> Document:
    return job_document(paper, standing(call, paper))
