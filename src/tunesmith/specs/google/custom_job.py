"""The CustomJobSpec of Vertex AI: what each trial runs."""

from tunesmith.model.job import Job, Machine, Package, Pool, Restart
from tunesmith.specs.google.enums import ACCELERATORS, STRATEGIES
from tunesmith.specs.google.message import Message
from tunesmith.specs.google.plain import json_of

__all__ = ["read_custom_job"]

_MOST_ENTRIES = 100  # of packages, and of variables
_HERE = "everything runs on this machine"
_PLACES = "storage is what this machine has mounted"


def read_custom_job(message: Message) -> Job | None:
    """Return what a CustomJobSpec says; None, and a fault for each reason, if it makes no job."""
    before = message.findings.faults.count
    specs = message.each("workerPoolSpecs")
    if not specs:
        why = "a job needs a worker pool with a container or a Python package"
        message.missing("workerPoolSpecs", why)
    pools = [_pool(spec, position) for position, spec in enumerate(specs)]
    restart, time_limit_s = _scheduling(message)
    output = ""
    if (place := message.inner("baseOutputDirectory")) is not None:
        output = place.text("outputUriPrefix")
        place.done()
    message.unused(
        _HERE,
        "serviceAccount",
        "network",
        "reservedIpRanges",
        "pscInterfaceConfig",
        "protectedArtifactLocationId",
        "persistentResourceId",
    )
    message.unused("there is no such service here", "tensorboard", "experiment", "experimentRun")
    message.ignore("enableWebAccess", "enableDashboardAccess", "models")
    message.done()
    if message.findings.faults.count > before:
        return None
    return Job(
        tuple(pools),
        "vertex",
        output=output,
        restart=restart,
        time_limit_s=time_limit_s,
        document=json_of(message.table),
    )


def _pool(message: Message, position: int) -> Pool:
    task = message.one_of("containerSpec", "pythonPackageSpec")
    replicas = message.count("replicaCount")
    machine = _machine(message)
    message.unused(_PLACES, "nfsMounts", "lustreMounts")
    message.ignore("diskSpec")
    message.done()
    if task is None:
        given = message.has("containerSpec") or message.has("pythonPackageSpec")
        if not given and (position == 0 or replicas or message.has("machineSpec")):
            why = "a pool needs a containerSpec or a pythonPackageSpec"
            message.missing("containerSpec", why)
        return Pool(replicas=0)
    if position == 0 and replicas is not None and replicas > 1:
        text = f"the first pool is the primary and has 1 replica; given {replicas}"
        message.fault("replicaCount", text, code="E122")
    if task[0] == "containerSpec":
        pool = _container(task[1], replicas or 1, machine)
    else:
        pool = _package(task[1], replicas or 1, machine)
    task[1].done()
    return pool


def _container(message: Message, replicas: int, machine: Machine) -> Pool:
    image = message.text("imageUri")
    if not image:
        message.missing("imageUri", "a container needs an image")
    return Pool(
        replicas=replicas,
        image=image,
        command=_texts(message, "command"),
        args=_texts(message, "args"),
        environment=_environment(message),
        machine=machine,
    )


def _package(message: Message, replicas: int, machine: Machine) -> Pool:
    module = message.text("pythonModule")
    uris = _texts(message, "packageUris")
    if not module:
        message.missing("pythonModule", "say which module of the packages to run")
    if len(uris) > _MOST_ENTRIES:
        text = f"at most {_MOST_ENTRIES} packages can be given; given {len(uris)}"
        message.fault("packageUris", text, code="E122")
    return Pool(
        replicas=replicas,
        image=message.text("executorImageUri"),
        package=Package(module, uris),
        args=_texts(message, "args"),
        environment=_environment(message),
        machine=machine,
    )


def _machine(message: Message) -> Machine:
    inner = message.inner("machineSpec")
    if inner is None:
        return Machine()
    accelerator = _accelerator(inner)
    count = inner.count("acceleratorCount") or 0
    machine = Machine(inner.text("machineType"), accelerator, count)
    inner.ignore(
        "gpuPartitionSize",
        "tpuTopology",
        "reservationAffinity",
        "multihostGpuNodeCount",
        "minGpuDriverVersion",
    )
    inner.done()
    return machine


def _accelerator(message: Message) -> str:
    """Return an accelerator's name; a number that is none is a fault, a new name is not."""
    word = message.text("acceleratorType")
    if not word.isdigit():
        return "" if word == ACCELERATORS[0] else word
    return message.choice("acceleratorType", ACCELERATORS)


def _environment(message: Message) -> dict[str, str]:
    variables: dict[str, str] = {}
    entries = message.each("env")
    for entry in entries:
        name, value = entry.text("name"), entry.text("value")
        entry.done()
        if not name or "=" in name or "\0" in name:
            text = f"an environment variable can't be named {name!r}"
            entry.fault("name", text, code="E122")
        elif name in variables:
            entry.fault("name", f"there is a variable {name!r} already", code="E122")
        variables[name] = value
    if len(entries) > _MOST_ENTRIES:
        text = f"at most {_MOST_ENTRIES} variables can be given; given {len(entries)}"
        message.fault("env", text, code="E122")
    return variables


def _scheduling(message: Message) -> tuple[Restart, float | None]:
    inner = message.inner("scheduling")
    if inner is None:
        return "replica", None
    timeout_s = inner.duration("timeout")
    if timeout_s == 0:
        inner.fault("timeout", "more than 0s is needed; leave it out for no limit", code="E122")
    together = inner.flag("restartJobOnWorkerRestart")
    never = inner.flag("disableRetries")
    inner.choice("strategy", STRATEGIES)
    inner.duration("maxWaitDuration")
    inner.done()
    if never:
        return "never", timeout_s
    return "trial" if together else "replica", timeout_s


def _texts(message: Message, name: str) -> tuple[str, ...]:
    return tuple(word for word, _ in message.words(name))
