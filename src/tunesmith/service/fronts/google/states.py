"""How a job of Google's clients stands, worked out from the server's job and the study."""

from dataclasses import dataclass

from tunesmith.errors import NotFoundError
from tunesmith.model import StudyState
from tunesmith.service.call import Call
from tunesmith.service.fronts.google.orders import job_of
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.storage import Changes
from tunesmith.storage.jobs import Job, JobState

__all__ = ["Standing", "standing"]

_WORDS = {
    JobState.FINISHED: "SUCCEEDED",
    JobState.FAILED: "FAILED",
    JobState.STOPPED: "CANCELLED",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands.

    Attributes:
        job: The server's job.
        word: PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLING or CANCELLED.
        changes: The study with its trials; None for a job without.
        reason: Why it failed or was cancelled; ``""`` otherwise.
    """

    job: Job
    word: str
    changes: Changes | None = None
    reason: str = ""


def standing(call: Call, paper: Paper, *, curves: bool = False) -> Standing:
    """Return how a job stands now.

    Args:
        call: The request.
        paper: The job.
        curves: Whether to read what its trials measured too.
    """
    # The job is read first: trials that ended before it did are in what is read then.
    job = job_of(call, paper)
    changes = None
    if paper.tunes:
        try:
            changes = call.storage.changes(paper.study, -1, curves=curves)
        except NotFoundError:  # a person has deleted the study
            changes = None
    word = _WORDS.get(job.state, "")
    if not word:
        word = "PENDING" if job.started is None else "RUNNING"
        stopped = changes is not None and changes.record.state is StudyState.STOPPED
        if stopped or job.stop_requested:
            word = "CANCELLING"
    reason = job.reason if word in ("FAILED", "CANCELLED") else ""
    return Standing(job, word, changes, reason)
