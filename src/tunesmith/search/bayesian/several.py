"""Several objectives: how much hypervolume a point may add.

The hypervolume that points dominate, up to a reference point r, is a mean over directions λ, unit
vectors with positive entries, of the largest of minᵢ ((rᵢ - yᵢ)₊ / λᵢ)ᵏ among them, times a constant
(Zhang and Golovin 2020, lemma 5). So the expected improvement of the hypervolume is the expected
improvement of that number, averaged over directions; both averages are taken over a fixed set of
directions and draws.
"""

import numpy as np

from tunesmith.model.hypervolume import non_dominated
from tunesmith.search.bayesian.cube import Array

__all__ = ["HypervolumeImprovement"]

_DIRECTIONS = 64
_DRAWS = 16
_MARGIN = 0.1  # of the front's extent, by which the reference lies beyond the worst values


class HypervolumeImprovement:
    """The expected improvement of the hypervolume.

    Args:
        values: What was measured, warped, smaller is better, ``(n, k)``.
        rng: What draws directions and values.
    """

    def __init__(self, values: Array, rng: np.random.Generator) -> None:
        k = values.shape[1]
        front = values[non_dominated(values)]
        low, high = front.min(axis=0), front.max(axis=0)
        extent = np.where(high > low, high - low, 1.0)
        self._reference = values.max(axis=0) + _MARGIN * extent
        directions = np.abs(rng.standard_normal((_DIRECTIONS, k))) + 1e-9
        self._inverse = 1.0 / (directions / np.linalg.norm(directions, axis=1, keepdims=True))
        self._inverse /= extent  # every objective counts by the extent of its front
        self._best = self._reach(front[:, None, :]).max(axis=0)
        self._normal = rng.standard_normal((_DRAWS, k))
        self._k = k

    def __call__(self, means: Array, sds: Array) -> Array:
        """Return the logarithm of it at points with these means and deviations, ``(m, k)`` each."""
        total = np.zeros(len(means))
        for normal in self._normal:
            reach = self._reach((means + sds * normal)[:, None, :])
            gain = np.maximum(reach**self._k - np.maximum(self._best, 0.0) ** self._k, 0.0)
            total += gain.mean(axis=1)
        value: Array = np.log(total / _DRAWS + 1e-300) - 1e-3 * np.logaddexp(0.0, means).sum(axis=1)
        return value

    def _reach(self, values: Array) -> Array:
        """Return how far values ``(m, 1, k)`` reach beyond the reference in each direction, ``(m, l)``."""
        reach: Array = np.maximum(((self._reference - values) * self._inverse).min(axis=2), 0.0)
        return reach
