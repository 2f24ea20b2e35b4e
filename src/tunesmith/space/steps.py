"""Steps of decimal fractions: 0.1, 0.2, 0.3, and not 0.30000000000000004."""

import math
from fractions import Fraction

__all__ = ["Steps", "finest_step", "rounding"]

_SLACK = 1e-9  # of a step: how far from it a value may be and still be meant


def rounding(low: float, high: float) -> float:
    """Return how far rounding errors may carry a sum of numbers between ``low`` and ``high``."""
    return 4 * math.ulp(max(abs(low), abs(high)))


def finest_step(low: float, high: float) -> float:
    """Return the smallest step whose multiples from ``low`` to ``high`` can be told apart as floats."""
    return 16 * rounding(low, high)


class Steps:
    """The numbers ``low``, ``low + step``, … that do not pass ``high``.

    They are counted in whole units of a common denominator of the decimal fractions that people wrote,
    and rounded once, at the end. A last number that misses ``high`` by a rounding error is ``high``, as
    with steps of 1/3 from 0 to 1.
    """

    __slots__ = (
        "_denominator",
        "_first",
        "_high",
        "_low",
        "_reaches_high",
        "_slack",
        "_step",
        "_stride",
        "count",
    )

    def __init__(self, low: float, high: float, step: float) -> None:
        first, stride = Fraction(repr(low)), Fraction(repr(step))
        self._denominator = math.lcm(first.denominator, stride.denominator)
        self._first = int(first * self._denominator)
        self._stride = int(stride * self._denominator)
        self._low, self._high, self._step = low, high, step
        self._slack = max(_SLACK * step, rounding(low, high))
        last = round((high - low) / step)
        # As fractions, since near the end of all floats these sums are none.
        gap = Fraction(self._first + last * self._stride, self._denominator) - Fraction(high)
        self._reaches_high = abs(gap) <= Fraction(self._slack)
        self.count = last if gap > 0 and not self._reaches_high else last + 1

    def at(self, index: int) -> float:
        """Return the number at ``index``, which counts from 0."""
        if self._reaches_high and index == self.count - 1:
            return self._high
        return (self._first + index * self._stride) / self._denominator

    def nearest(self, number: float) -> int:
        """Return the index of the nearest number."""
        return min(max(round((number - self._low) / self._step), 0), self.count - 1)

    def __contains__(self, number: float) -> bool:
        return abs(number - self.at(self.nearest(number))) <= self._slack
