"""A program as a job of Google's, and a job as their messages say it."""

import re
from collections.abc import Mapping
from dataclasses import replace

from tunesmith.model import Program, StudySpec
from tunesmith.model.job import Job, Machine, Package, Pool
from tunesmith.specs.google.findings import Losses
from tunesmith.specs.google.space_writing import Document
from tunesmith.specs.google.times import duration_text

__all__ = ["IMAGE", "custom_job_document", "job_of", "training_parts"]

IMAGE = "IMAGE_URI"
"""What stands where only a person knows the image."""

_PYTHON = re.compile(r"python[0-9.]*")
_PLACE = re.compile(r"\{(?:trial|trial_dir|checkpoint_dir|budget)\}")
_JOB_DIR = "--job-dir={trial_dir}"
_ROLES = ("master", "worker", "parameterServer", "evaluator")
_USUAL_MACHINE = "n1-standard-4"
_OLD_MACHINE = re.compile(r"(standard|large_model|complex_model_[sml])(_[a-z0-9]+)?|cloud_tpu")


def job_of(program: Program | None, spec: StudySpec, lost: Losses) -> Job:
    """Return the job of one process that runs a program; what it can't say is added to ``lost``."""
    if program is None:
        lost.need("command", f"the file has none: say what to run in place of {IMAGE}")
        return Job((Pool(image=IMAGE),), "vertex")
    words = [word for word in program.command if word != _JOB_DIR]
    if len(words) < len(program.command):
        lost.add("command", "the service gives --job-dir itself: name the folder of the job")
    words = _without_places(words, program, spec, lost)
    for name, why in (
        ("limits.memory", program.resources.memory_limit_mib),
        ("resources.cpus", program.resources.cpus),
        ("resources.gpus", program.resources.gpus),
    ):
        if why:
            lost.add(name, "what a trial has is said by its machine there: choose one")
    if program.reading.sources or program.reading.pattern:
        lost.add("metrics", "a program reports through cloudml-hypertune there")
    if len(words) > 2 and _PYTHON.fullmatch(words[0]) and words[1] == "-m":
        pool = Pool(package=Package(words[2]), args=tuple(words[3:]))
    else:
        lost.need("command", f"name the image that holds the program in place of {IMAGE}")
        pool = Pool(image=IMAGE, command=tuple(words))
    # There a reference to another variable would be filled in; a native file takes it at its word.
    texts = {name: text.replace("$(", "$$(") for name, text in program.environment.items()}
    return Job(
        (replace(pool, environment=texts),),
        "vertex",
        restart="never" if program.retries == 0 else "replica",
        time_limit_s=program.resources.time_limit_s,
    )


def _without_places(words: list[str], program: Program, spec: StudySpec, lost: Losses) -> list[str]:
    """Return the words without those that give a value as the services do anyway."""
    if program.values_as == "environment":
        lost.add("values_as", "values are flags there, not variables")
    names = list(spec.space) if program.values_as == "placeholders" else []
    kept = [word for word in words if word not in {f"--{name}={{{name}}}" for name in names}]
    for word in kept:
        if any(f"{{{name}}}" in word for name in names) or _PLACE.search(word):
            lost.add("command", f"nothing is filled in there, and {word} stays as it is")
    return kept


# Vertex AI


def custom_job_document(job: Job, lost: Losses) -> Document:
    """Return a CustomJobSpec, the ``trialJobSpec`` of a tuning job."""
    document: Document = {
        "workerPoolSpecs": [
            _worker_pool(pool, f"trialJobSpec.workerPoolSpecs[{i}]", lost)
            for i, pool in enumerate(job.pools)
        ]
    }
    scheduling: Document = {}
    if job.time_limit_s is not None:
        scheduling["timeout"] = duration_text(job.time_limit_s)
    if job.restart != "replica":
        never = job.restart == "never"
        scheduling["disableRetries" if never else "restartJobOnWorkerRestart"] = True
    if scheduling:
        document["scheduling"] = scheduling
    if job.world == "cmle" and job.output:
        lost.add("jobDir", "no --job-dir is given there; AIP_MODEL_DIR names a trial's folder")
    if job.output:
        document["baseOutputDirectory"] = {"outputUriPrefix": job.output}
    return document


def _worker_pool(pool: Pool, path: str, lost: Losses) -> Document:
    if not pool.replicas:
        return {}
    task: Document
    if pool.package is not None:
        if not pool.package.uris:
            lost.need(f"{path}.pythonPackageSpec.packageUris", "name the packages")
        if not pool.image:
            lost.need(f"{path}.pythonPackageSpec.executorImageUri", "name the image")
        task = {
            "executorImageUri": pool.image or IMAGE,
            "packageUris": list(pool.package.uris),
            "pythonModule": pool.package.module,
        }
    else:
        task = {"imageUri": pool.image or IMAGE}
        if not pool.image:
            lost.need(f"{path}.containerSpec.imageUri", "the job does not say what runs")
        if pool.command:
            task["command"] = list(pool.command)
    if pool.args:
        task["args"] = list(pool.args)
    if pool.environment:
        task["env"] = [{"name": k, "value": v} for k, v in pool.environment.items()]
    key = "containerSpec" if pool.package is None else "pythonPackageSpec"
    return {
        "machineSpec": _machine(pool.machine, path, lost),
        "replicaCount": pool.replicas,
        key: task,
    }


def _machine(machine: Machine, path: str, lost: Losses) -> Document:
    kind = machine.kind or _USUAL_MACHINE
    if _OLD_MACHINE.fullmatch(kind):
        lost.add(f"{path}.machineSpec", f"{kind} is not there; {_USUAL_MACHINE} is written")
        kind = _USUAL_MACHINE
    document: Document = {"machineType": kind}
    if machine.accelerator:
        document["acceleratorType"] = machine.accelerator
        document["acceleratorCount"] = machine.accelerators
    return document


# Cloud ML Engine


def training_parts(job: Job, lost: Losses) -> Document:
    """Return the fields of a TrainingInput that say what runs."""
    document: Document = {}
    wishes = [pool.machine != Machine() for pool in job.pools]
    if job.replicas > 1 or any(wishes):
        document["scaleTier"] = "CUSTOM"
    for role, pool in zip(_ROLES, job.pools, strict=False):
        if pool.replicas:
            document |= _replicas(role, pool, custom=bool(document.get("scaleTier")))
        if pool.environment:
            lost.add("environment", f"a {role} can't be given variables there")
        if pool.package is not None and pool.image:
            lost.add(
                "executorImageUri", f"packages run in the service's own image, not {pool.image}"
            )
    if len(job.pools) > len(_ROLES):
        lost.add("workerPoolSpecs", f"there are at most {len(_ROLES)} kinds of replicas")
    document |= _started(job.primary, lost)
    if job.output:
        document["jobDir"] = job.output
    if job.restart != "replica":
        lost.add("scheduling", "a replica that dies starts again there")
    if job.time_limit_s is not None:
        lost.add("limits.time", "the job as a whole has a time limit there, not a trial")
    return document


def _started(primary: Pool, lost: Losses) -> Document:
    """Return what runs, where no image says it."""
    document: Document = {}
    if primary.package is not None:
        document = _package(primary.package, lost)
    elif not primary.image:
        lost.need("pythonModule", "the job does not say what runs")
    if primary.args and (primary.package is not None or not primary.image):
        document["args"] = list(primary.args)
    return document


def _package(package: Package, lost: Losses) -> Document:
    if not package.uris:
        lost.need("packageUris", "name the packages, or give gcloud --package-path")
        return {"pythonModule": package.module}
    return {"packageUris": list(package.uris), "pythonModule": package.module}


def _replicas(role: str, pool: Pool, *, custom: bool) -> Mapping[str, object]:
    document: Document = {}
    if custom:
        document[f"{role}Type"] = pool.machine.kind or _USUAL_MACHINE
    if role != "master":
        document[f"{role}Count"] = pool.replicas
    config: Document = {}
    if pool.image and pool.package is None:
        config["imageUri"] = pool.image
        if pool.command:
            config["containerCommand"] = list(pool.command)
        if pool.args:
            config["containerArgs"] = list(pool.args)
    if pool.machine.accelerator:
        machine = pool.machine
        config["acceleratorConfig"] = {"count": machine.accelerators, "type": machine.accelerator}
    if config:
        document[f"{role}Config"] = config
    return document
