"""Kernels: how alike two points are, as a function of their squared distance r².

    matern52     (1 + √5 r + 5/3 r²) exp(-√5 r)
    matern32     (1 + √3 r) exp(-√3 r)
    se           exp(-r²/2), the squared exponential

Each returns k(r²) and its derivative by r². Rasmussen and Williams (2006), section 4.2. Arrays are made
in place where they can be: the system takes about as long to give large ones as it takes to fill them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from tunesmith.search.bayesian.cube import Array

__all__ = ["KERNELS", "Kernel"]

Kernel = Callable[[Array], tuple[Array, Array]]

_ROOT3, _ROOT5 = np.sqrt(3.0), np.sqrt(5.0)


def _matern52(r2: Array) -> tuple[Array, Array]:
    s = np.sqrt(r2)
    s *= _ROOT5
    fall = np.negative(s)
    np.exp(fall, out=fall)
    s += 1.0
    s *= fall
    k = (5.0 / 3.0) * r2
    k *= fall
    k += s
    s *= -5.0 / 6.0
    return k, s


def _matern32(r2: Array) -> tuple[Array, Array]:
    s = _ROOT3 * np.sqrt(r2)
    fall = np.exp(-s)
    return (1.0 + s) * fall, -1.5 * fall


def _se(r2: Array) -> tuple[Array, Array]:
    k = np.exp(-0.5 * r2)
    return k, -0.5 * k


KERNELS: Mapping[str, Kernel] = MappingProxyType(
    {"matern52": _matern52, "matern32": _matern32, "se": _se}
)
