"""Sobol search: the points of a scrambled Sobol' sequence in turn."""

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np

from tunesmith.model import History, StudySpec, Suggestion
from tunesmith.search.fresh import fresh_points
from tunesmith.search.sequence import sobol_sequence
from tunesmith.space import Value

__all__ = ["Sobol"]


class Sobol:
    """Gives trial ``n`` the ``n``-th point of a sequence that belongs to the study's seed.

    In a finite space, points that were tried are passed over.
    """

    def check(self, spec: StudySpec) -> None:
        """Serve every study, also with several objectives and constraints: results don't matter."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return the next ``count`` points of the sequence, fewer if the space has no more."""
        space = history.spec.space
        sequence = sobol_sequence(len(space), history.spec.seed)
        first = len(history.trials)

        def propose(index: int) -> Mapping[str, Value]:
            return space.decode(sequence.point(first + index))

        points = fresh_points(history, propose, rng)
        return [Suggestion(point, "sobol") for point in islice(points, count)]
