"""Jobs of Cloud ML Engine, later AI Platform Training: TrainingInput, and what it runs."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from tunesmith.model import StudySpec
from tunesmith.model.job import Job, Machine, Package, Pool
from tunesmith.specs.google.enums import TIERS
from tunesmith.specs.google.hyperparameters import read_hyperparameters
from tunesmith.specs.google.jobs import Continuation, GoogleJob
from tunesmith.specs.google.message import Message
from tunesmith.specs.google.plain import json_of

__all__ = ["read_training_job"]

_ROLES = ("master", "worker", "parameterServer", "evaluator")
_TIER_COUNTS = {"STANDARD_1": (1, 4, 3, 0), "PREMIUM_1": (1, 19, 11, 0)}
_LAST_MASTER = (1, 15)  # the last runtime whose chief is called master
_MOST_PACKAGES = 100
_JOB_ID = re.compile(r"[A-Za-z]\w*", re.ASCII)
_HERE = "everything runs on this machine"


def read_training_job(
    message: Message, *, bare: bool = False, whole: bool = False
) -> GoogleJob | None:
    """Return what a Job says; None, and a fault for each reason, if it makes none.

    Args:
        message: The job; or its TrainingInput.
        bare: Whether it is the TrainingInput alone.
        whole: Whether it needs the id, which a client adds to a file.
    """
    title = "" if bare else _job_id(message, required=whole)
    labels = {} if bare else message.mapping("labels")
    inner = message if bare else message.inner("trainingInput")
    if inner is None:
        message.missing("trainingInput", "say what the job runs and tunes")
    found = None if inner is None else _training_input(inner)
    if not bare:
        message.ignore(
            "state",
            "trainingOutput",
            "errorMessage",
            "createTime",
            "startTime",
            "endTime",
            "etag",
            "jobPosition",
        )
        message.done()
    if found is None or message.findings.faults.count:
        return None
    return GoogleJob(
        "cmle",
        title,
        found.spec,
        replace(found.job, labels=labels),
        found.resumes,
        lost=tuple(message.findings.lost.found),
        labels=labels,
        region=found.region,
    )


def _job_id(message: Message, *, required: bool) -> str:
    given = message.text("jobId")
    if given and not _JOB_ID.fullmatch(given):
        text = f"a job's id has letters, digits and _, a letter first; given {given!r}"
        message.fault("jobId", text)
    elif required and not given:
        message.missing("jobId", "a job needs an id of its own")
    return given


@dataclass(frozen=True, slots=True)
class _Input:
    job: Job
    region: str
    spec: StudySpec | None = None
    resumes: Continuation | None = None


def _training_input(message: Message) -> _Input | None:
    inner = message.inner("hyperparameters")
    time_s = _scheduling(message)
    job = _job(message, None if inner else time_s)
    message.unused(_HERE, "serviceAccount", "network", "encryptionConfig")
    region = message.text("region")
    message.ignore("enableWebAccess", "pythonVersion")
    message.done()
    if inner is None:
        return None if message.findings.faults.count else _Input(job, region)
    found = read_hyperparameters(inner, time_s)
    if found is None or message.findings.faults.count:
        return None
    spec, resumes = found
    return _Input(job, region, spec, resumes)


def _scheduling(message: Message) -> float | None:
    """Return how long the job may run as a whole."""
    inner = message.inner("scheduling")
    if inner is None:
        return None
    time_s = inner.duration("maxRunningTime")
    if time_s == 0:
        inner.fault("maxRunningTime", "more than 0s is needed; leave it out for no limit")
    inner.duration("maxWaitTime")
    inner.count("priority")
    inner.done()
    return time_s or None


def _job(message: Message, time_limit_s: float | None) -> Job:
    tier = message.choice("scaleTier", TIERS) or "BASIC"
    args = tuple(word for word, _ in message.words("args"))
    package = _package(message)
    counts = _counts(message, tier)
    pools: list[Pool] = []
    for role, replicas in zip(_ROLES, counts, strict=True):
        pool = _pool(message, role, replicas, args, package)
        pools.append(_like(pool, pools[0]) if pools else pool)
    while not pools[-1].replicas:
        pools.pop()
    return Job(
        tuple(pools),
        "cmle",
        output=message.text("jobDir"),
        time_limit_s=time_limit_s,
        chief=_chief(message, container=bool(pools[0].image)),
        document=json_of(message.table),
    )


def _package(message: Message) -> Package | None:
    module = message.text("pythonModule")
    uris = tuple(word for word, _ in message.words("packageUris"))
    if len(uris) > _MOST_PACKAGES:
        text = f"at most {_MOST_PACKAGES} packages can be given; given {len(uris)}"
        message.fault("packageUris", text, code="E122")
    if uris and not module:
        message.missing("pythonModule", "say which module of the packages to run")
    return Package(module, uris) if module else None


def _counts(message: Message, tier: str) -> tuple[int, ...]:
    """Return how many replicas each pool has."""
    counts = [1]
    for role in _ROLES[1:]:
        field = f"{role}Count"
        count = message.count(field) or 0
        if count and tier != "CUSTOM":
            text = f"{field} needs scaleTier CUSTOM; the tier here is {tier}"
            message.fault(field, text, code="E122")
        elif count and not message.text(f"{role}Type"):
            text = f"{count} replicas need a {role}Type"
            message.missing(f"{role}Type", text)
        counts.append(count)
    if tier == "CUSTOM" and not message.text("masterType"):
        message.missing("masterType", "scaleTier CUSTOM needs a masterType")
    return _TIER_COUNTS.get(tier, tuple(counts))


def _pool(
    message: Message, role: str, replicas: int, args: tuple[str, ...], package: Package | None
) -> Pool:
    kind = message.text(f"{role}Type")
    inner = message.inner(f"{role}Config")
    if inner is None:
        return Pool(replicas, package=package, args=args, machine=Machine(kind))
    image = inner.text("imageUri")
    command = tuple(word for word, _ in inner.words("containerCommand"))
    own = tuple(word for word, _ in inner.words("containerArgs"))
    if own and args:
        inner.fault("containerArgs", "containerArgs can't be given beside args", code="E122")
    if (command or own) and not image:
        inner.missing("imageUri", "containerCommand and containerArgs need an imageUri")
    if image and package and role == "master":
        text = "a job has an image or a pythonModule, not both"
        inner.fault("imageUri", text, code="E122")
    machine = Machine(kind, *_accelerators(inner))
    inner.ignore("diskConfig", "tpuTfVersion")
    inner.done()
    return Pool(
        replicas,
        image=image,
        command=command,
        package=None if image else package,
        args=own or args,
        machine=machine,
    )


def _like(pool: Pool, master: Pool) -> Pool:
    """Return the pool with the master's image, where it has none of its own."""
    if pool.image or not master.image:
        return pool
    own = pool.args or master.args
    return replace(pool, image=master.image, command=master.command, package=None, args=own)


def _accelerators(message: Message) -> tuple[str, int]:
    inner = message.inner("acceleratorConfig")
    if inner is None:
        return "", 0
    word = inner.text("type")
    count = inner.count("count") or 0
    inner.done()
    return "" if word == "ACCELERATOR_TYPE_UNSPECIFIED" else word, count


def _chief(message: Message, *, container: bool) -> Literal["chief", "master"]:
    """Return what TF_CONFIG calls the primary."""
    wanted = message.flag("useChiefInTfConfig")
    version = message.text("runtimeVersion")
    if container:
        return "chief" if wanted else "master"
    numbers_given = version.split(".")[:2]
    if not all(part.isdigit() for part in numbers_given):
        if version:
            text = f"a runtime version is such as 2.11; given {version!r}"
            message.fault("runtimeVersion", text, code="E122")
        return "chief"
    runtime = tuple(map(int, numbers_given))
    return "master" if version and runtime <= _LAST_MASTER else "chief"
