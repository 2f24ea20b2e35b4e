"""Samples: where values were measured, and up to which of them hyperparameters are fitted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.search.bayesian.cube import Array

__all__ = ["Sample", "checkpoint"]

_EACH = 40  # up to so many values, every one moves the fit on
_GROWTH = 1.05


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Where values were measured, in the order in which they were.

    Attributes:
        vectors: Of the points, ``(n, c)``.
        values: The values, smaller is better, ``(n,)``.
        errors: Their known standard errors, 0 where none is known, ``(n,)``.
        share: One over how often each was measured, ``(n,)``.
        study: 0 for this study's, otherwise the number of an earlier study, ``(n,)``.
    """

    vectors: Array
    values: Array
    errors: Array
    share: Array
    study: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp]) -> "Sample":
        """Return some of it."""
        return Sample(
            self.vectors[rows],
            self.values[rows],
            self.errors[rows],
            self.share[rows],
            self.study[rows],
        )


def checkpoint(n: int) -> int:
    """Return up to which of n values hyperparameters are fitted."""
    at = min(n, _EACH)
    while at >= _EACH and (after := int(at * _GROWTH) + 1) <= n:
        at = after
    return at
