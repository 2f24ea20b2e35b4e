"""Where points stand for a kernel: vectors whose squared distances say how different points are.

Each parameter has some columns; with ℓ its length scale, its share of r² is (distance in them)²/ℓ².

    numeric                    u: Δu²
    categorical                one column per value: 1 between different values
    numeric, conditional       (cos u, sin u), or (0, 0) where inactive: 2 - 2 cos Δu, nearly Δu²,
                               between active points, 1 between an active and an inactive one
    categorical, conditional   like a categorical one with "inactive" as one more value

So nothing is made up for what is not active, and since everything is a Euclidean distance, every
kernel of it is positive definite. The circle is that of the arc kernel (Swersky et al. 2013), with the
radius and the angle at which lengths are hardly bent.

Points of earlier studies have one coordinate more, the study, which counts as a category. A parameter
that an earlier study did not have is there as if it were inactive. Values that were measured on the way
have one more, too: how far the trial was, a number from 0 to 1 at its end.
"""

import numpy as np
from numpy.typing import NDArray

from tunesmith.search.bayesian.cube import Array, Cube, Mask

__all__ = ["Features"]

_APART = np.sqrt(0.5)  # two of these, at right angles, are 1 apart


class Features:
    """The columns of a cube's coordinates.

    Args:
        cube: The cube.
        studies: How many studies points come from, this one included.
        missing: Coordinates that some study does not have, ``(d,)``.
        staged: Whether values were measured on the way.

    Attributes:
        owner: The coordinate to which each column belongs, ``(c,)``; from ``d`` on the stage and the
            study, where there are such.
        ordered: Whether each coordinate, these included, has an order.
        plain: Which columns hold u itself, ``(c,)``.
    """

    def __init__(
        self,
        cube: Cube,
        studies: int = 1,
        missing: Mask | None = None,
        *,
        staged: bool = False,
    ) -> None:
        self._studies = studies
        self._stage = -1
        self._conditional = cube.conditional if missing is None else cube.conditional | missing
        owner: list[int] = []
        first = np.empty(cube.d, dtype=np.intp)  # of each coordinate's columns
        self._categories: list[tuple[int, Array]] = []
        for i in range(cube.d):
            values = cube.values[i]
            if cube.categorical[i] and values is not None:
                width = len(values) + int(self._conditional[i])
                self._categories.append((i, values))
            else:
                width = 2 if self._conditional[i] else 1
            first[i] = len(owner)
            owner += [i] * width
        self._first = first
        self._straight = np.flatnonzero(~cube.categorical & ~self._conditional)
        self._bent = np.flatnonzero(~cube.categorical & self._conditional)
        self._free = np.array(cube.free, dtype=np.intp)
        self._bent_free = np.flatnonzero(self._conditional[self._free])
        more = []
        if staged:
            self._stage = len(owner)
            owner.append(cube.d)
            more.append(True)
        if studies > 1:
            owner += [cube.d + len(more)] * studies
            more.append(False)
        self.owner: NDArray[np.intp] = np.array(owner)
        further = np.array(more, dtype=np.bool_)
        self.ordered = np.concatenate([~cube.categorical, further])
        smooth = np.concatenate([~(cube.categorical | self._conditional), further])
        self.plain: Mask = smooth[self.owner]

    def __call__(
        self,
        points: Array,
        mask: Mask,
        study: NDArray[np.intp] | int = 0,
        stage: Array | float = 1.0,
    ) -> Array:
        """Return the vectors ``(m, c)`` of ``points`` that belong to ``study``, at a stage or the end."""
        out = np.zeros((len(points), len(self.owner)))
        rows = np.arange(len(points))
        out[:, self._first[self._straight]] = points[:, self._straight]
        if len(self._bent):
            columns, u, on = self._first[self._bent], points[:, self._bent], mask[:, self._bent]
            out[:, columns] = np.where(on, np.cos(u), 0.0)
            out[:, columns + 1] = np.where(on, np.sin(u), 0.0)
        for i, values in self._categories:
            index = np.searchsorted(values, points[:, i] - 1e-9)
            index = np.where(mask[:, i], index, len(values))
            out[rows, self._first[i] + index] = _APART
        if self._stage >= 0:
            out[:, self._stage] = stage
        if self._studies > 1:
            out[rows, len(self.owner) - self._studies + study] = _APART
        return out

    def back(self, points: Array, mask: Mask, by: Array) -> Array:
        """Return the gradient by the cube's free coordinates ``(m, free)``.

        ``by`` is the gradient by the vectors of the ``points``, ``(m, c)``.
        """
        out: Array = by[:, self._first[self._free]]
        if len(self._bent_free):
            bent = self._free[self._bent_free]
            columns, u = self._first[bent], points[:, bent]
            slope = np.cos(u) * by[:, columns + 1] - np.sin(u) * by[:, columns]
            out[:, self._bent_free] = np.where(mask[:, bent], slope, 0.0)
        return out
