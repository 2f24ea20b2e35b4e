"""The metrics of a study: those to improve, and those that a good trial keeps within bounds."""

from tunesmith.errors import SpecError
from tunesmith.model import Constraint, Goal, Objective
from tunesmith.specs.google.enums import GOALS
from tunesmith.specs.google.message import Message

__all__ = ["read_metrics"]


def read_metrics(
    message: Message, field: str = "metricId"
) -> tuple[list[Objective], list[Constraint]]:
    """Return what a study's metrics are to reach and to keep.

    Args:
        message: The study, with its list ``metrics``.
        field: The field of a metric's name; only metrics with a ``metricId`` can be safety metrics.
    """
    objectives: list[Objective] = []
    constraints: list[Constraint] = []
    metrics = message.each("metrics")
    if not metrics and not message.has("metrics"):
        message.missing("metrics", "a study needs a metric to maximize or minimize")
    seen: list[str] = []
    for metric in metrics:
        name = metric.text(field)
        goal: Goal = "minimize" if metric.choice("goal", GOALS) == "MINIMIZE" else "maximize"
        safety = metric.inner("safetyConfig") if field == "metricId" else None
        threshold, share = (None, 0.0) if safety is None else _safety(safety)
        metric.done()
        if not name:
            metric.missing(field, "a metric needs a name")
            continue
        if name in seen:
            metric.fault(field, f"there is a metric {name!r} already")
            continue
        seen.append(name)
        if field == "metricId" and " " in name:
            metric.fault(field, f"a metric's id has no blanks; given {name!r}")
            continue
        try:
            if threshold is None:
                objectives.append(Objective(name, goal))
            else:
                at_least = goal == "maximize"
                constraints.append(
                    Constraint(name, threshold, "at_least" if at_least else "at_most", share)
                )
        except SpecError as error:
            metric.fault(field, error.problems[0].message)
    if constraints and not objectives:
        message.fault("metrics", "a safety metric needs another one to maximize or minimize")
    elif message.has("metrics") and not metrics:
        message.fault("metrics", "a study needs a metric to maximize or minimize", code="E103")
    return objectives, constraints


def _safety(safety: Message) -> tuple[float, float]:
    """Return the threshold, and the share of trials that should keep it."""
    fraction = safety.number("desiredMinSafeTrialsFraction") or 0.0
    if not 0 <= fraction <= 1:
        text = f"a fraction is from 0 to 1; given {fraction}"
        safety.fault("desiredMinSafeTrialsFraction", text)
        fraction = 0.0
    threshold = safety.number("safetyThreshold")
    safety.done()
    return threshold or 0.0, fraction
