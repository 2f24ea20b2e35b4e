"""The schedule for those who say only how long a whole trial trains: who is expected to end well goes on.

    η       the factor between one rung's steps and the next's
    places  ⌊n/η⌋ of the n trials that have come to a rung: so many of them go on

Asynchronous promotion (Li et al. 2020), with two differences. At a rung, trials stand by what they are
expected to come to at the end (`outlook`), learnt from all trials that went further. And all that have come
to the rung are asked for again each time: who went on and turned out badly gives its place to another.

A program that keeps no checkpoint would do all its steps again when it is resumed. Once trials show that,
none is resumed any more: who is not good enough when it comes to a rung ends there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tunesmith.model import History, StudySpec, Trial, TrialState
from tunesmith.search.settings import check_whole
from tunesmith.stopping.base import Begin, Halt, Move, Resume, resting
from tunesmith.stopping.outlook import outlook
from tunesmith.stopping.peers import Array
from tunesmith.stopping.plan import Bracket, Plan, Rung
from tunesmith.stopping.progress import is_done
from tunesmith.stopping.rungs import check_rungs, levels, ranked, value_at, whole_steps
from tunesmith.stopping.sentences import steps_text, to_the_rung

__all__ = ["Auto"]

_NAME = "auto"
_LOWEST = 16  # parts of a whole trial, of which the lowest rung is one
_BEGUN = 100  # trials for which a plan speaks where nobody says how many there are
_WITHOUT_RESULT = (TrialState.FAILED, TrialState.INFEASIBLE, TrialState.CANCELLED)


class Auto:
    """Promotes the trials that are expected to end best, as soon as they are seen to be.

    Args:
        min_steps: The steps of the lowest rung; None for about a sixteenth of a whole trial.
        eta: Of how many trials one goes on, and how many times as long it trains.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(self, min_steps: int | None = None, eta: int = 2) -> None:
        if min_steps is not None:
            check_whole(_NAME, "min_steps", min_steps, low=1)
        check_whole(_NAME, "eta", eta, low=2)
        self._least = min_steps
        self._factor = eta

    def check(self, spec: StudySpec) -> None:
        """Raise `SpecError` if a whole trial's steps are unknown or too few to be shared out."""
        check_rungs(_NAME, self._lowest(spec), self._factor, spec)

    def plan(self, spec: StudySpec) -> Plan:
        """Return what is expected: about one of η trials goes on from each rung."""
        steps = self._levels(spec)
        begun = spec.max_trials or _BEGUN
        rungs = (Rung(r, max(begun / self._factor**i, 1)) for i, r in enumerate(steps))
        of = "" if spec.max_trials else f"these are figures for every {begun} trials; "
        note = (
            f"{of}the worst is if each trial is better than all before it and programs begin anew"
        )
        bracket = Bracket(tuple(rungs))
        return Plan((bracket,), exact=False, worst_steps=begun * sum(steps), note=note)

    def trials(self, spec: StudySpec) -> int | None:  # noqa: ARG002 - as the role has it
        """Return None: it goes on as long as it may."""
        return None

    def first_budget(self, number: int, spec: StudySpec) -> int:  # noqa: ARG002 - as the role has it
        """Return the steps of the lowest rung."""
        return self._levels(spec)[0]

    def go_on(self, trial: Trial, history: History) -> int | None:
        """Return the next rung's steps if the trial is expected to be among the best of its rung."""
        standing = self._standing(history)
        places = standing.places(standing.rung_of(trial))
        if standing.keeps_nothing:
            places = max(places, 1)  # nobody is resumed later, so somebody has to go on now
        return standing.above(trial) if standing.place(trial) < places else None

    def moves(
        self,
        history: History,
        count: int,
        room: int,
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
    ) -> Sequence[Move]:
        """Return promotions, the best trials first; then new trials; when none can come, the last halts."""
        standing = self._standing(history)
        waiting = sorted(resting(history), key=standing.by_rung)
        halts: list[Move] = []
        if standing.keeps_nothing and (room or standing.has_whole):
            halts = [standing.halt(t) for t in waiting if is_done(t, history)]
            waiting = [t for t in waiting if not is_done(t, history)]
        going = [
            t
            for t in waiting
            if not is_done(t, history) or (not standing.keeps_nothing and standing.is_promoted(t))
        ]
        starts: list[Move] = [*map(standing.resume, going[:count])]
        new = min(room, count - len(starts))
        starts += [Begin(self.first_budget(0, history.spec))] * new
        if not starts and not room and not _coming(history):
            # The study is at its end. It is to have a whole trial, if it can.
            if not standing.has_whole and waiting:
                return [*halts, standing.resume(waiting[0])]
            halts += [standing.halt(t) for t in waiting]
        return [*halts, *starts]

    def _lowest(self, spec: StudySpec) -> int:
        if self._least is not None:
            return self._least
        return max(1, whole_steps(_NAME, spec) // _LOWEST)

    def _levels(self, spec: StudySpec) -> tuple[int, ...]:
        return levels(self._lowest(spec), whole_steps(_NAME, spec), self._factor)

    def _standing(self, history: History) -> "_Standing":
        return _Standing(history, self._levels(history.spec), self._factor)


@dataclass(frozen=True, eq=False)
class _Standing:
    """How all trials stand against each other.

    Attributes:
        history: All trials.
        levels: The steps of the rungs, the whole last.
        factor: η.
    """

    history: History
    levels: tuple[int, ...]
    factor: int

    @cached_property
    def keeps_nothing(self) -> bool:
        """Whether trials that were started again have begun anew, more often than not."""
        curves = [self.history.curve(t.number) for t in self.history.trials if t.attempt > 1]
        anew = sum(curve.begins_anew for curve in curves)
        return anew > sum(curve.goes_on and not curve.begins_anew for curve in curves)

    @cached_property
    def has_whole(self) -> bool:
        """Whether a trial has come to the end."""
        return any(self._reach(t) >= self.levels[-1] for t in self._compared)

    def rung_of(self, trial: Trial) -> int:
        """Return the highest rung below the whole that the trial has come to; the lowest before."""
        reach = self._reach(trial)
        return max((i for i, level in enumerate(self.levels[:-1]) if level <= reach), default=0)

    def above(self, trial: Trial) -> int:
        """Return the steps of the rung that comes after all that the trial has done or was given."""
        done = max(self._reach(trial), trial.budget or 0)
        return next((level for level in self.levels if level > done), self.levels[-1])

    def places(self, rung: int) -> int:
        """Return how many of those that have come to a rung may go on."""
        return len(self._at(rung)) // self.factor

    def place(self, trial: Trial) -> int:
        """Return how many of those that have come to the trial's rung stand before it."""
        at = self._at(self.rung_of(trial))
        return at.get(trial.number, len(at))

    def is_promoted(self, trial: Trial) -> bool:
        """Whether the trial has one of the places of its rung."""
        return self.place(trial) < self.places(self.rung_of(trial))

    def by_rung(self, trial: Trial) -> tuple[int, int, int]:
        """Return what sorts trials: the highest rung first, there by place."""
        return -self.rung_of(trial), self.place(trial), trial.number

    def resume(self, trial: Trial) -> Resume:
        """Return the move that lets a trial go on: to the next rung, or to that of its budget."""
        if not is_done(trial, self.history):  # a person had paused it
            budget = trial.budget or self.levels[-1]
            return Resume(trial.number, budget, to_the_rung(budget))
        return Resume(trial.number, self.above(trial), self._expected_to_be(trial))

    def halt(self, trial: Trial) -> Halt:
        """Return the move that ends a trial."""
        why = "it would have to begin anew" if self.keeps_nothing else "no more trials come"
        return Halt(trial.number, f"{self._expected_to_be(trial)}, and {why}")

    def _expected_to_be(self, trial: Trial) -> str:
        rung = self.rung_of(trial)
        found = f"{self.place(trial) + 1} of {len(self._at(rung))}"
        return f"expected to be number {found} that have done {steps_text(self.levels[rung])}"

    @cached_property
    def _compared(self) -> list[Trial]:
        return [
            t
            for t in self.history.trials
            if t.state not in _WITHOUT_RESULT and len(self.history.curve(t.number))
        ]

    def _reach(self, trial: Trial) -> int:
        return self.history.curve(trial.number).reach

    def _at(self, rung: int) -> dict[int, int]:
        """Return the places of all trials that have come to a rung, by their numbers."""
        if rung not in self._places:
            there = [t for t in self._compared if self._reach(t) >= self.levels[rung]]
            if self._expected is None:
                order = [t.number for t in ranked(there, self.history, self.levels[rung])]
            else:
                order = sorted((t.number for t in there), key=self._expected.__getitem__)
            self._places[rung] = {number: place for place, number in enumerate(order)}
        return self._places[rung]

    @cached_property
    def _places(self) -> dict[int, dict[int, int]]:
        return {}

    @cached_property
    def _expected(self) -> dict[int, float] | None:
        """The losses that trials are expected to end with; None where one loss does not say it all."""
        spec = self.history.spec
        if len(spec.objectives) > 1 or spec.constraints:
            return None
        below = self.levels[0] // self.factor  # so that the lowest rung shows how the curve falls
        table = self._losses([*([below] if below else []), *self.levels])
        found = outlook(_without_gaps(table))
        found[np.isnan(found)] = np.inf
        return {t.number: loss for t, loss in zip(self._compared, found.tolist(), strict=True)}

    def _losses(self, steps: Sequence[int]) -> Array:
        """Return the losses of all trials after so many steps, nan where they have not come so far."""
        spec = self.history.spec
        table: Array = np.full((len(self._compared), len(steps)), np.nan)
        at = np.array(steps)
        for row, trial in enumerate(self._compared):
            come = np.flatnonzero(at <= self._reach(trial))
            series = self.history.curve(trial.number).series(spec.objective)
            if spec.measurement == "last" and len(series):  # nearly always, and quick
                last = np.searchsorted(series.at, at[come], side="right") - 1
                table[row, come] = series.losses[np.maximum(last, 0)]
            else:
                values = [value_at(trial, self.history, step) for step in at[come].tolist()]
                table[row, come] = [spec.objective.loss(value) for value in values]
        return table


def _without_gaps(losses: Array) -> Array:
    """Return losses in which those that are no numbers are as after them; none if the last is none."""
    out = losses.copy()
    for row in out:
        come = np.flatnonzero(~np.isnan(row))
        finite = np.isfinite(row)
        if len(come) and not finite[come[-1]]:
            row[:] = np.nan
        elif len(come):
            for j in reversed(range(int(come[-1]))):
                row[j] = row[j] if finite[j] else row[j + 1]
    return out


def _coming(history: History) -> bool:
    """Whether anything runs or waits in the queue."""
    return any(t.state in (TrialState.RUNNING, TrialState.QUEUED) for t in history.open)
