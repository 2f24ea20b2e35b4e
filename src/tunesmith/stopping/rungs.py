"""Rungs: the steps at which trials are compared, and how they stand against each other there."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tunesmith.model import (
    Curve,
    History,
    Objective,
    Selection,
    StudySpec,
    Trial,
    violation,
)
from tunesmith.search.ranked import crowding, fronts
from tunesmith.search.settings import refuse

__all__ = [
    "check_rungs",
    "levels",
    "metrics_at",
    "ranked",
    "rung_of",
    "value_at",
    "whole_steps",
]


def whole_steps(name: str, spec: StudySpec) -> int:
    """Return how many steps a whole trial trains; raise `SpecError` if the study does not say so."""
    if spec.max_steps is None:
        raise refuse(
            f"{name} shares out training steps:"
            " say how many steps (epochs) a whole trial trains: max_steps."
        )
    return spec.max_steps


def check_rungs(name: str, least: int, factor: int, spec: StudySpec) -> None:
    """Raise `SpecError` unless trials are compared at least once before the end."""
    whole = whole_steps(name, spec)
    if len(levels(least, whole, factor)) < 2:
        raise refuse(
            f"{name} has nothing to share out: max_steps={whole} is less than"
            f" eta={factor} times min_steps={least}. Count finer steps, or lower these."
        )


def levels(least: int, whole: int, factor: int) -> tuple[int, ...]:
    """Return ``whole`` and its ``factor``-th parts down to ``least``, rounded, the lowest first.

    These are R·η⁻ˢ, …, R·η⁻¹, R of Hyperband (Li et al. 2018) with the greatest s for which
    R·η⁻ˢ is not below ``least``.
    """
    found = [whole]
    part = factor
    while least * part <= whole:
        step = round(whole / part)
        if step < found[-1]:
            found.append(step)
        part *= factor
    return tuple(reversed(found))


def rung_of(trial: Trial, levels: Sequence[int]) -> int:
    """Return the rung up to which the trial may train, by its budget; the top one without a budget."""
    top = len(levels) - 1
    return top if trial.budget is None else min(bisect_left(levels, trial.budget), top)


def metrics_at(
    trial: Trial, history: History, reach: float, measurement: Selection | None = None
) -> Mapping[str, float]:
    """Return the metrics that count for a trial among those it had when ``reach`` steps were done.

    Which of its measurements counts is decided by ``measurement``; without it as for the whole study
    (``spec.measurement``). A trial that had not measured the first objective by then is taken at its
    first measurement after.
    """
    spec = history.spec
    curve = history.curve(trial.number)
    selection = measurement or spec.measurement
    if selection == "last":  # nearly always, and quick
        metrics = curve.at(reach)
        if spec.objective.metric in metrics:
            return metrics
    at = _chosen(curve, spec.objective, reach, selection)
    return {} if at is None else curve.at(at)


def value_at(
    trial: Trial, history: History, reach: float, measurement: Selection | None = None
) -> float:
    """Return the first objective's value there, in its own units; nan if there is none."""
    metrics = metrics_at(trial, history, reach, measurement)
    return metrics.get(history.spec.objective.metric, math.nan)


def ranked(
    trials: Iterable[Trial], history: History, reach: float, measurement: Selection | None = None
) -> list[Trial]:
    """Return trials in the order in which they stand when ``reach`` steps are done, the best first.

    Those that keep all constraints come first, by the first objective; with several objectives by
    the front to which they belong, within it the lonelier first (Deb et al. 2002). Then come those
    that break a constraint, by how much; then those without a finite value of every objective. Of
    equals the earliest comes first.
    """
    spec = history.spec
    standing = sorted(trials, key=lambda t: t.number)
    rows = [metrics_at(trial, history, reach, measurement) for trial in standing]
    losses = np.array(
        [[o.loss(row.get(o.metric, math.nan)) for o in spec.objectives] for row in rows]
    ).reshape(len(rows), len(spec.objectives))
    measured = np.isfinite(losses).all(axis=1)
    excess = np.array([violation(row, spec.constraints) for row in rows])
    kept = np.flatnonzero(measured & (excess == 0.0))
    first = np.where(measured, losses[:, 0], 0.0)
    last = np.zeros(len(rows))
    if len(spec.objectives) > 1:
        first[kept] = front = fronts(losses[kept])
        for level in np.unique(front):
            members = kept[front == level]
            last[members] = -crowding(losses[members])
    group = np.where(measured, excess, np.inf)
    order = np.lexsort((last, first, group, ~measured))
    return [standing[i] for i in order.tolist()]


def _chosen(
    curve: Curve, objective: Objective, reach: float, measurement: Selection
) -> float | None:
    """Return at how many steps done stands the measurement that counts; None if there is none."""
    series = curve.series(objective)
    if not len(series):
        return None
    known = series.until(reach)
    if not len(known):
        return float(series.at[0])
    if measurement == "last":
        return reach
    turn = 1.0 if measurement == "best" else objective.loss(1.0)
    if measurement == "maximum":
        turn = -turn
    # Infinite losses stand for nan, too: they are no extremes to choose.
    turned = np.where(np.isinf(known.losses), np.inf, turn * known.losses)
    return float(known.at[int(np.argmin(turned))])
