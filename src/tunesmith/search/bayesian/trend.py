"""The trend: effects of single parameters, which add up and reach across the whole cube.

A stationary kernel forgets everything beyond a few length scales. Much of what hyperparameters do is
the same wherever the others stand, and a second kernel says so: the inner product of

    cos(k π u) / k, k = 1 … 6    for every numeric parameter
    its columns as they are      for every categorical or conditional one

with one common variance. It costs one matrix product, and learns the main effects that an additive
kernel (Duvenaud et al. 2011) would learn at many times the price.
"""

import numpy as np

from tunesmith.search.bayesian.cube import Array, Mask

__all__ = ["Trend"]

_WAVES = 6
_DECAY = np.arange(1.0, _WAVES + 1)
_FREQUENCIES = np.pi * _DECAY


class Trend:
    """The trend's columns for vectors whose columns ``plain`` hold u itself, ``(c,)``.

    Args:
        plain: Which columns do.
        vectors: The points seen, ``(n, c)``: around their mean the trend is centred.
    """

    def __init__(self, plain: Mask, vectors: Array) -> None:
        self._plain = np.flatnonzero(plain)
        self._rest = np.flatnonzero(~plain)
        self._centre = 0.0
        self._centre = self(vectors).mean(axis=0)

    def __call__(self, vectors: Array) -> Array:
        """Return the columns of ``vectors``, ``(m, t)``."""
        u = vectors[:, self._plain]
        waves = np.cos(_FREQUENCIES[:, None] * u[:, None, :]) / _DECAY[:, None]
        flat = waves.reshape(len(u), -1)
        columns: Array = np.concatenate([flat, vectors[:, self._rest]], axis=1) - self._centre
        return columns

    def back(self, vectors: Array, by: Array) -> Array:
        """Return the gradient by the vectors ``(m, c)`` of what has the gradient ``by`` by the columns."""
        out = np.zeros_like(vectors)
        u = vectors[:, self._plain]
        waves = _WAVES * u.shape[1]
        by_wave = by[:, :waves].reshape(len(u), _WAVES, u.shape[1])
        slopes = np.sin(_FREQUENCIES[:, None] * u[:, None, :]) * by_wave
        out[:, self._plain] = -np.pi * slopes.sum(axis=1)
        out[:, self._rest] = by[:, waves:]
        return out
