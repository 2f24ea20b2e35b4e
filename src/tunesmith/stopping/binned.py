"""Learning curves in bins of log t, and what a linear Gaussian model of them needs to know.

    t       how far the trial was, from t0 to T
    y       the curve, in the units of the model
    φ       a shape of `families`; Φ has the columns 1, φ(t) and 1 - t/T, of β = (c, a, d)
    w, ε    a random walk in log t of variance λ log(t/t0), and the noise of a mean of m measurements,
            of variance 1/m, both in units of σ² κ; K is the covariance of their sum

There are J curves, B bins and S shapes.
"""

import math
from dataclasses import dataclass

import numpy as np

from tunesmith.stopping.families import shapes
from tunesmith.stopping.peers import Array, Peers

__all__ = ["Binned", "Sums", "Units", "binned"]

_BINS = 24
_MOST = 100  # measurements in a bin that count: noise of neighbours is not quite independent
_FARTHEST = 1e3  # no curve lies further from the others than that, in units of the model


@dataclass(frozen=True, slots=True)
class Units:
    """How the model sees curves.

    Attributes:
        start: t0.
        end: T.
        center: The loss that is 0.
        scale: How many losses are 1.
        ceiling: The loss from which all are equally bad.
    """

    start: float
    end: float
    center: float
    scale: float
    ceiling: float

    @classmethod
    def of(cls, peers: Peers, end: float) -> "Units":
        """Return the units in which ``peers``, at least one, are neither large nor small."""
        start = min(float(peers.at.min()), end / 10.0)
        ceiling = _ceiling(peers)
        losses = np.minimum(peers.losses, ceiling)
        center = float(np.median(np.minimum(peers.lasts, ceiling)))
        most = float(np.abs(losses).max()) or 1.0
        scale = float((losses / most).std()) * most  # squares of very large losses overflow
        if scale <= 1e-9 * abs(center):
            scale = abs(center)
        return cls(max(start, end * 1e-4), end, center, scale or 1.0, ceiling)

    def turned(self, losses: Array) -> Array:
        """Return losses as the model sees them."""
        with np.errstate(over="ignore"):
            y = (np.minimum(losses, self.ceiling) - self.center) / self.scale
        return np.clip(y, -_FARTHEST, _FARTHEST)


def _ceiling(peers: Peers) -> float:
    """Return a loss that the better half of trials was hardly ever beyond."""
    half = peers.chosen(peers.lasts <= np.median(peers.lasts))
    worst = np.maximum.reduceat(np.where(np.isinf(half.losses), -np.inf, half.losses), half.starts)
    worst = worst[np.isfinite(worst)]
    return float(np.quantile(worst, 0.9)) if len(worst) else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What of each curve the model needs, for one λ.

    Attributes:
        n: How many bins have something, ``(J,)``.
        gram: Φᵀ K⁻¹ Φ, ``(J, S, 3, 3)``.
        cross: Φᵀ K⁻¹ y, ``(J, S, 3)``.
        square: yᵀ K⁻¹ y, ``(J,)``.
        log_det: log |K|, ``(J,)``.
        ahead: What of β the curve's end holds, beyond what is known of w, ``(J, S, 3)``.
        known: What is known of w at the end, ``(J,)``.
        unknown: The variance that w has there nevertheless, in units of σ² κ, ``(J,)``.
    """

    n: Array
    gram: Array
    cross: Array
    square: Array
    log_det: Array
    ahead: Array
    known: Array
    unknown: Array


@dataclass(frozen=True, slots=True, eq=False)
class Binned:
    """Curves in bins.

    Attributes:
        units: How the model sees them.
        t: Where the measurements of each bin lie on average, ``(J, B)``; T in empty ones.
        y: Their mean, ``(J, B)``; 0 in empty ones.
        m: How many there are, up to a hundred, ``(J, B)``.
    """

    units: Units
    t: Array
    y: Array
    m: Array

    def newest(self, count: int) -> "Binned":
        """Return the last ``count`` of them."""
        return Binned(self.units, self.t[-count:], self.y[-count:], self.m[-count:])

    def sums(self, walk: float) -> Sums:
        """Return what the model needs to know, with ``walk`` for λ."""
        there = (self.m > 0).astype(float)
        way = np.log(self.t / self.units.start) * there
        k = walk * np.minimum(way[:, :, None], way[:, None, :])
        diagonal = np.arange(_BINS)
        k[:, diagonal, diagonal] += 1.0 / np.maximum(self.m, 1.0)
        root = np.linalg.cholesky(k)
        phi = shapes(self.t, self.units.start, self.units.end) * there[:, :, None]
        # At the end of the way every shape is 0 and so is the line; its covariance with w is λ log(t/t0).
        line = (1.0 - self.t / self.units.end) * there
        plain = np.stack([self.y, walk * way, there, line], axis=2)
        white = np.linalg.solve(root, np.concatenate([plain, phi], axis=2))
        y, onward, phi = white[:, :, 0], white[:, :, 1], white[:, :, 4:]
        both = np.broadcast_to(white[:, :, None, 2:4], (*phi.shape, 2))
        columns = np.stack([both[..., 0], phi, both[..., 1]], axis=-1)  # (J, B, S, 3)
        whole = walk * math.log(self.units.end / self.units.start)
        return Sums(
            n=there.sum(axis=1),
            gram=np.einsum("jbsk,jbsl->jskl", columns, columns),
            cross=np.einsum("jbsk,jb->jsk", columns, y),
            square=np.einsum("jb,jb->j", y, y),
            # Empty bins have the variance 1, and so add nothing.
            log_det=2.0 * np.log(root[:, diagonal, diagonal]).sum(axis=1),
            ahead=np.array([1.0, 0.0, 0.0]) - np.einsum("jb,jbsk->jsk", onward, columns),
            known=np.einsum("jb,jb->j", onward, y),
            unknown=whole - np.einsum("jb,jb->j", onward, onward),
        )


def binned(peers: Peers, units: Units) -> Binned:
    """Return curves in bins of equal width in log t, which hold more measurements the later they are."""
    at = np.clip(peers.at, units.start, units.end)
    part = np.log(at / units.start) / math.log(units.end / units.start)
    column = np.minimum((part * _BINS).astype(np.intp), _BINS - 1)
    place = np.repeat(np.arange(len(peers)), peers.sizes) * _BINS + column
    size = len(peers) * _BINS
    m = np.bincount(place, minlength=size)
    each = np.maximum(m, 1)
    t = np.where(m > 0, np.bincount(place, at, size) / each, units.end)
    y = np.bincount(place, units.turned(peers.losses), size) / each
    shape = (len(peers), _BINS)
    counted = np.minimum(m, _MOST).astype(float)
    return Binned(units, t.reshape(shape), y.reshape(shape), counted.reshape(shape))
