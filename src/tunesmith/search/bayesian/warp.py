"""Output warping: losses as a model sees them, with mean 0 and variance 1, smaller is better.

    none    the losses
    log     log(1 + (s-1) d) / log s with d = (y - best) / (worst - best): small differences near the
            best count more
    rank    first, what is worse than the median keeps its order only: it gets the quantiles of the
            upper half of a normal whose spread is that of the better half; then log

The last two are Vizier's (Song et al. 2024, section on output warping), with its s = 1.5.
"""

from typing import cast

import numpy as np
from scipy.special import ndtri

from tunesmith.search.bayesian.cube import Array
from tunesmith.search.bayesian.settings import WarpName

__all__ = ["Warp"]

_S = 1.5


class Warp:
    """A rising map from losses to model values.

    Args:
        losses: Those to which it is fitted, ``(n,)``, all finite, n > 0.
        name: Which map.

    Attributes:
        z: The model values of these losses, ``(n,)``.
    """

    def __init__(self, losses: Array, name: WarpName) -> None:
        low, high = float(losses.min()), float(losses.max())
        # Halves are subtracted: the span of finite numbers may not be finite.
        self._low, self._span = low / 2, high / 2 - low / 2
        y = self._units(losses)
        if name == "rank":
            y = _half_ranked(y)
            extent = np.ptp(y)
            y = (y - y.min()) / extent if extent > 0.0 else y
        if name != "none":
            y = np.log1p((_S - 1.0) * y) / np.log(_S)
        spread = float(y.std())
        self.z: Array = (y - y.mean()) / (spread if spread > 0.0 else 1.0)
        self._y, first = np.unique(self._units(losses), return_index=True)
        self._z = self.z[first]

    def _units(self, losses: Array) -> Array:
        """Return losses as parts of the span from the least to the greatest."""
        if not self._span > 0.0:
            return np.zeros_like(losses)
        return (losses / 2 - self._low) / self._span

    def values(self, losses: Array) -> Array:
        """Return the model values of ``losses``; straight on beyond those known."""
        return _line(self._units(losses), self._y, self._z)

    def losses(self, values: Array) -> Array:
        """Return the losses that have these model values."""
        with np.errstate(over="ignore"):
            losses: Array = 2.0 * (self._low + self._span * _line(values, self._z, self._y))
        return losses


def _half_ranked(y: Array) -> Array:
    values, index = np.unique(y, return_inverse=True)
    median = np.median(y)
    good, bad = y[y <= median], values > median
    if not bad.any():
        return y
    spread = float(np.sqrt(np.mean((good - median) ** 2)))
    count = int(bad.sum())
    quantiles = 0.5 + 0.5 * (np.arange(count) + 0.5) / count
    out: Array = values.copy()
    out[bad] = median + (spread if spread > 0.0 else float(y.std())) * ndtri(quantiles)
    return out[index]


def _line(x: Array, at: Array, values: Array) -> Array:
    """Return the values at ``x`` of the line through points, drawn on at its ends by its mean slope."""
    if not at[-1] > at[0]:
        return np.full_like(x, values[0])
    slope = (values[-1] - values[0]) / (at[-1] - at[0])
    inside = np.interp(x, at, values)
    below, above = np.minimum(x - at[0], 0.0), np.maximum(x - at[-1], 0.0)
    return cast("Array", inside + slope * (below + above))
