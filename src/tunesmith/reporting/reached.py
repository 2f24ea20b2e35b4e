"""What a study has reached, in words: its best trial, the nearest to its constraints, its front."""

import math

from tunesmith.model import Constraint, Front, StudySpec, StudySummary, Trial, is_feasible
from tunesmith.reporting.figures import number

__all__ = [
    "constraint_lines",
    "front_text",
    "metrics_text",
    "nearest_text",
    "new_best_text",
    "reached_text",
    "shown_metrics",
]


def shown_metrics(spec: StudySpec) -> list[str]:
    """Return the metrics that tables show: every objective, then what else is constrained."""
    metrics = [*(o.metric for o in spec.objectives), *(c.metric for c in spec.constraints)]
    return list(dict.fromkeys(metrics))


def metrics_text(trial: Trial, spec: StudySpec) -> str:
    """Return a trial's objectives: the value alone of the only one, else ``accuracy=0.9 cost=3``."""
    if len(spec.objectives) == 1:
        return number(trial.metrics[spec.objective.metric])
    return " ".join(
        f"{o.metric}={number(trial.metrics[o.metric])}"
        for o in spec.objectives
        if o.metric in trial.metrics
    )


def new_best_text(trial: Trial, spec: StudySpec) -> str:
    """Return what a trial that leads is: ``best 0.979``, on the front, or the nearest to the constraints."""
    if not is_feasible(trial, spec):
        return nearest_text(trial, spec)
    place = "best" if len(spec.objectives) == 1 else "on the front:"
    return f"{place} {metrics_text(trial, spec)}"


def nearest_text(trial: Trial, spec: StudySpec) -> str:
    """Return that no trial keeps the constraints, and by how much the nearest one breaks them."""
    broken = []
    for constraint in spec.constraints:
        excess = constraint.excess(trial.metrics.get(constraint.metric, math.nan))
        if excess <= 0:
            continue
        side = "over" if constraint.side == "at_most" else "under"
        words = "not measured" if math.isnan(excess) else f"{side} by {number(excess)}"
        broken.append(words if len(spec.constraints) == 1 else f"{constraint.metric} {words}")
    bounds = " and ".join(map(str, spec.constraints))
    return f"no trial keeps {bounds} yet; the nearest is trial {trial.number}, {', '.join(broken)}"


def front_text(front: Front) -> str:
    """Return the size of a front, and its hypervolume with the reference it is measured from."""
    if not front.trials:
        return "no trial has every objective yet"
    size = "1 trial" if len(front.trials) == 1 else f"{len(front.trials)} trials"
    worst = " ".join(f"{name}={number(value)}" for name, value in front.reference.items())
    if front.hypervolume is None:
        return f"front of {size}; the worst measured were {worst}"
    volume = number(front.hypervolume)
    return f"front of {size}, hypervolume {volume} against the worst measured ({worst})"


def reached_text(summary: StudySummary) -> str:
    """Return in one phrase what a study has reached; ``""`` before a trial counts.

    ``best 0.979 (#5)``, or the front of several objectives, or that no trial keeps the constraints.
    """
    spec, best = summary.record.spec, summary.best
    if best is None:
        return ""
    if not is_feasible(best, spec):
        return nearest_text(best, spec)
    if summary.front is not None:
        return front_text(summary.front)
    return f"{new_best_text(best, spec)} (#{best.number})"


def constraint_lines(summary: StudySummary) -> list[str]:
    """Return each constraint with how many trials keep it, a line each."""
    known = summary.feasibility
    if known is None:
        return []
    constraints = summary.record.spec.constraints
    lines = [
        f"constraint {constraint}: kept by {kept} of {_trials(known.counted)}{_wanted(constraint)}"
        for constraint, kept in zip(constraints, known.kept, strict=True)
    ]
    if len(constraints) > 1:
        lines.append(f"all constraints: kept by {known.feasible} of {_trials(known.counted)}")
    return lines


def _wanted(constraint: Constraint) -> str:
    """Return which share of trials should keep it; ``""`` if that was not said."""
    share = constraint.safe_fraction
    return f", wanted: {share:g} of them" if share else ""


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"
