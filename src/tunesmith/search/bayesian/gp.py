"""The Gaussian process: fitted by maximum a posteriori, asked for means and deviations.

    y = m + f(x) + noise,   f ~ GP(0, σ² k(r²) + τ² t(x)ᵀt(x')),   r² = Σⱼ |φⱼ(x) - φⱼ(x')|² / ℓⱼ²

    φ       the vectors of `Features`, t the columns of `Trend`
    theta   log ℓ of every coordinate, log τ², log σ², log σₙ²: (d + 3,)
    m       by generalised least squares: 1ᵀK⁻¹y / 1ᵀK⁻¹1

Rasmussen and Williams (2006), chapter 2 and section 5.4. The prior of the length scales is that of
Hvarfner et al. (2024): a log-normal whose location grows with √d, with its mode taken in ℓ, not in log ℓ;
and beside it exp(-1/(nℓ²)), without which a few noisy values are explained by tiny length scales.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import minimize

from tunesmith.search.bayesian.cube import Array, Mask
from tunesmith.search.bayesian.kernels import KERNELS
from tunesmith.search.bayesian.trend import Trend

__all__ = ["GaussianProcess", "Prior", "Seen", "fit", "negative_log_posterior"]

_JITTER = 1e-8  # of σ²
_LEAST = 1e-12  # of σ²: no variance is less
_WORST = 1e25  # in place of a density that can't be computed


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a process has seen.

    Attributes:
        owner: The coordinate of each column of the vectors, ``(c,)``.
        plain: Which columns hold u itself, ``(c,)``.
        vectors: Where values were seen, ``(n, c)``.
        y: The values, ``(n,)``.
        extra: Known variances of their errors, beside the noise that is estimated, ``(n,)``.
        share: How much of the estimated noise each has, 1/m for the mean of m values, ``(n,)``.
    """

    owner: NDArray[np.intp]
    plain: Mask
    vectors: Array
    y: Array
    extra: Array
    share: Array


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What is believed of theta before any value is seen; pairs are location and spread of a normal.

    Attributes:
        ordered: Which coordinates have a log-normal length scale, ``(d,)``; the others are categories.
        dims: How many coordinates count at once.
        short: What stands against short length scales, over ℓ²: the density has a factor exp(-short/ℓ²).
        category: Of a category's log ℓ.
        trend: Of log τ².
        amplitude: Of log σ².
        noise: Of log σₙ².
    """

    ordered: Mask
    dims: float
    short: float = 0.0
    category: tuple[float, float] = (0.7, 1.0)
    trend: tuple[float, float] = (-2.0, 1.5)
    amplitude: tuple[float, float] = (0.0, 1.0)
    noise: tuple[float, float] = (-6.0, 2.0)

    def start(self) -> Array:
        """Return the theta from which a fit begins."""
        middle = np.log(0.5 * np.sqrt(self.dims))
        scales = np.where(self.ordered, middle, self.category[0])
        return np.concatenate([scales, [self.trend[0], self.amplitude[0], self.noise[0]]])

    def bounds(self) -> list[tuple[float, float]]:
        """Return the interval of each theta."""
        scale = (np.log(0.02), np.log(100.0 * np.sqrt(self.dims)))
        rest = [(-9.0, 4.6), (-4.6, 4.6), (np.log(1e-6), np.log(2.0))]
        return [scale] * len(self.ordered) + rest

    def penalty(self, theta: Array) -> tuple[float, Array]:
        """Return the negative log density, up to a constant, and its gradient."""
        scales = theta[:-3]
        location = np.sqrt(2.0) + 0.5 * np.log(self.dims)
        far = (scales - location) / 3.0
        short = self.short * np.exp(-2.0 * scales)
        near = (scales - self.category[0]) / self.category[1]
        value = np.where(self.ordered, 1.5 * far**2 + scales + short, 0.5 * near**2).sum()
        slope = np.where(self.ordered, far + 1.0 - 2.0 * short, near / self.category[1])
        normals = np.array([self.trend, self.amplitude, self.noise])
        rest = (theta[-3:] - normals[:, 0]) / normals[:, 1]
        gradient = np.concatenate([slope, rest / normals[:, 1]])
        return float(value + 0.5 * rest @ rest), gradient


class GaussianProcess:
    """A Gaussian process that has seen some values.

    Args:
        theta: The hyperparameters.
        seen: What it has seen.
        kernel: A name in `KERNELS`.

    Attributes:
        mean: m.
        amplitude: σ².
        noise: σₙ².
        tau: τ².
        inverse: One over the length scale of each column, ``(c,)``.
    """

    def __init__(self, theta: Array, seen: Seen, kernel: str) -> None:
        self.theta = theta
        self.seen = seen
        self.kernel = kernel
        self.trend = Trend(seen.plain, seen.vectors)
        self.tau, self.amplitude, self.noise = map(float, np.exp(theta[-3:]))
        self.inverse: Array = np.exp(-theta[:-3])[seen.owner]
        self._at = seen.vectors * self.inverse
        self._waves = self.trend(seen.vectors)
        k = self._covariance(self._at, self._waves)
        k[np.diag_indices_from(k)] += self.noise * seen.share + seen.extra + self._jitter
        self._root = _cholesky(k)
        ones = _solve(self._root, np.ones(len(seen.y)))
        self.mean = float(ones @ seen.y / ones.sum())
        self._alpha = _solve(self._root, seen.y - self.mean)

    @property
    def root(self) -> Array:
        """The lower Cholesky root of the covariance of all that was seen, ``(n, n)``."""
        return self._root

    @property
    def _jitter(self) -> float:
        return _JITTER * self.amplitude

    def _covariance(self, at: Array, waves: Array) -> Array:
        """Return the covariance of points with those seen."""
        k = KERNELS[self.kernel](_squared(at, self._at))[0]
        k *= self.amplitude
        return self._with_trend(k, waves)

    def _with_trend(self, k: Array, waves: Array) -> Array:
        trend = waves @ self._waves.T
        trend *= self.tau
        k += trend
        return k

    def with_pending(self, vectors: Array) -> "GaussianProcess":
        """Return the process that also knows that ``vectors`` are being tried.

        Their values are taken to be what it expects, so that they narrow deviations and leave means
        as they are.
        """
        if not len(vectors):
            return self
        after = copy(self)
        after._append(vectors)  # noqa: SLF001 - its own
        return after

    def _append(self, vectors: Array) -> None:
        at, waves = vectors * self.inverse, self.trend(vectors)
        half = _half_solve(self._root, self._covariance(at, waves).T)
        n, m = len(self._root), len(vectors)
        self._at = np.concatenate([self._at, at])
        self._waves = np.concatenate([self._waves, waves])
        own = self._covariance(at, waves)[:, n:]
        own[np.diag_indices_from(own)] += self.noise + self._jitter
        root = np.zeros((n + m, n + m), order="F")
        root[:n, :n], root[n:, :n] = self._root, half.T
        root[n:, n:] = _cholesky(own - half.T @ half)
        self._root = root
        self._alpha = np.concatenate([self._alpha, np.zeros(m)])

    def posterior(self, vectors: Array) -> tuple[Array, Array]:
        """Return means and standard deviations of f at ``vectors``, ``(m,)`` each."""
        waves = self.trend(vectors)
        cross = self._covariance(vectors * self.inverse, waves)
        mean = self.mean + cross @ self._alpha
        return mean, self._sd(waves, _half_solve(self._root, cross.T, overwrite=True))

    def means(self, vectors: Array) -> Array:
        """Return the means alone, which cost much less."""
        cross = self._covariance(vectors * self.inverse, self.trend(vectors))
        return self.mean + cross @ self._alpha

    def _sd(self, waves: Array, half: Array) -> Array:
        before = self.amplitude + self.tau * np.einsum("ij,ij->i", waves, waves)
        variance = before - np.einsum("ij,ij->j", half, half)
        return cast("Array", np.sqrt(np.maximum(variance, _LEAST * before)))

    def slopes(self, vectors: Array) -> tuple[Array, Array, Array, Array]:
        """Return means, deviations, and the gradients of both by the vectors, ``(m, c)`` each."""
        at, waves = vectors * self.inverse, self.trend(vectors)
        k, dk = KERNELS[self.kernel](_squared(at, self._at))
        k *= self.amplitude
        dk *= 2.0 * self.amplitude
        cross = self._with_trend(k, waves)
        mean = self.mean + cross @ self._alpha
        half = _half_solve(self._root, cross.T, overwrite=True)
        sd = self._sd(waves, half)
        beta = _half_solve(self._root, half, trans=1, overwrite=True).T
        by_mean, by_variance = dk * self._alpha, -2.0 * dk * beta
        d_mean = by_mean.sum(axis=1)[:, None] * at - by_mean @ self._at
        d_variance = by_variance.sum(axis=1)[:, None] * at - by_variance @ self._at
        line = np.broadcast_to(self._alpha @ self._waves, waves.shape)
        both = np.concatenate([line, 2.0 * (waves - beta @ self._waves)])
        back = self.tau * self.trend.back(np.concatenate([vectors, vectors]), both)
        d_mean = d_mean * self.inverse + back[: len(vectors)]
        d_variance = d_variance * self.inverse + back[len(vectors) :]
        return mean, sd, d_mean, d_variance / (2.0 * sd[:, None])

    def leave_one_out(self) -> tuple[Array, Array]:
        """Return mean and variance of each value as expected from all others (section 5.4.2)."""
        n = len(self.seen.y)
        diagonal = np.diag(_inverse(self._root[:n, :n]))
        return self.seen.y - self._alpha[:n] / diagonal, 1.0 / diagonal


def fit(prior: Prior, seen: Seen, kernel: str, iterations: int = 60) -> Array:
    """Return the theta of greatest posterior density that L-BFGS-B finds from the prior's start."""
    result = minimize(
        negative_log_posterior(prior, seen, kernel),
        prior.start(),
        jac=True,
        method="L-BFGS-B",
        bounds=prior.bounds(),
        options={"maxiter": iterations, "ftol": 1e-6, "gtol": 1e-4},
    )
    return cast("Array", result.x)


def negative_log_posterior(
    prior: Prior, seen: Seen, kernel: str
) -> Callable[[Array], tuple[float, Array]]:
    """Return the function of theta that a fit minimises, up to a constant, with its gradient."""
    shape = KERNELS[kernel]
    d = len(prior.ordered)
    n = len(seen.y)
    waves = Trend(seen.plain, seen.vectors)(seen.vectors)
    lines = waves @ waves.T
    diagonal = np.diag_indices(n)

    def negative(theta: Array) -> tuple[float, Array]:
        value, gradient = prior.penalty(theta)
        tau, amplitude, noise = np.exp(theta[-3:])
        at = seen.vectors * np.exp(-theta[:d])[seen.owner]
        k, dk = shape(_squared(at, at))
        k *= amplitude
        full = tau * lines
        full += k
        full[diagonal] += noise * seen.share + seen.extra + _JITTER * amplitude
        root, failed = lapack.dpotrf(full.T, lower=1, overwrite_a=1)
        if failed:
            return _WORST, np.zeros_like(theta)
        value += float(np.log(np.diag(root)).sum())
        inverse = _inverse(root)
        ones = inverse.sum(axis=1)
        rest = seen.y - ones @ seen.y / ones.sum()
        alpha = inverse @ rest
        value += 0.5 * float(rest @ alpha)
        g = inverse  # K⁻¹ - αα'; each derivative is half its trace with dK
        g -= alpha[:, None] * alpha
        gradient[-1] += 0.5 * noise * (np.diag(g) @ seen.share)
        gradient[-2] += 0.5 * np.einsum("ij,ij->", g, k)
        gradient[-3] += 0.5 * tau * np.einsum("ij,ij->", g, lines)
        g *= dk
        g *= amplitude
        by_column = g.sum(axis=1) @ (at * at) - np.einsum("ij,ij->j", at, g @ at)
        gradient[:d] -= 2.0 * np.bincount(seen.owner, by_column, d)
        return value, gradient

    return negative


def _squared(a: Array, b: Array) -> Array:
    r2: Array = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)
    both = a @ b.T
    both *= 2.0
    r2 -= both
    if a is b:
        r2[np.diag_indices_from(r2)] = 0.0
    np.maximum(r2, 0.0, out=r2)
    return r2


def _cholesky(k: Array) -> Array:
    """Return the lower root; where rounding has left none, noise is added until there is one."""
    scale = float(np.mean(np.diag(k)))
    more: Sequence[float] = (0.0, *(10.0**power for power in range(-10, 1)))
    for part in more:
        noisier = k + part * scale * np.eye(len(k)) if part else k
        root, failed = lapack.dpotrf(noisier, lower=1, clean=1)
        if not failed and np.isfinite(root[-1]).all():  # not every LAPACK fails on nan
            return cast("Array", root)
    msg = "A covariance has no root: it is not finite."
    raise FloatingPointError(msg)


def _half_solve(root: Array, y: Array, trans: int = 0, *, overwrite: bool = False) -> Array:
    return cast("Array", lapack.dtrtrs(root, y, lower=1, trans=trans, overwrite_b=overwrite)[0])


def _solve(root: Array, y: Array) -> Array:
    return cast("Array", lapack.dpotrs(root, y, lower=1)[0])


def _inverse(root: Array) -> Array:
    lower: Array = lapack.dpotri(root, lower=1)[0]  # above the diagonal stand the root's zeros
    inverse: Array = lower + lower.T
    inverse[np.diag_indices_from(inverse)] *= 0.5
    return inverse
