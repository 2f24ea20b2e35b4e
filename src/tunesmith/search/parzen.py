"""Parzen estimators over a space: mixtures with one kernel around each known point.

    n, c, d     known points, candidates, columns of the space
    s           bandwidth of a column: a standard deviation or, for choices, the probability of another
    density     always relative to drawing evenly from the unit cube

A kernel is a product over the columns: a normal density cut off at the ends of the unit interval;
for what is counted, the exact mass that it gives to each cell; for choices the kernel of Aitchison
and Aitken (1976). One more component is the prior: what people expect, or the even distribution.
"""

import math
from collections.abc import Sequence

import numpy as np

from tunesmith.search.columns import Column, Vector
from tunesmith.search.normal import normal_cdf
from tunesmith.space import Parameter

__all__ = ["Parzen", "bandwidths"]

_LEAST = 1e-300
_EVEN_VARIANCE = 1 / 12
_FINEST = 1e-3  # of a range
_FINEST_CELLS = 0.25  # of a cell: kernels that are narrower all say the same


def bandwidths(columns: Sequence[Column], points: Vector, width: float) -> Vector:
    """Return a bandwidth for each column, ``(d,)``, from the spread of ``points``, ``(n, d)``.

    Scott's rule (1992), ``width n^(-1 / (d + 4))`` standard deviations; one more point, spread like the
    even distribution, keeps a few points that agree by chance from being trusted. For choices it is
    the share of others in a count that begins with one of each value.
    """
    n = len(points)
    shrunk = width * max(n, 1) ** (-1 / (len(columns) + 4))
    mean = points.mean(axis=0) if n else np.full(len(columns), 0.5)
    deviations = np.sqrt((((points - mean) ** 2).sum(axis=0) + _EVEN_VARIANCE) / (n + 1))
    out: Vector = np.clip(shrunk * deviations, _FINEST, 1.0)
    for j, column in enumerate(columns):
        if column.kind == "choice":
            out[j] = (column.size - 1) / (n + column.size)
        elif column.kind == "cells":
            out[j] = max(out[j], _FINEST_CELLS / column.size)
    return out


class Parzen:
    """A mixture of kernels around ``points`` and of the prior.

    Args:
        columns: The space's columns.
        points: Places in the unit cube, ``(n, d)``; may be none.
        bandwidths: One for each column, ``(d,)``.
        prior_weight: How many kernels the prior weighs as much as.
        parameters: Those whose priors count; None for the even distribution.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        points: Vector,
        bandwidths: Vector,
        *,
        prior_weight: float,
        parameters: Sequence[Parameter] | None = None,
    ) -> None:
        self._columns = columns
        self._points = points
        self._bandwidths = bandwidths
        self._prior_weight = prior_weight
        self._parameters = parameters

    def sample(self, count: int, rng: np.random.Generator) -> Vector:
        """Return points drawn from the mixture, ``(count, d)``; what is counted, in its cell's middle."""
        n, d = self._points.shape
        component = (rng.random(count) * (n + self._prior_weight)).astype(np.intp)
        kernels = np.flatnonzero(component < n)
        out = np.empty((count, d))
        for j, column in enumerate(self._columns):
            out[:, j] = self._from_prior(j, count, rng)
            draw = _neighbours if column.kind == "choice" else _cut_normal
            centre = self._points[component[kernels], j]
            out[kernels, j] = draw(column, centre, float(self._bandwidths[j]), rng)
            if column.kind != "real":
                out[:, j] = column.middle(column.index(out[:, j]))
        return out

    def log_density(self, candidates: Vector) -> Vector:
        """Return the logarithm of the density at ``candidates``, ``(c, d)``, as ``(c,)``."""
        logs = np.zeros((len(candidates), len(self._points)))
        real = [j for j, column in enumerate(self._columns) if column.kind == "real"]
        if real:
            logs += _normals(self._points[:, real], candidates[:, real], self._bandwidths[real])
        prior = np.full(len(candidates), math.log(self._prior_weight))
        for j, column in enumerate(self._columns):
            prior += self._log_prior(j, candidates[:, j])
            if column.kind != "real":
                s = float(self._bandwidths[j])
                logs += _log_kernel(column, self._points[:, j], candidates[:, j], s)
        logs = np.concatenate([logs, prior[:, None]], axis=1)
        top = logs.max(axis=1)
        total = np.exp(logs - top[:, None]).sum(axis=1)
        out: Vector = top + np.log(total / (len(self._points) + self._prior_weight))
        return out

    def _from_prior(self, j: int, count: int, rng: np.random.Generator) -> Vector:
        if self._parameters is None or self._parameters[j].prior is None:
            return rng.random(count)
        return np.array([self._parameters[j].sample_unit(rng) for _ in range(count)])

    def _log_prior(self, j: int, candidates: Vector) -> Vector:
        if self._parameters is None or self._parameters[j].prior is None:
            return np.zeros(len(candidates))
        return self._parameters[j].log_density(candidates)


def _normals(points: Vector, candidates: Vector, s: Vector) -> Vector:
    """Return the sum over columns without gaps of the logarithms of cut normals, ``(c, n)``."""
    a, b = candidates / s, points / s
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * (a @ b.T)
    inside = normal_cdf((1.0 - points) / s) - normal_cdf(-points / s)
    out: Vector = -0.5 * squares - np.log(np.sqrt(2 * np.pi) * s * inside).sum(axis=1)
    return out


def _log_kernel(column: Column, points: Vector, candidates: Vector, s: float) -> Vector:
    """Return the logarithms of the kernels of a column with cells or choices, ``(c, n)``."""
    # Points of a column with k cells lie in k places at most, so a small table says all.
    cells, row = np.unique(column.index(candidates), return_inverse=True)
    centres, place = np.unique(column.index(points), return_inverse=True)
    if column.kind == "choice":
        k = column.size
        same, other = math.log((1 - s) * k), math.log(max(s * k / max(k - 1, 1), _LEAST))
        table = np.where(cells[:, None] == centres, same, other)
    else:
        centre = column.middle(centres)
        low, high = column.edges[cells][:, None], column.edges[cells + 1][:, None]
        mass = normal_cdf((high - centre) / s) - normal_cdf((low - centre) / s)
        inside = normal_cdf((1.0 - centre) / s) - normal_cdf(-centre / s)
        table = np.log(np.maximum(mass / (inside * (high - low)), _LEAST))
    out: Vector = table[row][:, place]
    return out


def _cut_normal(_: Column, centre: Vector, s: float, rng: np.random.Generator) -> Vector:
    """Draw from normal distributions that are cut off at 0 and 1; their centres lie between."""
    out = rng.normal(centre, s)
    # A third of all draws stay inside even where the bandwidth is 1, so this ends soon.
    while (outside := (out < 0.0) | (out > 1.0)).any():
        out[outside] = rng.normal(centre[outside], s)
    return out


def _neighbours(column: Column, centre: Vector, s: float, rng: np.random.Generator) -> Vector:
    """Draw the values of ``centre`` or, with probability ``s``, any of the others."""
    own = column.index(centre)
    other = (rng.random(len(own)) * (column.size - 1)).astype(np.intp)
    other += other >= own
    return column.middle(np.where(rng.random(len(own)) < s, other, own))
