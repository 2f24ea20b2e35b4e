"""Grid search: every point of a finite space once, in the order in which the space is written."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np

from tunesmith.errors import Problem, SpecError
from tunesmith.model import History, StudySpec, Suggestion
from tunesmith.space import Discrete, Parameter, Space, Value

__all__ = ["Grid"]


class Grid:
    """Goes through a finite space; the last parameter changes fastest.

    Args:
        points: How many evenly spaced values (on the parameter's scale) stand for a double that
            has no step; None refuses such parameters.
    """

    def __init__(self, points: int | None = None) -> None:
        whole = isinstance(points, int) and not isinstance(points, bool)
        if points is not None and (not whole or points < 2):
            raise _fault(f"grid's setting 'points' is a whole number from 2; given {points!r}.")
        self._points = points
        self._history: History | None = None
        self._walk: Iterator[Mapping[str, Value]] = iter(())
        self._given: list[Mapping[str, Value]] = []

    def check(self, spec: StudySpec) -> None:
        """Refuse a space with a double that has no step, unless ``points`` says how many values.

        Several objectives and constraints are served: results don't matter.
        """
        self._grid(spec.space)

    def suggest(
        self,
        history: History,
        count: int,
        rng: np.random.Generator,  # noqa: ARG002 - nothing is random here
    ) -> Sequence[Suggestion]:
        """Return the next ``count`` points that were not tried; fewer when the grid is done."""
        space = history.spec.space
        if self._history is not history:
            self._history, self._given = history, []
            self._walk = self._grid(space).points()
        # The walk never turns back: what it passed was tried, or was given last time and may not
        # have become a trial.
        fresh = [p for p in self._given if history.tried(space.key(p)) is None]
        walk = (p for p in self._walk if history.tried(space.key(p)) is None)
        fresh.extend(islice(walk, max(0, count - len(fresh))))
        self._given = fresh
        return [Suggestion(point, "grid") for point in fresh[:count]]

    def _grid(self, space: Space) -> Space:
        """Return the space with doubles cut into ``points`` values."""
        return Space({name: self._cut(name, p) for name, p in space.items()})

    def _cut(self, name: str, parameter: Parameter) -> Parameter:
        if parameter.size is not None:
            return parameter
        if self._points is None:
            raise _fault(
                f"grid needs a finite space, but {name!r} is continuous. Give it a step, list its values"
                " (discrete), or say in a file how many to try: algorithm: {name: grid, points: 5}."
            )
        cut = (parameter.from_unit(float(u)) for u in np.linspace(0.0, 1.0, self._points))
        values = [float(value) for value in dict.fromkeys(cut)]
        return Discrete(values, when=parameter.when)


def _fault(message: str) -> SpecError:
    return SpecError([Problem("E120", message)])
