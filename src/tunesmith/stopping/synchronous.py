"""The schedules that judge a rung when all have got there: successive halving, Hyperband and BOHB.

R      steps of a whole trial
η      the factor by which each rung has fewer trials and more steps than the one below
s      a bracket: how often it halves; s_max, the boldest, first
"""

from collections.abc import Callable, Sequence

import numpy as np

from tunesmith.model import History, StudySpec, Trial
from tunesmith.search.settings import check_whole, refuse
from tunesmith.stopping.base import Move
from tunesmith.stopping.brackets import Brackets, Ladder
from tunesmith.stopping.plan import Plan
from tunesmith.stopping.rungs import check_rungs, levels, whole_steps

__all__ = ["Synchronous", "bohb", "bracket_sizes", "halving", "hyperband"]

_MODELS = ("bayesian", "tpe", "default")

Sizes = Callable[[Sequence[int], int], Sequence[int]]
"""All levels and η, to how many trials begin in each bracket: one for each level from the lowest, or fewer."""


class Synchronous:
    """Runs brackets of successive halving; made by the functions of this module.

    Args:
        name: What it is called, for messages.
        min_steps: No trial is compared before it has trained so many steps.
        eta: η.
        sizes: Says how many trials its brackets have.
        model: Whether the study's algorithm has to learn from results.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(
        self, name: str, min_steps: int, eta: int, sizes: Sizes, *, model: bool = False
    ) -> None:
        check_whole(name, "min_steps", min_steps, low=1)
        check_whole(name, "eta", eta, low=2)
        self._name = name
        self._least = min_steps
        self._factor = eta
        self._sizes = sizes
        self._model = model

    def check(self, spec: StudySpec) -> None:
        """Raise `SpecError` if a whole trial's steps are unknown or too few, or a model is missing."""
        check_rungs(self._name, self._least, self._factor, spec)
        if self._model and spec.algorithm.name not in _MODELS:
            raise refuse(
                f"{self._name} is hyperband with a model, and {spec.algorithm.name} has none: set the"
                f" algorithm to {', '.join(_MODELS[:-1])} or {_MODELS[-1]}, or take hyperband."
            )

    def plan(self, spec: StudySpec) -> Plan:
        """Return all brackets, exactly."""
        return self._brackets(spec).plan(spec.max_trials)

    def trials(self, spec: StudySpec) -> int | None:
        """Return the trials of one sweep through the brackets."""
        return self._brackets(spec).size

    def first_budget(self, number: int, spec: StudySpec) -> int:
        """Return the steps of the lowest rung of the trial's bracket."""
        return self._brackets(spec).first_budget(number)

    def go_on(self, trial: Trial, history: History) -> int | None:
        """Return the next rung's steps if the trial is among the best whatever the others reach."""
        return self._brackets(history.spec).go_on(trial, history)

    def moves(
        self,
        history: History,
        count: int,
        room: int,
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
    ) -> Sequence[Move]:
        """Return what becomes of those at complete rungs; for slots left over the next trials begin."""
        return self._brackets(history.spec).moves(history, count, room)

    def _brackets(self, spec: StudySpec) -> Brackets:
        steps = levels(self._least, whole_steps(self._name, spec), self._factor)
        sizes = self._sizes(steps, self._factor)
        return Brackets(tuple(Ladder(steps[i:], n, self._factor) for i, n in enumerate(sizes)))


def halving(min_steps: int = 1, eta: int = 3, trials: int | None = None) -> Synchronous:
    """Return synchronous successive halving (Jamieson & Talwalkar 2016; Li et al. 2020, algorithm 1).

    A round begins with many trials. When all have trained the first few steps, the best third trains
    three times as many, the best third of these again, and so on to the end. Rounds overlap, so that
    no slot waits while there are trials to begin.

    Args:
        min_steps: No trial is compared before it has trained so many steps.
        eta: Of how many trials one goes on, and how many times as long it trains.
        trials: How many trials a round has; without it as many as leave one at the end.

    Raises:
        SpecError: a setting makes no sense.
    """
    if trials is not None:
        check_whole("halving", "trials", trials, low=2)

    def sizes(steps: Sequence[int], factor: int) -> Sequence[int]:
        return [trials or int(factor ** (len(steps) - 1))]

    return Synchronous("halving", min_steps, eta, sizes)


def hyperband(min_steps: int = 1, eta: int = 3) -> Synchronous:
    """Return Hyperband (Li et al. 2018), for any number of workers.

    Its brackets differ in how early they judge, for who knows how soon a good trial shows. A sweep
    runs them all; sweeps are repeated as ``max_trials`` allows. Brackets overlap, so that no slot
    waits while there are trials to begin.

    Args:
        min_steps: No trial is compared before it has trained so many steps.
        eta: Of how many trials one goes on, and how many times as long it trains.

    Raises:
        SpecError: a setting makes no sense.
    """
    return Synchronous("hyperband", min_steps, eta, bracket_sizes)


def bohb(min_steps: int = 1, eta: int = 3) -> Synchronous:
    """Return BOHB (Falkner et al. 2018): Hyperband with values from a model of the trials so far.

    The study's algorithm is the model; it learns from unfinished trials, too.

    Args:
        min_steps: No trial is compared before it has trained so many steps.
        eta: Of how many trials one goes on, and how many times as long it trains.

    Raises:
        SpecError: a setting makes no sense.
    """
    return Synchronous("bohb", min_steps, eta, bracket_sizes, model=True)


def bracket_sizes(steps: Sequence[int], factor: int) -> tuple[int, ...]:
    """Return how many trials Hyperband's brackets begin with: ⌈(s_max + 1)/(s + 1)·ηˢ⌉ (algorithm 1)."""
    most = len(steps) - 1
    return tuple(-(-(most + 1) * factor**s // (s + 1)) for s in range(most, -1, -1))
