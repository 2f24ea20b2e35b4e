"""Which measurement of a trial counts, and which trial is best."""

import math
from collections.abc import Iterable, Mapping, Sequence

from tunesmith.model.spec import Objective, StudySpec
from tunesmith.model.trial import Measurement, Trial

__all__ = ["best_trial", "loss", "select_measurement"]


def loss(trial: Trial, objective: Objective) -> float | None:
    """Return the trial's objective turned so that smaller is better; None if it does not count.

    A value that is not finite does not count.
    """
    value = trial.metrics.get(objective.metric, math.nan) if trial.counts else math.nan
    return objective.loss(value) if math.isfinite(value) else None


def best_trial(trials: Iterable[Trial], objective: Objective) -> Trial | None:
    """Return the trial with the best value of ``objective``, the earliest of equals; None if none counts."""
    ranked = [
        (value, trial.number, trial)
        for trial in trials
        if (value := loss(trial, objective)) is not None
    ]
    return min(ranked)[2] if ranked else None


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
