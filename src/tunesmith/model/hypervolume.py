"""Dominance between points of several objectives, and the hypervolume that a set of them dominates.

points      ``(n, m)``, one row for each point, every objective to be small
reference   ``(m,)``, a point that all others should beat
dominates   is nowhere worse and somewhere better
volume      of the union of the boxes between each point and the reference
"""

from bisect import bisect_left, bisect_right

import numpy as np
import numpy.typing as npt

__all__ = ["hypervolume", "non_dominated"]

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def non_dominated(points: Matrix) -> Indices:
    """Return the rows of ``points`` ``(n, m)`` that no other dominates, sorted by their columns in turn.

    Of equal rows the first is returned.
    """
    if not len(points):
        return np.empty(0, dtype=np.intp)
    order = np.lexsort(points.T[::-1])  # stable, so of equal rows the first comes first
    # In this order no row is dominated by a later one.
    if points.shape[1] <= 2:
        lowest = np.minimum.accumulate(points[order, -1])
        better = np.append(True, lowest[1:] < lowest[:-1])
        return order[better] if points.shape[1] == 2 else order[:1]
    front = np.empty_like(points)
    found: list[int] = []
    for index in order:
        row = points[index]
        if not (front[: len(found)] <= row).all(axis=1).any():
            front[len(found)] = row
            found.append(int(index))
    return np.array(found, dtype=np.intp)


def hypervolume(points: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Return the volume that ``points`` dominate up to ``reference``, exactly.

    Points that don't beat the reference in every objective add nothing. With two or three objectives
    it takes about ``n log n`` steps; with each further one up to ``n`` times as many.

    Args:
        points: ``(n, m)``, to be minimised; ``n`` may be 0.
        reference: ``(m,)``.

    Raises:
        ValueError: the shapes don't fit, or a number is nan.
    """
    end = np.asarray(reference, dtype=float)
    given = np.asarray(points, dtype=float)
    given = given if given.size else given.reshape(0, end.size)
    fits = end.ndim == 1 and end.size > 0 and given.ndim == 2 and given.shape[1] == end.size
    if not fits or np.isnan(given).any() or np.isnan(end).any():
        msg = (
            "A hypervolume needs points (n, m) and a reference (m,), none of them nan;"
            f" given {np.shape(points)} and {np.shape(reference)}."
        )
        raise ValueError(msg)
    inside = given[(given < end).all(axis=1)]
    with np.errstate(over="ignore", invalid="ignore"):  # what is beyond a float is infinite
        return _volume(inside, end) if len(inside) else 0.0


def _volume(points: Matrix, end: Vector) -> float:
    """Sum what each point adds to those after it, which is WFG's recursion (While et al. 2012).

    With the worst in the last objective first, whatever a point shares with a later one reaches
    as far in that objective as the point itself does. So the shared part is a volume of one
    dimension less, times the point's extent in the last.
    """
    if len(end) == 1:
        return float(end[0] - points.min())
    if len(end) == 2:
        return _area(points, end)
    if len(end) == 3:
        return _sweep(points, end)
    points = points[non_dominated(points)]
    points = points[np.argsort(-points[:, -1], kind="stable")]
    total = 0.0
    for i, point in enumerate(points):
        alone = float(np.prod(end[:-1] - point[:-1]))
        later = np.maximum(points[i + 1 :, :-1], point[:-1])
        shared = _volume(later, end[:-1]) if len(later) else 0.0
        total += float(end[-1] - point[-1]) * (alone - shared)
    return total


def _area(points: Matrix, end: Vector) -> float:
    """Sum the steps of a staircase: sorted by the first objective, a front falls in the second."""
    front = points[non_dominated(points)]
    ceiling = np.append(end[1], front[:-1, 1])
    return float(((end[0] - front[:, 0]) * (ceiling - front[:, 1])).sum())


def _sweep(points: Matrix, end: Vector) -> float:
    """Add up slices along the third objective, of which each point only enlarges the one before.

    ``xs`` rises and ``ys`` falls: the staircase of the points so far in the first two objectives.
    """
    end_x, end_y, end_z = map(float, end)
    xs: list[float] = []
    ys: list[float] = []
    area = volume = 0.0
    before = end_z
    for x, y, z in points[np.argsort(points[:, 2], kind="stable")].tolist():
        volume += area * (z - before) if area else 0.0
        before = z
        right = bisect_right(xs, x)
        if right and ys[right - 1] <= y:  # within the staircase
            continue
        first = last = bisect_left(xs, x)
        step_x, step_y = x, ys[first - 1] if first else end_y
        while last < len(xs) and ys[last] >= y:  # steps that the new one swallows
            area += (xs[last] - step_x) * (step_y - y)
            step_x, step_y = xs[last], ys[last]
            last += 1
        area += ((xs[last] if last < len(xs) else end_x) - step_x) * (step_y - y)
        xs[first:last] = [x]
        ys[first:last] = [y]
    return volume + area * (end_z - before)
