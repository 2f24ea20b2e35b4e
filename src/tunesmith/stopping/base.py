"""Who ends or pauses trials that run: the roles of a stopping rule and of a schedule, found by name.

A rule judges a trial that trains as long as it likes. A schedule owns the budget: it says how many
steps each trial trains before it is looked at again, which of those that wait go on, and what new ones
begin with. Both are pure functions of the history, so a stored study can be judged again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from tunesmith.errors import Problem, SpecError
from tunesmith.model import History, Stopping, StudySpec, Suggestion, Trial, TrialState
from tunesmith.plugins import make_part, plugin_names
from tunesmith.stopping.plan import Plan

__all__ = [
    "Begin",
    "Halt",
    "Move",
    "Resume",
    "Schedule",
    "StoppingRule",
    "make_rules",
    "make_schedule",
    "resting",
]


class StoppingRule(Protocol):
    """Judges trials while they run. Keeps nothing: what it says follows from the history."""

    def check(self, spec: StudySpec) -> None:
        """Raise `SpecError` if this rule can't serve the study; says what would help."""
        ...

    def stop_reason(self, trial: Trial, history: History) -> str | None:
        """Return why the running ``trial`` should end now, as a sentence; None to let it go on.

        Asked after each of its measurements; ``history.curve(trial.number)`` holds them.
        """
        ...


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a new trial.

    Attributes:
        budget: How many steps it trains at first; None for as many as it likes.
        suggestion: Its values, and perhaps its parent; None for those of the study's searcher.
    """

    budget: int | None
    suggestion: Suggestion | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a paused trial go on.

    Attributes:
        number: The trial.
        budget: How many steps it is to train then, counted from its beginning.
        reason: Why, as a sentence.
    """

    number: int
    budget: int
    reason: str


@dataclass(frozen=True, slots=True)
class Halt:
    """End a paused trial as stopped.

    Attributes:
        number: The trial.
        reason: Why, as a sentence.
    """

    number: int
    reason: str


Move = Begin | Resume | Halt


class Schedule(Protocol):
    """Owns the budget of trials. Keeps nothing: what it does follows from the history."""

    def check(self, spec: StudySpec) -> None:
        """Raise `SpecError` if this schedule can't serve the study; says what would help."""
        ...

    def plan(self, spec: StudySpec) -> Plan:
        """Return what it will do, as far as that is known before the study begins."""
        ...

    def trials(self, spec: StudySpec) -> int | None:
        """Return how many trials a study may have that names no number; None for no bound of its own."""
        ...

    def first_budget(self, number: int, spec: StudySpec) -> int:
        """Return how many steps trial ``number`` trains at first, whoever chose its values."""
        ...

    def go_on(self, trial: Trial, history: History) -> int | None:
        """Return up to which budget a running trial, which has trained its own, may go on at once.

        None pauses it, until one of `moves` resumes or halts it.
        """
        ...

    def moves(
        self, history: History, count: int, room: int, rng: np.random.Generator
    ) -> Sequence[Move]:
        """Return what to do now that ``count`` trials more could run.

        Paused trials that a person holds (``pause_requested``) are left alone. With no ``room`` and
        nothing that runs or waits in the queue, no other trial may stay paused unless one is resumed:
        each is resumed or halted, so the study ends. No moves while nothing runs, waits or rests say
        that the schedule is done, although there may be ``room``.

        Args:
            history: All trials and their curves.
            count: How many slots are free, at least 1. As many resumed and begun trials at most.
            room: How many new trials the study may still have.
            rng: What draws anything random.
        """
        ...


def make_rules(stopping: Sequence[Stopping]) -> list[StoppingRule]:
    """Return the stopping rules that are named.

    Raises:
        SpecError: there is no such rule or schedule, or a setting is none of its own or makes no sense.
    """
    rules = [s for s in stopping if s.name not in plugin_names("schedules")]
    return [
        cast(
            "StoppingRule",
            make_part("stopping_rules", "stopping rule", s.name, s.settings, also="schedules"),
        )
        for s in rules
    ]


def make_schedule(stopping: Sequence[Stopping]) -> Schedule | None:
    """Return the schedule that is named among rules; None if none is.

    Raises:
        SpecError: several are, or a setting is none of its own or makes no sense.
    """
    schedules = [s for s in stopping if s.name in plugin_names("schedules")]
    if len(schedules) > 1:
        names = " and ".join(s.name for s in schedules)
        message = f"A study has one schedule; {names} both want to own the budget of its trials."
        raise SpecError([Problem("E120", message)])
    for s in schedules:
        return cast("Schedule", make_part("schedules", "schedule", s.name, s.settings))
    return None


def resting(history: History) -> list[Trial]:
    """Return the paused trials that a schedule may resume or halt, in the order of their numbers."""
    return sorted(
        (t for t in history.open if t.state is TrialState.PAUSED and not t.pause_requested),
        key=lambda t: t.number,
    )
