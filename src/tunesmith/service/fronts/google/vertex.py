"""What Vertex AI's jobs of both kinds have in common: their routes, and what they say of themselves."""

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import Body, Depends, Response

from tunesmith.service.call import Call, Reader, Writer, answer
from tunesmith.service.fronts.google import orders
from tunesmith.service.fronts.google.documents import Document, timestamp
from tunesmith.service.fronts.google.keys import id_of
from tunesmith.service.fronts.google.listing import Wished, listed
from tunesmith.service.fronts.google.operations import Version, deleted
from tunesmith.service.fronts.google.orders import Wanted, papers_of
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.states import Standing, standing
from tunesmith.service.fronts.google.web import Shown, Web
from tunesmith.service.strict import Router
from tunesmith.specs.google.message import camel

__all__ = ["job_router"]

_OURS = frozenset(
    {"name", "state", "trials", "createTime", "startTime", "endTime", "updateTime", "error"}
    | {"webAccessUris"}
)
_INVALID_ARGUMENT, _CANCELLED = 3, 1  # of google.rpc.Code

Read = Callable[[Call, object, float], Wanted]
"""Reads the body of a request for a job, at a time; refuses what makes no sense."""
Results = Callable[[Paper, Standing, Web], Document]
"""Tells what a job has come to, beside what all jobs tell."""


def job_router(
    kind: Literal["hyperparameterTuningJobs", "customJobs"], read: Read, results: Results
) -> Router:
    """Return the routes of the jobs of one kind.

    Args:
        kind: The kind, by the word in its address.
        read: Reads what a client wants to have run.
        results: Tells what has come of it.
    """
    router = Router(tags=["google"])
    jobs = "/projects/{project}/locations/{location}/" + kind
    job = jobs + "/{id}"

    def named(project: str, location: str, id: str, call: Reader) -> Paper:  # noqa: A002
        return papers_of(call).get(kind, id, f"projects/{project}/locations/{location}")

    named_paper = Annotated[Paper, Depends(named)]

    def tell(call: Call, paper: Paper, web: Web, *, whole: bool = True) -> Document:
        """Return a job; ``whole`` with what its trials measured."""
        stands = standing(call, paper, curves=whole)
        return {**job_document(paper, stands), **results(paper, stands, web)}

    @router.post(jobs)
    def create(
        project: str,
        location: str,
        call: Writer,
        web: Shown,
        body: Annotated[Any, Body()] = None,
    ) -> Response:
        """Make a job, and have the server run it."""
        now = time.time()
        wanted = read(call, body, now)
        paper = Paper(kind, id_of(call), f"projects/{project}/locations/{location}", "", body, now)
        identity = {"job": paper.id, "project": project, "region": location}
        return answer(tell(call, orders.hand_in(call, paper, wanted, identity), web))

    @router.get(jobs)
    def get_all(project: str, location: str, call: Reader, web: Shown, wish: Wished) -> Response:
        """List the jobs, the newest first."""
        papers = papers_of(call).all(kind, f"projects/{project}/locations/{location}")
        documents = [tell(call, paper, web, whole=False) for paper in papers]
        return answer(listed(kind, documents, wish))

    @router.get(job)
    def get(call: Reader, paper: named_paper, web: Shown) -> Response:
        """Answer with a job as it stands."""
        return answer(tell(call, paper, web))

    @router.post(job + ":cancel")
    def cancel(call: Writer, paper: named_paper) -> Response:
        """End a job."""
        orders.cancel(call, paper)
        return answer({})

    @router.delete(job)
    def delete(call: Writer, paper: named_paper, version: Version) -> Response:
        """Delete a job that has ended."""
        orders.forget(call, paper)
        return answer(deleted(paper.parent, version))

    return router


def job_document(paper: Paper, stands: Standing) -> Document:
    """Return a job as its client sent it, with how it stands."""
    job = stands.job
    document: Document = {
        "name": paper.name,
        **{key: value for key, value in paper.document.items() if camel(key) not in _OURS},
        "state": f"JOB_STATE_{stands.word}",
        "createTime": timestamp(paper.created),
    }
    times = [paper.created]
    if job.started is not None:
        document["startTime"] = timestamp(job.started)
        times.append(job.started)
    if job.finished is not None:
        document["endTime"] = timestamp(job.finished)
        times.append(job.finished)
    if stands.changes is not None:
        times += [t.finished or t.started or t.queued for t in stands.changes.trials]
    document["updateTime"] = timestamp(max(times))
    if stands.reason:
        code = _CANCELLED if stands.word == "CANCELLED" else _INVALID_ARGUMENT
        document["error"] = {"code": code, "message": stands.reason}
    return document
