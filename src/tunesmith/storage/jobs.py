"""Jobs that a server was asked to run.

A job belongs to the server that runs it as long as that server renews its lease. One that has been
dead for longer loses it to another that has the job's code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tunesmith.storage.manifest import StoredFile

__all__ = ["Job", "JobState", "Jobs"]


class JobState(StrEnum):
    """What has become of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"  # its study has ended well
    FAILED = "failed"
    STOPPED = "stopped"  # a person ended it


@dataclass(frozen=True, slots=True)
class Job:
    """A study's file and the code beside it, to be run by a server.

    Attributes:
        id: Its name.
        project: The project to which it belongs.
        study: The study that it runs.
        file: The study's file, within the code.
        code: The packed code.
        state: What has become of it.
        submitted: When it was handed in, in seconds since the epoch; likewise the next two.
        started: When it was started first; None before that.
        finished: When it ended; None before that.
        exit_status: What its process ended with; None before that.
        reason: Why it is in its state, as a sentence; ``""`` where that is plain.
        stop_requested: Why a person wants it stopped; ``""`` while nobody does.
        starts: How often it was started.
        owner: The server that runs it; ``""`` while none does.
        token: The id of the token with which it asks the server; ``""`` while it has none.
        submitter: The id of the token with which it was handed in; ``""`` without one.
    """

    id: str
    project: str
    study: str
    file: str
    code: StoredFile
    state: JobState = JobState.QUEUED
    submitted: float = 0.0
    started: float | None = None
    finished: float | None = None
    exit_status: int | None = None
    reason: str = ""
    stop_requested: str = ""
    starts: int = 0
    owner: str = ""
    token: str = ""
    submitter: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self.state not in (JobState.QUEUED, JobState.RUNNING)


class Jobs(Protocol):
    """The jobs of one project, and, for the server that runs them, those of all."""

    # For those who hand in jobs

    def submit(  # noqa: D417 - the others are those of Job
        self,
        id: str,  # noqa: A002 - the attribute's name; so below
        *,
        study: str,
        file: str,
        code: StoredFile,
        submitter: str,
    ) -> Job:
        """Queue a job; return the one of that ``id`` if it was handed in before.

        Args:
            id: A name that no other job has.
        """
        ...

    def job(self, id: str) -> Job:  # noqa: A002
        """Return a job of the project; raise `NotFoundError` if there is none of that name."""
        ...

    def all(self, limit: int = 1000) -> Sequence[Job]:
        """Return the project's jobs, the last handed in first."""
        ...

    def request_stop(self, id: str, reason: str) -> Job:  # noqa: A002
        """End a job that waits, and ask for the end of one that runs.

        Raises:
            StateError: it has ended otherwise.
        """
        ...

    def digests(self) -> frozenset[str]:
        """Return the hashes of the code of the project's jobs that have not ended."""
        ...

    # For the server that runs them, of all projects

    def unended(self) -> Sequence[Job]:
        """Return the jobs that wait or run, in the order in which they were handed in."""
        ...

    def claim(self, owner: str, lease_s: float, has_code: Callable[[Job], bool]) -> None:
        """Take the first job that nobody runs and whose code is here."""
        ...

    def renew(self, owner: str, lease_s: float) -> None:
        """Begin anew the leases of the jobs that this server runs."""
        ...

    def free(self, is_dead: Callable[[str], bool]) -> None:
        """Put back at once the running jobs of servers that are known to be dead."""
        ...

    def note_token(self, id: str, owner: str, token: str) -> None:  # noqa: A002
        """Note with which token a job asks the server."""
        ...

    def release(self, id: str, owner: str, reason: str) -> None:  # noqa: A002
        """Put back a job that this server no longer runs, to be started again."""
        ...

    def finish(
        self,
        id: str,  # noqa: A002
        owner: str,
        state: JobState,
        *,
        exit_status: int | None,
        reason: str,
    ) -> None:
        """Note the end of a job that this server ran; nothing if another has taken it over."""
        ...
