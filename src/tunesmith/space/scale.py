"""Scales: how a parameter's values are spread over the unit interval.

linear        evenly
log           evenly by order of magnitude: fine near ``low``
reverse_log   the mirror image: fine near ``high``

An `Axis` carries numbers without gaps. `Cells` carries numbers that are counted: each owns an interval.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["SCALES", "Axis", "Cells", "Scale", "cell", "middle"]

Scale = Literal["linear", "log", "reverse_log"]
SCALES: tuple[Scale, ...] = ("linear", "log", "reverse_log")

_TINY = 1e-200  # what is smaller would overflow when divided by, and no draw could tell


@dataclass(frozen=True, slots=True)
class Axis:
    """The interval from ``low`` to ``high`` on a scale; both ends belong to it."""

    low: float
    high: float
    scale: Scale

    def to_unit(self, value: float) -> float:
        """Return the place of ``value`` on the scale, from 0 at ``low`` to 1 at ``high``."""
        if self.scale == "log":
            return self._log_place(value)
        if self.scale == "reverse_log":
            # u = 1 - log((low + high - x) / low) / log(high / low), as in Vizier.
            return 1.0 - self._log_place(self._mirror(value))
        return (value - self.low) / (self.high - self.low) if self.low < self.high else 0.5

    def from_unit(self, u: float) -> float:
        """Return the value at place ``u``; what lies outside of [0, 1] is moved to the nearer end."""
        if u <= 0.0:
            return self.low
        if u >= 1.0:
            return self.high
        if self.scale == "log":
            value = self._log_value(u)
        elif self.scale == "reverse_log":
            value = self._mirror(self._log_value(1.0 - u))
        else:
            value = self.low * (1.0 - u) + self.high * u
        return min(max(value, self.low), self.high)

    def _log_place(self, value: float) -> float:
        # Not log(value / low): the quotient of 1e300 and 1e-300 is no number.
        span = math.log(self.high) - math.log(self.low)
        return (math.log(value) - math.log(self.low)) / span if span > 0.0 else 0.5

    def _log_value(self, u: float) -> float:
        return math.exp((1.0 - u) * math.log(self.low) + u * math.log(self.high))

    def _mirror(self, value: float) -> float:
        return max(self.low + (self.high - value), self.low)


class Cells:
    """Evenly spaced numbers on a scale, by their index: each has a cell, and the cells fill [0, 1].

    On the linear scale all cells are equally wide. On the others a cell reaches half a step to either
    side; where that would reach below zero, half of the first number takes the place of half a step.

    Args:
        count: How many numbers there are.
        scale: The scale.
        first: The first number, measured in steps; of no account on the linear scale.
    """

    __slots__ = ("_base", "_count", "_edge", "_scale", "_span")

    def __init__(self, count: int, scale: Scale, first: float) -> None:
        self._count = count
        self._scale = scale
        first = max(first, _TINY)
        self._edge = min(0.5, first / 2)
        self._base = first - self._edge
        self._span = math.log1p((count - 0.5 + self._edge) / self._base)

    def to_unit(self, index: int) -> float:
        """Return a place inside the cell: on the linear scale its middle, else that of the number."""
        if self._scale == "linear":
            return middle(index, self._count)
        if self._scale == "log":
            return self._log_place(index)
        return 1.0 - self._log_place(self._count - 1 - index)

    def from_unit(self, u: float) -> int:
        """Return the index of the cell around ``u``."""
        if self._scale == "linear":
            return cell(u, self._count)
        if self._scale == "log":
            return self._log_index(u)
        return self._count - 1 - self._log_index(1.0 - u)

    def bounds(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where the cells around places ``u`` begin and where they end, each of ``u``'s shape."""
        if self._scale == "reverse_log":
            low, high = self._log_bounds(1.0 - u)
            return 1.0 - high, 1.0 - low
        if self._scale == "log":
            return self._log_bounds(u)
        index = np.clip(np.floor(u * self._count), 0, self._count - 1)
        return index / self._count, (index + 1) / self._count

    # Distances from the edge of the first cell, not the numbers themselves: those may be so large that
    # neighbours have the same logarithm.

    def _log_place(self, index: int) -> float:
        return math.log1p((index + self._edge) / self._base) / self._span

    def _log_index(self, u: float) -> int:
        u = min(max(u, 0.0), 1.0)
        index = round(self._base * math.expm1(u * self._span) - self._edge)
        return min(max(index, 0), self._count - 1)

    def _log_bounds(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distance = self._base * np.expm1(np.clip(u, 0.0, 1.0) * self._span)
        index = np.clip(np.rint(distance - self._edge), 0, self._count - 1)
        # A cell reaches half a step to either side, but the first one begins at the edge.
        low = np.where(index > 0, index - 0.5 + self._edge, 0.0)
        high = index + 0.5 + self._edge
        return np.log1p(low / self._base) / self._span, np.log1p(high / self._base) / self._span


def middle(index: int, count: int) -> float:
    """Return the middle of a cell, of ``count`` equally wide ones."""
    return (index + 0.5) / count


def cell(u: float, count: int) -> int:
    """Return which of ``count`` equally wide cells lies around ``u``."""
    return min(int(min(max(u, 0.0), 1.0) * count), count - 1)
