"""How a client's job is handed in: a study of the project, and a job of the server that runs it."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import secrets
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from tunesmith.errors import ConflictError, NotFoundError, StateError
from tunesmith.model import StudySpec, StudyState
from tunesmith.search import make_searcher
from tunesmith.service.call import Call
from tunesmith.service.faults import Refused
from tunesmith.service.fronts.google.keys import is_of, job_id_of, mark_of
from tunesmith.service.fronts.google.papers import Paper, Papers
from tunesmith.service.fronts.google.work import SITE
from tunesmith.service.parts import Parts
from tunesmith.specs import check_stopping
from tunesmith.specs.google import Document, GoogleJob, study_name
from tunesmith.storage.jobs import Job, JobState
from tunesmith.storage.manifest import StoredFile
from tunesmith.study import refuse_endless

__all__ = [
    "Wanted",
    "cancel",
    "check_runs_jobs",
    "check_searchable",
    "forget",
    "hand_in",
    "job_of",
    "make_study",
    "papers_of",
    "prepare",
    "trials_folder",
]

_FILE = ".google/order.json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The job that a request is for.

    Attributes:
        document: Which of Google's documents it came in.
        found: What that says.
        spec: What it searches; None for a job that tunes nothing.
    """

    document: Document
    found: GoogleJob
    spec: StudySpec | None = None


def papers_of(call: Call) -> Papers:
    """Return the papers of the caller's project."""
    return Papers(call.parts.shelves.of(call.caller.project).folder / "google")


def check_runs_jobs(call: Call) -> None:
    """Raise `Refused` unless the server runs jobs."""
    if call.parts.settings.executor != "local":
        message = "This server runs no jobs. Whoever starts it may allow them: --executor local."
        raise Refused(409, "NoExecutor", message)


def check_searchable(spec: StudySpec, *, endless: bool = False) -> None:
    """Raise `SpecError` or `SpaceError` if no searcher can do what is asked.

    Args:
        spec: The study.
        endless: Whether it may go on for ever, since its client says when it is over.
    """
    check_stopping(spec, {})
    make_searcher(spec.algorithm).check(spec)
    if not endless:
        refuse_endless(spec)


def make_study(call: Call, spec: StudySpec, title: str, command: str) -> str:
    """Make a study whose name is as near as possible to a title; return the name."""
    call.refuse_more_studies()
    stem = study_name(title, "job")[:90]
    seeded = replace(spec, seed=secrets.randbits(32))
    for number in count(1):
        name = stem if number == 1 else f"{stem}-{number}"
        with contextlib.suppress(ConflictError), call.once():
            name = call.storage.create_study(name, seeded, command=command).name
            break
    return name


def hand_in(call: Call, paper: Paper, wanted: Wanted, identity: Mapping[str, str]) -> Paper:
    """Keep what a client sent, make its study, and have the server run it.

    What is missing of a job that this very request has handed in before is made up for.

    Args:
        call: The request.
        paper: What is known of the job so far.
        wanted: What its document says.
        identity: What the job is called: its id, project and region.

    Raises:
        ConflictError: there is a job of that id.
    """
    papers, spec = papers_of(call), wanted.spec
    paper = replace(
        paper,
        job=job_id_of(call),
        names=wanted.found.names,
        tunes=spec is not None,
        request=mark_of(call),
    )
    is_new = papers.put(paper, new=True)
    if not is_new:
        paper = papers.get(paper.kind, paper.id, paper.parent)
        if not is_of(call, paper):
            msg = f"{paper.name} already exists."
            raise ConflictError(msg)
        with contextlib.suppress(NotFoundError):
            call.storage.jobs.job(paper.job)
            return paper
    try:
        name = f"job-{paper.job}"
        if spec is not None:
            name = make_study(call, spec, wanted.found.title, f"{paper.kind}/{paper.id}")
        paper = replace(paper, study=name)
        papers.put(paper)
        _submit(call, paper, wanted, identity)
    except BaseException:
        if is_new:
            papers.remove(paper)
        raise
    return paper


def _submit(call: Call, paper: Paper, wanted: Wanted, identity: Mapping[str, str]) -> None:
    data = _packed(paper, wanted, identity)
    code = StoredFile(hashlib.sha256(data).hexdigest(), len(data))
    blobs = call.parts.shelves.of(call.caller.project).blobs
    if not blobs.has(code.sha256):
        with blobs.upload(code.sha256, offset=0, total=code.size) as upload:
            upload.write(data)
            upload.finish()
    with blobs.keeping([code.sha256]):
        call.storage.jobs.submit(
            paper.job, study=paper.study, file=_FILE, code=code, submitter=call.caller.token
        )


def _packed(paper: Paper, wanted: Wanted, identity: Mapping[str, str]) -> bytes:
    """Return what the process of a job is told, as its code."""
    spec = wanted.spec
    text = json.dumps(
        {
            "document": wanted.document,
            "body": paper.document,
            "identity": identity,
            "first_decides": spec is not None and spec.max_failed_trials is None,
        }
    ).encode()
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as data,
        tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        entry = tarfile.TarInfo(_FILE)
        entry.size, entry.mode = len(text), 0o644
        tar.addfile(entry, io.BytesIO(text))
    return packed.getvalue()


def job_of(call: Call, paper: Paper) -> Job:
    """Return the server's job of a paper; one that never came to be has failed."""
    try:
        return call.storage.jobs.job(paper.job)
    except NotFoundError:
        why = "the server ended while the job was handed in; hand it in again"
        nothing = StoredFile("", 0)
        return Job(
            paper.job, call.caller.project, paper.study, _FILE, nothing, JobState.FAILED,
            paper.created, None, paper.created, None, why,
        )  # fmt: skip


def cancel(call: Call, paper: Paper) -> None:
    """End a job: the trials that run are stopped, and what they have measured counts."""
    job = job_of(call, paper)
    if job.has_ended:
        msg = f"{paper.name} has ended, and can't be cancelled."
        raise StateError(msg)
    reason = "cancelled by its client"
    if not paper.tunes or job.state is JobState.QUEUED:
        call.storage.jobs.request_stop(job.id, reason)
    if paper.tunes:
        if call.storage.study(paper.study).state in (StudyState.ACTIVE, StudyState.PAUSED):
            call.storage.set_state(paper.study, StudyState.STOPPED, reason)
        for trial in call.storage.trials(paper.study):
            if not trial.is_final:
                call.storage.request_stop(paper.study, trial.number, reason)
    call.parts.watch.nudge(call.caller.project)


def trials_folder(parts: Parts, project: str) -> Path:
    """Return where the trials of a project's jobs have their directories.

    What they write outlives the job's own folder: buckets have links to it.
    """
    return parts.shelves.of(project).folder / "trials"


def forget(call: Call, paper: Paper) -> None:
    """Delete a job that has ended, with its study."""
    if not job_of(call, paper).has_ended:
        msg = f"{paper.name} has not ended; cancel it first."
        raise StateError(msg)
    if paper.tunes:
        with contextlib.suppress(NotFoundError):  # a person was faster
            call.storage.delete_study(paper.study)
    papers_of(call).remove(paper)


def prepare(parts: Parts) -> None:
    """Have the server's job runner know how such jobs are run."""
    settings = parts.settings
    site = {
        "buckets": os.path.abspath(settings.buckets or settings.data / "buckets"),  # noqa: PTH100 - keeps links
        "environments": os.path.abspath(settings.data / "environments"),  # noqa: PTH100 - likewise
        "images": settings.images,
    }

    def launch(job: Job) -> tuple[list[str], Mapping[str, str]]:
        words = [sys.executable, "-m", "tunesmith.service.fronts.google.work", _FILE, job.study]
        trials = trials_folder(parts, job.project).absolute()
        return words, {SITE: json.dumps({**site, "trials": str(trials)})}

    parts.launches[_FILE] = launch
