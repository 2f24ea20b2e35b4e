"""Google's names of algorithms."""

from collections.abc import Mapping

from tunesmith.model import Algorithm
from tunesmith.space import Space
from tunesmith.specs.google.message import Message

__all__ = ["read_algorithm"]

_NAMES = {"GAUSSIAN_PROCESS_BANDIT": "bayesian", "GRID_SEARCH": "grid", "RANDOM_SEARCH": "random"}


def read_algorithm(message: Message, options: Mapping[int, str], space: Space | None) -> Algorithm:
    """Return the algorithm of the field ``algorithm``; the default one if none is chosen.

    Args:
        message: Has the field.
        options: The enumeration.
        space: What is searched, as far as that is known: a grid can't go through doubles.
    """
    word = message.choice("algorithm", options)
    endless = [] if space is None else [name for name, p in space.items() if p.size is None]
    if word == "GRID_SEARCH" and endless:
        message.fault("algorithm", f"GRID_SEARCH can't go through {endless[0]}, which is DOUBLE")
    return Algorithm(_NAMES.get(word, "default"))
