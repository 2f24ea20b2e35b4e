"""Wilcoxon's signed-rank test: how likely differences were so large if their signs were chance.

    dᵢ      differences of pairs, ``(n,)``
    Rᵢ      the rank of |dᵢ|, ties sharing the mean of their ranks; likewise zeros, which are ranked too
    R⁺      the sum of Rᵢ over dᵢ > 0

Zeros give half their ranks to each side, whatever the signs are, so they add a constant that drops out.
"""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["signed_rank_p"]

Array = NDArray[np.float64]

_EXACT_UP_TO = 50  # the distribution has n(n + 1) + 1 places


def signed_rank_p(differences: Array) -> float:
    """Return the probability of so large an R⁺ if each sign were a coin's; 1 without differences.

    Exact up to 50 differences other than 0, also with ties; beyond that by the normal distribution of
    the same mean and variance. Differences may be infinite, but not nan.
    """
    sizes = np.abs(differences)
    _, group, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    twice = (2 * ends - counts + 1)[group]  # 2 Rᵢ, whole numbers also where ties share
    signed = differences != 0.0
    ranks = twice[signed]
    reached = int(twice[differences > 0.0].sum())
    if not len(ranks):
        return 1.0
    if len(ranks) <= _EXACT_UP_TO:
        return float(_distribution(ranks)[reached:].sum())
    mean, variance = ranks.sum() / 2.0, float((ranks.astype(float) ** 2).sum()) / 4.0
    return 0.5 * math.erfc((reached - mean) / math.sqrt(2.0 * variance))


def _distribution(ranks: NDArray[np.intp]) -> Array:
    """Return the probability of each sum that a random half of ``ranks`` may have."""
    p = np.zeros(int(ranks.sum()) + 1)
    p[0] = 1.0
    for rank in ranks.tolist():
        shifted = np.zeros_like(p)
        shifted[rank:] = p[:-rank]
        p = 0.5 * (p + shifted)
    return p
