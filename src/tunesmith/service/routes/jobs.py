"""Jobs: a study's file and the code beside it, run by the server itself."""

import hashlib
import secrets
import shutil
import time
from typing import Annotated

from fastapi import Query, Response
from pydantic import Field
from typing_extensions import TypedDict

from tunesmith.errors import NotFoundError
from tunesmith.model import check_study_name
from tunesmith.service.call import Call, Reader, Writer, answer
from tunesmith.service.faults import Refused
from tunesmith.service.jobs import JobRunner, job_folder
from tunesmith.service.outputs import read_output
from tunesmith.service.parts import Parts
from tunesmith.service.paths import check_path
from tunesmith.service.strict import Router
from tunesmith.storage.jobs import Job
from tunesmith.storage.manifest import StoredFile, Stream

__all__ = ["prepare", "router"]

router = Router(prefix="/jobs", tags=["jobs"])

_LIMIT = 2**20
_KEPT_S = 7 * 86_400.0


class CodeDocument(TypedDict):
    """The packed code of a job: a tar file compressed by gzip."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0, le=2**50)]


class OrderDocument(TypedDict):
    """What is to be run."""

    study: Annotated[str, Field(max_length=100)]
    file: Annotated[str, Field(min_length=1, max_length=500)]
    code: CodeDocument


class StopDocument(TypedDict):
    """Why a job is to end."""

    reason: Annotated[str, Field(max_length=1000)]


class JobDocument(TypedDict):
    """A job."""

    id: str
    study: str
    file: str
    state: str
    reason: str
    submitted: float
    started: float | None
    finished: float | None
    exit_status: int | None
    starts: int
    stop_requested: str


class AcceptedDocument(TypedDict):
    """The job, or the contents that have to be sent before there can be one."""

    job: JobDocument | None
    missing: list[str]


@router.post("", response_model=AcceptedDocument)
def submit(body: OrderDocument, call: Writer) -> Response:
    """Have the server run a study, if it has the code. It runs whatever the code says."""
    if call.parts.settings.executor != "local":
        message = "This server runs no jobs. Whoever starts it may allow them: --executor local."
        raise Refused(409, "NoExecutor", message)
    check_study_name(body["study"])
    file, code = check_path(body["file"]), body["code"]
    shelf = call.parts.shelves.of(call.caller.project)
    with shelf.blobs.keeping([code["sha256"]]) as missing:
        if missing:
            return answer({"job": None, "missing": missing})
        job = call.storage.jobs.submit(
            _id(call),
            study=body["study"],
            file=file,
            code=StoredFile(code["sha256"], code["size"]),
            submitter=call.caller.token,
        )
    return answer({"job": _document(job), "missing": []}, 201)


@router.get("", response_model=list[JobDocument])
def get_jobs(call: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """List the jobs, the last handed in first."""
    return answer([_document(job) for job in call.storage.jobs.all(limit)])


@router.get("/{job}", response_model=JobDocument)
def get_job(job: str, call: Reader) -> Response:
    """Say what has become of a job."""
    return answer(_document(call.storage.jobs.job(job)))


@router.post("/{job}/stop", response_model=JobDocument)
def stop_job(job: str, body: StopDocument, call: Writer) -> Response:
    """End a job; its study stays, and may go on elsewhere."""
    reason = body["reason"] or "stopped by a person"
    return answer(_document(call.storage.jobs.request_stop(job, reason)))


@router.get("/{job}/logs/{stream}")
def get_job_log(
    job: str,
    stream: Stream,
    call: Reader,
    *,
    offset: Annotated[int, Query(ge=0, le=2**50)] = 0,
    limit: Annotated[int, Query(ge=1, le=8 * _LIMIT)] = _LIMIT,
    tail: Annotated[int | None, Query(ge=1, le=100_000)] = None,
) -> Response:
    """Give a piece of what a job's tuner printed."""
    folder = job_folder(call.parts, call.storage.jobs.job(job))
    output = read_output(folder / stream, offset=offset, limit=limit, tail=tail)
    headers = {"Log-Offset": str(output.offset), "Log-Size": str(output.size)}
    return Response(output.data, headers=headers, media_type="text/plain; charset=utf-8")


def prepare(parts: Parts) -> None:
    """Have a server run jobs, if it was started to, and clear up after them."""
    if parts.settings.executor != "local":
        return

    def sweep() -> None:
        for project in parts.shelves.projects():
            jobs = parts.storage.in_project(project).jobs
            for folder in parts.shelves.of(project).jobs.glob("*"):
                try:
                    job = jobs.job(folder.name)
                except NotFoundError:
                    shutil.rmtree(folder, ignore_errors=True)
                    continue
                if job.finished is not None and job.finished < time.time() - _KEPT_S:
                    shutil.rmtree(folder, ignore_errors=True)

    runner = JobRunner(parts)
    parts.starts.append(runner.start)
    parts.stops.append(runner.stop)
    parts.chores.append(sweep)


def _id(call: Call) -> str:
    """Return a job's name; the same for the same request, however often it is sent."""
    if not call.key:
        return secrets.token_hex(8)
    text = f"{call.caller.project}/{call.key}/{call.asked}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _document(job: Job) -> JobDocument:
    return {
        "id": job.id,
        "study": job.study,
        "file": job.file,
        "state": job.state.value,
        "reason": job.reason,
        "submitted": job.submitted,
        "started": job.started,
        "finished": job.finished,
        "exit_status": job.exit_status,
        "starts": job.starts,
        "stop_requested": job.stop_requested,
    }
