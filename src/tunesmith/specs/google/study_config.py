"""The StudyConfig of the older optimizer API, ``ml`` v1, in which CloudTuner speaks."""

from tunesmith.model import Stopping, StudySpec
from tunesmith.specs.google.algorithms import read_algorithm
from tunesmith.specs.google.enums import OPTIMIZER_ALGORITHMS
from tunesmith.specs.google.jobs import GoogleJob
from tunesmith.specs.google.message import Message
from tunesmith.specs.google.metrics import read_metrics
from tunesmith.specs.google.study_spec import Searched
from tunesmith.specs.google.vertex_parameters import OPTIMIZER, read_parameters

__all__ = ["read_optimizer_study"]

_RULES = {"decayCurveStoppingConfig": "curve", "medianAutomatedStoppingConfig": "median"}


def read_optimizer_study(message: Message) -> GoogleJob | None:
    """Return what a Study of the optimizer API says; None, and faults, if it makes none."""
    inner = message.inner("studyConfig")
    if inner is None:
        message.missing("studyConfig", "say what is searched")
    searched = None if inner is None else _read_config(inner)
    message.ignore("name", "state", "createTime", "inactiveReason")
    message.done()
    if searched is None or message.findings.faults.count:
        return None
    lost = tuple(message.findings.lost.found)
    return GoogleJob("optimizer", spec=searched.spec, names=searched.names, lost=lost)


def _read_config(message: Message) -> Searched | None:
    before = message.findings.faults.count
    objectives, _ = read_metrics(message, "metric")
    space, names = read_parameters(message, OPTIMIZER)
    algorithm = read_algorithm(message, OPTIMIZER_ALGORITHMS, space)
    stopping = _stopping(message, objectives[0].metric if len(objectives) > 1 else "")
    message.done()
    if message.findings.faults.count > before or space is None:
        return None
    spec = StudySpec(
        space=space, objectives=tuple(objectives), algorithm=algorithm, stopping=stopping
    )
    return Searched(spec, names)


def _stopping(message: Message, metric: str) -> tuple[Stopping, ...]:
    """Return the rule; with several metrics, it judges by the one that is named."""
    inner = message.inner("automatedStoppingConfig")
    if inner is None:
        return ()
    given = inner.one_of(*_RULES)
    inner.done()
    if given is None:
        return ()
    key, rule = given
    by = {"by": "elapsed"} if rule.flag("useElapsedTime") else {}
    rule.done()
    return (Stopping(_RULES[key], {**by, **({"metric": metric} if metric else {})}),)
