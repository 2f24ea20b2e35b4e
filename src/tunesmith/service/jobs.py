"""Runs the jobs that were handed in: each as ``tunesmith run`` in a process of its own, on this machine.

A job talks to this server as any tuner does, over HTTP, with a token that is made for it and revoked when
it ends. So it can do no more to studies than who handed it in; but it is a program that runs as the
server's user. When the server ends, its jobs are ended; when it starts, those that had not ended start
again, and their studies go on. A server that was killed leaves none behind, for the reaper ends them.
"""

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from tunesmith.errors import NotFoundError, StorageError, TunesmithError
from tunesmith.execution import Nursery
from tunesmith.model import StudyState
from tunesmith.service.parts import Parts
from tunesmith.service.unpacking import unpack
from tunesmith.storage import ServedStorage
from tunesmith.storage.jobs import Job, JobState
from tunesmith.study import is_dead
from tunesmith.study.worker import own_name

__all__ = ["JobRunner", "job_folder"]

_LOG = logging.getLogger("tunesmith.service")

_LEASE_S = 60.0
_LOOK_S = 1.0
_STARTS = 4  # after which a job that is killed again and again has failed
_UNPACKED = 4 * 2**30
_STUDY_FAILED = 5  # the exit status of `tunesmith run`
_PASSED_ON = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM",
    "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV",
    "CONDA_PREFIX", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
_PASSED_ON_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "OPENBLAS_", "ROCR_", "HIP_")


@dataclass(slots=True)
class _Run:
    """A job whose process runs."""

    job: Job
    process: Popen[bytes]
    asked_to_end: bool = False


class JobRunner:
    """Takes jobs from the storage and runs them, a few at once.

    Args:
        parts: The server.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._jobs = parts.storage.jobs
        self._at_once = parts.settings.workers
        self._name = own_name()
        self._nursery = Nursery(f"server {self._name}")
        self._runs: dict[str, _Run] = {}
        self._renewed = time.monotonic()
        self._ended: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="tunesmith-jobs")

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    def stop(self) -> None:
        """End the jobs' processes and put the jobs back, to be started again by the next server."""
        self._ending.set()
        self._thread.join()
        deadline = time.monotonic() + self._parts.settings.grace_s
        for run in self._runs.values():
            _send(run.process, signal.SIGTERM)
        while self._runs and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                id_, status = self._ended.get(timeout=max(0.0, deadline - time.monotonic()))
                self._settle_at_last(self._runs.pop(id_), status)
        for run in self._runs.values():
            _send(run.process, signal.SIGKILL)
        while self._runs:
            id_, status = self._ended.get()
            self._settle_at_last(self._runs.pop(id_), status)
        self._nursery.close()

    def _work(self) -> None:
        while not self._ending.wait(_LOOK_S):
            try:
                self._look()
            except StorageError as error:  # its database is away; what runs goes on
                _LOG.warning("jobs: %s", error)
            except Exception:
                _LOG.exception("a fault while jobs were looked at")

    def _look(self) -> None:
        """See to what has happened since the last look."""
        while not self._ended.empty():
            id_, status = self._ended.get()
            try:
                self._settle(self._runs[id_], status)
            except StorageError:
                self._ended.put((id_, status))
                raise
            del self._runs[id_]
        jobs = self._jobs.unended()
        if self._runs and time.monotonic() - self._renewed > _LEASE_S / 4:
            self._jobs.renew(self._name, _LEASE_S)
            self._renewed = time.monotonic()
        if any(job.owner and is_dead(job.owner) for job in jobs):
            self._jobs.free(is_dead)
        if len(self._runs) < self._at_once and any(job.owner != self._name for job in jobs):
            self._jobs.claim(self._name, _LEASE_S, self._has_code)
            jobs = self._jobs.unended()
        own = {job.id: job for job in jobs if job.owner == self._name}
        for job in own.values():
            if job.id not in self._runs:
                self._begin(job)
        for id_, run in self._runs.items():
            # Gone to another server, whose word counts, or a person wants it stopped.
            if (id_ not in own or own[id_].stop_requested) and not run.asked_to_end:
                run.asked_to_end = True
                _send(run.process, signal.SIGTERM)

    def _has_code(self, job: Job) -> bool:
        return self._parts.shelves.of(job.project).blobs.has(job.code.sha256)

    # Starting

    def _begin(self, job: Job) -> None:
        folder = job_folder(self._parts, job)
        try:
            if not (folder / "code").exists():
                blob = self._parts.shelves.of(job.project).blobs.path(job.code.sha256)
                unpack(blob, folder / "code", most_bytes=_UNPACKED)
            process = self._launch(job, folder)
        except (TunesmithError, OSError) as error:
            self._end(job, JobState.FAILED, None, str(error))
            return
        self._runs[job.id] = _Run(job, process)
        threading.Thread(target=self._await_end, args=(job.id, process), daemon=True).start()
        _LOG.info("job %s of study %s began, process %d", job.id, job.study, process.pid)

    def _launch(self, job: Job, folder: Path) -> Popen[bytes]:
        launch = self._parts.launches.get(job.file, _as_study)
        words, more = launch(job)
        environment = {
            **_passed_on(os.environ),
            **more,
            "TUNESMITH_STORAGE": self._parts.address,
            **self._token(job),
        }
        with (folder / "stdout").open("ab") as out, (folder / "stderr").open("ab") as err:
            return self._nursery.start(
                words,
                environment=environment,
                mark=folder,
                directory=str(folder / "code"),
                stdout=out,
                stderr=err,
            )

    def _token(self, job: Job) -> Mapping[str, str]:
        """Return a new token for a job, and revoke its last; none where nobody needs one."""
        self._revoke(job)
        tokens = self._parts.storage.tokens
        if not tokens.any():
            return {}
        token, secret = tokens.create(f"job {job.id}", "write", job.project)
        self._jobs.note_token(job.id, self._name, token.id)
        return {"TUNESMITH_TOKEN": secret}

    def _await_end(self, id_: str, process: Popen[bytes]) -> None:
        self._nursery.outlast(process)
        self._ended.put((id_, self._nursery.bury(process)))

    # Ending

    def _settle(self, run: _Run, status: int) -> None:
        """Note what became of a job whose process has ended."""
        job = self._storage(run.job).jobs.job(run.job.id)
        if job.state is not JobState.RUNNING:
            self._revoke(job)
            return
        if job.stop_requested:
            self._end(job, JobState.STOPPED, status, job.stop_requested)
        elif self._ending.is_set():
            self._let_go(job, "the server was ended")
        elif status < 0 and job.starts < _STARTS:
            self._let_go(job, f"its process was ended by {signal.Signals(-status).name}")
        else:
            self._end(job, *self._outcome(job, status))

    def _settle_at_last(self, run: _Run, status: int) -> None:
        """Do so when the server ends; where the database is away, the next server finds the job orphaned."""
        with contextlib.suppress(StorageError):
            self._settle(run, status)

    def _outcome(self, job: Job, status: int) -> tuple[JobState, int, str]:
        """Return what a job has come to: its state, exit status and the reason."""
        try:
            record = self._storage(job).study(job.study)
        except NotFoundError:
            record = None
        if status == 0 and record is None and job.file in self._parts.launches:
            return JobState.FINISHED, status, ""
        if status == 0 and record is not None:
            stopped = record.state is StudyState.STOPPED
            return JobState.STOPPED if stopped else JobState.FINISHED, status, record.reason
        if status == _STUDY_FAILED and record is not None and record.reason:
            return JobState.FAILED, status, record.reason
        said = _last_line(job_folder(self._parts, job) / "stderr")
        return JobState.FAILED, status, said or f"its process ended with status {status}"

    def _end(self, job: Job, state: JobState, status: int | None, reason: str) -> None:
        self._revoke(self._storage(job).jobs.job(job.id))
        self._jobs.finish(job.id, self._name, state, exit_status=status, reason=reason)
        _LOG.info("job %s of study %s %s: %s", job.id, job.study, state, reason)

    def _let_go(self, job: Job, reason: str) -> None:
        self._revoke(self._storage(job).jobs.job(job.id))
        self._jobs.release(job.id, self._name, reason)

    def _revoke(self, job: Job) -> None:
        if job.token:
            with contextlib.suppress(NotFoundError):
                self._parts.storage.tokens.revoke(job.token)

    def _storage(self, job: Job) -> ServedStorage:
        return self._parts.storage.in_project(job.project)


def job_folder(parts: Parts, job: Job) -> Path:
    """Return the folder with a job's code, and with what its process printed."""
    return parts.shelves.of(job.project).jobs / job.id


def _as_study(job: Job) -> tuple[Sequence[str], Mapping[str, str]]:
    words = [sys.executable, "-m", "tunesmith", "run", f"./{job.file}", "--name", job.study]
    return words, {}


def _passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a job is given of the server's environment, which may hold the database's password."""
    return {
        name: value
        for name, value in environment.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }


def _send(process: Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-50:]
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
