"""The curves of many trials side by side, so that a rule compares thousands without a loop over steps."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.model import By, History, Objective, Series, Trial, TrialState

__all__ = ["Array", "Peers", "others", "settled"]

Array = NDArray[np.float64]

_WITHOUT_RESULT = (TrialState.FAILED, TrialState.INFEASIBLE, TrialState.CANCELLED)


def settled(series: Series) -> Series:
    """Return the series in which every loss that is no finite number is the worst there is."""
    return Series(series.at, _worst_if_not_finite(series.losses))


def others(trial: Trial, history: History) -> list[Trial]:
    """Return the other trials whose measurements say something; those that failed say nothing."""
    return [
        t
        for t in history.trials
        if t.number != trial.number
        and t.state not in _WITHOUT_RESULT
        and len(history.curve(t.number))
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Peers:
    """Losses along k trials that measured something; what is not finite is infinite.

    Attributes:
        numbers: The trials, ``(k,)``.
        starts: Where the measurements of each begin, ``(k,)``.
        at: How far it was, ``(n,)``, rising within a trial.
        losses: Its losses there, ``(n,)``.
    """

    numbers: NDArray[np.intp]
    starts: NDArray[np.intp]
    at: Array
    losses: Array

    @classmethod
    def of(
        cls, trials: Iterable[Trial], history: History, objective: Objective, by: By = "step"
    ) -> "Peers":
        """Return those of ``trials`` that measured the objective."""
        found = [
            (trial.number, series)
            for trial in trials
            if len(series := history.curve(trial.number).series(objective, by))
        ]
        empty = np.empty(0)
        sizes = np.array([len(series) for _, series in found], dtype=np.intp)
        return cls(
            np.array([number for number, _ in found], dtype=np.intp),
            np.cumsum(sizes) - sizes,
            np.concatenate([series.at for _, series in found] or [empty]),
            _worst_if_not_finite(np.concatenate([s.losses for _, s in found] or [empty])),
        )

    @classmethod
    def alone(cls, series: Series) -> "Peers":
        """Return one trial, whose number does not matter, that measured something."""
        zero = np.zeros(1, dtype=np.intp)
        return cls(zero, zero, series.at, _worst_if_not_finite(series.losses))

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def sizes(self) -> NDArray[np.intp]:
        """How many measurements each has, ``(k,)``."""
        return np.diff(np.append(self.starts, len(self.at)))

    @property
    def reaches(self) -> Array:
        """How far each has come, ``(k,)``."""
        return self.at[self._ends]

    @property
    def lasts(self) -> Array:
        """The last loss of each, ``(k,)``."""
        return self.losses[self._ends]

    @property
    def bests(self) -> Array:
        """The least loss of each, ``(k,)``."""
        least: Array = np.minimum.reduceat(self.losses, self.starts)
        return least

    @property
    def means(self) -> Array:
        """The mean loss of each, ``(k,)``."""
        sizes = self.sizes
        shares = self.losses / np.repeat(sizes, sizes)  # first, lest the sum of large ones overflow
        mean: Array = np.add.reduceat(shares, self.starts)
        return mean

    def chosen(self, which: NDArray[np.bool_]) -> "Peers":
        """Return some of them, ``which`` ``(k,)``."""
        return self._keep(np.repeat(which, self.sizes))

    def until(self, reach: float | Array) -> "Peers":
        """Return them up to ``reach``, or each up to its own ``(k,)``; without those not there yet."""
        limit = reach if isinstance(reach, float | int) else np.repeat(reach, self.sizes)
        return self._keep(self.at <= limit)

    def arrivals(self, reach: float) -> Array:
        """Return where each measured first from ``reach`` on, ``(k,)``; nan where it did not."""
        sizes = self.sizes
        before = np.add.reduceat((self.at < reach).astype(np.intp), self.starts)
        there = before < sizes
        out: Array = np.full(len(self), np.nan)
        out[there] = self.at[(self.starts + before)[there]]
        return out

    @property
    def _ends(self) -> NDArray[np.intp]:
        return np.append(self.starts[1:], len(self.at)) - 1 if len(self) else self.starts

    def _keep(self, points: NDArray[np.bool_]) -> "Peers":
        if not len(self):
            return self
        sizes = np.add.reduceat(points.astype(np.intp), self.starts)
        left = sizes > 0
        sizes = sizes[left]
        starts = np.cumsum(sizes) - sizes
        return Peers(self.numbers[left], starts, self.at[points], self.losses[points])


def _worst_if_not_finite(losses: Array) -> Array:
    finite = np.isfinite(losses)
    return losses if finite.all() else np.where(finite, losses, np.inf)
