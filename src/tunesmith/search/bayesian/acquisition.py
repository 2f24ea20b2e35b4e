"""Acquisition functions: how much is to be hoped for at a point; larger is better.

All take means μ and standard deviations σ of the loss; with the incumbent f* and z = (f* - μ) / σ

    expected improvement          log σ + log(φ(z) + z Φ(z))
    probability of improvement    log Φ(z)
    confidence bound              β σ - μ

The logarithms keep a gradient where the plain values are zero (Ament et al. 2023).
"""

import numpy as np
from scipy.special import erfcx, log_ndtr

from tunesmith.search.bayesian.cube import Array

__all__ = ["confidence_bound", "expected_improvement", "log_h", "probability_of_improvement"]

_HALF_LOG_TAU = 0.5 * np.log(2.0 * np.pi)
_ROOT_HALF_PI = np.sqrt(0.5 * np.pi)
_FAR = -5e3  # below, 1 - |z| erfcx… is lost in rounding, and 1/z² is exact to 1e-7


def log_h(z: Array) -> Array:
    """Return log(φ(z) + z Φ(z))."""
    near = np.maximum(z, -1.0)
    out: Array = np.log(np.exp(-0.5 * near * near - _HALF_LOG_TAU) + near * np.exp(log_ndtr(near)))
    low = z <= -1.0
    if low.any():
        t = z[low]
        middle = np.maximum(t, _FAR)
        rest = np.log1p(middle * _ROOT_HALF_PI * erfcx(-middle / np.sqrt(2.0)))
        rest = np.where(t < _FAR, -2.0 * np.log(-t), rest)
        out[low] = rest - 0.5 * t * t - _HALF_LOG_TAU
    return out


def expected_improvement(mean: Array, sd: Array, best: float) -> tuple[Array, Array, Array]:
    """Return its logarithm and the derivatives of that by mean and deviation."""
    z = (best - mean) / sd
    h = log_h(z)
    by_z = np.exp(log_ndtr(z) - h)
    return h + np.log(sd), -by_z / sd, (1.0 - by_z * z) / sd


def probability_of_improvement(mean: Array, sd: Array, best: float) -> tuple[Array, Array, Array]:
    """Return its logarithm and the derivatives of that by mean and deviation."""
    z = (best - mean) / sd
    value = log_ndtr(z)
    by_z = np.exp(-0.5 * z * z - _HALF_LOG_TAU - value)
    return value, -by_z / sd, -by_z * z / sd


def confidence_bound(mean: Array, sd: Array, beta: float) -> tuple[Array, Array, Array]:
    """Return it and its derivatives by mean and deviation."""
    return beta * sd - mean, np.full_like(mean, -1.0), np.full_like(mean, beta)
