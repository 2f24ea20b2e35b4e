"""Surrogates: what a study's trials say about a metric, or about whether a trial will do at all.

Hyperparameters are fitted to the first n trials that ended, for an n that is moved on with every trial
at first and with every twentieth part later; so they do not depend on who asked when. Of a study with
many trials a surrogate sees the best, the newest, and some of all: its cost stays flat.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from tunesmith.search.bayesian.cube import Array, Cube
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.gp import GaussianProcess, Prior, Seen, fit
from tunesmith.search.bayesian.sample import Sample, checkpoint
from tunesmith.search.bayesian.settings import WarpName
from tunesmith.search.bayesian.warp import Warp

__all__ = ["Fits", "Gate", "Surrogate"]

_MOST = 400
_MOST_FITTED = 200
_UNSURE = 50.0  # for each standard deviation: the log of an acquisition changes less than so
_UNKNOWN = 1e3  # of the values' deviation: with such an error, a value says nothing


@dataclass(frozen=True, slots=True, eq=False)
class Surrogate:
    """A Gaussian process of one metric's warped values, and the warp of this study's values."""

    gp: GaussianProcess
    warp: Warp

    def in_units(self, mean: float, sd: float) -> tuple[float, float]:
        """Return mean and deviation of what will be measured, as a loss."""
        sd = float(np.hypot(sd, np.sqrt(self.gp.noise)))
        # What lies beyond all floats is taken for the greatest of them.
        low, middle, high = np.nan_to_num(self.warp.losses(np.array([mean - sd, mean, mean + sd])))
        return float(middle), float(high / 2 - low / 2)


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """A Gaussian process that tells how probably a value stays below a threshold.

    Attributes:
        gp: The process.
        threshold: The threshold.
        least: How many standard deviations below it a point's mean should lie at least; minus
            infinity where points may be as unsure as they like.
    """

    gp: GaussianProcess
    threshold: float
    least: float = -np.inf

    def log_probability(self, vectors: Array) -> Array:
        """Return log P(value <= threshold), ``(m,)``."""
        mean, sd = self.gp.posterior(vectors)
        value: Array = log_ndtr((self.threshold - mean) / sd)
        return value

    def score(self, vectors: Array) -> Array:
        """Return what speaks for points, ``(m,)``: the same, less what is missing to ``least``."""
        mean, sd = self.gp.posterior(vectors)
        z = (self.threshold - mean) / sd
        value: Array = log_ndtr(z) - self._missing(z)
        return value

    def slopes(self, vectors: Array) -> tuple[Array, Array]:
        """Return the scores and their gradients by the vectors."""
        mean, sd, d_mean, d_sd = self.gp.slopes(vectors)
        z = (self.threshold - mean) / sd
        value = log_ndtr(z)
        by_z = np.exp(-0.5 * z * z - 0.5 * np.log(2.0 * np.pi) - value)
        by_z = (by_z + np.where(z < self.least, _UNSURE, 0.0)) / sd
        return value - self._missing(z), -by_z[:, None] * (d_mean + z[:, None] * d_sd)

    def _missing(self, z: Array) -> Array:
        if self.least == -np.inf:
            return np.zeros(len(z))
        return _UNSURE * np.maximum(self.least - z, 0.0)


class Fits:
    """Makes surrogates; remembers hyperparameters, each as long as it would find the same again."""

    def __init__(self, cube: Cube, features: Features) -> None:
        self._cube = cube
        self._features = features
        self._known: dict[object, tuple[int, Array]] = {}

    def surrogate(self, sample: Sample, warp: WarpName, kernel: str, role: str) -> Surrogate:
        """Return the surrogate of a metric; ``role`` names what for."""
        sample = _thinned(sample)
        first = sample.take(np.arange(checkpoint(len(sample.values))))
        first = first.take(_telling(first, _MOST_FITTED))
        theta = self._theta(self._seen(first, warp)[0], kernel, (role, warp, kernel))
        seen, own = self._seen(sample.take(_telling(sample, _MOST)), warp)
        return Surrogate(GaussianProcess(theta, seen, kernel), own)

    def gate(self, sample: Sample, threshold: float, kernel: str, role: str) -> Gate:
        """Return the gate for values that are taken as they are, up to their spread."""
        # Like hyperparameters, the scale depends on the first values only.
        known = sample.values[: checkpoint(len(sample.values))]
        spread = float(known.std())
        scale = spread if spread > 0.0 else max(float(np.abs(known).max()), 1.0)
        scaled = Sample(
            sample.vectors, sample.values / scale, sample.errors, sample.share, sample.study
        )
        over = threshold / scale
        first = scaled.take(np.arange(len(known)))
        theta = self._theta(self._plain(first.take(_warning(first, over))), kernel, (role, kernel))
        gp = GaussianProcess(theta, self._plain(scaled.take(_warning(scaled, over))), kernel)
        return Gate(gp, over)

    def _theta(self, seen: Seen, kernel: str, role: object) -> Array:
        parts = (seen.vectors, seen.y, seen.extra, seen.share)
        content = hash(tuple(part.tobytes() for part in parts))
        known = self._known.get(role)
        if known is not None and known[0] == content:
            return known[1]
        theta = fit(Prior(self._features.ordered, self._cube.dims, 1.0 / len(seen.y)), seen, kernel)
        self._known[role] = content, theta
        return theta

    def _seen(self, sample: Sample, warp: WarpName) -> tuple[Seen, Warp]:
        """Return what a process sees; every study's values are warped for themselves."""
        z, extra = np.empty(len(sample.values)), np.empty(len(sample.values))
        warps: dict[int, Warp] = {}
        for study in np.unique(sample.study):
            mine = sample.study == study
            each = warps[int(study)] = Warp(sample.values[mine], warp)
            z[mine] = each.z
            values, errors = sample.values[mine], sample.errors[mine]
            with np.errstate(over="ignore"):
                error = (each.values(values + errors) - each.values(values - errors)) / 2
            extra[mine] = np.minimum(error, _UNKNOWN) ** 2
        own = warps.get(0) or warps[min(warps)]
        return self._as_seen(sample, z, extra), own

    def _plain(self, sample: Sample) -> Seen:
        return self._as_seen(sample, sample.values, np.zeros(len(sample.values)))

    def _as_seen(self, sample: Sample, y: Array, extra: Array) -> Seen:
        features = self._features
        return Seen(features.owner, features.plain, sample.vectors, y, extra, sample.share)


def _telling(sample: Sample, most: int) -> NDArray[np.intp]:
    """Return the rows from which to learn: all, or half of them the best, a quarter the newest.

    The remaining quarter is spread evenly over the others.
    """
    n = len(sample.values)
    if n <= most:
        return np.arange(n)
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[n - most // 4 :] = True
    ranked = np.argsort(sample.values, kind="stable")
    chosen[ranked[~chosen[ranked]][: most // 2]] = True
    rest = np.flatnonzero(~chosen)
    chosen[rest[np.linspace(0, len(rest) - 1, most - int(chosen.sum())).astype(int)]] = True
    return np.flatnonzero(chosen)


def _warning(sample: Sample, threshold: float) -> NDArray[np.intp]:
    """Return the rows from which a gate learns: the newest, and the newest that were too high."""
    n = len(sample.values)
    rows = np.arange(n)
    high = rows[sample.values > threshold][-_MOST_FITTED // 2 :]
    return np.union1d(high, rows[max(0, n - _MOST_FITTED) :])


def _thinned(sample: Sample) -> Sample:
    """Return a sample in which earlier studies leave this one its room."""
    n = len(sample.values)
    if n <= _MOST:
        return sample
    own = np.flatnonzero(sample.study == 0)
    earlier = np.flatnonzero(sample.study > 0)
    room = min(len(earlier), max(_MOST - len(own), 0))
    some = earlier[np.linspace(0, len(earlier) - 1, room).astype(int)]
    return sample.take(np.concatenate([some, own]))
