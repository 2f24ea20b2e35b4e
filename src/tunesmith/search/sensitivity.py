"""Functional ANOVA: how much of a function's variance each coordinate of the unit cube accounts for.

    f            a function on the unit cube, whose coordinates are independent and even
    V            its variance
    main         V[E(f | xᵢ)] / V, what xᵢ does on its own (Sobol' 1993)
    pair         the same of xᵢ and xⱼ together, less what each does on its own
    total        E[V(f | all but xᵢ)] / V, all that xᵢ takes part in (Homma and Saltelli 1996)
    φₖ           functions of one coordinate that are orthonormal and orthogonal to a constant

With c the coefficients of f on a basis, V·main is Σₖ cₖ² over φₖ(xᵢ), and V·pair is Σ c² over all
φₖ(xᵢ) φₗ(xⱼ) (Sudret 2008). So one set of points serves every coordinate and every pair. A square of an
estimate would be too large by its variance; instead the estimates from two sets of points that are
scrambled independently are multiplied, which has no bias. What is negligible may so come out a little
below zero. Totals are estimated from differences (Jansen 1999), which needs no basis.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tunesmith.search.sequence import SobolSequence

__all__ = ["Array", "Axis", "Function", "Sensitivity", "decompose"]

Array = NDArray[np.float64]
Function = Callable[[Array], Array]
"""Takes places ``(m, d)`` and returns the values of one or several functions, ``(count, m)``."""

_DEGREE = (
    8  # of a coordinate's polynomials; leaves out 1e-6 of the variance of one period of a sine
)
_PAIR_DEGREE = 6
_MOST_PRODUCTS = 200  # of a pair's two bases; longer lists are left out of pairs
_CURVE = 65  # places at which the effect of a continuous coordinate is told


class Axis:
    """One coordinate of the cube, and its basis.

    Args:
        edges: Where one cell ends and the next begins, rising; None for a coordinate without cells.
        ordered: Whether neighbouring cells are alike.
        degree: Of the polynomials that stand for a coordinate without cells, or with many.

    Attributes:
        grid: Places at which its effect is told, ``(g,)``: one in each cell, or evenly spread.
        width: How many functions its basis has.
    """

    def __init__(
        self, edges: Array | None = None, *, ordered: bool = True, degree: int = _DEGREE
    ) -> None:
        # Each of a few cells has a value of its own; many that are ordered are told by polynomials.
        few = edges is not None and (not ordered or len(edges) <= degree)
        self._edges = edges if few else None
        if edges is None:
            self.grid = np.linspace(0.0, 1.0, _CURVE)
        else:
            ends = np.concatenate([[0.0], edges, [1.0]])
            self.grid = (ends[1:] + ends[:-1]) / 2
        if self._edges is not None:
            self._cells = _contrasts(np.diff(np.concatenate([[0.0], self._edges, [1.0]])))
        self.width = degree if self._edges is None else len(self._edges)

    def basis(self, u: Array, most: int = _DEGREE) -> Array:
        """Return φ at places ``u``, ``(m,)``: ``(m, k)``; of polynomials those up to a degree."""
        if self._edges is not None:
            found: Array = self._cells[np.searchsorted(self._edges, u)]
            return found
        degree = min(self.width, most)
        waves = np.polynomial.legendre.legvander(2.0 * u - 1.0, degree)[:, 1:]
        return np.asarray(waves * np.sqrt(2.0 * np.arange(1, degree + 1) + 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """The decomposition of several functions, one row each.

    Attributes:
        mean: Of each function, ``(count,)``.
        variance: V, ``(count,)``.
        main: Shares of V, ``(count, d)``.
        total: Likewise.
        pairs: Likewise of each pair of coordinates that was looked at, ``(count,)`` each.
        curves: For each coordinate E(f | xᵢ) at the places of its axis's grid, ``(count, g)``.
    """

    mean: Array
    variance: Array
    main: Array
    total: Array
    pairs: Mapping[tuple[int, int], Array]
    curves: Sequence[Array]


def decompose(
    function: Function,
    axes: Sequence[Axis],
    seed: int = 0,
    *,
    share: float | None = None,
    points: int = 2048,
    pair_points: int = 4096,
    changes: int = 16384,
    pairs: int = 66,
) -> Sensitivity:
    """Return how the variance of functions divides among the coordinates.

    Args:
        function: The functions; asked at ``2 points + 2 pair_points + changes`` places at most.
        axes: Its ``d`` coordinates.
        seed: Chooses the points.
        share: Look only at the better part, the least values: with ``0.25`` whatever is above the
            first quartile of a function counts as the quartile (Hutter et al. 2014).
        points: In each of the two sets for what coordinates do on their own; a power of two.
        pair_points: In each of the two sets for pairs.
        changes: How often a coordinate is changed for the totals, all coordinates together.
        pairs: How many pairs of coordinates are looked at, of those with the greatest totals.
    """
    d = len(axes)
    # Twice as many coordinates as axes: a place, and for each coordinate another value of it.
    wide = SobolSequence(2 * d, seed).points(points)
    places = [wide[:, :d], SobolSequence(d, seed + 1).points(points)]
    values = [function(x) for x in places]
    if share is not None:
        function = _better_part(function, np.quantile(np.hstack(values), share, axis=1))
        values = [function(x) for x in places]
    whole = np.hstack(values)
    mean, variance = whole.mean(1), whole.var(1)
    # A constant function has no variance to share: then every share is zero.
    scale = np.where(variance > 1e-12 * mean**2, variance, np.inf)

    first, second = (_fit(v, x, axes) for v, x in zip(values, places, strict=True))
    main = np.stack([(a * b).sum(1) / scale for a, b in zip(first, second, strict=True)], axis=1)
    alone = _Alone(axes, [(a + b) / 2 for a, b in zip(first, second, strict=True)])

    few = min(points, 2 ** int(np.log2(max(changes / d, 1))))
    beside = _beside(function, values[0][:, :few], wide[:few, :d], wide[:few, d:], alone)
    total = main + beside / scale[:, None]

    # Sobol' points would be worse than chance here: products of two waves meet the regular pattern
    # that some pairs of their coordinates have. A Latin hypercube has none.
    rng = np.random.default_rng(seed)
    places = [_latin_hypercube(pair_points, d, rng) for _ in range(2)]
    rests = [function(x) - mean[:, None] - alone(x) for x in places]
    found = _pairs(rests, places, axes, _likely(beside.mean(0), axes, pairs))
    together = {pair: part / scale for pair, part in found.items()}
    curves = [mean[:, None] + alone.of(i, axis.grid) for i, axis in enumerate(axes)]
    return Sensitivity(mean, variance, main, total, together, curves)


class _Alone:
    """What each coordinate does on its own: coefficients ``(count, k)`` on each axis's basis."""

    def __init__(self, axes: Sequence[Axis], coefficients: Sequence[Array]) -> None:
        self._axes = axes
        self._coefficients = coefficients

    def of(self, i: int, u: Array) -> Array:
        """Return what coordinate ``i`` does at ``u``, ``(count, m)``."""
        return np.asarray(self._coefficients[i] @ self._axes[i].basis(u).T)

    def __call__(self, places: Array) -> Array:
        """Return what all coordinates do, each on its own, ``(count, m)``."""
        out = self.of(0, places[:, 0])
        for i in range(1, len(self._axes)):
            out += self.of(i, places[:, i])
        return out


def _better_part(function: Function, cut: Array) -> Function:
    return lambda places: np.minimum(function(places), cut[:, None])


def _fit(values: Array, places: Array, axes: Sequence[Axis]) -> list[Array]:
    """Return each coordinate's coefficients ``(count, k)``, by least squares on all coordinates."""
    bases = [axis.basis(places[:, i]) for i, axis in enumerate(axes)]
    found = _least_squares(np.hstack([np.ones((len(places), 1)), *bases]), values)
    return np.split(found[:, 1:], np.cumsum([basis.shape[1] for basis in bases])[:-1], axis=1)


def _beside(
    function: Function, values: Array, places: Array, others: Array, alone: _Alone
) -> Array:
    """Return the variance that each coordinate takes part in beside what it does alone, ``(count, d)``.

    Half the mean square by which what is left changes when one coordinate does (Jansen 1999). What
    coordinates do alone is known better already, and taken out it scatters no more.
    """
    out = np.empty((len(values), places.shape[1]))
    for i in range(places.shape[1]):
        changed = places.copy()
        changed[:, i] = others[:, i]
        change = values - function(changed)
        change -= alone.of(i, places[:, i]) - alone.of(i, others[:, i])
        out[:, i] = (change**2).mean(1) / 2
    return out


def _least_squares(columns: Array, values: Array) -> Array:
    """Return the coefficients ``(count, k)`` of ``values`` ``(count, m)`` on columns ``(m, k)``."""
    gram = columns.T @ columns
    gram[np.diag_indices_from(gram)] += 1e-9 * len(columns)  # a cell without any point has none
    return np.asarray(np.linalg.solve(gram, columns.T @ values.T).T)


def _likely(beside: Array, axes: Sequence[Axis], most: int) -> list[tuple[int, int]]:
    """Return the pairs of the coordinates that do most beside what they do alone."""
    order = np.argsort(-beside, kind="stable").tolist()
    size = 2
    while size < len(order) and size * (size + 1) // 2 <= most:
        size += 1
    pairs = [(min(pair), max(pair)) for pair in combinations(order[:size], 2)]
    return [(i, j) for i, j in pairs if axes[i].width * axes[j].width <= _MOST_PRODUCTS]


def _pairs(
    rests: Sequence[Array],
    places: Sequence[Array],
    axes: Sequence[Axis],
    chosen: Sequence[tuple[int, int]],
) -> dict[tuple[int, int], Array]:
    """Return the variance of each pair, ``(count,)``, from values less all that one coordinate does."""
    wanted = {i for pair in chosen for i in pair}
    bases = [{i: axes[i].basis(x[:, i], _PAIR_DEGREE) for i in wanted} for x in places]
    found = {}
    for i, j in chosen:
        a, b = (
            _least_squares(
                (basis[i][:, :, None] * basis[j][:, None, :]).reshape(rest.shape[1], -1), rest
            )
            for rest, basis in zip(rests, bases, strict=True)
        )
        found[i, j] = (a * b).sum(1)
    return found


def _latin_hypercube(points: int, d: int, rng: np.random.Generator) -> Array:
    cells = rng.permuted(np.tile(np.arange(points), (d, 1)), axis=1)
    return np.asarray((cells.T + rng.random((points, d))) / points)


def _contrasts(shares: Array) -> Array:
    """Return functions on cells of these shares, ``(k, k - 1)``, orthonormal and orthogonal to 1."""
    k = len(shares)
    root = np.sqrt(shares)
    start = np.column_stack([root, np.eye(k)[:, : k - 1]])
    orthonormal, _ = np.linalg.qr(start)
    return np.asarray(orthonormal[:, 1:] / root[:, None])
