import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import wilcoxon

from tunesmith.stopping.signed_rank import signed_rank_p


def by_enumeration(differences: list[float]) -> float:
    """Return the p-value by trying all signs, zeros giving half their rank to each side."""
    sizes = np.abs(differences)
    ranks = [np.mean([np.sum(sizes < x) + 1, np.sum(sizes <= x)]) for x in sizes]
    free = [r for r, d in zip(ranks, differences, strict=True) if d != 0]
    reached = sum(r for r, d in zip(ranks, differences, strict=True) if d > 0)
    sums = [
        sum(r for r, up in zip(free, ups, strict=True) if up)
        for ups in product([0, 1], repeat=len(free))
    ]
    return float(np.mean([s >= reached for s in sums]))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 25, 50])
def test_exact_p_values_are_those_of_scipy(n: int) -> None:
    rng = np.random.default_rng(n)

    for shift in (-1.0, 0.0, 0.3, 2.0):
        d = rng.normal(shift, 1.0, n)
        theirs = wilcoxon(d, alternative="greater", method="exact").pvalue
        assert signed_rank_p(d) == pytest.approx(theirs, rel=1e-9)


def test_the_normal_distribution_for_many_is_that_of_scipy() -> None:
    d = np.random.default_rng(0).normal(0.1, 1.0, 200)

    theirs = wilcoxon(d, alternative="greater", method="asymptotic", correction=False).pvalue

    assert signed_rank_p(d) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize(
    "differences",
    [
        [1.0, 1.0, 1.0],
        [1.0, -1.0, 2.0, 2.0, -3.0],
        [0.0, 0.0, 1.0, 2.0],
        [0.0, 3.0, 3.0, -3.0, 0.0, 1.0],
        [math.inf, math.inf, -1.0, 2.0],
        [-1.0, -2.0],
    ],
)
def test_ties_and_zeros_are_exact_too(differences: list[float]) -> None:
    assert signed_rank_p(np.array(differences)) == pytest.approx(by_enumeration(differences))


def test_five_worse_folds_of_five_are_one_in_thirty_two() -> None:
    assert signed_rank_p(np.array([0.1, 0.3, 0.2, 0.5, 0.4])) == pytest.approx(1 / 32)


def test_no_difference_proves_nothing() -> None:
    assert signed_rank_p(np.zeros(5)) == signed_rank_p(np.empty(0)) == 1.0
