"""Scales: how a parameter's values are spread over the unit interval.

linear        evenly
log           evenly by order of magnitude: fine near ``low``
reverse_log   the mirror image: fine near ``high``
"""

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["SCALES", "Axis", "Scale"]

Scale = Literal["linear", "log", "reverse_log"]
SCALES: tuple[Scale, ...] = ("linear", "log", "reverse_log")


@dataclass(frozen=True, slots=True)
class Axis:
    """The interval from ``low`` to ``high`` on a scale; both ends belong to it."""

    low: float
    high: float
    scale: Scale

    def to_unit(self, value: float) -> float:
        """Return the place of ``value`` on the scale, from 0 at ``low`` to 1 at ``high``."""
        if self.low == self.high:
            return 0.5
        if self.scale == "log":
            return math.log(value / self.low) / math.log(self.high / self.low)
        if self.scale == "reverse_log":
            # u = 1 - log((low + high - x) / low) / log(high / low), as in Vizier.
            mirrored = self.low + (self.high - value)
            return 1.0 - math.log(mirrored / self.low) / math.log(self.high / self.low)
        # Halves keep the difference of two huge numbers finite.
        return (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)

    def from_unit(self, u: float) -> float:
        """Return the value at place ``u``; what lies outside of [0, 1] is moved to the nearer end."""
        u = min(max(u, 0.0), 1.0)
        if self.scale == "log":
            value = math.exp((1.0 - u) * math.log(self.low) + u * math.log(self.high))
        elif self.scale == "reverse_log":
            mirrored = math.exp(u * math.log(self.low) + (1.0 - u) * math.log(self.high))
            value = self.low + (self.high - mirrored)
        else:
            value = self.low * (1.0 - u) + self.high * u
        return min(max(value, self.low), self.high)
