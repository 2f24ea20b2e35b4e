"""The unit cube of a space, as arrays: which places are points, which coordinates count there.

    place   (d,) in [0, 1]: a coordinate for every parameter, also for those that are not active
    point   a place whose counted coordinates stand where their values have their places
    mask    (d,) which coordinates are active

Everything here takes many places at once, ``(m, d)``. Coordinates that are not active keep their
number, so that a change of their parent finds them where they were; nothing else may look at them.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tunesmith.space import Categorical, Space, Value, parents

__all__ = ["Array", "Cube", "Mask", "keys_of"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_COUNTED = 4096  # a number with more values than this is climbed as if it were continuous
_SAMPLE = 256


class Cube:
    """The unit cube of ``space``.

    Attributes:
        d: How many coordinates it has.
        categorical: Which coordinates have no order, ``(d,)``.
        conditional: Which are not always active, ``(d,)``.
        values: Where each coordinate's values have their places, rising; None where it is
            continuous, or of so many values that it is as good as that.
        counted: The coordinates of more than one value that can be counted.
        free: The coordinates without `values`.
        dims: How many coordinates are active on average.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        names = list(space)
        parameters = [space[name] for name in names]
        self.d = len(names)
        self.categorical = np.array([isinstance(p, Categorical) for p in parameters])
        self.conditional = np.array([bool(parents(p)) for p in parameters])
        self.values: list[Array | None] = [
            np.sort([p.to_unit(v) for v in p.members()])
            if p.size is not None and (p.size <= _COUNTED or isinstance(p, Categorical))
            else None
            for p in parameters
        ]
        self._edges = [None if v is None else (v[1:] + v[:-1]) / 2 for v in self.values]
        self.counted = [i for i, v in enumerate(self.values) if v is not None and len(v) > 1]
        self.free = [i for i, v in enumerate(self.values) if v is None]
        self._fine = [(i, parameters[i]) for i in self.free if parameters[i].size is not None]
        # Child, parent, and the places of the parent's values that activate it; parents come first.
        self._conditions: list[tuple[int, int, Array]] = []
        done: set[str] = set()
        while len(done) < self.d:
            for child, name in enumerate(names):
                condition = parents(parameters[child])
                if name not in done and {parent for parent, _ in condition} <= done:
                    done.add(name)
                    for parent, wanted in condition:
                        p = space[parent]
                        places = np.array([p.to_unit(p.canonical(value)) for value in wanted])
                        self._conditions.append((child, names.index(parent), places))
        sample = self.snap(np.random.default_rng(0).random((_SAMPLE, self.d)))
        self.dims = float(self.active(sample).sum(axis=1).mean())

    def snap(self, places: Array) -> Array:
        """Return the points nearest to ``places``."""
        points: Array = np.clip(places, 0.0, 1.0)
        for i, (values, edges) in enumerate(zip(self.values, self._edges, strict=True)):
            if values is not None and edges is not None:
                points[:, i] = values[np.searchsorted(edges, points[:, i])]
        return points

    def settle(self, places: Array) -> Array:
        """Return the same with every coordinate in the place of a value, also where those are many."""
        points = self.snap(places)
        for i, p in self._fine:
            points[:, i] = [p.to_unit(p.from_unit(u)) for u in points[:, i].tolist()]
        return points

    def active(self, points: Array) -> Mask:
        """Return the mask of each point."""
        mask = np.ones(points.shape, dtype=np.bool_)
        for child, parent, wanted in self._conditions:
            met = (np.abs(points[:, parent, None] - wanted) < 1e-9).any(axis=1)
            mask[:, child] &= mask[:, parent] & met
        return mask

    def encode(self, values: Mapping[str, Value]) -> Array:
        """Return a point, ``(d,)``; the middle stands for what is not active."""
        point: Array = np.nan_to_num(self.space.encode(values), nan=0.5)
        return point

    def decode(self, point: Array) -> dict[str, Value]:
        """Return a point's values."""
        return self.space.decode(point)


def keys_of(points: Array, mask: Mask) -> list[bytes]:
    """Return what two points share exactly when they are the same."""
    rows = np.where(mask, points, -1.0).round(10) + 0.0
    return [row.tobytes() for row in rows]
