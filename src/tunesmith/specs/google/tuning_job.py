"""Vertex AI's jobs as a whole: the HyperparameterTuningJob and the CustomJob; and Vizier's Study."""

import re
from dataclasses import replace

from tunesmith.model import StudySpec
from tunesmith.model.job import Job
from tunesmith.specs.google.custom_job import read_custom_job
from tunesmith.specs.google.jobs import GoogleJob
from tunesmith.specs.google.message import Message
from tunesmith.specs.google.study_spec import Searched, read_study_spec

__all__ = [
    "read_custom_job_document",
    "read_custom_job_spec",
    "read_study_document",
    "read_tuning_job",
]

_OUTPUTS = (
    "trials",
    "state",
    "createTime",
    "startTime",
    "endTime",
    "updateTime",
    "error",
    "satisfiesPzs",
    "satisfiesPzi",
)
_ADDED = ("displayName", "maxTrialCount", "parallelTrialCount")
_LONGEST_NAME = 128
_LONGEST_LABEL = 64
_NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)(?:/.*)?", re.DOTALL)


def read_tuning_job(message: Message, *, now: float, whole: bool = False) -> GoogleJob | None:
    """Return what a HyperparameterTuningJob says; None, and faults, if it makes no job.

    Args:
        message: The job.
        now: The time in seconds since the epoch.
        whole: Whether it needs the name and the counts, which a client adds to a file.
    """
    _require(message, *(_ADDED if whole else ()))
    title = _title(message)
    searched = _study(message, now)
    counts = _counts(message)
    labels = _labels(message)
    project, region = _whereabouts(message)
    inner = message.inner("trialJobSpec")
    job = None if inner is None else read_custom_job(inner)
    if inner is None:
        message.missing("trialJobSpec", "say what each trial runs")
    _rest(message)
    if searched is None or job is None or message.findings.faults.count:
        return None
    job = replace(job, flags=searched.names, labels=labels)
    spec = _bounded(searched.spec, counts)
    lost = tuple(message.findings.lost.found)
    return GoogleJob(
        "vertex",
        title,
        spec,
        job,
        names=searched.names,
        lost=lost,
        labels=labels,
        project=project,
        region=region,
    )


def read_custom_job_document(message: Message) -> GoogleJob | None:
    """Return what a CustomJob says, which tunes nothing; None, and faults, if it makes no job."""
    title, labels = _title(message), _labels(message)
    project, region = _whereabouts(message)
    inner = message.inner("jobSpec")
    job: Job | None = None
    if inner is None:
        message.missing("jobSpec", "say what the job runs")
    else:
        job = read_custom_job(inner)
    message.ignore("webAccessUris")
    _rest(message)
    if job is None or message.findings.faults.count:
        return None
    job = replace(job, labels=labels)
    lost = tuple(message.findings.lost.found)
    return GoogleJob(
        "vertex", title, job=job, lost=lost, labels=labels, project=project, region=region
    )


def read_custom_job_spec(message: Message) -> GoogleJob | None:
    """Return what a CustomJobSpec alone says, as ``gcloud ai custom-jobs create --config`` takes it."""
    job = read_custom_job(message)
    if job is None:
        return None
    return GoogleJob("vertex", job=job, lost=tuple(message.findings.lost.found))


def read_study_document(message: Message, *, now: float, whole: bool = False) -> GoogleJob | None:
    """Return what a Study of Vizier says; None, and faults, if it makes none.

    Args:
        message: The study.
        now: The time in seconds since the epoch.
        whole: Whether it needs a name.
    """
    _require(message, *(("displayName",) if whole else ()))
    title = _title(message)
    searched = _study(message, now)
    message.ignore("name", "inactiveReason")
    _rest(message)
    if searched is None or message.findings.faults.count:
        return None
    lost = tuple(message.findings.lost.found)
    return GoogleJob("vizier", title, searched.spec, names=searched.names, lost=lost)


def _require(message: Message, *fields: str) -> None:
    for field in fields:
        if not message.has(field):
            message.missing(field)


def _title(message: Message) -> str:
    title = message.text("displayName")
    if len(title) > _LONGEST_NAME:
        text = f"a name has at most {_LONGEST_NAME} characters; given {len(title)}"
        message.fault("displayName", text)
    return title


def _whereabouts(message: Message) -> tuple[str, str]:
    """Return the project and the region in a job's whole name, which a service gave it; else nothing."""
    match = _NAME.fullmatch(message.text("name"))
    return (match[1], match[2]) if match else ("", "")


def _study(message: Message, now: float) -> Searched | None:
    inner = message.inner("studySpec")
    if inner is None:
        message.missing("studySpec", "say what is searched")
        return None
    return read_study_spec(inner, now=now)


def _counts(message: Message) -> tuple[int, int, int | None]:
    """Return how many trials there are, at once, and may fail; the first two are 1 if they are left out."""
    most = message.count("maxTrialCount", low=1)
    at_once = message.count("parallelTrialCount", low=1)
    failed = message.count("maxFailedTrialCount")
    limit = most if message.has("maxTrialCount") else 1
    if failed and limit and failed > limit:
        text = f"at most maxTrialCount ({limit}) can be given; given {failed}"
        message.fault("maxFailedTrialCount", text)
    return most or 1, at_once or 1, failed


def _bounded(spec: StudySpec, counts: tuple[int, int, int | None]) -> StudySpec:
    most, at_once, failed = counts
    return replace(
        spec,
        max_trials=min(most, spec.max_trials or most),
        parallel_trials=at_once,
        # There it says how many failures are enough, here how many may be.
        max_failed_trials=failed - 1 if failed else None,
    )


def _labels(message: Message) -> dict[str, str]:
    labels = message.mapping("labels")
    for key, value in labels.items():
        for text in (key, value):
            if len(text) > _LONGEST_LABEL or any(not _fits_label(c) for c in text):
                wanted = "up to 64 lower-case letters, digits, '_' and '-'"
                message.fault("labels", f"a label has {wanted}; given {text!r}")
    return labels


def _fits_label(character: str) -> bool:
    return character in "_-" or (character.isalnum() and character == character.lower())


def _rest(message: Message) -> None:
    message.unused("nothing is encrypted", "encryptionSpec")
    message.ignore(*_OUTPUTS)
    message.done()
