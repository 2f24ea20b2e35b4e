"""The normal distribution of CMA-ES, and how a generation of ranked points changes it.

    n, lam          dimensions, points of a generation
    m, sigma, C     mean, step size, covariance: points are ``m + sigma A y`` with y from N(0, C)
    A               stretch of each coordinate, ``(n,)``; 1 but where a margin asks for more
    p_s, p_c        evolution paths of the step size and of the covariance
    w               weights of the points from best to worst; those of the worse half are negative

Hansen (2016), "The CMA evolution strategy: a tutorial" (arXiv 1604.00772), with its constants and
its equation numbers below. The diagonal variant is that of Ros and Hansen (2008). Points that were
not drawn from the distribution are shortened as Hansen (2011) says for injected ones.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from tunesmith.search.columns import Vector

__all__ = ["Constants", "Normal", "make_constants", "start_normal"]

_SMALLEST_VARIANCE = 1e-20


@dataclass(frozen=True, slots=True, eq=False)
class Constants:
    """What depends on the dimension and the size of a generation only."""

    lam: int
    weights: Vector
    mu_eff: float
    c_s: float
    d_s: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float
    diagonal: bool


def make_constants(n: int, lam: int, *, diagonal: bool) -> Constants:
    """Return Table 1 of the tutorial for ``n`` ≥ 1 dimensions."""
    raw = math.log((lam + 1) / 2) - np.log(np.arange(1, lam + 1))  # (49)
    mu = lam // 2
    better, worse = raw[:mu], raw[mu:]
    mu_eff = float(better.sum() ** 2 / (better**2).sum())
    mu_eff_worse = float(worse.sum() ** 2 / (worse**2).sum())
    c_1 = 2 / ((n + 1.3) ** 2 + mu_eff)  # (57)
    c_mu = 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((n + 2) ** 2 + mu_eff)  # (58)
    if diagonal:
        c_1, c_mu = c_1 * (n + 2) / 3, c_mu * (n + 2) / 3
    c_1 = min(c_1, 0.5)
    c_mu = min(1 - c_1, c_mu)
    limit = min(
        1 + c_1 / c_mu,  # (50)
        1 + 2 * mu_eff_worse / (mu_eff + 2),  # (51)
        (1 - c_1 - c_mu) / (n * c_mu),  # (52)
    )
    weights = np.concatenate([better / better.sum(), limit * worse / np.abs(worse).sum()])  # (53)
    c_s = (mu_eff + 2) / (n + mu_eff + 5)  # (55)
    return Constants(
        lam=lam,
        weights=weights,
        mu_eff=mu_eff,
        c_s=c_s,
        d_s=1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_s,
        c_c=(4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n),  # (56)
        c_1=c_1,
        c_mu=c_mu,
        chi=math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n)),
        diagonal=diagonal,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """A distribution and its paths."""

    mean: Vector
    sigma: float
    covariance: Vector
    stretch: Vector
    path_s: Vector
    path_c: Vector
    generation: int
    axes: Vector  # eigenvectors of the covariance, in columns
    lengths: Vector  # square roots of its eigenvalues

    @property
    def deviations(self) -> Vector:
        """The standard deviation of each coordinate, ``(n,)``."""
        out: Vector = self.sigma * self.stretch * np.sqrt(np.diag(self.covariance))
        return out

    def at(self, z: Vector) -> Vector:
        """Return the point that a standard normal ``z``, ``(n,)``, stands for."""
        point: Vector = self.mean + self.sigma * self.stretch * (self.axes @ (self.lengths * z))
        return point

    def updated(self, points: Vector, k: Constants) -> "Normal":
        """Return the next distribution, given ``(lam, n)`` points from best to worst."""
        n = len(self.mean)
        y = (points - self.mean) / (self.sigma * self.stretch)
        whitened = (y @ self.axes) / self.lengths
        norms = np.sqrt((whitened**2).sum(axis=1))
        # What comes from elsewhere may lie so far away that one step would ruin the distribution.
        longest = math.sqrt(n) + 2 * n / (n + 2)
        shorten = np.minimum(1.0, longest / np.maximum(norms, 1e-300))
        y, whitened, norms = y * shorten[:, None], whitened * shorten[:, None], norms * shorten

        recombine = np.maximum(k.weights, 0.0)
        y_w = recombine @ y  # (41)
        mean = self.mean + self.sigma * self.stretch * y_w  # (42)
        step = self.axes @ (recombine @ whitened)
        path_s = (1 - k.c_s) * self.path_s + math.sqrt(
            k.c_s * (2 - k.c_s) * k.mu_eff
        ) * step  # (43)
        length = float(np.linalg.norm(path_s))
        # The tutorial leaves the exponent free. Without a bound, one lucky generation of a
        # distribution over few dimensions could leave the cube.
        sigma = self.sigma * math.exp(min(1.0, k.c_s / k.d_s * (length / k.chi - 1)))  # (44)

        generation = self.generation + 1
        settled = math.sqrt(1 - (1 - k.c_s) ** (2 * generation))
        stalled = float(length / settled >= (1.4 + 2 / (n + 1)) * k.chi)
        path_c = (1 - k.c_c) * self.path_c
        path_c += (1 - stalled) * math.sqrt(k.c_c * (2 - k.c_c) * k.mu_eff) * y_w  # (45)
        w = np.where(
            k.weights >= 0, k.weights, k.weights * n / np.maximum(norms**2, 1e-300)
        )  # (46)
        keep = 1 + k.c_1 * stalled * k.c_c * (2 - k.c_c) - k.c_1 - k.c_mu * k.weights.sum()
        c = keep * self.covariance + k.c_1 * np.outer(path_c, path_c)
        c += k.c_mu * (y.T * w) @ y  # (47)
        axes, lengths, c = _decomposed(c, diagonal=k.diagonal)
        return Normal(mean, sigma, c, self.stretch, path_s, path_c, generation, axes, lengths)

    def moved(self, mean: Vector, stretch: Vector) -> "Normal":
        """Return the same distribution around another mean, stretched otherwise."""
        return replace(self, mean=mean, stretch=stretch)


def start_normal(mean: Vector, sigma: float) -> Normal:
    """Return a round distribution."""
    n = len(mean)
    eye = np.eye(n)
    return Normal(mean, sigma, eye, np.ones(n), np.zeros(n), np.zeros(n), 0, eye, np.ones(n))


def _decomposed(c: Vector, *, diagonal: bool) -> tuple[Vector, Vector, Vector]:
    """Return eigenvectors, roots of eigenvalues, and the covariance itself, made symmetric."""
    if diagonal:
        variances = np.maximum(np.diag(c), _SMALLEST_VARIANCE)
        return np.eye(len(c)), np.sqrt(variances), np.diag(variances)
    c = 0.5 * (c + c.T)
    values, axes = np.linalg.eigh(c)
    values = np.maximum(values, _SMALLEST_VARIANCE)
    return axes, np.sqrt(values), c
