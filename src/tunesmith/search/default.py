"""The default: chooses a searcher by the study, and says which and why.

a tiny finite space            every point once, in a random order
trials cheaper than thought    `Tpe`, once the first 300 trials are known to be so, unless a share of
                               trials is to keep a constraint, which it does not aim at
otherwise                      `Bayesian`
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import numpy as np

from tunesmith.model import Explanation, History, StudySpec, Suggestion
from tunesmith.search.base import Searcher
from tunesmith.search.bayesian import Bayesian
from tunesmith.search.random import Random
from tunesmith.search.settings import check_flag
from tunesmith.search.tpe import Tpe

__all__ = ["Default"]

_TINY = 16
_PATIENCE = 300  # trials for which a model's time is never an issue: less than ten seconds in all
_QUICK_S = 0.1  # about as long as a model takes for a suggestion then
_LATEST = 50


class Default:
    """Chooses among `Bayesian`, `Tpe` and trying everything.

    Args:
        repeat: Whether a point may be suggested again that was tried: where what trials measure is
            very noisy.
    """

    def __init__(self, repeat: bool = False) -> None:
        check_flag("default", "repeat", repeat)
        self._repeat = repeat
        self._bayesian = Bayesian(repeat=repeat)
        self._tpe = Tpe(repeat=repeat)
        self._random = Random()

    def check(self, spec: StudySpec) -> None:
        """Serve every study."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return the suggestions of the searcher that suits the study now."""
        searcher, name, why = self._choose(history)
        found = [_told(s, name, why) for s in searcher.suggest(history, count, rng)]
        if found or not self._repeat:
            return found
        why = "every point has been tried, and what trials measure is noisy"
        return [_told(s, "bayesian", why) for s in self._bayesian.suggest(history, count, rng)]

    def _choose(self, history: History) -> tuple[Searcher, str, str]:
        size = history.spec.space.size
        if size is not None and size <= _TINY:
            return self._random, "random", f"the space has {size} points, each is tried once"
        aims = any(constraint.safe_fraction for constraint in history.spec.constraints)
        late = len(history.trials) >= _PATIENCE and not aims
        lasted = _latest_durations(history) if late else []
        if lasted and (typical := median(lasted)) < _QUICK_S:
            why = f"trials take {1e3 * typical:.0f} ms, so a Gaussian process would cost more than they do"
            return self._tpe, "tpe", why
        return self._bayesian, "bayesian", "a Gaussian process makes the most of each trial"


def _latest_durations(history: History) -> list[float]:
    """Return how many seconds each of the latest trials that ended with a value took."""
    return [
        t.finished - t.started
        for t in history.trials[-_LATEST:]
        if t.counts and t.started is not None and t.finished is not None
    ]


def _told(suggestion: Suggestion, searcher: str, why: str) -> Suggestion:
    explanation = suggestion.explanation or Explanation()
    told = replace(explanation, searcher=searcher, note=explanation.note or why)
    return replace(suggestion, explanation=told)
