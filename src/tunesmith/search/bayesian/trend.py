"""The trend: effects of single parameters, which add up and reach across the whole cube.

A stationary kernel forgets everything beyond a few length scales. Much of what hyperparameters do is
the same wherever the others stand, and a second kernel says so: the inner product of

    cos(k π u) / k, k = 1 … 6    for every numeric parameter
    its columns as they are      for every categorical or conditional one

with one common variance. It costs one matrix product, and learns the main effects that an additive
kernel (Duvenaud et al. 2011) would learn at many times the price. The higher waves come from the first by

    cos kθ = 2 cos θ cos (k-1)θ - cos (k-2)θ,    and likewise the sines of their slopes,

since cosines would take most of the time of all that is scored.
"""

from collections.abc import Iterator

import numpy as np

from tunesmith.search.bayesian.cube import Array, Mask

__all__ = ["Trend"]

_WAVES = 6


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
        cosine = np.cos(np.pi * vectors[:, self._plain])
        n = cosine.shape[1]
        columns = np.empty((len(vectors), _WAVES * n + len(self._rest)))
        for k, wave in enumerate(_multiples(np.ones_like(cosine), cosine, cosine)):
            np.divide(wave, k + 1, out=columns[:, k * n : (k + 1) * n])
        columns[:, _WAVES * n :] = vectors[:, self._rest]
        columns -= self._centre
        return columns

    def back(self, vectors: Array, by: Array) -> Array:
        """Return the gradient by the vectors ``(m, c)`` of what has the gradient ``by`` by the columns."""
        out = np.zeros_like(vectors)
        angle = np.pi * vectors[:, self._plain]
        n, total = angle.shape[1], np.zeros_like(angle)
        sines = _multiples(np.zeros_like(angle), np.sin(angle), np.cos(angle))
        for k, sine in enumerate(sines):
            total += sine * by[:, k * n : (k + 1) * n]
        out[:, self._plain] = -np.pi * total
        out[:, self._rest] = by[:, _WAVES * n :]
        return out


def _multiples(zeroth: Array, first: Array, cosine: Array) -> Iterator[Array]:
    """Yield cosines or sines of θ, 2θ, … from those of 0 and θ, and the cosine of θ."""
    before, now, twice = zeroth, first, 2.0 * cosine
    yield now
    for _ in range(1, _WAVES):
        after = twice * now
        after -= before
        before, now = now, after
        yield now
