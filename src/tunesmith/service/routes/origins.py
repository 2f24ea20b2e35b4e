"""Where studies and jobs come from that a client of Google's made: its names, its words, its document."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from fastapi import Response
from typing_extensions import TypedDict

from tunesmith.errors import NotFoundError
from tunesmith.service.call import Call, Reader, answer
from tunesmith.service.fronts.google.orders import papers_of
from tunesmith.service.fronts.google.papers import Kind, Paper
from tunesmith.service.fronts.google.states import standing
from tunesmith.service.fronts.google.studies import state_of
from tunesmith.service.routes.parameters import StudyName
from tunesmith.service.strict import Router
from tunesmith.specs.google.message import camel

__all__ = ["router"]

router = Router(prefix="/origins", tags=["google"])


class OriginDocument(TypedDict):
    """What a client of Google's calls a study, or a job that tunes nothing.

    ``kind`` is the word in its name: hyperparameterTuningJobs, customJobs, jobs or studies. ``study`` is
    the study; of a job that tunes nothing, what its folder is called. ``job`` is the server's job, if one
    runs it.
    """

    study: str
    job: str
    kind: str
    name: str
    title: str
    created: float


class WholeOriginDocument(OriginDocument):
    """The same, with the state in Google's words, and the document that the client sent."""

    state: str
    document: dict[str, Any]


@router.get("", response_model=list[OriginDocument])
def get_origins(call: Reader) -> Response:
    """List what clients of Google's have made, the newest first."""
    papers = sorted(_papers(call), key=lambda paper: (-paper.created, paper.name))
    return answer([_document(paper) for paper in papers])


@router.get("/{study}", response_model=WholeOriginDocument)
def get_origin(study: StudyName, call: Reader) -> Response:
    """Say which client's document a study was made from."""
    paper = next((paper for paper in _papers(call) if paper.study == study), None)
    if paper is None:
        msg = f"No client of Google's made the study {study!r}."
        raise NotFoundError(msg)
    words = {"state": _state(call, paper), "document": dict(paper.document)}
    return answer({**_document(paper), **words})


def _papers(call: Call) -> Iterator[Paper]:
    papers = papers_of(call)
    for kind in get_args(Kind):
        if kind != "titles":
            yield from papers.everywhere(kind)


def _document(paper: Paper) -> OriginDocument:
    return {
        "study": paper.study,
        "job": paper.job,
        "kind": paper.kind,
        "name": paper.name,
        "title": _title(paper),
        "created": paper.created,
    }


def _title(paper: Paper) -> str:
    """Return what the client called it."""
    sent: Mapping[str, Any] = {camel(key): value for key, value in paper.document.items()}
    return str(sent.get("displayName") or (paper.id if paper.kind in ("jobs", "studies") else ""))


def _state(call: Call, paper: Paper) -> str:
    if paper.kind == "studies":
        return state_of(call, paper)
    word = standing(call, paper).word
    if paper.kind == "jobs":
        return "QUEUED" if word == "PENDING" else word
    return f"JOB_STATE_{word}"
