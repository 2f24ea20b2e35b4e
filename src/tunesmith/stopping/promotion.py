"""ASHA by promotion: whoever is among the best at a rung so far goes on, without waiting for others.

    η       the factor by which each rung has fewer trials and more steps than the one below
    places  ⌊n/η⌋ of the n trials that have got to a rung

Li et al. (2020), algorithm 2. Where no more trials can come to a rung, the best goes on even if there are
fewer than η, so that a small study ends with a whole trial, too; the others end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from tunesmith.model import History, StudySpec, Trial
from tunesmith.search.settings import check_whole, refuse
from tunesmith.stopping.base import Begin, Halt, Move, Resume
from tunesmith.stopping.plan import Bracket, Plan, Rung
from tunesmith.stopping.progress import is_out, is_resting, room_in
from tunesmith.stopping.rungs import check_rungs, levels, ranked, rung_of, whole_steps
from tunesmith.stopping.sentences import ahead, behind, to_the_rung
from tunesmith.stopping.synchronous import bracket_sizes

__all__ = ["AshaPromotion"]

_NAME = "asha-promotion"


class AshaPromotion:
    """Asynchronous successive halving (Li et al. 2020, algorithm 2).

    With several brackets it is asynchronous Hyperband.

    Args:
        min_steps: No trial is compared before it has trained so many steps.
        eta: Of how many trials one goes on, and how many times as long it trains.
        brackets: How many brackets there are, each with its lowest rung one higher than that of the
            one before. Trials are shared among them as in Hyperband, most to the first.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(self, min_steps: int = 1, eta: int = 3, brackets: int = 1) -> None:
        check_whole(_NAME, "min_steps", min_steps, low=1)
        check_whole(_NAME, "eta", eta, low=2)
        check_whole(_NAME, "brackets", brackets, low=1)
        self._least = min_steps
        self._factor = eta
        self._count = brackets

    def check(self, spec: StudySpec) -> None:
        """Raise `SpecError` if a whole trial's steps are unknown, or too few for rungs and brackets."""
        check_rungs(_NAME, self._least, self._factor, spec)
        most = len(self._levels(spec))
        if self._count > most:
            raise refuse(
                f"{_NAME} has at most {most} brackets here, with rungs at"
                f" {', '.join(map(str, self._levels(spec)))} steps; given brackets={self._count}."
            )

    def plan(self, spec: StudySpec) -> Plan:
        """Return what is expected: about one of η trials goes on from each rung."""
        steps = self._levels(spec)
        turns = self._turns(spec)
        trials = spec.max_trials or len(turns)
        brackets = []
        for b in range(self._count):
            begun = sum(turns[i % len(turns)] == b for i in range(trials))
            rungs = (
                Rung(r, max(begun / self._factor**i, min(begun, 1)))
                for i, r in enumerate(steps[b:])
            )
            brackets.append(Bracket(tuple(rungs)))
        worst = sum(b.rungs[0].trials * sum(r.steps for r in b.rungs) for b in brackets)
        of = "" if spec.max_trials else f"these are figures for every {trials} trials; "
        note = (
            f"{of}the worst is if each trial is better than all before it and programs begin anew"
        )
        return Plan(tuple(brackets), exact=False, worst_steps=worst, note=note)

    def trials(self, spec: StudySpec) -> int | None:  # noqa: ARG002 - as the role has it
        """Return None: it goes on as long as it may."""
        return None

    def first_budget(self, number: int, spec: StudySpec) -> int:
        """Return the steps of the lowest rung of the trial's bracket."""
        return self._levels(spec)[self._bracket(number, spec)]

    def go_on(self, trial: Trial, history: History) -> int | None:
        """Return the next rung's steps if the trial is among the best of its rung so far."""
        spec = history.spec
        bracket = self._bracket(trial.number, spec)
        budget = None
        for standing in self._standings(bracket, history, room_in(history, spec.max_trials)):
            if any(t.number == trial.number for t in standing.there):
                promoted = any(t.number == trial.number for t in standing.promoted)
                budget = standing.above if promoted else None
        return budget

    def moves(
        self,
        history: History,
        count: int,
        room: int,
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
    ) -> Sequence[Move]:
        """Return promotions, from the highest rung down; then new trials."""
        halts: list[Move] = []
        starts: list[Move] = []
        for bracket in range(self._count):
            for standing in reversed(list(self._standings(bracket, history, room))):
                halts += standing.halted()
                starts += standing.resumed()
        begun = len(history.trials)
        new = min(room, max(count - len(starts), 0))
        starts += [Begin(self.first_budget(begun + 1 + i, history.spec)) for i in range(new)]
        return [*halts, *starts[:count]]

    def _levels(self, spec: StudySpec) -> tuple[int, ...]:
        return levels(self._least, whole_steps(_NAME, spec), self._factor)

    def _turns(self, spec: StudySpec) -> tuple[int, ...]:
        return _turns(bracket_sizes(self._levels(spec), self._factor)[: self._count])

    def _bracket(self, number: int, spec: StudySpec) -> int:
        turns = self._turns(spec)
        return turns[(number - 1) % len(turns)]

    def _standings(self, bracket: int, history: History, room: int) -> "Iterator[_Standing]":
        """Yield how the rungs of a bracket stand, from the lowest to the last but one."""
        steps = self._levels(history.spec)[bracket:]
        turns = self._turns(history.spec)
        members = [t for t in history.trials if turns[(t.number - 1) % len(turns)] == bracket]
        at: list[list[Trial]] = [[] for _ in steps]
        for trial in members:
            at[rung_of(trial, steps)].append(trial)
        closed = room == 0
        passing: list[Trial] = []
        for i, level in enumerate(steps[:-1]):
            there = [*passing, *(t for t in at[i] if history.curve(t.number).reach >= level)]
            between = [t for t in at[i] if history.curve(t.number).reach < level]
            closed = closed and all(map(is_out, between))
            standing = _Standing(
                history=history,
                level=level,
                above=steps[i + 1],
                gone=[t for upper in at[i + 1 :] for t in upper],
                there=there,
                between=between,
                closed=closed,
                factor=self._factor,
            )
            yield standing
            passing = standing.passing()
            closed = closed and len(standing.promoted) == len(passing)


@dataclass(frozen=True, eq=False)
class _Standing:
    """How a rung below the whole stands.

    Attributes:
        history: All trials.
        level: How many steps it takes to get there.
        above: How many steps the next rung takes.
        gone: The trials that have gone on from it.
        there: Those that have got there and no further, whatever has become of them.
        between: Those on their way to it.
        closed: Whether no more can come.
        factor: η.
    """

    history: History
    level: int
    above: int
    gone: list[Trial]
    there: list[Trial]
    between: list[Trial]
    closed: bool
    factor: int

    @property
    def places(self) -> int:
        """How many of those that have got there so far go on."""
        places = (len(self.gone) + len(self.there)) // self.factor
        return max(places, 1) if self.closed else places

    @cached_property
    def promoted(self) -> list[Trial]:
        """Those at the rung that are among the best so far, the best first."""
        waiting = [t for t in self.there if not is_out(t)]
        if not waiting or not self.places:
            return []
        # Who goes on from a rung and begins anew has no value there for a while; it was among the best.
        anew = [t for t in self.gone if self.history.curve(t.number).reach < self.level]
        away = {t.number for t in anew}
        known = [t for t in self.gone if t.number not in away]
        best = [*anew, *ranked([*known, *waiting], self.history, self.level)][: self.places]
        numbers = {t.number for t in waiting}
        return [t for t in best if t.number in numbers]

    def passing(self) -> list[Trial]:
        """Return those that go on and have got to the next rung already, since programs report seldom."""
        return [t for t in self.promoted if self.history.curve(t.number).reach >= self.above]

    def resumed(self) -> Iterator[Resume]:
        """Yield the moves of those that rest here and go on, and of those that rest on their way here."""
        passing = {t.number for t in self.passing()}
        whole = self.history.spec.max_steps
        reason = ahead(self.places, len(self.gone) + len(self.there), self.level)
        for trial in self.promoted:
            if is_resting(trial) and (trial.number not in passing or self.above == whole):
                yield Resume(trial.number, self.above, reason)
        for trial in self.between:
            if is_resting(trial):
                yield Resume(trial.number, self.level, to_the_rung(self.level))

    def halted(self) -> Iterator[Halt]:
        """Yield the moves of those that rest and can't go on any more."""
        promoted = {t.number for t in self.promoted}
        for trial in self.there if self.closed else ():
            if is_resting(trial) and trial.number not in promoted:
                there = [*self.gone, *self.there]
                reason = behind(trial, self.places, there, self.level, self.history)
                yield Halt(trial.number, reason)


@lru_cache(maxsize=16)
def _turns(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the bracket of each of ``sum(sizes)`` trials in a row, as evenly mixed as can be.

    In each turn every bracket earns its share, and the one that has earned most takes the trial.
    """
    earned = [0] * len(sizes)
    turns: list[int] = []
    for _ in range(sum(sizes)):
        earned = [e + size for e, size in zip(earned, sizes, strict=True)]
        chosen = earned.index(max(earned))
        earned[chosen] -= sum(sizes)
        turns.append(chosen)
    return tuple(turns)
