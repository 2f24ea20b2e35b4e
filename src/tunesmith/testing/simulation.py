"""Runs a whole study in virtual time: trials are functions of their step, workers are slots of a clock.

What the study does with suggestions, rules and schedules is what `Study` and the tuner do, without a
storage and without processes, so thousands of epochs take a second. For tests of rules and schedules,
and for benchmarks of how many epochs they need.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunesmith.model import (
    FINAL,
    History,
    Measurement,
    StudySpec,
    Suggestion,
    Trial,
    TrialState,
    select_measurement,
)
from tunesmith.search import Searcher, position_rng
from tunesmith.space import Value
from tunesmith.stopping import (
    Begin,
    Halt,
    Move,
    Resume,
    Schedule,
    StoppingRule,
    judge,
)

__all__ = ["Event", "Simulation", "Train"]

Train = Callable[[Mapping[str, Value], int, object], tuple[Mapping[str, float], object]]
"""Values, the number of the step from 1, and what the checkpoint holds (None at first), to the step's
metrics and what the checkpoint holds then. Raises `ArithmeticError` where the program breaks."""


@dataclass(frozen=True, slots=True)
class Event:
    """One step of one trial.

    Attributes:
        time_s: When it was done, on the simulation's clock.
        total: How many steps all trials together had done by then, this one included.
        number: The trial.
        step: Which of its steps, from 1.
        metrics: What it measured.
    """

    time_s: float
    total: int
    number: int
    step: int
    metrics: Mapping[str, float]


@dataclass(slots=True)
class _Run:
    """A trial that trains: its next step, and its checkpoint."""

    number: int
    step: int
    state: object


@dataclass
class Simulation:
    """A study that is run when `run` is called.

    Attributes:
        spec: The study; ``max_trials`` and ``max_steps`` have to be set.
        train: One step of the training.
        searcher: Suggests values.
        schedule: Owns the budget, if anything does.
        rules: Stop trials.
        workers: How many trials train at once.
        step_s: How long a step takes, by values.
        keeps: Whether the program goes on from checkpoints; otherwise it begins anew when resumed.
        max_total: Steps of all trials after which the study is cut off.
    """

    spec: StudySpec
    train: Train
    searcher: Searcher
    schedule: Schedule | None = None
    rules: Sequence[StoppingRule] = ()
    workers: int = 1
    step_s: Callable[[Mapping[str, Value]], float] = lambda _: 1.0
    keeps: bool = True
    max_total: int | None = None
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history = History(self.spec)
        self._revision = 0
        self._now = 0.0
        self._total = 0
        self._saved: dict[int, tuple[int, object]] = {}
        self._began_at: dict[int, tuple[int, object]] = {}
        self._due: list[tuple[float, int, _Run]] = []

    def run(self) -> History:
        """Run the study to its end and return its history; `events` holds what happened."""
        self._fill()
        while self._due:
            self._now, _, run = heapq.heappop(self._due)
            self._step(run)
            if self.max_total is not None and self._total >= self.max_total:
                break
            self._fill()
        return self.history

    # Deciding

    def _fill(self) -> None:
        while (free := self.workers - len(self._due)) > 0:
            moves = self._moves(free)
            for move in moves:
                self._act(move)
            if not any(isinstance(move, Begin | Resume) for move in moves):
                return

    def _moves(self, free: int) -> Sequence[Move]:
        limit = self.spec.max_trials
        assert limit is not None, "a simulation has to end"
        position = len(self.history.trials)
        room = limit - position
        rng = position_rng(self.spec.seed, position)
        if self.schedule is not None:
            return self.schedule.moves(self.history, free, room, rng)
        return [Begin(0)] * min(free, room, 1)

    def _act(self, move: Move) -> None:
        match move:
            case Begin():
                self._begin(move)
            case Resume(number, budget, reason):
                trial = self.history.trials[number - 1]
                assert trial.state is TrialState.PAUSED, f"trial {number} is {trial.state}"
                self._change(
                    trial,
                    state=TrialState.RUNNING,
                    attempt=trial.attempt + 1,
                    budget=budget,
                    reason=reason,
                    started=self._now,
                )
                begin = self._saved[number] if self.keeps else self._began_at[number]
                self._start(number, *begin)
            case Halt(number, reason):
                self._end(self.history.trials[number - 1], TrialState.STOPPED, reason)

    def _begin(self, move: Begin) -> None:
        number = len(self.history.trials) + 1
        suggestion = move.suggestion
        if suggestion is None:
            rng = position_rng(self.spec.seed, number - 1)
            found = self.searcher.suggest(self.history, 1, rng)
            assert found, "the simulation's space is exhausted"
            suggestion = found[0]
        assert self.spec.space.contains(suggestion.values)
        self._revision += 1
        self.history.update([self._new(number, suggestion, move.budget)])
        parent = suggestion.parent
        self._began_at[number] = (0, None) if parent is None else self._saved[parent]
        self._start(number, *self._began_at[number])

    def _new(self, number: int, suggestion: Suggestion, budget: int) -> Trial:
        return Trial(
            number=number,
            values=suggestion.values,
            state=TrialState.RUNNING,
            attempt=1,
            origin=suggestion.origin,
            explanation=suggestion.explanation,
            budget=budget or None,
            parent=suggestion.parent,
            queued=self._now,
            started=self._now,
            revision=self._revision,
        )

    # Training

    def _start(self, number: int, done: int, state: object) -> None:
        self._push(_Run(number, done + 1, state))

    def _push(self, run: _Run) -> None:
        seconds = self.step_s(self.history.trials[run.number - 1].values)
        heapq.heappush(self._due, (self._now + seconds, run.number, run))

    def _step(self, run: _Run) -> None:
        trial = self.history.trials[run.number - 1]
        self._total += 1
        try:
            metrics, state = self.train(trial.values, run.step, run.state)
        except ArithmeticError as error:
            self._end(trial, TrialState.FAILED, str(error))
            return
        self._saved[run.number] = (run.step, state)
        self._revision += 1
        seconds = self._now - (trial.started or 0.0)
        measurement = Measurement(run.step, dict(metrics), seconds, self._revision)
        self.history.measure(run.number, trial.attempt, measurement)
        self.events.append(Event(self._now, self._total, run.number, run.step, metrics))
        verdict = judge(trial, self.history, self.rules, self.schedule)
        whole = self.spec.max_steps
        if verdict and verdict.pause:
            self._change(trial, state=TrialState.PAUSED, reason=verdict.reason)
        elif verdict:
            self._end(trial, TrialState.STOPPED, verdict.reason)
        elif whole is not None and run.step >= whole:
            self._end(trial, TrialState.COMPLETED)
        else:
            if verdict.budget is not None:
                self._change(trial, budget=verdict.budget)
            run.step, run.state = run.step + 1, state
            self._push(run)

    def _end(self, trial: Trial, state: TrialState, reason: str = "") -> None:
        assert trial.state not in FINAL, f"trial {trial.number} has ended already"
        chosen = select_measurement(self.history.curve(trial.number).measurements, self.spec)
        counts = chosen is not None and state is not TrialState.FAILED
        self._change(
            trial,
            state=state,
            reason=reason,
            metrics=dict(chosen.metrics) if chosen is not None and counts else {},
            step=chosen.step if chosen is not None and counts else None,
            finished=self._now,
        )

    def _change(self, trial: Trial, **changes: object) -> None:
        self._revision += 1
        self.history.update([replace(trial, revision=self._revision, **changes)])  # type: ignore[arg-type]
