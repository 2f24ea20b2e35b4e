"""The HyperparameterSpec of Cloud ML Engine: what a job tunes.

``enableTrialEarlyStopping`` is the rule ``curve``: it stops a trial that will hardly end better than the
best, as the service's decay curve does, which CloudTuner always asks for. The other rule of the
service, the median, judges where a curve is and not where it goes, and ends trials that begin slowly.
"""

from dataclasses import replace

from tunesmith.errors import SpecError
from tunesmith.model import Ending, Objective, Stopping, StudySpec
from tunesmith.space import Space
from tunesmith.specs.declaration import Declaration, Kind
from tunesmith.specs.google.algorithms import read_algorithm
from tunesmith.specs.google.enums import CMLE_ALGORITHMS, CMLE_SCALES, CMLE_TYPES, GOALS
from tunesmith.specs.google.jobs import Continuation, Stated
from tunesmith.specs.google.message import Message
from tunesmith.specs.google.parameters import Found, make_space
from tunesmith.specs.google.ranges import choices, interval, numbers, scaled
from tunesmith.specs.located import Listing

__all__ = ["DEFAULT_TAG", "read_hyperparameters"]

DEFAULT_TAG = "training/hptuning/metric"

_TYPES: dict[str, Kind] = {
    "DOUBLE": "double",
    "INTEGER": "integer",
    "CATEGORICAL": "categorical",
    "DISCRETE": "discrete",
}


def read_hyperparameters(
    message: Message, time_s: float | None
) -> tuple[StudySpec | None, Continuation | None] | None:
    """Return the study, and how an earlier one goes on; None, and faults, if neither makes sense.

    Args:
        message: The HyperparameterSpec.
        time_s: How long the job may run as a whole; None for no limit.
    """
    before = message.findings.faults.count
    goal = message.choice("goal", GOALS)
    tag = message.text("hyperparameterMetricTag") or DEFAULT_TAG
    given = message.count("maxTrials")
    most = given or 1
    at_once = message.count("maxParallelTrials") or 1
    failed = message.count("maxFailedTrials")
    if failed and failed > most and (given is not None or not message.has("maxTrials")):
        text = f"at most maxTrials ({most}) can be given; given {failed}"
        message.fault("maxFailedTrials", text)
    stops = message.flag("enableTrialEarlyStopping")
    at_fault = message.findings.faults.count
    earlier = _earlier(message)
    resuming = bool(earlier) or message.findings.faults.count > at_fault
    space = _space(message, required=not resuming)
    algorithm = read_algorithm(message, CMLE_ALGORITHMS, space)
    message.done()
    objective: Objective | None = None
    try:
        objective = Objective(tag, "minimize" if goal == "MINIMIZE" else "maximize")
    except SpecError as error:
        message.fault("hyperparameterMetricTag", error.problems[0].message)
    if message.findings.faults.count > before or objective is None:
        return None
    stopping = (Stopping("curve"),) if stops else ()
    # There it says how many failures are enough, here how many may be.
    tolerated = failed - 1 if failed else None
    if earlier:
        place = message.findings.faults.place(message.place("resumePreviousJobId"))
        named = message.text("hyperparameterMetricTag")
        wanted = Stated(space, named, objective.goal if goal else None)
        resumes = Continuation(
            earlier,
            most,
            at_once,
            tolerated,
            stopping,
            time_s,
            wanted,
            place if place.file else None,
        )
        return None, resumes
    assert space is not None, "a job that resumes none needs parameters"
    spec = StudySpec(
        space=space,
        objectives=(objective,),
        algorithm=algorithm,
        max_trials=most,
        parallel_trials=at_once,
        max_failed_trials=tolerated,
        stopping=stopping,
        ending=Ending(time_s=time_s),
    )
    return spec, None


def _earlier(message: Message) -> str:
    field = "resumePreviousJobId"
    if isinstance(message.node(field), Listing):
        # The guides write [PREVIOUS_JOB_IDENTIFIER] where the id belongs, which YAML takes for a list.
        message.fault(field, "the earlier job's id is needed, without brackets")
        return ""
    job = message.text(field)
    if not all(c.isalnum() or c in "_-." for c in job):
        message.fault(field, f"a job's id has letters, digits and _; given {job!r}")
        return ""
    return job


def _space(message: Message, *, required: bool) -> Space | None:
    parameters = message.each("params")
    if not parameters:
        if required:
            message.missing("params", "a job that tunes needs at least one parameter")
        return None
    before = message.findings.faults.count
    found = [_parameter(parameter) for parameter in parameters]
    known = [Found(each, path) for each, path in found if each is not None]
    space, _ = make_space(known, message.findings, message.field("params"))
    return None if message.findings.faults.count > before else space


def _parameter(message: Message) -> tuple[Declaration | None, str]:
    name = message.text("parameterName")
    at = message.place("parameterName")
    if not name:
        message.missing("parameterName", "a parameter needs a name")
    label = name or "the parameter"
    word = message.choice("type", CMLE_TYPES)
    scale = message.choice("scaleType", CMLE_SCALES)
    used: tuple[str, ...] = ()
    declared: Declaration | None = None
    if not message.has("type"):
        message.missing("type", f"{label} needs a type: {', '.join(_TYPES)}")
    elif not word and message.text("type") in ("0", CMLE_TYPES[0]):
        message.fault("type", f"{label} needs a type: {', '.join(_TYPES)}")
    elif word in ("DOUBLE", "INTEGER"):
        used = ("minValue", "maxValue")
        declared = interval(message, label, at, _TYPES[word])
    elif word == "CATEGORICAL":
        used = ("categoricalValues",)
        declared = choices(message, "categoricalValues", label, at)
    elif word:
        used = ("discreteValues",)
        declared = numbers(message, "discreteValues", label, at)
    for field in ("minValue", "maxValue", "categoricalValues", "discreteValues"):
        if message.has(field) and word and field not in used and not _is_zero(message, field):
            message.fault(field, f"{label} is {word} and has no {field}", code="E110")
    message.done()
    if declared is not None:
        declared = replace(declared, scale=scaled(message, scale, declared))
    return declared, message.path


def _is_zero(message: Message, field: str) -> bool:
    """Whether a field says only what it would say if it were left out."""
    if field in ("minValue", "maxValue"):
        return message.number(field) == 0
    return not message.words(field)
