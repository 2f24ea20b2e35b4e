"""Priors: where people expect good values, as a density on the unit interval.

A number's prior is a normal around its center, cut at both ends of the interval and measured on the
parameter's own scale. Each value that is counted (an integer, a step, a number of a list) has the share
of the normal that falls into its cell. Of k categories, the center has the weight w and a share of the
rest, (1 - w) / k, as all others have.

    confidence    low     medium    high
    sd            0.5     0.25      0.125
    w             0.3     0.6       0.85

The three standard deviations are those of PriorBand (Mallik et al., NeurIPS 2023).

    u       places in the unit interval, an array of any shape
    place   the center's place
    sd      the standard deviation, on the unit interval
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, Self, cast, get_args

import numpy as np

from tunesmith.errors import SpaceError
from tunesmith.space.scale import Cells
from tunesmith.space.values import Key, Value, plain, typed

__all__ = ["CONFIDENCES", "EVEN", "Bell", "Confidence", "Density", "Even", "Favourite", "Prior"]

Confidence = Literal["low", "medium", "high"]
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)

_SD: Mapping[Confidence, float] = {"low": 0.5, "medium": 0.25, "high": 0.125}
_WEIGHT: Mapping[Confidence, float] = {"low": 0.3, "medium": 0.6, "high": 0.85}

_NARROW = (
    1e-4  # of a standard deviation; the density's mean over it is that in its middle, to 8 digits
)


@dataclass(frozen=True, slots=True)
class Prior:
    """Where good values of a parameter are expected, and how surely.

    Args:
        center: The best guess.
        confidence: How sure it is: ``"low"``, ``"medium"`` or ``"high"``. A number is expected around
            the center with a standard deviation of a half, a quarter or an eighth of its range,
            measured on its scale; of several categories, the center gets about 30, 60 or 85 percent.

    Raises:
        SpaceError: the confidence is none of these, or the center is no value.
    """

    center: Value = field(compare=False)
    confidence: Confidence = "medium"
    _key: Key = field(init=False, repr=False)

    def __post_init__(self) -> None:
        center = plain(self.center)
        if center is None:
            msg = f"A prior's center is one value, got center={self.center!r}."
            raise SpaceError(msg)
        if self.confidence not in CONFIDENCES:
            near = get_close_matches(str(self.confidence).lower(), CONFIDENCES, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            msg = f"A prior's confidence is low, medium or high; got confidence={self.confidence!r}.{hint}"
            raise SpaceError(msg)
        object.__setattr__(self, "center", center)
        object.__setattr__(self, "_key", typed(center))

    @classmethod
    def read(cls, given: object) -> Self:
        """Return the prior that was given as one, as its center alone, or as a mapping of plain data."""
        if isinstance(given, cls):
            return given
        if not isinstance(given, Mapping):
            return cls(cast("Value", given))
        if "center" not in given or not given.keys() <= {"center", "confidence"}:
            msg = f"A prior has a center and may have a confidence, got {dict(given)!r}."
            raise SpaceError(msg)
        return cls(**given)

    def to_document(self) -> Value | dict[str, Value]:
        """Return plain data from which `read` makes an equal prior: the center alone if that is all."""
        if self.confidence == "medium":
            return self.center
        return {"center": self.center, "confidence": self.confidence}

    @property
    def sd(self) -> float:
        """The standard deviation of a number around its center, on the unit interval."""
        return _SD[self.confidence]

    @property
    def weight(self) -> float:
        """The center's own share of probability among categories, before the rest is shared evenly."""
        return _WEIGHT[self.confidence]


class Even:
    """No prior: all places are alike."""

    __slots__ = ()

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Return zeros."""
        return np.zeros(np.shape(u))

    def sample(self, rng: np.random.Generator) -> float:
        """Return a place drawn evenly."""
        return float(rng.random())


EVEN = Even()


class Bell:
    """A normal that is cut at the ends of the unit interval.

    Args:
        place: Its center.
        sd: Its standard deviation before it is cut.
        cells: The cells of values that are counted; None for a number without gaps.
    """

    __slots__ = ("_cells", "_log_mass", "_place", "_sd")

    def __init__(self, place: float, sd: float, cells: Cells | None = None) -> None:
        self._place = place
        self._sd = sd
        self._cells = cells
        self._log_mass = math.log(_normal_mass(-place / sd, (1.0 - place) / sd))

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Return the logarithm of the density at each place, constant within a cell."""
        if self._cells is None:
            return self._log_curve(np.asarray(u, dtype=float))
        low, high = map(np.asarray, self._cells.bounds(np.asarray(u, dtype=float)))
        out = np.asarray(self._log_curve((low + high) / 2))
        wide = high - low > _NARROW * self._sd
        # All places of a cell have the same beginning, so each cell is worked out once.
        begins, first, which = np.unique(low[wide], return_index=True, return_inverse=True)
        cells = zip(begins.tolist(), high[wide][first].tolist(), strict=True)
        out[wide] = np.array([self._log_mean(*ends) for ends in cells])[which]
        return out

    def sample(self, rng: np.random.Generator) -> float:
        """Return a place; the cell around it, if there are cells, has the probability of its share."""
        # At least 47 percent of draws fall inside, even with the center at an end.
        while not 0.0 <= (u := rng.normal(self._place, self._sd)) <= 1.0:
            pass
        return float(u)

    def _log_curve(self, u: np.ndarray) -> np.ndarray:
        z = (u - self._place) / self._sd
        curve: np.ndarray = (
            -0.5 * z**2 - math.log(self._sd * math.sqrt(2 * math.pi)) - self._log_mass
        )
        return curve

    def _log_mean(self, low: float, high: float) -> float:
        """Return the logarithm of the density's mean between two places."""
        mass = _normal_mass((low - self._place) / self._sd, (high - self._place) / self._sd)
        return math.log(mass) - self._log_mass - math.log(high - low)


class Favourite:
    """One category with more weight than the others.

    Args:
        index: Which one.
        count: How many there are.
        weight: The share of probability that it has before the rest is shared evenly.
    """

    __slots__ = ("_count", "_index", "_weight")

    def __init__(self, index: int, count: int, weight: float) -> None:
        self._index = index
        self._count = count
        self._weight = weight

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Return the logarithm of the density at each place: of k categories, k times its probability."""
        index = np.clip(np.floor(np.asarray(u, dtype=float) * self._count), 0, self._count - 1)
        own = self._weight * self._count
        density: np.ndarray = np.log(1.0 - self._weight + own * (index == self._index))
        return density

    def sample(self, rng: np.random.Generator) -> float:
        """Return a place in the cell of a category drawn by the weights."""
        u = float(rng.random())
        return (self._index + u) / self._count if rng.random() < self._weight else u


Density = Even | Bell | Favourite
"""What a parameter knows of its values before any trial, relative to drawing evenly."""


def _normal_mass(low: float, high: float) -> float:
    """Return how much of the standard normal lies between two points, to nearly all digits."""
    # Turned to the upper side, where the tails are small numbers and their difference is exact.
    if low + high < 0.0:
        low, high = -high, -low
    return 0.5 * (math.erfc(low * math.sqrt(0.5)) - math.erfc(high * math.sqrt(0.5)))
