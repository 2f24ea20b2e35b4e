"""Finds the point of the cube with the greatest score.

Points all over the cube and near the best known ones are scored; from the best of them, continuous
coordinates climb by L-BFGS-B while coordinates with counted values try every change, in turn.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from tunesmith.search.bayesian.cube import Array, Cube, Mask, keys_of

__all__ = ["Found", "Maximizer", "Score", "Slopes"]

Score = Callable[[Array, Mask], Array]
"""Points ``(m, d)`` and masks to scores, ``(m,)``."""

Slopes = Callable[[Array, Mask], tuple[Array, Array]]
"""The same to scores and their gradients by the free coordinates, ``(m, free)``."""

_EVERYWHERE = 512
_AROUND = 40  # points near each anchor
_STEPS = (-2.5, -0.7)  # powers of ten between which the size of a step near an anchor lies
_STARTS = (3, 2)  # how many of the best points to climb from: from everywhere, from around
_CLIMBS = (20, 8)  # steps uphill in each round
_MOVES = 3
_ALL = 24  # of so many counted values every one is tried, of more only some
_ENUMERABLE = 4096
_GAIN = 1e-9
_ASKED = 8  # of the best points, so many at once


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A point and its score."""

    point: Array
    value: float


class Maximizer:
    """Searches a cube."""

    def __init__(self, cube: Cube) -> None:
        self._cube = cube
        size = cube.space.size
        self._all: Array | None = None
        if size is not None and size <= _ENUMERABLE:
            self._all = np.array([cube.encode(values) for values in cube.space.points()])
        self._steps = [_steps(0 if values is None else len(values)) for values in cube.values]

    def best(
        self,
        score: Score,
        slopes: Slopes | None,
        anchors: Array,
        taken: Collection[bytes],
        rng: np.random.Generator,
        *,
        held: tuple[int, float] | None = None,
    ) -> Found | None:
        """Return the best point that is found.

        Args:
            score: What is to be large.
            slopes: The same with gradients; None if there are none.
            anchors: Points around which it is worth looking, ``(a, d)``.
            taken: Keys of points that are not to be returned.
            rng: What draws the points.
            held: A counted coordinate that has to be active and stay where it is told to be.

        Returns:
            None if every point that was looked at is taken.
        """
        wanted = _Wanted(self._cube, score, taken, held)
        if self._all is not None:
            values = wanted.scores(self._all)
            top = wanted.top(self._all, values, np.arange(len(values)), 1)
            return Found(self._all[top[0]].copy(), float(values[top[0]])) if top else None
        places = np.concatenate([self._everywhere(rng), *self._around(anchors, rng)])
        if held is not None:
            places[:, held[0]] = held[1]
        points = self._cube.settle(places)
        values = wanted.scores(points)
        first = len(points) - _AROUND * len(anchors)
        halves = np.arange(first), np.arange(first, len(points))
        top = [
            row
            for rows, count in zip(halves, _STARTS, strict=True)
            for row in wanted.top(points, values, rows, count)
        ]
        if not top:
            return None
        points, values = points[top], values[top]
        # Where every change of a single value has been tried, it need not be tried again.
        settled = np.zeros(len(top), dtype=np.bool_)
        for steps in _CLIMBS:
            if slopes is None:
                moved = self._stroll(points, values, wanted, rng)
            else:
                moved = self._climb(points, values, wanted, slopes, steps)
            settled &= ~moved
            if not self._change(points, values, wanted, settled):
                break
        best = int(np.argmax(values))
        return Found(points[best], float(values[best]))

    def _everywhere(self, rng: np.random.Generator) -> Array:
        d = self._cube.d
        return rng.random((_EVERYWHERE * min(4, -(-d // 5)), d))

    def _around(self, anchors: Array, rng: np.random.Generator) -> list[Array]:
        """Return places near each anchor, which differ from it in some coordinates."""
        cube, d = self._cube, self._cube.d
        near = []
        for anchor in anchors:
            change = rng.random((_AROUND, d)) < min(1.0, max(3.0 / d, 0.2))
            change[np.arange(_AROUND), rng.integers(0, d, _AROUND)] = True
            step = 10.0 ** rng.uniform(*_STEPS, (_AROUND, 1)) * rng.standard_normal((_AROUND, d))
            moved = np.abs(anchor + step)
            moved = np.where(moved > 1.0, 2.0 - moved, moved)
            anew = rng.random((_AROUND, d))
            for i in cube.counted:
                values = cube.values[i]
                assert values is not None
                if cube.categorical[i]:
                    moved[:, i] = anew[:, i]
                else:  # a step that stays in its cell becomes one to the next
                    cell = 1.0 / len(values)
                    small = np.abs(step[:, i]) < 0.5 * cell
                    moved[:, i] = np.where(
                        small, anchor[i] + np.sign(step[:, i]) * cell, moved[:, i]
                    )
            near.append(np.where(change, np.clip(moved, 0.0, 1.0), anchor))
        return near

    def _stroll(
        self, points: Array, values: Array, wanted: "_Wanted", rng: np.random.Generator
    ) -> Mask:
        """Look around each point where there is no slope to climb; keep and tell what is gained."""
        gained = np.zeros(len(points), dtype=np.bool_)
        for i, places in enumerate(self._around(points, rng)):
            if wanted.held is not None:
                places[:, wanted.held[0]] = wanted.held[1]
            near = self._cube.settle(places)
            found = wanted.scores(near)
            for best in wanted.top(near, found, np.arange(len(near)), 1, above=values[i]):
                points[i], values[i], gained[i] = near[best], found[best], True
        return gained

    def _climb(
        self, points: Array, values: Array, wanted: "_Wanted", slopes: Slopes, steps: int
    ) -> Mask:
        """Move the free coordinates of all points uphill at once; keep and tell what is gained."""
        free = self._cube.free
        if not free:
            return np.zeros(len(points), dtype=np.bool_)
        mask = self._cube.active(points)
        at = points.copy()

        def negative(flat: Array) -> tuple[float, Array]:
            at[:, free] = flat.reshape(len(points), -1)
            value, gradient = slopes(at, mask)
            return -float(value.sum()), -gradient.ravel()

        result = minimize(
            negative,
            points[:, free].ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * (len(free) * len(points)),
            options={"maxiter": steps, "maxfun": 2 * steps},
        )
        ends = points.copy()
        ends[:, free] = result.x.reshape(len(points), -1)
        ends = self._cube.settle(ends)
        found = wanted.scores(ends)
        gained = (found > values) & wanted.allowed(ends)
        points[gained], values[gained] = ends[gained], found[gained]
        return gained

    def _change(self, points: Array, values: Array, wanted: "_Wanted", settled: Mask) -> bool:
        """Give single counted coordinates other values while that gains; tell whether it did."""
        any_gained = False
        for _ in range(_MOVES):
            origins = np.flatnonzero(~settled)
            changed = [self._changed(points[origin], wanted.held) for origin in origins]
            rows = np.concatenate(changed) if changed else points[:0]
            if not len(rows):
                break
            found = wanted.scores(rows)
            end = 0
            for origin, mine in zip(origins, changed, strict=True):
                start, end = end, end + len(mine)
                least = values[origin] + _GAIN
                settled[origin] = True
                for best in wanted.top(rows, found, np.arange(start, end), 1, above=least):
                    points[origin], values[origin] = rows[best], found[best]
                    settled[origin], any_gained = False, True
        return any_gained

    def _changed(self, point: Array, held: tuple[int, float] | None) -> Array:
        """Return all points that differ from one in one counted coordinate, ``(m, d)``."""
        counted = [i for i in self._cube.counted if held is None or i != held[0]]
        others = [self._others(i, float(point[i])) for i in counted]
        if not others:
            return np.empty((0, len(point)))
        which = np.repeat(counted, [len(values) for values in others])
        rows = np.repeat(point[None], len(which), axis=0)
        rows[np.arange(len(which)), which] = np.concatenate(others)
        return rows

    def _others(self, i: int, value: float) -> Array:
        """Return other values of a counted coordinate: all of them, or nearer ones more densely."""
        values = self._cube.values[i]
        assert values is not None
        n = len(values)
        now = int(np.argmin(np.abs(values - value)))
        if n <= _ALL or self._cube.categorical[i]:
            return np.delete(values, now)
        index = now + self._steps[i]
        some: Array = values[index[(index >= 0) & (index < n)]]
        return some


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """What is looked for: a great score, where a point may be returned.

    Attributes:
        cube: The cube.
        score: What is to be large.
        taken: Keys of points that are not to be returned.
        held: A counted coordinate that has to be active, and its place.
    """

    cube: Cube
    score: Score
    taken: Collection[bytes]
    held: tuple[int, float] | None

    def scores(self, points: Array) -> Array:
        """Return scores; minus infinity where what is to be held is not."""
        mask = self.cube.active(points)
        values = self.score(points, mask)
        if self.held is not None:
            i, place = self.held
            values = np.where(mask[:, i] & (np.abs(points[:, i] - place) < 1e-9), values, -np.inf)
        return values

    def allowed(self, points: Array) -> Mask:
        """Return which of ``points`` are not taken."""
        keys = keys_of(points, self.cube.active(points))
        return np.array([key not in self.taken for key in keys])

    def top(
        self,
        points: Array,
        values: Array,
        rows: NDArray[np.intp],
        count: int,
        above: float = -np.inf,
    ) -> list[int]:
        """Return those of ``rows`` with the greatest values above a bound that are not taken.

        Few are asked whether they are taken: to tell it of all takes longer than to score them.
        """
        order = rows[np.argsort(-values[rows], kind="stable")]
        order = order[values[order] > above]
        best: list[int] = []
        for start in range(0, len(order), _ASKED):
            some = order[start : start + _ASKED]
            best += some[self.allowed(points[some])].tolist()
            if len(best) >= count:
                break
        return best[:count]


def _steps(n: int) -> NDArray[np.intp]:
    """Return how far away, of n values, others are tried: nearer ones more densely."""
    up = np.unique(np.round(2.0 ** np.arange(0.0, np.log2(max(n, 1)), 0.75)).astype(np.intp))
    return np.concatenate([-up, up])
