"""A trial's learning curve: all it measured, joined over its attempts.

Where an attempt goes on from a checkpoint, its first step follows those of the attempt before, and the
curve is one. Where it began anew, what it measures replaces what was there from that step on.

How far a trial has come, its *reach*, is counted in steps that are done: a program that counts its
steps from 0 has done one when it reports step 0.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith.model.objectives import Objective
from tunesmith.model.trial import Measurement

__all__ = ["By", "Curve", "Series", "joined"]

By = Literal["step", "elapsed"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One metric's losses along a trial, smaller is better.

    Attributes:
        at: How far the trial was, rising: steps done, or seconds; ``(n,)``.
        losses: The losses there; what was nan is infinite, ``(n,)``.
    """

    at: Array
    losses: Array

    def __len__(self) -> int:
        return len(self.at)

    @property
    def reach(self) -> float:
        """How far it goes; 0 if nothing was measured."""
        return float(self.at[-1]) if len(self.at) else 0.0

    def until(self, reach: float) -> "Series":
        """Return the part up to ``reach``, that included."""
        n = int(np.searchsorted(self.at, reach, side="right"))
        return Series(self.at[:n], self.losses[:n])

    @property
    def last(self) -> float:
        """The last loss; infinite if there is none."""
        return float(self.losses[-1]) if len(self.losses) else np.inf

    @property
    def best(self) -> float:
        """The least loss; infinite if there is none."""
        return float(self.losses.min()) if len(self.losses) else np.inf

    @property
    def mean(self) -> float:
        """The mean of the losses; infinite if there is none, or one is."""
        return float(self.losses.mean()) if len(self.losses) else np.inf


@dataclass(slots=True)
class _Point:
    """What was measured at one step."""

    attempt: int
    metrics: dict[str, float]
    elapsed_s: float
    revision: int


class Curve:
    """What one trial measured, by step; grows as measurements arrive.

    Args:
        measurements: Each with its attempt.
        from_zero: Whether the program is known to count its steps from 0; a trial that begins from
            another's checkpoint does not report the step that would say so.
    """

    def __init__(
        self, measurements: Iterable[tuple[int, Measurement]] = (), *, from_zero: bool = False
    ) -> None:
        self._from_zero = from_zero
        self._points: dict[int, _Point] = {}
        self._attempt = 0
        self._revision = 0
        self._began: dict[int, int] = {}
        self._begun_anew_at: int | None = None
        self._steps: list[int] | None = []
        self._series: dict[tuple[Objective, By], Series] = {}
        for attempt, measurement in measurements:
            self.add(attempt, measurement)

    def add(self, attempt: int, measurement: Measurement) -> None:
        """Take in what an attempt measured; what an earlier attempt says late is left out."""
        if attempt < self._attempt:
            return
        self._steps = None
        self._series.clear()
        self._attempt = attempt
        if measurement.step < self._began.get(attempt, measurement.step + 1):
            if any(measurement.step <= first for a, first in self._began.items() if a < attempt):
                self._begun_anew_at = measurement.revision
            self._began[attempt] = measurement.step
            for step in [s for s, p in self._points.items() if p.attempt < attempt]:
                if step >= measurement.step:
                    del self._points[step]
        point = self._points.get(measurement.step)
        if point is None:
            point = self._points[measurement.step] = _Point(attempt, {}, 0.0, 0)
        point.metrics |= {k: v for k, v in measurement.metrics.items() if k not in point.metrics}
        point.elapsed_s = max(point.elapsed_s, measurement.elapsed_s)
        point.revision = max(point.revision, measurement.revision)
        self._revision = max(self._revision, measurement.revision)

    def __len__(self) -> int:
        return len(self._points)

    @property
    def steps(self) -> Sequence[int]:
        """The steps at which anything was measured, rising."""
        if self._steps is None:
            self._steps = sorted(self._points)
        return self._steps

    @property
    def reach(self) -> int:
        """How many steps are done, counted by the last one measured; 0 before the first."""
        return self.steps[-1] + self._first if self._points else 0

    @property
    def from_zero(self) -> bool:
        """Whether the program counts its steps from 0."""
        return self._from_zero or 0 in self._points

    @property
    def begins_anew(self) -> bool:
        """Whether an attempt has begun where an earlier one had: nothing was kept of that."""
        return self._begun_anew_at is not None

    @property
    def goes_on(self) -> bool:
        """Whether an attempt has gone on where an earlier one had ended."""
        return len({p.attempt for p in self._points.values()}) > 1

    @property
    def revision(self) -> int:
        """The study's revision of the latest measurement; 0 without one."""
        return self._revision

    @property
    def measurements(self) -> list[Measurement]:
        """All of it, by step, with the seconds of all attempts that led there."""
        seconds = self._seconds()
        return [
            Measurement(step, point.metrics, seconds[i], point.revision)
            for i, (step, point) in enumerate((s, self._points[s]) for s in self.steps)
        ]

    def at(self, reach: float) -> Mapping[str, float]:
        """Return each metric's latest value when so many steps were done."""
        metrics: dict[str, float] = {}
        for step in self.steps[: bisect_right(self.steps, reach - self._first)]:
            metrics |= self._points[step].metrics
        return metrics

    def series(self, objective: Objective, by: By = "step") -> Series:
        """Return the losses of one metric along the trial."""
        found = self._series.get((objective, by))
        if found is None:
            where = self._seconds() if by == "elapsed" else [s + self._first for s in self.steps]
            pairs = [
                (where[i], objective.loss(metrics[objective.metric]))
                for i, step in enumerate(self.steps)
                if objective.metric in (metrics := self._points[step].metrics)
            ]
            table = np.array(pairs, dtype=np.float64).reshape(len(pairs), 2)
            losses = np.where(np.isnan(table[:, 1]), np.inf, table[:, 1])
            found = self._series[objective, by] = Series(table[:, 0], losses)
        return found

    def until(self, revision: int) -> "Curve":
        """Return the curve as it was at a revision of the study."""
        points = sorted(self._points.items(), key=lambda pair: pair[1].attempt)
        past = Curve(
            (
                (p.attempt, Measurement(s, p.metrics, p.elapsed_s, p.revision))
                for s, p in points
                if p.revision <= revision
            ),
            from_zero=self._from_zero,
        )
        if self._begun_anew_at is not None and self._begun_anew_at <= revision:
            past._begun_anew_at = self._begun_anew_at
        return past

    @property
    def _first(self) -> int:
        return int(self.from_zero)

    def _seconds(self) -> list[float]:
        """Return the seconds that led to each step, those of earlier attempts included."""
        before, attempt, latest = 0.0, 0, 0.0
        seconds: list[float] = []
        for step in self.steps:
            point = self._points[step]
            if point.attempt != attempt:
                before, attempt = latest, point.attempt
            latest = max(latest, before + point.elapsed_s)
            seconds.append(latest)
        return seconds


def joined(measurements: Iterable[tuple[int, Measurement]]) -> list[Measurement]:
    """Return what attempts measured as one curve; see `Curve`."""
    return Curve(sorted(measurements, key=lambda pair: pair[0])).measurements
