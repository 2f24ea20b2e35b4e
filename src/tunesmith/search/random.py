"""Random search: every point of the unit cube is equally likely."""

from collections.abc import Sequence
from itertools import islice

import numpy as np

from tunesmith.model import History, StudySpec, Suggestion
from tunesmith.search.fresh import fresh_points
from tunesmith.search.settings import check_flag

__all__ = ["Random"]


class Random:
    """Draws points uniformly on each parameter's scale; never the same one twice in a finite space.

    Args:
        repeat: Whether it may nevertheless draw a point again.
    """

    def __init__(self, repeat: bool = False) -> None:
        check_flag("random", "repeat", repeat)
        self._repeat = repeat

    def check(self, spec: StudySpec) -> None:
        """Serve every study, also with several objectives and constraints: results don't matter."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return ``count`` random points, fewer if the space has no more."""
        space = history.spec.space
        points = fresh_points(history, lambda _: space.sample(rng), rng, repeat=self._repeat)
        return [Suggestion(point, "random") for point in islice(points, count)]
