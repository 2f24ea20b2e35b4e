"""Sobol search: the points of a scrambled Sobol' sequence in turn."""

from collections.abc import Sequence

import numpy as np

from tunesmith.model import History, StudySpec, Suggestion
from tunesmith.search.fresh import along
from tunesmith.search.sequence import sobol_sequence

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
        sequence = sobol_sequence(len(history.spec.space), history.spec.seed)
        return along(sequence.point, history, count, rng, origin="sobol")
