"""What trials measured on their way: their losses at a few stages, the earlier the closer together.

    whole    the steps of a whole trial
    levels   whole/16, whole/8, whole/4, whole/2: a trial that has done so many steps has a stage there
    stage    1 + log(steps/whole)/log(whole): from 0 at the first step to 1 at the last

A trial that has completed is at stage 1, however many steps it took. One that has been stopped or paused
has a stage where it stands as well, unless a level is near.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.model import (
    Curve,
    History,
    Measurement,
    StudySpec,
    Trial,
    TrialState,
    select_measurement,
)
from tunesmith.search.bayesian.cube import Array

__all__ = ["StageTable", "Stages", "has_stages"]

_LEVELS = 4  # below the whole
_MOST = 5  # stages that are taken of a trial, the latest
_NEAR = 1.25  # times a level's steps

_LOST = (TrialState.FAILED, TrialState.INFEASIBLE, TrialState.CANCELLED)


@dataclass(frozen=True, slots=True, eq=False)
class Stages:
    """Values at stages, in the order in which they were measured.

    Attributes:
        trial: Which trial each belongs to, its place among all, ``(n,)``.
        stage: Where it stood, ``(n,)``.
        losses: The objectives turned so that smaller is better, finite, ``(n, m)``.
        errors: Their standard errors, nan where none was measured, ``(n, m)``.
        excesses: How far each constraint is broken, inf where that was not measured, ``(n, c)``.
        revisions: The revisions that stored them, ``(n,)``.
        resting: Which of all trials are paused, ``(t,)``.
        grid: The stages of the levels and the end, rising, ``(g,)``.
    """

    trial: NDArray[np.intp]
    stage: Array
    losses: Array
    errors: Array
    excesses: Array
    revisions: NDArray[np.int64]
    resting: NDArray[np.bool_]
    grid: Array

    def at_the_end(self) -> Array:
        """Return the losses less what is common to their stage: as if all were at the end, ``(n, m)``.

        From one level to the next, losses change by the median of what they change by in the trials
        that have passed both.
        """
        found = self.losses.copy()
        column = np.minimum(np.searchsorted(self.grid, self.stage), len(self.grid) - 1)
        level = self.grid[column] == self.stage
        for k in range(found.shape[1]):
            table = np.full((len(self.resting), len(self.grid)), np.nan)
            table[self.trial[level], column[level]] = self.losses[level, k]
            with np.errstate(over="ignore", invalid="ignore"):
                steps = [_median(change) for change in np.diff(table, axis=1).T]
                still_to_come = np.append(np.cumsum(steps[::-1])[::-1], 0.0)
                moved = found[:, k] + np.interp(self.stage, self.grid, still_to_come)
            if np.isfinite(moved).all():
                found[:, k] = moved
        return found


@dataclass(frozen=True, slots=True)
class _Value:
    """What a trial had measured at a stage."""

    stage: float
    losses: tuple[float, ...]
    errors: tuple[float, ...]
    excesses: tuple[float, ...]
    revision: int


class StageTable:
    """The stages of the history that was last seen; they depend on nothing but that history."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, list[_Value]]] = {}

    def stages(self, history: History) -> Stages:
        """Return the stages of all trials of ``history``."""
        whole = _whole(history)
        values: list[tuple[int, _Value]] = []
        for row, trial in enumerate(history.trials):
            curve = history.curve(trial.number)
            state = (whole, trial.revision, trial.state, curve.revision, len(curve))
            known = self._known.get(trial.number)
            if known is None or known[0] != state:
                known = self._known[trial.number] = (
                    state,
                    _values(trial, curve, whole, history.spec),
                )
            values += [(row, value) for value in known[1]]
        values.sort(key=lambda pair: (pair[1].revision, pair[0], pair[1].stage))
        spec, n = history.spec, len(values)
        return Stages(
            trial=np.array([row for row, _ in values], dtype=np.intp),
            stage=np.array([v.stage for _, v in values], dtype=np.float64),
            losses=np.array([v.losses for _, v in values]).reshape(n, len(spec.objectives)),
            errors=np.array([v.errors for _, v in values]).reshape(n, len(spec.objectives)),
            excesses=np.array([v.excesses for _, v in values]).reshape(n, len(spec.constraints)),
            revisions=np.array([v.revision for _, v in values], dtype=np.int64),
            resting=np.array([t.state is TrialState.PAUSED for t in history.trials], np.bool_),
            grid=np.unique([_stage(level, whole) for level in [*_parts(whole), whole]]),
        )


def _median(changes: Array) -> float:
    """Return the median of those that are finite; 0 if none is."""
    known = changes[np.isfinite(changes)]
    return float(np.median(known)) if len(known) else 0.0


def has_stages(history: History) -> bool:
    """Whether any trial has measured something on its way."""
    return any(len(history.curve(trial.number)) for trial in history.trials)


def _whole(history: History) -> int:
    """Return the steps of a whole trial: if nobody has said so, as many as any has done."""
    most = max((history.curve(trial.number).reach for trial in history.trials), default=1)
    return history.spec.max_steps or max(most, 1)


def _values(trial: Trial, curve: Curve, whole: int, spec: StudySpec) -> list[_Value]:
    """Return what a trial has measured at its stages, the earliest first."""
    if trial.state in _LOST:
        return []
    measured = [(m.step + curve.from_zero, m) for m in curve.measurements]
    values = [_value_at(level, measured, whole, spec) for level in _levels(trial, curve, whole)]
    if trial.state is TrialState.COMPLETED or (trial.is_final and not measured):
        end = _read(trial.metrics, 1.0, trial.revision, spec)
        if end is None:
            return []  # a trial whose result is no number has failed, whatever it measured before
        values.append(end)
    return [value for value in values if value is not None][-_MOST:]


def _levels(trial: Trial, curve: Curve, whole: int) -> list[int]:
    """Return after how many steps values are taken."""
    reach = curve.reach
    levels = [level for level in _parts(whole) if level <= reach]
    if trial.state is TrialState.COMPLETED:
        return levels
    rests = trial.is_final or trial.state is TrialState.PAUSED
    if reach >= whole or (rests and reach >= _NEAR * (levels[-1] if levels else 0) and reach):
        levels.append(reach)
    return list(dict.fromkeys(levels))


def _parts(whole: int) -> list[int]:
    """Return the levels below the whole, rising."""
    parts = [max(1, round(whole / 2**k)) for k in range(_LEVELS, 0, -1)]
    return [level for level in dict.fromkeys(parts) if level < whole]


def _stage(level: int, whole: int) -> float:
    return 1.0 + math.log(level / whole) / math.log(whole) if level < whole else 1.0


def _value_at(
    level: int, measured: Sequence[tuple[int, Measurement]], whole: int, spec: StudySpec
) -> _Value | None:
    """Return what counted when so many steps were done; None where that is no number."""
    chosen = select_measurement([m for done, m in measured if done <= level], spec)
    if chosen is None:
        return None
    revision = next(m.revision for done, m in measured if done >= level)
    return _read(chosen.metrics, _stage(level, whole), revision, spec)


def _read(
    metrics: Mapping[str, float], stage: float, revision: int, spec: StudySpec
) -> _Value | None:
    losses = tuple(o.loss(metrics.get(o.metric, math.nan)) for o in spec.objectives)
    if not all(map(math.isfinite, losses)):
        return None
    errors = tuple(metrics.get(o.standard_error, math.nan) for o in spec.objectives)
    excesses = [c.excess(metrics.get(c.metric, math.nan)) for c in spec.constraints]
    kept = tuple(math.inf if math.isnan(excess) else excess for excess in excesses)
    return _Value(stage, losses, errors, kept, revision)
