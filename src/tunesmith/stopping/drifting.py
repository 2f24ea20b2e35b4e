"""A bandit whose rewards drift: a Gaussian process over values and time (Parker-Holder et al. 2020, PB2).

x       values in the unit cube, (n, d)
t       when they were used, in looks, (n,)
y       what they brought: how much the loss fell from one look to the next, (n,)
k       σ²·exp(-|x - x'|²/(2ℓ²))·(1 - ε)^(|t - t'|/2), and noise σₙ²   (equation 6)
β       how much the unknown is worth: 0.2 + max(0, log 0.4n), as in the authors' code
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController

__all__ = ["Array", "Rewards", "chosen", "negative_log_posterior"]

Array = NDArray[np.float64]

_MOST = 200  # rewards; older ones say little about now
_CANDIDATES = 512
_ROUNDS = 4
_JITTER = 1e-8


@cache
def _threads() -> ThreadpoolController:
    """Return what keeps linear algebra on one thread: more would be in the way of the trials."""
    return ThreadpoolController()


@dataclass(frozen=True, slots=True, eq=False)
class Rewards:
    """What was tried and what it brought.

    Attributes:
        x: Values, ``(n, d)``.
        t: Times, ``(n,)``.
        y: Rewards, ``(n,)``, all finite.
    """

    x: Array
    t: Array
    y: Array

    def __len__(self) -> int:
        return len(self.y)

    def latest(self) -> "Rewards":
        """Return the latest of them, as many as a process can take, with rewards of mean 0 and deviation 1.

        A reward that is far off all others, where a training fell apart, would flatten the rest: it is
        moved to five times the distance between the quartiles.
        """
        keep = np.argsort(self.t, kind="stable")[-_MOST:]
        y = self.y[keep]
        low, middle, high = np.quantile(y, [0.25, 0.5, 0.75])
        far = 5.0 * (high - low)
        if far > 0.0:
            y = np.clip(y, middle - far, middle + far)
        sd = float(y.std())
        return Rewards(self.x[keep], self.t[keep], (y - y.mean()) / (sd if sd > 0.0 else 1.0))


def chosen(
    rewards: Rewards, pending: Array, now: float, starts: Array, rng: np.random.Generator
) -> tuple[Array, float]:
    """Return the values of the greatest upper confidence bound, ``(d,)``, and that bound.

    Args:
        rewards: What is known.
        pending: Values that are being used and have brought nothing yet, ``(m, d)``; they make what is
            near them less unknown.
        now: The time.
        starts: Values to look at, beside random ones, ``(s, d)``.
        rng: Draws the random ones.
    """
    with _threads().limit(limits=1, user_api="blas"):
        return _chosen(rewards.latest(), pending, now, starts, rng)


def _chosen(
    seen: Rewards, pending: Array, now: float, starts: Array, rng: np.random.Generator
) -> tuple[Array, float]:
    process = _Process(_fitted(seen), seen, pending, now)
    root_beta = np.sqrt(0.2 + max(0.0, float(np.log(0.4 * len(seen)))))
    d = seen.x.shape[1]
    points = np.concatenate([starts, rng.random((_CANDIDATES, d))])
    width = 0.2
    for _ in range(_ROUNDS):
        bound = process.bound(points, root_beta)
        best = points[np.argsort(-bound, kind="stable")[:8]]
        near = np.repeat(best, 16, axis=0) + width * rng.standard_normal((128, d))
        points = np.concatenate([best, np.clip(near, 0.0, 1.0)])
        width *= 0.5
    bound = process.bound(points, root_beta)
    at = int(np.argmax(bound))
    return points[at], float(bound[at])


@dataclass(frozen=True, slots=True)
class _Theta:
    """A process's hyperparameters; ``decay`` is -log(1 - ε)/2."""

    length: float
    decay: float
    amplitude: float
    noise: float

    def covariance(self, x: Array, t: Array, other_x: Array, other_t: Array) -> Array:
        """Return k between two sets of values and times, without noise."""
        near = np.exp(-0.5 * _squared(x, other_x) / self.length**2)
        late: Array = np.exp(-self.decay * np.abs(t[:, None] - other_t))
        return self.amplitude * near * late


class _Process:
    """What rewards say about others at the time ``now``."""

    def __init__(self, theta: _Theta, seen: Rewards, pending: Array, now: float) -> None:
        self._theta = theta
        self._now = now
        self._seen = seen
        self._alpha = cho_solve((self._root(seen.x, seen.t), True), seen.y)
        self._x = np.concatenate([seen.x, pending])
        self._t = np.concatenate([seen.t, np.full(len(pending), now)])
        self._whole = self._root(self._x, self._t)

    def bound(self, points: Array, root_beta: float) -> Array:
        """Return the upper confidence bounds of points ``(m, d)``, ``(m,)``; pending ones count as known."""
        theta = self._theta
        now = np.full(len(points), self._now)
        mean = theta.covariance(points, now, self._seen.x, self._seen.t) @ self._alpha
        cross = theta.covariance(points, now, self._x, self._t)
        half = solve_triangular(self._whole, cross.T, lower=True)
        variance = theta.amplitude - np.einsum("ij,ij->j", half, half)
        bound: Array = mean + root_beta * np.sqrt(np.maximum(variance, 0.0))
        return bound

    def _root(self, x: Array, t: Array) -> Array:
        theta = self._theta
        k = theta.covariance(x, t, x, t)
        k[np.diag_indices_from(k)] += theta.noise + _JITTER * theta.amplitude
        root: Array = np.tril(cho_factor(k, lower=True)[0])
        return root


def _fitted(seen: Rewards) -> _Theta:
    """Return the hyperparameters of greatest posterior density."""
    location, spread = _prior(seen)
    bounds = [(c - 3.0 * s, c + 3.0 * s) for c, s in zip(location, spread, strict=True)]
    found = minimize(
        negative_log_posterior(seen), location, jac=True, method="L-BFGS-B", bounds=bounds
    )
    return _Theta(*map(float, np.exp(found.x)))


def _prior(seen: Rewards) -> tuple[Array, Array]:
    """Return location and spread of normals: of log ℓ, log of the decay, log σ², log σₙ²."""
    length = np.log(0.5 * np.sqrt(seen.x.shape[1]))
    return np.array([length, np.log(0.1), 0.0, np.log(0.1)]), np.array([0.7, 1.0, 0.7, 1.5])


def negative_log_posterior(seen: Rewards) -> Callable[[Array], tuple[float, Array]]:
    """Return the function that a fit minimises, of the logarithms of `_Theta`, with its gradient."""
    squared = _squared(seen.x, seen.x)
    apart = np.abs(seen.t[:, None] - seen.t)
    one = np.eye(len(seen))
    location, spread = _prior(seen)

    def negative(theta: Array) -> tuple[float, Array]:
        length2 = np.exp(2.0 * theta[0])
        decay, amplitude, noise = np.exp(theta[1:])
        k = amplitude * np.exp(-0.5 * squared / length2 - decay * apart)
        jitter = _JITTER * amplitude
        root = cho_factor(k + (noise + jitter) * one, lower=True)
        alpha = cho_solve(root, seen.y)
        g = cho_solve(root, one) - np.outer(alpha, alpha)  # each derivative is ½ tr(g·dK)
        slopes = [k * squared / length2, -decay * k * apart, k + jitter * one, noise * one]
        away = (theta - location) / spread
        value = 0.5 * seen.y @ alpha + np.log(np.diag(root[0])).sum() + 0.5 * away @ away
        gradient = np.array([0.5 * np.einsum("ij,ij->", g, slope) for slope in slopes])
        return float(value), gradient + away / spread

    return negative


def _squared(a: Array, b: Array) -> Array:
    r2: Array = ((a[:, None, :] - b) ** 2).sum(axis=2)
    return r2
