"""The trials of a history as arrays, brought up to date at the cost of what changed."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.model import History, StudySpec, Trial, TrialState
from tunesmith.search.columns import Vector

__all__ = ["Rows", "Table", "alike"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Trials as rows of arrays.

    Attributes:
        units: Places in the unit cube, ``(n, d)``; nan where a parameter is not active.
        losses: Objectives turned so that smaller is better, ``(n, m)``; all nan where one of them
            was not measured.
        errors: The objectives' standard errors, ``(n, m)``; nan where none was measured.
        excesses: How far each constraint is broken, ``(n, c)``: 0 or less if kept, inf if not measured.
        ended: Whether the trial says something about its values: final and not cancelled, ``(n,)``.
        pending: Whether it has not ended, ``(n,)``.
        revisions: The revision that last changed it, ``(n,)``.
    """

    units: Vector
    losses: Vector
    errors: Vector
    excesses: Vector
    ended: NDArray[np.bool_]
    pending: NDArray[np.bool_]
    revisions: NDArray[np.int64]

    @classmethod
    def empty(cls, spec: StudySpec, n: int) -> "Rows":
        """Return ``n`` rows to be written."""
        return cls(
            np.empty((n, len(spec.space))),
            np.empty((n, len(spec.objectives))),
            np.empty((n, len(spec.objectives))),
            np.empty((n, len(spec.constraints))),
            np.zeros(n, dtype=np.bool_),
            np.zeros(n, dtype=np.bool_),
            np.zeros(n, dtype=np.int64),
        )

    def take(self, rows: slice | NDArray[np.intp]) -> "Rows":
        """Return some of the rows."""
        return Rows(
            self.units[rows],
            self.losses[rows],
            self.errors[rows],
            self.excesses[rows],
            self.ended[rows],
            self.pending[rows],
            self.revisions[rows],
        )

    def write(self, row: int, trial: Trial, spec: StudySpec) -> None:
        """Fill one row, all but the trial's place in the cube."""
        metrics = trial.metrics if trial.counts else {}
        losses = [o.loss(metrics.get(o.metric, math.nan)) for o in spec.objectives]
        self.losses[row] = losses if all(map(math.isfinite, losses)) else math.nan
        self.errors[row] = [metrics.get(o.standard_error, math.nan) for o in spec.objectives]
        for k, constraint in enumerate(spec.constraints):
            excess = constraint.excess(metrics.get(constraint.metric, math.nan))
            self.excesses[row, k] = math.inf if math.isnan(excess) else excess
        self.ended[row] = trial.is_final and trial.state is not TrialState.CANCELLED
        self.pending[row] = not trial.is_final
        self.revisions[row] = trial.revision


class Table:
    """The rows of the history that was last seen; they depend on nothing but that history."""

    def __init__(self) -> None:
        self._spec: StudySpec | None = None
        self._trials: list[Trial] = []

    def rows(self, history: History) -> Rows:
        """Return a row for each trial of ``history``; they may change with the next call."""
        spec, trials = history.spec, history.trials
        if self._spec is None or not alike(self._spec, spec) or len(trials) < len(self._trials):
            self._trials, self._rows = [], Rows.empty(spec, 64)
        self._spec = spec
        if len(trials) > len(self._rows.ended):
            known, self._rows = self._rows, Rows.empty(spec, 2 * len(trials))
            self._copy(known)
        for row, (old, new) in enumerate(zip(self._trials, trials, strict=False)):
            if old is not new:
                if old.values is not new.values:
                    self._rows.units[row] = spec.space.encode(new.values)
                self._rows.write(row, new, spec)
                self._trials[row] = new
        for row in range(len(self._trials), len(trials)):
            self._rows.units[row] = spec.space.encode(trials[row].values)
            self._rows.write(row, trials[row], spec)
            self._trials.append(trials[row])
        return self._rows.take(slice(len(trials)))

    def _copy(self, known: Rows) -> None:
        n = len(self._trials)
        for name in Rows.__slots__:
            getattr(self._rows, name)[:n] = getattr(known, name)[:n]


def alike(a: StudySpec, b: StudySpec) -> bool:
    """Whether rows of one study can be kept for the other: only its budget may have changed."""
    return a is b or (
        (a.objectives, a.constraints) == (b.objectives, b.constraints) and a.space == b.space
    )
