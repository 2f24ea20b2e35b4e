"""Who proposes values: the role of a searcher, and how one is found by name."""

from collections.abc import Sequence
from difflib import get_close_matches
from inspect import signature
from typing import Protocol, cast

import numpy as np

from tunesmith.errors import Problem, SpecError
from tunesmith.model import Algorithm, History, StudySpec, Suggestion
from tunesmith.plugins import load_plugin, plugin_names

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
    names = plugin_names("searchers")
    if algorithm.name not in names:
        near = get_close_matches(algorithm.name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
        message = f"no algorithm {algorithm.name!r} is installed"
        raise SpecError([Problem("E120", message, hint=hint)])
    factory = cast("SearcherFactory", load_plugin("searchers", algorithm.name))
    try:
        signature(factory).bind(**algorithm.settings)
    except TypeError:
        known = ", ".join(signature(factory).parameters) or "none"
        given = ", ".join(algorithm.settings)
        message = f"Algorithm {algorithm.name!r} has these settings: {known}; given: {given}."
        raise SpecError([Problem("E120", message)]) from None
    return factory(**algorithm.settings)


def position_rng(seed: int, position: int) -> np.random.Generator:
    """Return the generator for the suggestions that follow trial ``position`` of a study."""
    return np.random.default_rng([seed, position])
