"""A space's parameters as columns of the unit cube: without gaps, counted in cells, or without order."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith.space import Categorical, Parameter, Space
from tunesmith.space.parameters import parents

__all__ = ["Column", "Vector", "columns_of", "groups_of"]

Vector = NDArray[np.float64]

_MOST_CELLS = 256  # finer than any model of a few hundred trials can tell apart
_HALVINGS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """How one parameter lies in the unit interval.

    Attributes:
        kind: ``"real"`` without gaps (or nearly: more than 256 numbers), ``"cells"`` for numbers
            that are counted, ``"choice"`` for values without an order.
        edges: Where the k cells end, ``(k + 1,)`` rising from 0 to 1; empty for ``"real"``.
    """

    kind: Literal["real", "cells", "choice"]
    edges: Vector

    @property
    def size(self) -> int:
        """How many cells there are; 0 for ``"real"``."""
        return max(len(self.edges) - 1, 0)

    def index(self, places: Vector) -> NDArray[np.intp]:
        """Return the cells in which ``places`` lie; what is nan counts as 0."""
        found = np.searchsorted(self.edges, np.nan_to_num(places), side="right") - 1
        return np.clip(found, 0, self.size - 1)

    def middle(self, index: NDArray[np.intp]) -> Vector:
        """Return the middles of cells."""
        middles: Vector = 0.5 * (self.edges[index] + self.edges[index + 1])
        return middles


@lru_cache(maxsize=16)
def columns_of(space: Space) -> tuple[Column, ...]:
    """Return a column for each parameter, in the space's order."""
    return tuple(_column(parameter) for _, parameter in space.items())


@lru_cache(maxsize=16)
def groups_of(space: Space) -> tuple[tuple[int, ...], ...]:
    """Return the columns of parameters that are active together, by their conditions; parents first."""
    places = {name: j for j, name in enumerate(space)}
    groups: dict[frozenset[tuple[int, frozenset[str]]], list[int]] = {}
    for name, parameter in space.items():
        needs = ((places[parent], frozenset(map(repr, v))) for parent, v in parents(parameter))
        groups.setdefault(frozenset(needs), []).append(places[name])
    ordered: list[tuple[int, ...]] = []
    seen: set[int] = set()
    while groups:
        ready = next(needs for needs in groups if all(parent in seen for parent, _ in needs))
        ordered.append(tuple(groups.pop(ready)))
        seen.update(ordered[-1])
    return tuple(ordered)


def _column(parameter: Parameter) -> Column:
    size = parameter.size
    if isinstance(parameter, Categorical):
        return Column("choice", np.linspace(0.0, 1.0, parameter.size + 1))
    if size is None or size > _MOST_CELLS:
        return Column("real", np.empty(0))
    places = [parameter.to_unit(value) for value in sorted(parameter.members())]
    inner = [_edge(parameter, low, high) for low, high in pairwise(places)]
    return Column("cells", np.array([0.0, *inner, 1.0]))


def _edge(parameter: Parameter, low: float, high: float) -> float:
    """Return where the cell around ``low`` ends; ``high`` lies in the next."""
    first = parameter.from_unit(low)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if parameter.from_unit(middle) == first:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
