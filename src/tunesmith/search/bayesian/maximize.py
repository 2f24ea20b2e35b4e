"""Finds the point of the cube with the greatest score.

Points all over the cube and near the best known ones are scored; from the best of them, continuous
coordinates climb by L-BFGS-B while coordinates with counted values try every change, in turn.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
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
        cube = self._cube
        if self._all is not None:
            points, first = self._all, len(self._all)
        else:
            places = np.concatenate([self._everywhere(rng), *self._around(anchors, rng)])
            first = len(places) - _AROUND * len(anchors)
            if held is not None:
                places[:, held[0]] = held[1]
            points = cube.settle(places)
        values = self._scored(points, score, taken, held)
        if self._all is not None:
            top = np.array([int(np.argmax(values))])
        else:
            wide = np.argsort(-values[:first], kind="stable")[: _STARTS[0]]
            near = first + np.argsort(-values[first:], kind="stable")[: _STARTS[1]]
            top = np.concatenate([wide, near])
        top = top[np.isfinite(values[top])]
        if not len(top):
            return None
        points, values = points[top].copy(), values[top].copy()
        if self._all is None:
            for steps in _CLIMBS:
                if slopes is None:
                    self._stroll(points, values, score, taken, rng, held=held)
                else:
                    self._climb(points, values, score, slopes, taken, held=held, steps=steps)
                if not self._change(points, values, score, taken, held):
                    break
        best = int(np.argmax(values))
        return Found(points[best], float(values[best]))

    def _scored(
        self,
        points: Array,
        score: Score,
        taken: Collection[bytes],
        held: tuple[int, float] | None,
    ) -> Array:
        """Return scores; of points that may not be returned, minus infinity."""
        mask = self._cube.active(points)
        values = score(points, mask)
        allowed: Mask = np.array([key not in taken for key in keys_of(points, mask)])
        if held is not None:
            allowed &= mask[:, held[0]] & (np.abs(points[:, held[0]] - held[1]) < 1e-9)
        return np.where(allowed, values, -np.inf)

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
        self,
        points: Array,
        values: Array,
        score: Score,
        taken: Collection[bytes],
        rng: np.random.Generator,
        *,
        held: tuple[int, float] | None,
    ) -> None:
        """Look around each point where there is no slope to climb; keep what is gained."""
        for i, places in enumerate(self._around(points, rng)):
            if held is not None:
                places[:, held[0]] = held[1]
            near = self._cube.settle(places)
            found = self._scored(near, score, taken, held)
            best = int(np.argmax(found))
            if found[best] > values[i]:
                points[i], values[i] = near[best], found[best]

    def _climb(
        self,
        points: Array,
        values: Array,
        score: Score,
        slopes: Slopes,
        taken: Collection[bytes],
        *,
        held: tuple[int, float] | None,
        steps: int,
    ) -> None:
        """Move the free coordinates of all points uphill at once; keep what is gained."""
        free = self._cube.free
        if not free:
            return
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
        found = self._scored(ends, score, taken, held)
        gained = found > values
        points[gained], values[gained] = ends[gained], found[gained]

    def _change(
        self,
        points: Array,
        values: Array,
        score: Score,
        taken: Collection[bytes],
        held: tuple[int, float] | None,
    ) -> bool:
        """Give single counted coordinates other values while that gains; tell whether it did."""
        counted = [i for i in self._cube.counted if held is None or i != held[0]]
        any_gained = False
        for _ in range(_MOVES if counted else 0):
            rows: list[Array] = []
            origins: list[int] = []
            for origin, point in enumerate(points):
                for i in counted:
                    for value in self._others(i, float(point[i])):
                        row = point.copy()
                        row[i] = value
                        rows.append(row)
                        origins.append(origin)
            changed, origin_of = np.array(rows), np.array(origins)
            found = self._scored(changed, score, taken, held)
            gained = False
            for origin in range(len(points)):
                mine = np.flatnonzero(origin_of == origin)
                best = mine[np.argmax(found[mine])]
                if found[best] > values[origin] + _GAIN:
                    points[origin], values[origin] = changed[best], found[best]
                    gained = True
            any_gained |= gained
            if not gained:
                break
        return any_gained

    def _others(self, i: int, value: float) -> Array:
        """Return other values of a counted coordinate: all of them, or nearer ones more densely."""
        values = self._cube.values[i]
        assert values is not None
        n = len(values)
        now = int(np.argmin(np.abs(values - value)))
        if n <= _ALL or self._cube.categorical[i]:
            return np.delete(values, now)
        steps = np.unique(np.round(2.0 ** np.arange(0.0, np.log2(n), 0.75)).astype(int))
        index = np.concatenate([now - steps, now + steps])
        some: Array = values[index[(index >= 0) & (index < n)]]
        return some
