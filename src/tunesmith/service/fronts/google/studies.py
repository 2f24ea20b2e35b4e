"""Vizier's studies, of Vertex AI and of the older optimizer API, which have the same addresses.

A study that was made with a ``studyConfig`` is one of the older API, and is told of in its words.
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Body, Depends, Query, Response

from tunesmith.errors import ConflictError, NotFoundError
from tunesmith.model import StudySpec, StudyState
from tunesmith.service.call import Call, Reader, Writer, answer
from tunesmith.service.fronts.google import orders
from tunesmith.service.fronts.google.documents import Document, timestamp
from tunesmith.service.fronts.google.earlier import with_own_names
from tunesmith.service.fronts.google.faults import fault
from tunesmith.service.fronts.google.keys import id_of, is_of, mark_of
from tunesmith.service.fronts.google.listing import Wished, listed
from tunesmith.service.fronts.google.orders import papers_of
from tunesmith.service.fronts.google.papers import Paper, Papers
from tunesmith.service.strict import Router
from tunesmith.specs.google import read_request
from tunesmith.specs.google.message import camel

__all__ = ["Named", "router", "state_of"]

_ALL = "/projects/{project}/locations/{location}/studies"
_STATES = {StudyState.ACTIVE: "ACTIVE", StudyState.FINISHED: "COMPLETED"}

router = Router(tags=["google"])


def _named(project: str, location: str, id: str, call: Reader) -> Paper:  # noqa: A002
    return papers_of(call).get("studies", id, f"projects/{project}/locations/{location}")


Named = Annotated[Paper, Depends(_named)]
"""The study that a route's path names."""


@router.post(_ALL)
def create(
    project: str,
    location: str,
    call: Writer,
    study_id: Annotated[str, Query(alias="studyId", max_length=200)] = "",
    body: Annotated[Any, Body()] = None,
) -> Response:
    """Make a study.

    Vertex AI's client can't go on with a study that exists, so one of that name that searches the same is
    what it gets; the older API's takes the refusal for the sign to go on.
    """
    now = time.time()
    older = bool(study_id) or _is_older(body)
    found = read_request("optimizer study" if older else "study", body, now=now)
    assert found.spec is not None, "a study searches something"
    spec = with_own_names(call, found.spec)
    orders.check_searchable(spec, endless=True)
    title = study_id or found.title
    if not title:
        raise fault("studyId" if older else "displayName", "a study needs a name")
    parent = f"projects/{project}/locations/{location}"
    papers, titled_id = papers_of(call), _title(title, older=older)
    with papers.changing():
        if (before := _titled(call, parent, titled_id)) is not None:
            return answer(_again(call, before, spec, older=older))
        _clear(papers, parent, titled_id)
        id_ = title if older else id_of(call)
        request = mark_of(call)
        paper = Paper("studies", id_, parent, "", body, now, names=found.names, request=request)
        name = orders.make_study(call, spec, title, f"{paper.name} ({found.form})")
        paper = replace(paper, study=name)
        papers.put(replace(paper, kind="titles", id=titled_id, study=paper.id))
        papers.put(paper)  # without it the title means nothing
    return answer(_document(call, paper))


def _titled(call: Call, parent: str, title: str) -> Paper | None:
    """Return the study of a title; None if there is none, or a person has deleted it."""
    papers = papers_of(call)
    try:
        paper = papers.get("studies", papers.get("titles", title, parent).study, parent)
        call.storage.study(paper.study)
    except NotFoundError:
        return None
    return paper


def _clear(papers: Papers, parent: str, title: str) -> None:
    """Remove what a title led to that is no more."""
    with contextlib.suppress(NotFoundError):
        papers.remove(papers.get("studies", papers.get("titles", title, parent).study, parent))


def _again(call: Call, paper: Paper, spec: StudySpec, *, older: bool) -> Document:
    """Return the study of a name that is taken, if it is the same; raise `ConflictError` if not."""
    if is_of(call, paper):
        return _document(call, paper)
    if older or call.storage.study(paper.study).spec.differences(spec):
        msg = f"A study of that name already exists in {paper.parent}."
        raise ConflictError(msg)
    return _document(call, paper)


@router.get(_ALL)
def get_all(project: str, location: str, call: Reader, wish: Wished) -> Response:
    """List the studies, the newest first."""
    papers = papers_of(call).all("studies", f"projects/{project}/locations/{location}")
    documents = []
    for paper in papers:
        with contextlib.suppress(NotFoundError):  # a person has deleted it
            documents.append(_document(call, paper))
    return answer(listed("studies", documents, wish))


@router.post(_ALL + ":lookup")
def lookup(
    project: str, location: str, call: Reader, body: Annotated[Any, Body()] = None
) -> Response:
    """Answer with the study of a name."""
    given = (
        {camel(str(key)): value for key, value in body.items()} if isinstance(body, dict) else {}
    )
    title = given.get("displayName")
    if not isinstance(title, str) or not title:
        raise fault("displayName", "the name of a study is needed")
    parent = f"projects/{project}/locations/{location}"
    paper = _titled(call, parent, _title(title, older=False))
    if paper is None:
        msg = f"There is no study called {title[:100]!r} in {parent}."
        raise NotFoundError(msg)
    return answer(_document(call, paper))


@router.get(_ALL + "/{id}")
def get(call: Reader, paper: Named) -> Response:
    """Answer with a study."""
    return answer(_document(call, paper))


@router.delete(_ALL + "/{id}")
def delete(call: Writer, paper: Named) -> Response:
    """Delete a study with its trials."""
    papers = papers_of(call)
    title = paper.id if paper.is_older else str(paper.document.get("displayName", ""))
    title = title or str(paper.document.get("display_name", ""))
    with papers.changing():
        with contextlib.suppress(NotFoundError):  # a person was faster
            call.storage.delete_study(paper.study)
        with contextlib.suppress(NotFoundError):
            titled = papers.get("titles", _title(title, older=paper.is_older), paper.parent)
            if titled.study == paper.id:
                papers.remove(titled)
        papers.remove(paper)
    return answer({})


def state_of(call: Call, paper: Paper) -> str:
    """Return the state of a study."""
    return _STATES.get(call.storage.study(paper.study).state, "INACTIVE")


def _title(title: str, *, older: bool) -> str:
    return f"{'older' if older else 'vizier'} {title}"


def _is_older(body: object) -> bool:
    return isinstance(body, Mapping) and any(camel(str(key)) == "studyConfig" for key in body)


def _document(call: Call, paper: Paper) -> Document:
    record = call.storage.study(paper.study)
    state = _STATES.get(record.state, "INACTIVE")
    kept = {camel(key): value for key, value in paper.document.items()}
    document: Document = {
        "name": paper.name,
        **{key: kept[key] for key in ("displayName", "studySpec", "studyConfig") if key in kept},
        "state": state,
        "createTime": timestamp(paper.created),
    }
    if state == "INACTIVE":
        document["inactiveReason"] = record.reason or f"the study {record.state}"
    return document
