"""Halton search: the points of a scrambled Halton sequence in turn.

    b       the base of one dimension, a prime
    x_n     the digits of n in base b behind the point, the last first

Halton (1960). Plain, neighbouring dimensions of large bases rise together. So digits are scrambled: the
leading one by a random permutation (Owen 2017, "A randomized Halton algorithm in R"), each other by
``(a digit + c) mod b`` with random a ≠ 0 and c (Matoušek 1998), which takes no table.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tunesmith.model import History, StudySpec, Suggestion
from tunesmith.search.columns import Vector
from tunesmith.search.fresh import along

__all__ = ["MOST_DIMENSIONS", "Halton", "HaltonSequence"]

MOST_DIMENSIONS = 1000
"""Further coordinates are drawn at random: their bases would be larger than any study."""

_RESOLUTION = 2.0**32  # how many places a coordinate has at least


class Halton:
    """Gives trial ``n`` the ``n``-th point of a sequence that belongs to the study's seed.

    In a finite space, points that were tried are passed over.
    """

    def check(self, spec: StudySpec) -> None:
        """Serve every study, also with several objectives and constraints: results don't matter."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return the next ``count`` points of the sequence, fewer if the space has no more."""
        sequence = _sequence(len(history.spec.space), history.spec.seed)
        return along(sequence.point, history, count, rng, origin="halton")


class HaltonSequence:
    """One scrambled sequence.

    Args:
        dimensions: How many coordinates its points have.
        seed: Chooses the scrambling.
    """

    def __init__(self, dimensions: int, seed: int) -> None:
        rng = np.random.default_rng([seed, dimensions])
        based = min(dimensions, MOST_DIMENSIONS)
        self._bases = np.array(_primes(based))
        # So many digits that the bases' powers pass the resolution; later ones have no weight.
        digits = [math.ceil(math.log(_RESOLUTION) / math.log(b)) for b in self._bases.tolist()]
        exponents = np.arange(1, max(digits) + 1)[:, None]
        weights = self._bases.astype(np.float64) ** -exponents
        self._weights = np.where(exponents <= np.array(digits), weights, 0.0)
        self._half = 0.5 * self._bases.astype(np.float64) ** -np.array(digits)
        self._factors = rng.integers(1, self._bases, self._weights.shape)
        self._shifts = rng.integers(0, self._bases, self._weights.shape)
        leading = [rng.permutation(b).astype(np.int32) for b in self._bases.tolist()]
        self._starts = np.cumsum(self._bases) - self._bases  # of each base in the joint table
        self._leading = np.concatenate(leading)
        self._seed = seed
        self._random = dimensions - based

    def point(self, index: int) -> Vector:
        """Return point ``index`` (from 0, below 2³²), ``(d,)``, each coordinate in (0, 1)."""
        digits = np.empty_like(self._factors)
        rest = np.full(len(self._bases), index)
        for row in digits:
            rest, row[:] = np.divmod(rest, self._bases)
        scrambled = (self._factors * digits + self._shifts) % self._bases
        scrambled[0] = self._leading[self._starts + digits[0]]
        # In the middle of its cell, so that neither end of a range gets more than its share.
        x: Vector = (scrambled * self._weights).sum(axis=0) + self._half
        if not self._random:
            return x
        rest = np.random.default_rng([self._seed, index, self._random]).random(self._random)
        return np.concatenate([x, rest])


_sequence = lru_cache(maxsize=8)(HaltonSequence)


def _primes(count: int) -> list[int]:
    """Return the first ``count`` primes."""
    # The n-th prime is below n (log n + log log n) for n ≥ 6 (Rosser and Schoenfeld 1962).
    n = max(count, 6)
    limit = math.ceil(n * (math.log(n) + math.log(math.log(n)))) + 1
    sieve = np.ones(limit, dtype=np.bool_)
    sieve[:2] = False
    for k in range(2, math.isqrt(limit) + 1):
        if sieve[k]:
            sieve[k * k :: k] = False
    primes: list[int] = np.flatnonzero(sieve)[:count].tolist()
    return primes
