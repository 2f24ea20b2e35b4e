"""Brackets of successive halving: where all have got to a rung, the best go on (Jamieson & Talwalkar 2016).

    η       the factor by which each rung has fewer trials and more steps than the one below
    n       trials of a bracket; ⌊n·η⁻ⁱ⌋ of them get to its rung i, one at least
    places  how many trials go on from a rung

A trial's bracket follows from its number, and whether it has gone on from a rung follows from its budget.
So a history says all, whoever chose a trial's values, and in whatever order things happened.

A rung waits for its stragglers, but slots do not: those that are among the best whatever the stragglers
reach go on at once, and where there are none the next bracket begins. Where a program reports so seldom
that its first report lies beyond several rungs, these are judged one after another without more training.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle

from tunesmith.model import History, Trial
from tunesmith.stopping.base import Begin, Halt, Move, Resume, resting
from tunesmith.stopping.plan import Bracket, Plan, Rung
from tunesmith.stopping.progress import is_out, is_resting, room_in
from tunesmith.stopping.rungs import ranked, rung_of
from tunesmith.stopping.sentences import ahead, behind, to_the_rung

__all__ = ["Brackets", "Ladder"]


@dataclass(frozen=True, slots=True)
class Ladder:
    """What one bracket looks like.

    Attributes:
        levels: How many steps a trial has trained at each rung, rising; the last is the whole.
        size: How many trials begin.
        factor: η.
    """

    levels: tuple[int, ...]
    size: int
    factor: int

    def places(self, rung: int, begun: int) -> int:
        """Return how many of ``begun`` trials get to a rung."""
        return max(begun // int(self.factor**rung), min(begun, 1))


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a rung below the whole stands.

    Attributes:
        level: How many steps it takes to get there.
        above: How many steps the next rung takes.
        there: Those that have got there, whatever has become of them since.
        waiting: Those of them that may go on, the best first.
        between: Those on their way there, whatever has become of them.
        coming: How many may yet get there.
        places: How many go on from here in all.
        taken: How many of these have gone on.
    """

    level: int
    above: int
    there: list[Trial]
    waiting: list[Trial]
    between: list[Trial]
    coming: int
    places: int
    taken: int

    @property
    def at(self) -> set[int]:
        """The numbers of those that may go on."""
        return {trial.number for trial in self.waiting}

    @property
    def left(self) -> int:
        """How many may still go on."""
        return max(self.places - self.taken, 0)

    @property
    def sure(self) -> list[Trial]:
        """Those that go on whatever the others reach that are still to come."""
        return self.waiting[: max(self.left - self.coming, 0)]

    def passing(self, history: History) -> list[Trial]:
        """Return those that go on and have got to the next rung already."""
        return [t for t in self.sure if history.curve(t.number).reach >= self.above]

    def resumed(self, history: History) -> Iterator[Resume]:
        """Yield the moves of those that rest here and go on, and of those that rest on their way here."""
        passing = {t.number for t in self.passing(history)}
        whole = history.spec.max_steps
        reason = ahead(self.places, len(self.there), self.level, self.coming)
        for trial in self.sure:
            if is_resting(trial) and (trial.number not in passing or self.above == whole):
                yield Resume(trial.number, self.above, reason)
        for trial in self.between:
            if is_resting(trial):
                yield Resume(trial.number, self.level, to_the_rung(self.level))

    def halted(self, history: History) -> Iterator[Halt]:
        """Yield the moves of those that rest and don't go on, once all have come."""
        for trial in [] if self.coming else self.waiting[self.left :]:
            if is_resting(trial):
                reason = behind(trial, self.places, self.there, self.level, history)
                yield Halt(trial.number, reason)


@dataclass(frozen=True)
class Brackets:
    """Brackets that are filled in the order of trials' numbers, again and again.

    Attributes:
        ladders: The brackets of one sweep.
    """

    ladders: tuple[Ladder, ...]

    @cached_property
    def size(self) -> int:
        """How many trials a sweep has."""
        return sum(ladder.size for ladder in self.ladders)

    def plan(self, trials: int | None) -> Plan:
        """Return what becomes of so many trials; of one sweep if None."""
        left = self.size if trials is None else trials
        brackets: list[Bracket] = []
        for ladder in cycle(self.ladders):
            if left <= 0:
                break
            begun = min(ladder.size, left)
            left -= begun
            rungs = [Rung(r, ladder.places(i, begun)) for i, r in enumerate(ladder.levels)]
            brackets.append(Bracket(tuple(rungs)))
        worst = sum(rung.trials * rung.steps for bracket in brackets for rung in bracket.rungs)
        note = "the worst is if programs begin anew each time instead of going on from a checkpoint"
        return Plan(tuple(brackets), exact=True, worst_steps=worst, note=note)

    def first_budget(self, number: int) -> int:
        """Return how many steps a trial trains at first."""
        return self._of(number)[1].levels[0]

    def go_on(self, trial: Trial, history: History) -> int | None:
        """Return up to which budget a trial goes on that has trained its own; None to wait."""
        first, ladder = self._of(trial.number)
        budget = None
        for standing in self._standings(first, ladder, history, self._room(history)):
            if trial.number in standing.at:
                sure = any(t.number == trial.number for t in standing.sure)
                budget = standing.above if sure else None
        return budget

    def moves(self, history: History, count: int, room: int) -> Sequence[Move]:
        """Return what to do with ``count`` free slots: the oldest bracket and its highest rung first."""
        room = min(room, self._room(history))
        halts: list[Move] = []
        starts: list[Move] = []
        for first, ladder in self._with_resting(history):
            for standing in reversed(list(self._standings(first, ladder, history, room))):
                halts += standing.halted(history)
                starts += standing.resumed(history)
        begun = len(history.trials)
        new = min(room, max(count - len(starts), 0))
        starts += [Begin(self.first_budget(begun + 1 + i)) for i in range(new)]
        return [*halts, *starts[:count]]

    def _room(self, history: History) -> int:
        """Return how many new trials there may be: those of one sweep where nobody says how many."""
        return room_in(history, history.spec.max_trials or self.size)

    def _of(self, number: int) -> tuple[int, Ladder]:
        """Return the number of the first trial of a trial's bracket, and what that looks like."""
        sweep, place = divmod(number - 1, self.size)
        first = 1 + sweep * self.size
        for ladder in self.ladders:
            if place < ladder.size:
                return first, ladder
            place -= ladder.size
            first += ladder.size
        raise AssertionError  # places end with the last bracket

    def _with_resting(self, history: History) -> list[tuple[int, Ladder]]:
        """Return the brackets in which a trial rests, the oldest first; see `_of`."""
        found = {self._of(trial.number) for trial in resting(history)}
        return sorted(found, key=lambda pair: pair[0])

    def _standings(
        self, first: int, ladder: Ladder, history: History, room: int
    ) -> Iterator[_Standing]:
        """Yield how the rungs of a bracket stand, from the lowest to the last but one."""
        members = history.trials[first - 1 : first - 1 + ladder.size]
        rungs = [rung_of(t, ladder.levels) for t in members]
        coming = min(ladder.size - len(members), room)
        begun = len(members) + coming
        passing: list[Trial] = []
        for i, level in enumerate(ladder.levels[:-1]):
            here = [t for t, rung in zip(members, rungs, strict=True) if rung == i]
            gone = [t for t, rung in zip(members, rungs, strict=True) if rung > i]
            there = [*passing, *(t for t in here if history.curve(t.number).reach >= level)]
            between = [t for t in here if history.curve(t.number).reach < level]
            waiting = [t for t in there if not is_out(t)]
            coming += sum(not is_out(t) for t in between)
            standing = _Standing(
                level=level,
                above=ladder.levels[i + 1],
                there=[*gone, *there],
                waiting=ranked(waiting, history, level),
                between=between,
                coming=coming,
                places=ladder.places(i + 1, begun),
                taken=len(gone),
            )
            yield standing
            passing = standing.passing(history)
            coming = min(standing.left, len(waiting) + coming) - len(passing)
