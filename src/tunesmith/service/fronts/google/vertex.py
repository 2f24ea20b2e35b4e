"""What Vertex AI's jobs of both kinds say of themselves."""

from tunesmith.service.fronts.google.documents import Document, timestamp
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.states import Standing
from tunesmith.specs.google.message import camel

__all__ = ["job_document"]

_OURS = frozenset(
    {"name", "state", "trials", "createTime", "startTime", "endTime", "updateTime", "error"}
)
_INVALID_ARGUMENT, _CANCELLED = 3, 1  # of google.rpc.Code


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
