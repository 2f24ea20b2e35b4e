"""Who proposes values: the role of a searcher, and how one is found by name."""

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np

from tunesmith.model import Algorithm, History, StudySpec, Suggestion
from tunesmith.plugins import make_part

__all__ = ["Searcher", "SearcherFactory", "make_searcher", "position_rng"]


class Searcher(Protocol):
    """Proposes values to try. The history is its whole state.

    The same history and generator give the same suggestions, in this process or another; what a
    searcher remembers between calls only spares work.
    """

    def check(self, spec: StudySpec) -> None:
        """Raise `SpecError` or `SpaceError` if this searcher can't serve the study; says what would help."""
        ...

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return up to ``count`` suggestions; fewer only when the space has no more to offer."""
        ...


class SearcherFactory(Protocol):
    """Makes a searcher from its settings; what entry points of ``tunesmith.searchers`` point at."""

    def __call__(self, **settings: object) -> Searcher:
        """Return a searcher; raise `SpecError` for a setting whose value makes no sense."""
        ...


def make_searcher(algorithm: Algorithm) -> Searcher:
    """Return the searcher that ``algorithm`` names, with its settings.

    Raises:
        SpecError: no searcher of that name is installed, it has no such setting, or the setting's value makes no sense.
    """
    made = make_part("searchers", "algorithm", algorithm.name, algorithm.settings)
    return cast("Searcher", made)


def position_rng(seed: int, position: int) -> np.random.Generator:
    """Return the generator for the suggestions that follow trial ``position`` of a study."""
    return np.random.default_rng([seed, position])
