"""Which measurement of a trial counts, whether the trial keeps its study's constraints, which is best."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tunesmith.model.hypervolume import Matrix, non_dominated
from tunesmith.model.objectives import Constraint, Objective
from tunesmith.model.spec import StudySpec
from tunesmith.model.trial import Measurement, Trial

__all__ = [
    "best_trial",
    "is_feasible",
    "leaders",
    "loss",
    "losses",
    "pareto_front",
    "rank",
    "select_measurement",
    "violation",
]


def loss(trial: Trial, objective: Objective) -> float | None:
    """Return the trial's objective turned so that smaller is better; None if it does not count.

    A value that is not finite does not count.
    """
    value = trial.metrics.get(objective.metric, math.nan) if trial.counts else math.nan
    return objective.loss(value) if math.isfinite(value) else None


def violation(metrics: Mapping[str, float], constraints: Iterable[Constraint]) -> float:
    """Return by how much ``metrics`` break ``constraints`` in all: 0 if they keep every one.

    The sum of what lies beyond each bound, in the metrics' own units; infinite if one was not
    measured or is nan.
    """
    total = 0.0
    for constraint in constraints:
        excess = constraint.excess(metrics.get(constraint.metric, math.nan))
        total += math.inf if math.isnan(excess) else max(0.0, excess)
    return total


def is_feasible(trial: Trial, spec: StudySpec) -> bool:
    """Whether the trial counts and keeps every constraint."""
    return loss(trial, spec.objective) is not None and not violation(
        trial.metrics, spec.constraints
    )


def rank(trial: Trial, spec: StudySpec) -> tuple[float, float, int] | None:
    """Return what the trial is sorted by, smaller for the better; None if it does not count.

    Trials that keep all constraints come first, by the first objective; then the others, by how
    much they break them; of equals the earliest.
    """
    value = loss(trial, spec.objective)
    if value is None:
        return None
    return violation(trial.metrics, spec.constraints), value, trial.number


def best_trial(trials: Iterable[Trial], spec: StudySpec) -> Trial | None:
    """Return the trial that ranks first (see `rank`); None if none counts.

    Where no trial keeps the constraints, it is the nearest to doing so. With several objectives it
    is the best in the first; `pareto_front` gives all that are best in some way.
    """
    ranked = [(place, trial) for trial in trials if (place := rank(trial, spec)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def pareto_front(trials: Iterable[Trial], spec: StudySpec) -> list[Trial]:
    """Return the trials that no other dominates, the best in the first objective first.

    Only trials count that keep all constraints and measured every objective as a finite number. Of
    trials with the same objectives the earliest stands for all; so with one objective it is the
    best trial alone. Takes ``n log n`` steps for two objectives.
    """
    kept = sorted((t for t in trials if is_feasible(t, spec)), key=lambda t: t.number)
    kept, table = losses(kept, spec)
    return [kept[i] for i in non_dominated(table)]


def leaders(trials: Iterable[Trial], spec: StudySpec) -> list[Trial]:
    """Return the Pareto front, or the trial that ranks first where there is none; empty if none counts."""
    trials = list(trials)
    if front := pareto_front(trials, spec):
        return front
    best = best_trial(trials, spec)
    return [] if best is None else [best]


def losses(trials: Iterable[Trial], spec: StudySpec) -> tuple[list[Trial], Matrix]:
    """Return the trials in which every objective counts, and their losses ``(n, m)``."""
    kept: list[Trial] = []
    rows: list[list[float]] = []
    for trial in trials:
        row = [value for o in spec.objectives if (value := loss(trial, o)) is not None]
        if len(row) == len(spec.objectives):
            kept.append(trial)
            rows.append(row)
    return kept, np.array(rows, dtype=float).reshape(len(rows), len(spec.objectives))


def select_measurement(measurements: Sequence[Measurement], spec: StudySpec) -> Measurement | None:
    """Return the measurement that counts for the trial, by the study's rule; None if there is none.

    The first objective decides the step. Every other metric is given with its value at that step,
    or else its latest before it, or else its first after it. The best, the least and the greatest
    value are sought among those that are not nan; the last is the last, whatever it is.
    """
    objective = spec.objective
    curve = sorted((m for m in measurements if objective.metric in m.metrics), key=lambda m: m.step)
    if not curve:
        return None
    finite = [m for m in curve if not math.isnan(m.metrics[objective.metric])]
    if spec.measurement == "last" or not finite:
        chosen = curve[-1]
    else:
        turn = _turn(spec)
        chosen = min(finite, key=lambda m: (turn * m.metrics[objective.metric], m.step))
    return Measurement(chosen.step, _metrics_at(chosen.step, measurements), chosen.elapsed_s)


def _turn(spec: StudySpec) -> float:
    if spec.measurement == "best":
        return spec.objective.loss(1.0)
    return 1.0 if spec.measurement == "minimum" else -1.0


def _metrics_at(step: int, measurements: Iterable[Measurement]) -> Mapping[str, float]:
    metrics: dict[str, float] = {}
    for m in sorted(measurements, key=lambda m: m.step):
        for name, value in m.metrics.items():
            if m.step <= step or name not in metrics:
                metrics[name] = value
    return metrics
