"""Evolution: mutations of the winners of small tournaments among the latest trials.

Regularised evolution (Real et al. 2019, "Regularized Evolution for Image Classifier Architecture
Search"): the population is the latest P trials that ended, so that the oldest leaves when a new
one comes, however good it is; a parent is the best of S drawn from it; a child differs from its
parent by one mutation, so large spaces of choices and conditions are searched step by step.
"""

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tunesmith.model import History, StudySpec, Suggestion
from tunesmith.search.columns import Column, Vector, columns_of
from tunesmith.search.fresh import fresh_points
from tunesmith.search.ranked import ranked
from tunesmith.search.sequence import sobol_sequence
from tunesmith.search.settings import check_positive, check_whole, refuse
from tunesmith.search.table import Rows, Table
from tunesmith.space import Value

__all__ = ["Evolution"]

_FINEST, _COARSEST = -2.5, -0.5  # powers of ten: how long a number's steps are in the unit interval


class Evolution:
    """Mutates good points. Serves every space, several objectives and constraints.

    Points are ranked as `tunesmith.search.ranked` says: those that keep the constraints first, with
    several objectives by nondomination and crowding (Deb et al. 2002).

    Args:
        population: How many trials are parents; the first so many come from a Sobol' sequence.
        tournament: How many of them compete to be the parent.
        mutations: How many active parameters a child changes on average; at least one always.
    """

    def __init__(self, population: int = 20, tournament: int = 5, mutations: float = 1.0) -> None:
        check_whole("evolution", "population", population, low=2)
        check_whole("evolution", "tournament", tournament, low=1)
        check_positive("evolution", "mutations", mutations)
        if tournament > population:
            raise refuse(
                f"evolution's tournament of {tournament} is drawn from a population of {population}."
                " Make the population larger or the tournament smaller."
            )
        self._population = population
        self._tournament = tournament
        self._mutations = mutations
        self._table = Table()

    def check(self, spec: StudySpec) -> None:
        """Serve every study."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return ``count`` children, or Sobol' points while the population is being filled."""
        space, first = history.spec.space, len(history.trials)
        columns = columns_of(space)
        rows = self._table.rows(history)
        population = rows.units[self._population_of(rows)]
        sequence = sobol_sequence(len(space), history.spec.seed)
        children: set[tuple[object, ...]] = set()

        def propose(index: int) -> Mapping[str, Value]:
            if first + index < self._population or not len(population):
                return space.decode(sequence.point(first + index))
            parent = population[rng.integers(0, len(population), self._tournament).min()]
            child = space.decode(_mutated(parent, columns, self._mutations, rng))
            children.add(space.key(child))
            return child

        return [
            Suggestion(point, "evolution" if space.key(point) in children else "sobol")
            for point in islice(fresh_points(history, propose, rng), count)
        ]

    def _population_of(self, rows: Rows) -> NDArray[np.intp]:
        """Return the rows of the population from best to worst."""
        ended = np.flatnonzero(rows.ended)
        # With several objectives no trial replaces another, and a front that dies of age has to be
        # found again: there the best survive, as in NSGA-II.
        if rows.losses.shape[1] == 1:
            latest = np.lexsort((ended, rows.revisions[ended]))[-self._population :]
            ended = ended[np.sort(latest)]
        return ended[ranked(rows.take(ended))][: self._population]


def _mutated(
    parent: Vector, columns: Sequence[Column], mutations: float, rng: np.random.Generator
) -> Vector:
    """Return a changed place; what was not active gets a random place, should it become active."""
    child = np.where(np.isnan(parent), rng.random(len(columns)), parent)
    free = [j for j, column in enumerate(columns) if column.size != 1 and not np.isnan(parent[j])]
    if free:
        chosen = rng.random(len(free)) < mutations / len(free)
        chosen[rng.integers(len(free))] |= not chosen.any()
        for j in np.array(free)[chosen].tolist():
            child[j] = _moved(columns[j], float(parent[j]), rng)
    return child


def _moved(column: Column, place: float, rng: np.random.Generator) -> float:
    """Return another place: of a choice any other one, of a number one at a random distance."""
    if column.kind == "choice":
        other = rng.integers(column.size - 1)
        own = column.index(np.array([place]))[0]
        return float(column.middle(other + (other >= own)))
    # No scale is right for all parameters and all stages: the step's magnitude is drawn, too.
    step = rng.normal() * 10.0 ** rng.uniform(_FINEST, _COARSEST)
    moved = _reflected(place + step)
    if column.kind == "real":
        return moved
    own, cell = column.index(np.array([place, moved])).tolist()
    if cell == own:
        cell = own + (1 if step > 0 else -1)
        if not 0 <= cell < column.size:
            cell = own - (cell - own)
    return float(column.middle(np.array(cell)))


def _reflected(place: float) -> float:
    """Return ``place`` mirrored into [0, 1]."""
    place %= 2.0
    return 2.0 - place if place > 1.0 else place
