"""Scrambled Sobol' points: sequences that fill the unit cube more evenly than chance.

    V       direction numbers of one dimension, 32 numbers of 32 bits
    n       a point's place in the sequence; g its Gray code, n xor n/2
    x_n     the xor of V_j over all bits j that are set in g, as a binary fraction

Sobol' (1967); Joe and Kuo (2008) for V; Matoušek (1998) for the scrambling: every V_j is multiplied
by a random lower triangular matrix of bits, and every point is shifted by one random number. Both
keep the sequence's evenness and make each coordinate uniform.

scipy has such a sequence too, but loading it takes a second, and `tunesmith run` should start at once.
"""

from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_DIMENSIONS", "SobolSequence", "sobol_sequence"]

_BITS = 32
MOST_DIMENSIONS = 256
"""What the table of direction numbers holds; further coordinates are drawn at random."""

Bits = NDArray[np.uint64]


class SobolSequence:
    """One scrambled sequence.

    Args:
        dimensions: How many coordinates its points have.
        seed: Chooses the scrambling.
    """

    def __init__(self, dimensions: int, seed: int) -> None:
        rng = np.random.default_rng([seed, dimensions])
        tabled = min(dimensions, MOST_DIMENSIONS)
        self._directions = _scrambled(_directions()[:tabled], rng)
        self._shift = rng.integers(0, 1 << _BITS, tabled, dtype=np.uint64)
        self._seed = seed
        self._random = dimensions - tabled

    def point(self, index: int) -> NDArray[np.float64]:
        """Return point ``index`` (from 0, below 2³²), ``(d,)``, each coordinate in (0, 1)."""
        gray = index ^ (index >> 1)
        set_bits = [j for j in range(_BITS) if gray >> j & 1]
        bits = np.bitwise_xor.reduce(self._directions[:, set_bits], axis=1) ^ self._shift
        # The middle of the cell, so that neither end of a range gets more than its share.
        x: NDArray[np.float64] = (bits.astype(np.float64) + 0.5) / 2.0**_BITS
        if not self._random:
            return x
        rest = np.random.default_rng([self._seed, index, self._random]).random(self._random)
        return np.concatenate([x, rest])

    def points(self, count: int) -> NDArray[np.float64]:
        """Return the first ``count`` points at once, ``(count, d)``: the same as `point` gives."""
        # Gray codes of neighbours differ in one bit: the lowest that is set in the later's index.
        index = np.arange(1, max(count, 1), dtype=np.uint64)
        flipped = np.bitwise_count((index & (~index + np.uint64(1))) - np.uint64(1))
        steps = np.concatenate(
            [np.zeros_like(self._shift)[:, None], self._directions[:, flipped]], 1
        )
        bits = np.bitwise_xor.accumulate(steps, axis=1)[:, :count] ^ self._shift[:, None]
        x: NDArray[np.float64] = (bits.T.astype(np.float64) + 0.5) / 2.0**_BITS
        if not self._random:
            return x
        seeds = ([self._seed, i, self._random] for i in range(count))
        rest = [np.random.default_rng(seed).random(self._random) for seed in seeds]
        return np.concatenate([x, np.array(rest).reshape(count, self._random)], axis=1)


@lru_cache(maxsize=8)
def sobol_sequence(dimensions: int, seed: int) -> SobolSequence:
    """Return a sequence, made once: its scrambling costs as much as a hundred points."""
    return SobolSequence(dimensions, seed)


@cache
def _directions() -> Bits:
    """Return V of every tabled dimension, ``(256, 32)``; ``V[:, j]`` has its leading bit at 2⁻⁽ʲ⁺¹⁾."""
    v = np.zeros((MOST_DIMENSIONS, _BITS), dtype=np.uint64)
    v[0] = [1 << (_BITS - 1 - j) for j in range(_BITS)]  # van der Corput's sequence
    text = files("tunesmith.search").joinpath("directions.txt").read_text(encoding="ascii")
    rows = [line for line in text.splitlines() if not line.startswith("#")]
    for dimension, row in enumerate(rows, start=1):
        polynomial, *initial = map(int, row.split())
        v[dimension] = _extend(polynomial, initial)
    return v


def _extend(polynomial: int, initial: list[int]) -> list[int]:
    """Return V from the first few m by the recurrence that the primitive polynomial defines."""
    degree = len(initial)
    v = [m << (_BITS - 1 - j) for j, m in enumerate(initial)]
    for j in range(degree, _BITS):
        new = v[j - degree] ^ (v[j - degree] >> degree)
        for k in range(1, degree):
            if polynomial >> (degree - k) & 1:
                new ^= v[j - k]
        v.append(new)
    return v


def _scrambled(directions: Bits, rng: np.random.Generator) -> Bits:
    """Multiply every V by a random lower triangular matrix of bits with ones on its diagonal."""
    dimensions = len(directions)
    # Row r of a matrix says which of the r + 1 highest bits of V add up to bit r of the result.
    rows = rng.integers(0, 1 << _BITS, (dimensions, _BITS), dtype=np.uint64)
    out = np.zeros_like(directions)
    for r in range(_BITS):
        place = np.uint64(1 << (_BITS - 1 - r))
        above = np.uint64(((1 << r) - 1) << (_BITS - r))
        mask = (rows[:, r] & above) | place
        parity = np.bitwise_count(directions & mask[:, None]) & np.uint8(1)
        out |= parity.astype(np.uint64) << np.uint64(_BITS - 1 - r)
    return out
