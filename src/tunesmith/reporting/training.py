"""How long trials have trained, and how much early stopping has saved."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Self

from tunesmith.model import History, Trial, TrialState

__all__ = ["Training", "saved_text", "seconds_per_step", "steps_reached"]


@dataclass(frozen=True, slots=True)
class Training:
    """How much trials have trained, in steps.

    Attributes:
        trials: How many they are.
        stopped: How many of them were stopped early.
        steps: How many steps they trained together; those that a trial took over from its parent
            count once.
        whole: How many steps a whole trial trains: the study's ``max_steps``, or else as many as the
            longest of the completed ones; None while nobody knows.
    """

    trials: int
    stopped: int
    steps: int
    whole: int | None

    @classmethod
    def of(cls, history: History, *, counted: bool = True) -> Self | None:
        """Return what is known of a study whose history has curves; None before there are any.

        Args:
            history: The study's trials and their curves.
            counted: Whether only trials that count are looked at, not those that run, wait or failed.
        """
        trials = [t for t in history.trials if len(history.curve(t.number))]
        trials = [t for t in trials if t.counts or not counted]
        if not trials:
            return None
        completed = [t for t in trials if t.state is TrialState.COMPLETED]
        longest = max((history.curve(t.number).reach for t in completed), default=None)
        return cls(
            trials=len(trials),
            stopped=sum(t.state is TrialState.STOPPED for t in trials),
            steps=sum(_own_steps(t, history) for t in trials),
            whole=history.spec.max_steps or longest,
        )

    @property
    def saved(self) -> float | None:
        """The share of steps that whole trials would have trained more; None while nobody knows."""
        if self.whole is None:
            return None
        return max(0.0, 1.0 - self.steps / (self.trials * self.whole))


def saved_text(training: Training | None) -> str:
    """Return ``early stopping saved 34 %``; ``""`` where it did not, or nobody knows."""
    if training is None or not training.stopped or not training.saved:
        return ""
    return f"early stopping saved {100 * training.saved:.0f} %"


def steps_reached(history: History) -> Mapping[int, int]:
    """Return how many steps each trial has done, those of its parent included, by its number."""
    return {t.number: history.curve(t.number).reach for t in history.trials}


def seconds_per_step(history: History) -> float | None:
    """Return how long a step has taken, the start of the program included; None before one was done.

    The median over all trials.
    """
    rates = []
    for trial in history.trials:
        curve = history.curve(trial.number)
        if len(curve) and (steps := _own_steps(trial, history)):
            rates.append(curve.measurements[-1].elapsed_s / steps)
    return median(rates) if rates else None


def _own_steps(trial: Trial, history: History) -> int:
    """Return how many steps a trial did itself: a child begins where its parent had last reported."""
    curve = history.curve(trial.number)
    if trial.parent is None:
        return curve.reach
    parent = history.curve(trial.parent).steps
    before = bisect_left(parent, curve.steps[0])
    if not before:
        return curve.reach
    return curve.steps[-1] - parent[before - 1]
