"""The StudySpec of Vertex AI and Vizier: what is searched, what is measured, when trials and study end.

| there                              | here                                                       |
| ---------------------------------- | ---------------------------------------------------------- |
| a goal that is left out            | maximize                                                   |
| ``safetyConfig``                   | a constraint: at least the threshold to maximize, else at most |
| ``observationNoise: HIGH``         | the algorithm's ``repeat``: points may be tried again      |
| ``defaultValue``                   | the parameter's default                                    |
| ``medianAutomatedStoppingSpec``    | the rule ``median``                                        |
| ``decayCurveStoppingSpec``         | the rule ``curve``                                         |
| ``convexAutomatedStoppingSpec``    | the rule ``curve`` with its numbers                        |
| ``studyStoppingConfig``            | ``until``, and the number of trials                        |
| ``transferLearningConfig``         | ``warm_start``                                             |
"""

from dataclasses import dataclass, field, replace

from tunesmith.errors import SpecError
from tunesmith.model import Algorithm, StudySpec, check_study_name
from tunesmith.specs.google.algorithms import read_algorithm
from tunesmith.specs.google.enums import ALGORITHMS, NOISES, SELECTIONS
from tunesmith.specs.google.message import Message
from tunesmith.specs.google.metrics import read_metrics
from tunesmith.specs.google.parameters import Names
from tunesmith.specs.google.vertex_parameters import read_parameters
from tunesmith.specs.google.vertex_stopping import read_ending, read_stopping

__all__ = ["Searched", "read_study_spec"]


@dataclass(frozen=True, slots=True)
class Searched:
    """What a StudySpec says.

    Attributes:
        spec: What is searched, and how.
        names: Its names under which no program knows the values; see `parameters`.
    """

    spec: StudySpec
    names: Names = field(default_factory=dict)


def read_study_spec(message: Message, *, now: float) -> Searched | None:
    """Return what a StudySpec says; None, and a fault for each reason, if it makes no study.

    Args:
        message: The StudySpec.
        now: The time, in seconds since the epoch, from which on a time limit by the clock counts.
    """
    before = message.findings.faults.count
    objectives, constraints = read_metrics(message)
    space, names = read_parameters(message)
    algorithm = read_algorithm(message, ALGORITHMS, space)
    measurement = message.choice("measurementSelectionType", SELECTIONS)
    algorithm = _noisy(message, algorithm)
    for constraint in constraints:
        if constraint.safe_fraction and algorithm.name != "default":
            what = f"the desiredMinSafeTrialsFraction of {constraint.metric}"
            message.lose("metrics", f"{algorithm.name} search does not aim at {what}")
    stopping = read_stopping(message, objectives)
    ending, max_trials = read_ending(message, objectives, now)
    warm_start = _transfer(message)
    message.done()
    if message.findings.faults.count > before or space is None:
        return None
    spec = StudySpec(
        space=space,
        objectives=tuple(objectives),
        constraints=tuple(constraints),
        algorithm=algorithm,
        measurement="best" if measurement == "BEST_MEASUREMENT" else "last",
        stopping=stopping,
        ending=ending,
        max_trials=max_trials,
        warm_start=warm_start,
    )
    return Searched(spec, names)


def _noisy(message: Message, algorithm: Algorithm) -> Algorithm:
    """Return the algorithm as ``observationNoise`` wants it.

    Without the field, or where it is LOW, no point is tried twice, as ever; how noisy the metrics are
    is estimated.
    """
    if message.choice("observationNoise", NOISES) != "HIGH":
        return algorithm
    if algorithm.name == "grid":
        message.lose("observationNoise", "a grid has every point once")
        return algorithm
    return replace(algorithm, settings={"repeat": True})


def _transfer(message: Message) -> tuple[str, ...]:
    inner = message.inner("transferLearningConfig")
    if inner is None:
        return ()
    off = inner.flag("disableTransferLearning")
    names: list[str] = []
    for resource, at in inner.words("priorStudyNames"):
        name = resource.rpartition("/")[2]
        try:
            check_study_name(name)
        except SpecError as error:
            path = inner.findings.fields[at]
            inner.findings.fault(path, error.problems[0].message, at, code="E120")
        if name not in names:
            names.append(name)
    inner.done()
    return () if off else tuple(names)
