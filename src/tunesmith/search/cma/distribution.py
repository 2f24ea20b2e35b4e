"""What CMA-ES draws from: a normal distribution over numbers, and a probability for each choice.

place   a point of the unit cube, ``(d,)``, as parameters read it
draw    uniform numbers, ``(d,)``, that stand for one point of every distribution
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from tunesmith.search.cma.adaptation import Normal, make_constants, start_normal
from tunesmith.search.cma.margin import keep_choices, keep_margins
from tunesmith.search.columns import Column, Vector

__all__ = ["DIAGONAL_FROM", "Distribution", "start_distribution"]

DIAGONAL_FROM = 31
"""Numbers from which on a full covariance takes more trials to learn than studies have."""

_STANDARD = NormalDist()


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """A distribution over the unit cube.

    Attributes:
        columns: The space's columns.
        numbers: Those that the normal distribution is over: no choices, none with one value.
        choices: Those that are choices.
        normal: Over the numbers; None without any.
        chances: The probabilities of each choice's values.
        diagonal: Whether numbers are taken to be independent.
    """

    columns: Sequence[Column]
    numbers: Sequence[int]
    choices: Sequence[int]
    normal: Normal | None
    chances: Sequence[Vector]
    diagonal: bool

    def place(self, draw: Vector) -> Vector:
        """Return the place that a draw stands for."""
        out = np.full(len(self.columns), 0.5)
        if self.normal is not None:
            z = np.array([_STANDARD.inv_cdf(u) for u in draw[self.numbers].tolist()])
            # Mirrored at the walls: moved onto them, points would pile up there.
            out[self.numbers] = 1.0 - np.abs(1.0 - self.normal.at(z) % 2.0)
        for j, chances in zip(self.choices, self.chances, strict=True):
            chosen = np.searchsorted(np.cumsum(chances), draw[j], side="right")
            out[j] = self.columns[j].middle(np.minimum(chosen, len(chances) - 1))
        return out

    def place_of(self, unit: Vector, draw: Vector) -> Vector:
        """Return the place from which a point may have come that has coordinates ``unit``.

        What the point does not tell comes from ``draw``: where it lies in the cells of what is
        counted, and everything about parameters that are not active (nan).
        """
        out = self.place(draw)
        for j in np.flatnonzero(~np.isnan(unit)).tolist():
            column = self.columns[j]
            if column.kind == "cells":
                cell = column.index(unit[j])
                out[j] = np.clip(out[j], column.edges[cell], column.edges[cell + 1])
            else:
                out[j] = unit[j]
        return out

    def updated(self, places: Vector) -> "Distribution":
        """Return the next distribution, given places ``(lam, d)`` from best to worst."""
        lam = len(places)
        constants = make_constants(max(len(self.numbers), 1), lam, diagonal=self.diagonal)
        normal = self.normal
        if normal is not None:
            columns = [self.columns[j] for j in self.numbers]
            alpha = 1 / (len(columns) * lam)  # as Hamano et al. (2022) recommend
            normal = keep_margins(
                normal.updated(places[:, self.numbers], constants), columns, alpha
            )
        weights = np.maximum(constants.weights, 0.0)
        # As quickly as the better half can tell that many probabilities.
        free = sum(len(chances) - 1 for chances in self.chances)
        rate = constants.mu_eff / (constants.mu_eff + free)
        chances = []
        for j, old in zip(self.choices, self.chances, strict=True):
            index = self.columns[j].index(places[:, j])
            drawn = np.bincount(index, weights=weights, minlength=len(old))
            # So that a choice other than the likeliest ones turns up in a quarter of all points.
            least = (1 - 0.73 ** (1 / len(self.choices))) / max(len(old) - 1, 1)
            chances.append(keep_choices(old + rate * (drawn - old), min(least, 1 / len(old))))
        return replace(self, normal=normal, chances=chances)

    def reach(self) -> float:
        """Return the largest standard deviation of what has no gaps; inf without such numbers."""
        if self.normal is None:
            return np.inf
        real = [self.columns[j].kind == "real" for j in self.numbers]
        return float(self.normal.deviations[real].max(initial=0.0)) if any(real) else np.inf


def start_distribution(
    columns: Sequence[Column], place: Vector, sigma: float, *, diagonal: bool | None
) -> Distribution:
    """Return a round distribution about ``place``, with even chances.

    Args:
        columns: The space's columns.
        place: The mean, ``(d,)``; nan is the middle.
        sigma: The standard deviation of every number.
        diagonal: Whether numbers are taken to be independent; None if there are more than thirty.
    """
    numbers = [j for j, c in enumerate(columns) if c.kind != "choice" and c.size != 1]
    choices = [j for j, c in enumerate(columns) if c.kind == "choice"]
    mean = np.nan_to_num(place[numbers], nan=0.5)
    return Distribution(
        columns=columns,
        numbers=numbers,
        choices=choices,
        normal=start_normal(mean, sigma) if numbers else None,
        chances=[np.full(columns[j].size, 1 / columns[j].size) for j in choices],
        diagonal=len(numbers) >= DIAGONAL_FROM if diagonal is None else diagonal,
    )
