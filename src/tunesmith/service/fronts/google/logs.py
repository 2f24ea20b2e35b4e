"""Cloud Logging's list of entries, by which gcloud follows what jobs print; and the same for a browser.

An entry is a line that a replica of a trial printed, or the job's own process. The client keeps the time and
the id of the last entry that it has seen, and asks for later ones.
"""

import base64
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Body, Query, Response

from tunesmith.errors import NotFoundError
from tunesmith.service.call import Call, Reader, answer
from tunesmith.service.fronts.google.bodies import reading
from tunesmith.service.fronts.google.documents import Document, timestamp
from tunesmith.service.fronts.google.faults import fault
from tunesmith.service.fronts.google.filters import (
    Comparison,
    Every,
    Filter,
    must_be,
    passes,
    read_filter,
    span,
)
from tunesmith.service.fronts.google.lines import Block, Line, blocks_of, lines_of
from tunesmith.service.fronts.google.orders import job_of, papers_of
from tunesmith.service.fronts.google.papers import Kind, Paper
from tunesmith.service.strict import Router

__all__ = ["router"]

router = Router(tags=["google"])

_PER_PAGE, _MOST = 50, 1000
_LONGEST_FILTER = 20_000
# One request reads so many bytes; a client that wants more asks for the next page. A line counts for more
# than it is, and for as much more as the filter is long with which it is compared.
_BYTES, _LINE = 8 * 2**20, 100
_TRIES = 3
_KINDS: tuple[Kind, ...] = ("hyperparameterTuningJobs", "customJobs")
_JOB = ("resource", "labels", "job_id")
_TOKEN = re.compile(r"(\d{1,18})\.(\d{1,18})\.(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Search:
    """Which entries are wanted.

    Attributes:
        wanted: What they pass.
        newest_first: Their order.
        size: How many at most.
        behind: The one behind which they stand in that order; None for the first.
        cost: How much a line counts beside its length.
    """

    wanted: Filter
    newest_first: bool = False
    size: int = _PER_PAGE
    behind: Line | None = None
    cost: int = _LINE


@router.post("/v2/entries:list")
def list_entries(call: Reader, body: Annotated[Any, Body()] = None) -> Response:
    """Give lines that a job and its trials printed.

    The filter names the job: ``resource.labels.job_id="..."``.
    """
    with reading(body) as message:
        projects = {_project(place, text) for place, (text, _) in enumerate(message.words("resourceNames"))}  # fmt: skip
        text = message.text("filter")
        order = message.text("orderBy").strip().lower()
        size = message.count("pageSize") or _PER_PAGE
        token = message.text("pageToken")
        if not projects:
            message.missing("resourceNames", "the project is needed, as in projects/my-project")
        if len(text) > _LONGEST_FILTER:
            message.fault("filter", f"up to {_LONGEST_FILTER} characters; given {len(text)}")
        if order not in ("", "timestamp", "timestamp asc", "timestamp desc"):
            message.fault("orderBy", f"timestamp asc or timestamp desc; given {order[:50]!r}")
    wanted = read_filter(text)
    span(wanted, "timestamp")
    id_ = must_be(wanted, *_JOB)
    if id_ is None:
        raise fault("filter", 'it is to name one job: resource.labels.job_id="..."')
    newest, size, cost = order.endswith("desc"), min(size, _MOST), _LINE + len(text)
    search = Search(wanted, newest, size, _line(token), cost)
    papers = (_paper(call, project, id_) for project in sorted(projects))
    paper = next((paper for paper in papers if paper is not None), None)
    if paper is None:  # as where nothing was logged
        return answer({})
    found, following = _found(call, paper, search)
    document: Document = {"entries": found} if found else {}
    return answer({**document, "nextPageToken": following} if following else document)


@router.get("/v2/projects/{project}/logs/{id}")
def show(
    project: str,
    id: str,  # noqa: A002
    call: Reader,
    *,
    trial: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    task: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Show the last lines that a job printed, or one of its trials, or one replica."""
    paper = _paper(call, project, id)
    if paper is None:
        msg = f"There is no job {id[:100]!r} in projects/{project[:100]}."
        raise NotFoundError(msg)
    wishes = {"trial_id": "" if trial is None else str(trial), "task_name": task}
    wanted = Every(
        tuple(Comparison(("resource", "labels", k), "=", v) for k, v in wishes.items() if v)
    )
    found, _ = _found(call, paper, Search(wanted, newest_first=True, size=_MOST))
    texts = [_shown(entry) for entry in reversed(found)]
    return Response("".join(texts), media_type="text/plain; charset=utf-8")


def _project(place: int, name: str) -> str:
    match = re.match(r"projects/([^/]+)(?:/|$)", name)
    if match is None:
        where = f"resourceNames[{place}]"
        raise fault(where, f"a project is needed, as in projects/my-project; given {name[:100]!r}")
    return match[1]


def _paper(call: Call, project: str, id_: str) -> Paper | None:
    """Return the job of an id in one of Google's projects; None if there is none."""
    papers = papers_of(call)
    for kind in _KINDS:
        paper = papers.find(kind, id_)
        if paper is not None and paper.parent.startswith(f"projects/{project}/"):
            return paper
    try:
        return papers.get("jobs", id_, f"projects/{project}")
    except NotFoundError:
        return None


def _found(call: Call, paper: Paper, search: Search) -> tuple[list[Document], str]:
    """Return the entries that are wanted, and the token of the next page; ``""`` for no more."""
    for last in range(_TRIES):
        job = job_of(call, paper)  # first: what was printed before it ended is in what is read then
        blocks = blocks_of(call, paper, job, now=int(time.time() * 1e6))
        try:
            return _page(blocks, _teller(paper), search)
        except (
            FileNotFoundError
        ):  # a trial has begun again meanwhile, and moved what it had printed
            if last == _TRIES - 1:
                raise
    raise AssertionError


def _page(
    blocks: Sequence[Block], tell: Callable[[Block, Line], Document], search: Search
) -> tuple[list[Document], str]:
    low, high = span(search.wanted, "timestamp")
    found: list[Document] = []
    left = _BYTES
    last: Line | None = None
    for block in reversed(blocks) if search.newest_first else blocks:
        if not low <= block.at <= high or not _is_behind(search, block):
            continue
        left -= block.end - block.begin
        for line in _lines(block, search):
            if last is not None and (len(found) == search.size or left <= 0):
                return found, _token(last)
            last = line
            left -= search.cost
            entry = tell(block, line)
            if passes(search.wanted, entry):
                found.append(entry)
    return found, ""


def _lines(block: Block, search: Search) -> Iterator[Line]:
    """Give the lines of a block that stand behind the last page, in order."""
    lines = lines_of(block)
    behind = search.behind
    if search.newest_first:
        return (line for line in reversed(lines) if behind is None or _key(line) < _key(behind))
    return (line for line in lines if behind is None or _key(line) > _key(behind))


def _is_behind(search: Search, block: Block) -> bool:
    """Return whether a block may have lines that stand behind the last page."""
    if search.behind is None:
        return True
    if search.newest_first:
        return (block.at, block.serial, block.begin) < _key(search.behind)
    return (block.at, block.serial, block.end) > _key(search.behind)


def _key(line: Line) -> tuple[int, int, int]:
    return line.at, line.serial, line.begin


def _token(line: Line) -> str:
    return base64.urlsafe_b64encode(".".join(map(str, _key(line))).encode()).decode()


def _line(token: str) -> Line | None:
    """Return the line behind which the page of a token begins; None without one."""
    if not token:
        return None
    try:
        match = _TOKEN.fullmatch(base64.urlsafe_b64decode(token.encode()).decode())
    except ValueError:
        match = None
    if match is None:
        raise fault("pageToken", f"{token[:50]!r} was not given by a list before")
    return Line(int(match[1]), int(match[2]), int(match[3]))


def _teller(paper: Paper) -> Callable[[Block, Line], Document]:
    """Return what writes a line of a job as an entry."""
    project = paper.parent.split("/")[1]

    def tell(block: Block, line: Line) -> Document:
        source = block.source
        resource = {"project_id": project, "job_id": paper.id, "task_name": source.task}
        labels = {"ml.googleapis.com/task_name": source.task}
        if source.trial:
            resource["trial_id"] = labels["ml.googleapis.com/trial_id"] = str(source.trial)
        when = timestamp(line.at / 1e6)
        return {
            "logName": f"projects/{project}/logs/{source.task}",
            "resource": {"type": "ml_job", "labels": resource},
            "labels": labels,
            "timestamp": when,
            "receiveTimestamp": when,
            # Clients compare ids as texts.
            "insertId": f"s{line.serial:06}l{line.begin:015}",
            "severity": source.severity,
            "textPayload": line.text,
        }

    return tell


def _shown(entry: Document) -> str:
    labels: Any = entry["labels"]
    names = [f"trial {number}"] if (number := labels.get("ml.googleapis.com/trial_id")) else []
    who = ", ".join([*names, labels["ml.googleapis.com/task_name"]])
    return f"{entry['timestamp']} {who}: {entry['textPayload']}\n"
