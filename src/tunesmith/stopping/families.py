"""Shapes of learning curves: how a loss falls from the beginning of a training to its end.

    t       steps done, or seconds, from t0 to T
    φ(t)    a shape, falling: φ(t0) = 1, φ(T) = 0

A curve is then c + a φ(t), where c is its value at the end and a is what it has still to fall at t0. The
families are those of Domhan, Springenberg and Hutter, "Speeding up automatic hyperparameter optimization
of deep neural networks by extrapolation of learning curves" (IJCAI 2015), each at a few values of the
parameters that it does not depend on linearly, so that everything else is linear.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNT", "shapes"]

Array = NDArray[np.float64]
Shape = Callable[[Array, float, float], Array]


def _power(t: Array, start: float, _end: float, *, alpha: float) -> Array:
    """Return t^-α, or -log t as its limit for α = 0; for α = -1 it is a straight line."""
    return -np.log(t / start) if alpha == 0.0 else np.sign(alpha) * (t / start) ** -alpha


def _exponential(t: Array, _start: float, end: float, *, rate: float) -> Array:
    return np.exp(-rate * t / end)


def _sigmoid(t: Array, _start: float, end: float, *, half: float, power: float) -> Array:
    """Return Hill's curve, which waits, falls and levels off; half of it is gone at ``half`` T."""
    return 1.0 / (1.0 + (t / (half * end)) ** power)


_SHAPES: list[Shape] = [
    *(partial(_power, alpha=alpha) for alpha in (-1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 1.5, 2.5)),
    *(partial(_exponential, rate=rate) for rate in (2.0, 4.0, 8.0, 16.0, 32.0)),
    *(
        partial(_sigmoid, half=half, power=power)
        for half in (0.05, 0.15, 0.4)
        for power in (2.0, 5.0)
    ),
]

COUNT = len(_SHAPES)
"""How many shapes there are."""


def shapes(t: Array, start: float, end: float) -> Array:
    """Return every shape at ``t`` ``(...)``, as ``(..., COUNT)``; ``0 < start < end``."""
    ends = np.array([start, end])
    columns = []
    for shape in _SHAPES:
        first, last = shape(ends, start, end)
        columns.append((shape(t, start, end) - last) / (first - last))
    return np.stack(columns, axis=-1)
