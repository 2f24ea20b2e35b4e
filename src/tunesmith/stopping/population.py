"""A population that trains and is selected at once: the worst are replaced by varied copies of the best.

    M       members: trials that train or rest, have trained to the end, or are still to begin with the first
    k       how many are the best and how many the worst: ⌈quantile·M⌉, at most half
    look    a multiple of `interval` steps, where a member is compared with the others

Jaderberg et al. (2017). A worst member ends, and a new trial begins from the checkpoint of one of the best,
which is its parent; it counts its steps on from there. Nobody waits for stragglers: a member is among the worst
as soon as enough others are better. Members that lag behind go first when there are fewer slots than members.

The paper holds a member against the latest values of all others. Here those that are further are taken at the
same step, a copy by its ancestor there: else members would be replaced for having waited for a slot. Who is
best goes by the latest values, for it is the latest checkpoint that is copied.

That the population is short of a member follows from the history, so a crash between a member's end and the
beginning of its successor loses nothing; a member that fails is replaced in the same way.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tunesmith.model import Explanation, History, StudySpec, Suggestion, Trial, TrialState
from tunesmith.search.settings import check_positive, check_whole, refuse
from tunesmith.space import Value
from tunesmith.space.values import typed
from tunesmith.stopping.base import Begin, Halt, Move, Resume, resting
from tunesmith.stopping.plan import Bracket, Plan, Rung
from tunesmith.stopping.progress import is_done, is_out, room_in
from tunesmith.stopping.rungs import ranked, value_at, whole_steps
from tunesmith.stopping.sentences import steps_text, value_text
from tunesmith.stopping.wording import apart, brief

__all__ = ["Exploration", "Explore", "Population"]

_LOOKS = 20  # how often members are compared where nobody says how often


@dataclass(frozen=True, slots=True)
class Exploration:
    """Values for a copy.

    Attributes:
        values: The values.
    acquisition: The name of the score by which they were chosen; ``""`` without one.
        score: That score.
    """

    values: Mapping[str, Value]
    acquisition: str = ""
    score: float | None = None


class Explore(Protocol):
    """Says how a copy's values differ from its parent's."""

    def __call__(
        self,
        parent: Trial,
        history: History,
        interval: int,
        begun: Sequence[Suggestion],
        rng: np.random.Generator,
    ) -> Exploration:
        """Return the values of a new copy of ``parent``; ``begun`` are those that begin beside it."""
        ...


class Population:
    """Population based training, whatever the number of workers; made by `pbt` and `pb2`.

    Args:
        name: What it is called, for messages.
        explore: Chooses a copy's values.
        population: How many members there are.
        interval: How many steps a member trains between looks; without it a twentieth of the whole.
        quantile: Which part of the members is best, and which is worst.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(
        self, name: str, explore: Explore, population: int, interval: int | None, quantile: float
    ) -> None:
        check_whole(name, "population", population, low=2)
        if interval is not None:
            check_whole(name, "interval", interval, low=1)
        check_positive(name, "quantile", quantile, most=0.5)
        self._name = name
        self._explore = explore
        self._size = population
        self._interval = interval
        self._quantile = quantile

    def check(self, spec: StudySpec) -> None:
        """Raise `SpecError` if a whole trial's steps are unknown or too few, or copies have no room."""
        whole = whole_steps(self._name, spec)
        interval = self._steps(spec)
        if interval >= whole:
            raise refuse(
                f"{self._name} looks at its members every {interval} steps, and max_steps={whole} leaves"
                f" no look before the end. Set interval to {max(whole // _LOOKS, 1)}, or raise max_steps."
            )
        if spec.max_trials is not None and spec.max_trials <= self._size:
            raise refuse(
                f"{self._name} begins a new trial for each copy, and max_trials={spec.max_trials} leaves none"
                f" beside its population of {self._size}. Leave max_trials out, or raise it to"
                f" {self._size * 5}, say."
            )

    def plan(self, spec: StudySpec) -> Plan:
        """Return the members' looks; how many copies there will be depends on results."""
        whole, interval = whole_steps(self._name, spec), self._steps(spec)
        looks = [*range(interval, whole, interval), whole]
        trials = spec.max_trials or self.trials(spec)
        size = self._members(spec)
        bracket = Bracket(tuple(Rung(steps, size) for steps in looks))
        note = f"at each look, up to {self._ends(size)} of {size} are replaced by new trials"
        return Plan((bracket,), exact=False, worst_steps=trials * whole, note=note)

    def trials(self, spec: StudySpec) -> int:
        """Return as many as there were if every look replaced every member: never a hindrance."""
        return self._members(spec) * math.ceil(whole_steps(self._name, spec) / self._steps(spec))

    def first_budget(self, number: int, spec: StudySpec) -> int:  # noqa: ARG002 - all begin alike
        """Return the steps up to the first look."""
        return self._next_look(0, spec)

    def go_on(self, trial: Trial, history: History) -> int | None:
        """Return the next look's steps, unless the trial is among the worst or others lag behind."""
        spec = history.spec
        reach = history.curve(trial.number).reach
        if reach < whole_steps(self._name, spec):
            room = self._room(history)
            if room and self._standing(history, room).is_worst(trial, history):
                return None
            to_begin = room and len(history.trials) < self._members(spec)
            if to_begin or any(_waits_behind(t, reach, history) for t in history.open):
                return None
        return self._next_look(reach, spec)

    def moves(
        self, history: History, count: int, room: int, rng: np.random.Generator
    ) -> Sequence[Move]:
        """Return who begins, who is replaced by whom, and who goes on: the furthest behind first."""
        room = min(room, self._room(history))
        standing = self._standing(history, room)
        moves: list[Move] = []
        begun: list[Suggestion | None] = []
        for _ in range(min(standing.missing, count, room)):
            begin = self._begin(standing, history, begun, rng)
            if begin is not None:
                moves.append(begin)
                begun.append(begin.suggestion)
        starts = len(moves)
        for trial in sorted(resting(history), key=lambda t: history.curve(t.number).reach):
            if starts == count:
                break
            starts += 1
            if len(begun) < room and standing.is_worst(trial, history) and is_done(trial, history):
                copy = self._copy(standing, history, begun, rng)
                moves += [Halt(trial.number, self._replaced(trial, copy, standing, history)), copy]
                begun.append(copy.suggestion)
            else:
                budget = self._resumed_to(trial, history)
                moves.append(Resume(trial.number, budget, _keeps_place(budget)))
        return moves

    # The population

    def _room(self, history: History) -> int:
        return room_in(history, history.spec.max_trials or self.trials(history.spec))

    def _members(self, spec: StudySpec) -> int:
        """Return how many members there are: no more than there are points to begin with."""
        return self._size if spec.size is None else min(self._size, spec.size)

    def _steps(self, spec: StudySpec) -> int:
        return self._interval or max(round(whole_steps(self._name, spec) / _LOOKS), 1)

    def _next_look(self, reach: int, spec: StudySpec) -> int:
        interval = self._steps(spec)
        return min((reach // interval + 1) * interval, whole_steps(self._name, spec))

    def _first_look(self, reach: int, spec: StudySpec) -> int:
        """Return the first look of a copy of a trial that is somewhere between looks: about an interval on."""
        interval = self._steps(spec)
        return min((round(reach / interval) + 1) * interval, whole_steps(self._name, spec))

    def _resumed_to(self, trial: Trial, history: History) -> int:
        if trial.budget is not None and not is_done(trial, history):
            return trial.budget
        return self._next_look(history.curve(trial.number).reach, history.spec)

    def _ends(self, size: int) -> int:
        return min(math.ceil(self._quantile * size), size // 2)

    def _standing(self, history: History, room: int) -> "_Standing":
        whole = whole_steps(self._name, history.spec)
        members = [t for t in history.trials if not t.is_final or t.state is TrialState.COMPLETED]
        missing = min(max(self._members(history.spec) - len(members), 0), room)
        size = len(members) + missing
        ends = self._ends(size)
        measured = [t for t in members if len(history.curve(t.number))]
        parents = [
            t
            for t in ranked(measured, history, math.inf, "last")[:ends]
            if not t.is_final
            and history.curve(t.number).reach < whole
            and math.isfinite(_latest(t, history))
        ]
        return _Standing(size, missing, members, ends, parents)

    # Successors

    def _begin(
        self,
        standing: "_Standing",
        history: History,
        begun: Sequence[Suggestion | None],
        rng: np.random.Generator,
    ) -> Begin | None:
        """Return who takes a free place; None where nobody could learn from anybody any more."""
        if len(history.trials) + len(begun) >= self._members(history.spec):
            if standing.parents:
                return self._copy(standing, history, begun, rng)
            if history.count(TrialState.COMPLETED):
                return None
        return Begin(self._next_look(0, history.spec))

    def _copy(
        self,
        standing: "_Standing",
        history: History,
        begun: Sequence[Suggestion | None],
        rng: np.random.Generator,
    ) -> Begin:
        parent = standing.parents[int(rng.integers(len(standing.parents)))]
        beside = [suggestion for suggestion in begun if suggestion is not None]
        interval = self._steps(history.spec)
        found = self._explore(parent, history, interval, beside, rng)
        reach = history.curve(parent.number).reach
        changes = _changes(parent.values, found.values)
        note = f"a copy of trial {parent.number} after {steps_text(reach)}, {changes}"
        explanation = Explanation(acquisition=found.acquisition, value=found.score, note=note)
        suggestion = Suggestion(
            found.values, self._name, explanation, budget=None, parent=parent.number
        )
        return Begin(self._first_look(reach, history.spec), suggestion)

    def _replaced(self, trial: Trial, copy: Begin, standing: "_Standing", history: History) -> str:
        assert copy.suggestion is not None
        assert copy.suggestion.parent is not None
        parent = history.trials[copy.suggestion.parent - 1]
        reach = history.curve(trial.number).reach
        further = history.curve(parent.number).reach
        own, other = _latest(trial, history), _latest(parent, history)
        if math.isfinite(own):
            shown, better = apart(own, other)
        else:
            shown, better = value_text(own), value_text(other)
        worst = f"among the worst {standing.ends}" if standing.ends > 1 else "the worst"
        return (
            f"{worst} of {standing.size} after {steps_text(reach)}: {shown};"
            f" replaced by a copy of trial {parent.number}, which has {better} after {steps_text(further)}"
        )


@dataclass(frozen=True, slots=True)
class _Standing:
    """How the population stands.

    Attributes:
        size: M.
        missing: How many members are still to begin.
        members: Those that have begun.
        ends: k.
        parents: Those of the best that have a checkpoint to go on from.
    """

    size: int
    missing: int
    members: list[Trial]
    ends: int
    parents: list[Trial]

    def is_worst(self, trial: Trial, history: History) -> bool:
        """Whether enough members were better when they had come as far, and the trial can be replaced."""
        if not self.parents or any(t.number == trial.number for t in self.parents):
            return False
        reach = history.curve(trial.number).reach
        stand_ins = [_ancestor_at(t, reach, history) for t in self.members]
        known = {t.number: t for t in stand_ins if len(history.curve(t.number))}
        own = _ancestor_at(trial, reach, history)
        if own.number not in known:
            return False
        order = [t.number for t in ranked(known.values(), history, reach, "last")]
        better = set(order[: order.index(own.number)])
        return sum(t.number in better for t in stand_ins) >= self.size - self.ends


def _ancestor_at(trial: Trial, reach: int, history: History) -> Trial:
    """Return whose training a trial's was when so many steps were done: its own, or an ancestor's."""
    while trial.parent is not None:
        series = history.curve(trial.number).series(history.spec.objective)
        if len(series) and series.at[0] <= reach:
            break
        trial = history.trials[trial.parent - 1]
    return trial


def _latest(trial: Trial, history: History) -> float:
    return value_at(trial, history, math.inf, "last")


def _waits_behind(trial: Trial, reach: int, history: History) -> bool:
    """Whether a trial waits for a slot that is not as far as ``reach``."""
    waits = trial.state in (TrialState.QUEUED, TrialState.PAUSED) and not is_out(trial)
    return waits and history.curve(trial.number).reach < reach


def _keeps_place(budget: int) -> str:
    return f"it keeps its place in the population, up to {steps_text(budget)}"


def _changes(before: Mapping[str, Value], after: Mapping[str, Value]) -> str:
    """Return in which values two points differ."""
    found = [
        f"{name} {_shown(value)}" + (f" (was {_shown(before[name])})" if name in before else "")
        for name, value in after.items()
        if name not in before or typed(before[name]) != typed(value)
    ]
    return f"with {', '.join(found)}" if found else "with the same values"


def _shown(value: Value) -> str:
    return brief(value) if isinstance(value, float) else str(value)
