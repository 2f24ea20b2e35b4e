"""Sobol search: a scrambled low-discrepancy sequence, which fills the space more evenly than chance.

Sobol' (1967); direction numbers of Joe and Kuo (2008) and the scrambling of Matoušek (1998), as
scipy gives them.
"""

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np

from tunesmith.model import History, StudySpec, Suggestion
from tunesmith.search.fresh import fresh_points
from tunesmith.space import Value

__all__ = ["Sobol"]

_AHEAD = 64  # points drawn at once: one draw costs as much as many


class Sobol:
    """Takes the points of one scrambled sequence in turn: trial ``n`` gets the ``n``-th.

    The sequence belongs to the study's seed. In a finite space, points that were tried are passed
    over.
    """

    def __init__(self) -> None:
        self._sequence: np.ndarray = np.empty((0, 0))
        self._of: tuple[int, int] | None = None

    def check(self, spec: StudySpec) -> None:
        """Serve every study."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return the next ``count`` points of the sequence, fewer if the space has no more."""
        first = len(history.trials)

        def propose(index: int) -> Mapping[str, Value]:
            return history.spec.space.decode(self._point(history.spec, first + index))

        points = fresh_points(history, propose, rng)
        return [Suggestion(point, "sobol") for point in islice(points, count)]

    def _point(self, spec: StudySpec, index: int) -> np.ndarray:
        """Return point ``index`` of the study's sequence, ``(d,)``."""
        identity = (len(spec.space), spec.seed)
        if self._of != identity or index >= len(self._sequence):
            # Doubling keeps the cost per point constant; powers of two are what Sobol' asks for.
            wanted = max(_AHEAD, 1 << index.bit_length())
            self._sequence = _sobol(*identity, wanted)
            self._of = identity
        return self._sequence[index]  # type: ignore[no-any-return]


def _sobol(dimensions: int, seed: int, count: int) -> np.ndarray:
    from scipy.stats import qmc  # noqa: PLC0415 - takes ten times as long to load as all of Tunesmith

    return qmc.Sobol(dimensions, scramble=True, rng=seed).random(count)  # type: ignore[no-any-return]
