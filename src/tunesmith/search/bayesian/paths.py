"""Paths: functions drawn from a Gaussian process's posterior, to be evaluated anywhere, any time.

    path(x) = m + g(x) + k(x, X) K⁻¹ (y - m - g(X) - ε)

    g       a path of the prior: normal weights on random Fourier features, and on the trend's columns
    k       the covariance of the process, trend included
    ε       a draw of the noise at the points seen
    X, y    the points seen and their values; K is k(X, X) with the noise on its diagonal

Whatever a path of the prior misses at the points seen, the second term puts right with the exact
kernel, so the features need only do for what is not known (Wilson et al. 2020, "Efficiently sampling
functions from Gaussian process posteriors", eq. 11). A stationary kernel is the mean of cos ω·(x - x')
over its spectral density (Rahimi and Recht 2007): a normal for the squared exponential, a Student t with
2ν degrees of freedom for a Matérn kernel of order ν. Features are pairs of a cosine and a sine.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from tunesmith.search.bayesian.cube import Array
from tunesmith.search.bayesian.gp import GaussianProcess
from tunesmith.search.bayesian.kernels import KERNELS, Kernel
from tunesmith.search.bayesian.trend import Trend

__all__ = ["Paths", "draw_paths"]

_FREEDOM = {"matern52": 5.0, "matern32": 3.0}  # 2ν; the squared exponential is the limit
_BLOCK = 1024  # points evaluated at once, so that their features stay near the processor


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Functions of a Gaussian process's vectors; what the process learns later is not seen here.

    Attributes:
        kernel: The shape of the kernel.
        amplitude: σ² of the kernel.
        inverse: One over the length scale of each column of the vectors, ``(c,)``.
        mean: m, to which paths return far from what was seen.
        frequencies: ω of each pair of features, for vectors measured in length scales, ``(c, f)``.
        weights: Of the cosines, then of the sines, ``(2 f, count)``, amplitude included.
        seen: X in length scales, ``(n, c)``.
        pull: σ² K⁻¹ (y - m - g(X) - ε), ``(n, count)``.
        trend: The columns of the trend.
        lines: Their weights, ``(t, count)``.
    """

    kernel: Kernel
    amplitude: float
    inverse: Array
    mean: float
    frequencies: Array
    weights: Array
    seen: Array
    pull: Array
    trend: Trend
    lines: Array

    @property
    def count(self) -> int:
        """How many paths there are."""
        return int(self.weights.shape[1])

    def __call__(self, vectors: Array) -> Array:
        """Return the value of each path at ``vectors``, ``(m, c)``: ``(count, m)``."""
        out = np.empty((self.count, len(vectors)))
        for start in range(0, len(vectors), _BLOCK):
            block = vectors[start : start + _BLOCK]
            at = block * self.inverse
            values = self.kernel(_squared(at, self.seen))[0] @ self.pull
            values += _features(at, self.frequencies) @ self.weights
            values += self.trend(block) @ self.lines
            out[:, start : start + _BLOCK] = values.T
        out += self.mean
        return out

    def slopes(self, vectors: Array) -> tuple[Array, Array]:
        """Return values ``(count, m)`` and gradients by the vectors ``(count, m, c)``."""
        at = vectors * self.inverse
        k, dk = self.kernel(_squared(at, self.seen))
        waves = _features(at, self.frequencies)
        values = self.mean + (k @ self.pull + waves @ self.weights).T
        values += (self.trend(vectors) @ self.lines).T

        # By r², then r² by the vectors: 2 Σₙ k'(r²) pullₙ (at - seenₙ).
        by_seen = 2.0 * dk[None] * self.pull.T[:, None]
        gradient = by_seen.sum(2)[:, :, None] * at - by_seen @ self.seen
        f = self.frequencies.shape[1]
        cosines, sines = waves[:, :f], waves[:, f:]
        for path, weights in enumerate(self.weights.T):
            gradient[path] += (cosines * weights[f:] - sines * weights[:f]) @ self.frequencies.T
        gradient *= self.inverse
        for path, line in enumerate(self.lines.T):
            by_trend = np.broadcast_to(line, (len(vectors), len(line)))
            gradient[path] += self.trend.back(vectors, by_trend)
        return values, gradient


def draw_paths(
    gp: GaussianProcess, count: int, rng: np.random.Generator, features: int = 1024
) -> Paths:
    """Return ``count`` paths of the posterior, drawn independently on the same frequencies.

    Args:
        gp: The process; points without a value that it has taken in are not known to the paths.
        count: How many paths.
        rng: What draws them.
        features: How many features a path of the prior has. The kernel that they amount to differs
            from the true one by about σ²/√features at each pair of points.
    """
    seen = gp.seen
    n = len(seen.y)
    at, columns = seen.vectors * gp.inverse, gp.trend(seen.vectors)
    frequencies = _frequencies(gp.kernel, at.shape[1], features // 2, rng)
    weights = rng.standard_normal((2 * frequencies.shape[1], count))
    weights *= np.sqrt(gp.amplitude / frequencies.shape[1])
    lines = np.sqrt(gp.tau) * rng.standard_normal((columns.shape[1], count))
    noise = np.sqrt(gp.noise * seen.share + seen.extra)[:, None] * rng.standard_normal((n, count))
    before = _features(at, frequencies) @ weights + columns @ lines
    missed = (seen.y - gp.mean)[:, None] - before - noise
    solved = lapack.dpotrs(gp.root[:n, :n], missed, lower=1)[0]
    return Paths(
        kernel=KERNELS[gp.kernel],
        amplitude=gp.amplitude,
        inverse=gp.inverse,
        mean=gp.mean,
        frequencies=frequencies,
        weights=weights,
        seen=at,
        pull=gp.amplitude * solved,
        trend=gp.trend,
        lines=lines + gp.tau * columns.T @ solved,
    )


def _frequencies(kernel: str, columns: int, count: int, rng: np.random.Generator) -> Array:
    """Return draws from a kernel's spectral density, ``(columns, count)``."""
    normal = rng.standard_normal((columns, count))
    if kernel not in _FREEDOM:
        return normal
    freedom = _FREEDOM[kernel]
    return normal / np.sqrt(rng.chisquare(freedom, count) / freedom)


def _features(at: Array, frequencies: Array) -> Array:
    angles = at @ frequencies
    waves: Array = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return waves


def _squared(a: Array, b: Array) -> Array:
    r2: Array = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2.0 * (a @ b.T)
    return np.maximum(r2, 0.0, out=r2)
