"""The order of trials from best to worst, also with several objectives and constraints.

Those that keep all constraints come first, by their loss; with several objectives by the front to
which they belong, and within it the lonelier first (Deb et al. 2002, NSGA-II). Then come those that
break a constraint, by how much; then those without a result.
"""

import numpy as np
from numpy.typing import NDArray

from tunesmith.search.columns import Vector
from tunesmith.search.table import Rows

__all__ = ["crowding", "fronts", "ranked"]

_MOST_COMPARED = 2000  # the square of it is held in memory


def ranked(rows: Rows) -> NDArray[np.intp]:
    """Return the indices of ``rows`` from best to worst, the earlier of equals first."""
    n = len(rows.ended)
    failed = np.isnan(rows.losses).any(axis=1)
    violation = _violation(rows.excesses)
    feasible = np.flatnonzero(~failed & (violation == 0.0))
    first, second = np.zeros(n), np.zeros(n)
    if rows.losses.shape[1] == 1:
        first[feasible] = rows.losses[feasible, 0]
    else:
        front = fronts(rows.losses[feasible])
        first[feasible] = front
        for f in range(int(front.max(initial=-1)) + 1):
            members = feasible[front == f]
            second[members] = -crowding(rows.losses[members])
    broken = ~failed & (violation > 0.0)
    first[broken] = violation[broken]
    group = np.where(failed, 2, np.where(broken, 1, 0))
    return np.lexsort((second, first, group))


def _violation(excesses: Vector) -> Vector:
    """Return the sum over the constraints, ``(n,)``, each in units of its largest finite excess."""
    if not excesses.shape[1]:
        return np.zeros(len(excesses))
    excesses = np.maximum(excesses, 0.0)
    largest = np.where(np.isfinite(excesses), excesses, 0.0).max(axis=0, initial=0.0)
    total: Vector = (excesses / np.where(largest > 0.0, largest, 1.0)).sum(axis=1)
    return total


def fronts(losses: Vector) -> NDArray[np.intp]:
    """Return the front of each point, ``(n,)``: 0 for those that none dominates, 1 for the next.

    Of more than 2,000 points, only that many are compared with each other: those that are best by
    the sum of their places in the single objectives, which whoever dominates is ahead in. The
    rest shares the last front.
    """
    n = len(losses)
    if n > _MOST_COMPARED:
        places = losses.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable").sum(axis=1)
        compared = np.argsort(places, kind="stable")[:_MOST_COMPARED]
        some = fronts(losses[compared])
        front = np.full(n, some.max() + 1)
        front[compared] = some
        return front
    no_worse = np.ones((n, n), dtype=np.bool_)
    better = np.zeros((n, n), dtype=np.bool_)
    for column in losses.T:
        no_worse &= column[:, None] <= column
        better |= column[:, None] < column
    dominates = no_worse & better
    left = dominates.sum(axis=0)
    front = np.full(n, -1, dtype=np.intp)
    current = 0
    while (front < 0).any():
        members = (left == 0) & (front < 0)
        front[members] = current
        left = left - dominates[members].sum(axis=0)
        current += 1
    return front


def crowding(losses: Vector) -> Vector:
    """Return how lonely each point of a front is, ``(n,)``; inf at its ends."""
    n = len(losses)
    total = np.zeros(n)
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        values = column[order]
        span = values[-1] - values[0]
        gaps = np.full(n, np.inf)
        if n > 2:
            gaps[1:-1] = (values[2:] - values[:-2]) / span if span > 0.0 else 0.0
        total[order] += gaps
    return total
