"""Runs a whole study in virtual time: trials are functions of their step, workers are slots of a clock.

What the study does with suggestions, rules and schedules is what `Study` and the tuner do, without a
storage and without processes, so thousands of epochs take a second. For tests of rules and schedules,
and for benchmarks of how many epochs they need.
"""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunesmith.model import (
    FINAL,
    MOVES,
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

__all__ = ["Event", "Mishap", "Simulation", "Train"]

Train = Callable[[Mapping[str, Value], int, object], tuple[Mapping[str, float], object]]
"""Values, the number of the step from 1, and what the checkpoint holds (None at first), to the step's
metrics and what the checkpoint holds then. Raises `ArithmeticError` where the program breaks."""

Mishap = Callable[[Trial, int], TrialState | None]
"""A trial and the step that it is about to do, to what happens to it instead; None if all goes well.

``QUEUED``: its worker is lost, and it starts again from its checkpoint. ``PAUSED``: a person holds it.
A final state: it breaks, or a person ends it. Asked once more when a trial has just been paused.
"""


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
        spec: The study; ``max_trials`` has to be set, and ``max_steps``.
        train: One step of the training.
        searcher: Suggests values.
        schedule: Owns the budget, if anything does.
        rules: Stop trials.
        workers: How many trials train at once.
        step_s: How long a step takes, by values.
        keeps: Whether the program goes on from checkpoints; otherwise it begins anew when resumed.
        max_total: Steps of all trials after which the study is cut off.
        mishap: What goes wrong.
        held_s: For how long a person holds a trial; None for ever.
        enqueued: Points that a person has queued before the study begins.
        now_s: The clock.
        idle_s: For how long slots had nothing to do, summed over all slots.
        idle_early_s: For how long of that the study could still have had new trials.
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
    mishap: Mishap = lambda _trial, _step: None
    held_s: float | None = None
    enqueued: Sequence[Suggestion] = ()
    events: list[Event] = field(default_factory=list)
    now_s: float = 0.0
    idle_s: float = 0.0
    idle_early_s: float = 0.0

    def __post_init__(self) -> None:
        self.history = History(self.spec)
        self._revision = 0
        self._total = 0
        self._exhausted = False
        self._saved: dict[int, tuple[int, object]] = {}
        self._began_at: dict[int, tuple[int, object]] = {}
        self._runs: set[int] = set()
        self._due: list[tuple[float, int, _Run | None]] = []  # without a run, a held one is let go

    def run(self) -> History:
        """Run the study to its end and return its history; `events` holds what happened."""
        for suggestion in self.enqueued:
            number = len(self.history.trials) + 1
            budget = self.schedule.first_budget(number, self.spec) if self.schedule else None
            self._add(number, suggestion, budget, TrialState.QUEUED)
        self._fill()
        while self._due:
            time_s, number, run = heapq.heappop(self._due)
            self._pass(time_s)
            if run is None:
                self._let_go(self.history.trials[number - 1])
            else:
                self._runs.discard(number)
                self._step(run)
            if self.max_total is not None and self._total >= self.max_total:
                break
            self._fill()
        return self.history

    def _pass(self, time_s: float) -> None:
        idle_s = (self.workers - len(self._runs)) * (time_s - self.now_s)
        self.idle_s += idle_s
        self.idle_early_s += idle_s if self._room else 0.0
        self.now_s = time_s

    # Deciding

    def _fill(self) -> None:
        while (free := self.workers - len(self._runs)) > 0:
            waiting = [t for t in self.history.open if t.state is TrialState.QUEUED]
            if waiting:
                self._claim(min(waiting, key=lambda t: t.number))
                continue
            moves = self._moves(free)
            if not moves:
                return
            for move in moves:
                self._act(move)

    @property
    def _room(self) -> int:
        """How many new trials the study may still have."""
        limit = self.spec.max_trials
        assert limit is not None, "a simulation has to end"
        counted = len(self.history.trials) - self.history.count(TrialState.CANCELLED)
        return 0 if self._exhausted else max(0, limit - counted)

    def _moves(self, free: int) -> Sequence[Move]:
        room = self._room
        rng = position_rng(self.spec.seed, len(self.history.trials))
        if self.schedule is not None:
            return self.schedule.moves(self.history, free, room, rng)
        return [Begin(None)] * min(free, room, 1)

    def _act(self, move: Move) -> None:
        match move:
            case Begin():
                self._begin(move)
            case Resume(number, budget, reason):
                trial = self.history.trials[number - 1]
                assert trial.state is TrialState.PAUSED, f"trial {number} is {trial.state}"
                self._change(trial, state=TrialState.QUEUED, budget=budget, reason=reason)
            case Halt(number, reason):
                trial = self.history.trials[number - 1]
                assert trial.state is TrialState.PAUSED, f"trial {number} is {trial.state}"
                self._end(trial, TrialState.STOPPED, reason)

    def _begin(self, move: Begin) -> None:
        if self._exhausted:
            return
        number = len(self.history.trials) + 1
        suggestion = move.suggestion
        if suggestion is None:
            rng = position_rng(self.spec.seed, number - 1)
            found = self.searcher.suggest(self.history, 1, rng)
            if not found:
                self._exhausted = True
                return
            suggestion = found[0]
        self._add(number, suggestion, move.budget, TrialState.RUNNING)
        self._start(number, self._began_at[number])

    def _add(
        self, number: int, suggestion: Suggestion, budget: int | None, state: TrialState
    ) -> None:
        assert self.spec.space.contains(suggestion.values)
        assert self._room, "there is no room for a new trial"
        self._revision += 1
        running = state is TrialState.RUNNING
        trial = Trial(
            number=number,
            values=suggestion.values,
            state=state,
            attempt=int(running),
            origin=suggestion.origin,
            explanation=suggestion.explanation,
            budget=budget,
            parent=suggestion.parent,
            queued=self.now_s,
            started=self.now_s if running else None,
            revision=self._revision,
        )
        self.history.update([trial])
        parent = suggestion.parent if self.keeps else None
        self._began_at[number] = (0, None) if parent is None else self._saved[parent]

    def _claim(self, trial: Trial) -> None:
        """Start a trial that waits in the queue, from its checkpoint where it keeps any."""
        self._change(trial, state=TrialState.RUNNING, attempt=trial.attempt + 1, started=self.now_s)
        anew = self._began_at[trial.number]
        self._start(trial.number, self._saved.get(trial.number, anew) if self.keeps else anew)

    def _let_go(self, trial: Trial) -> None:
        if trial.state is TrialState.PAUSED:
            self._change(trial, state=TrialState.QUEUED, pause_requested="")

    # Training

    def _start(self, number: int, checkpoint: tuple[int, object]) -> None:
        done, state = checkpoint
        whole = self.spec.max_steps
        assert whole is None or done < whole, f"trial {number} begins with nothing left to train"
        self._push(_Run(number, done + 1, state))

    def _push(self, run: _Run) -> None:
        seconds = self.step_s(self.history.trials[run.number - 1].values)
        self._runs.add(run.number)
        heapq.heappush(self._due, (self.now_s + seconds, run.number, run))

    def _step(self, run: _Run) -> None:
        trial = self.history.trials[run.number - 1]
        if self._went_wrong(trial, run.step):
            return
        self._total += 1
        try:
            metrics, state = self.train(trial.values, run.step, run.state)
        except ArithmeticError as error:
            self._end(trial, TrialState.FAILED, str(error))
            return
        self._saved[run.number] = (run.step, state)
        self._revision += 1
        seconds = self.now_s - (trial.started or 0.0)
        measurement = Measurement(run.step, dict(metrics), seconds, self._revision)
        self.history.measure(run.number, trial.attempt, measurement)
        self.events.append(Event(self.now_s, self._total, run.number, run.step, metrics))
        verdict = judge(trial, self.history, self.rules, self.schedule)
        whole = self.spec.max_steps
        if verdict and verdict.pause:
            paused = self._change(trial, state=TrialState.PAUSED, reason=verdict.reason)
            if self.mishap(paused, run.step + 1) is TrialState.PAUSED:
                self._hold(paused)
        elif verdict:
            self._end(trial, TrialState.STOPPED, verdict.reason)
        elif whole is not None and run.step >= whole:
            self._end(trial, TrialState.COMPLETED)
        else:
            if verdict.budget is not None:
                self._change(trial, budget=verdict.budget)
            run.step, run.state = run.step + 1, state
            self._push(run)

    def _went_wrong(self, trial: Trial, step: int) -> bool:
        state = self.mishap(trial, step)
        match state:
            case None:
                return False
            case TrialState.QUEUED:
                self._change(trial, state=state, reason="its worker was lost")
            case TrialState.PAUSED:
                self._hold(trial)
            case _:
                self._end(trial, state, "a mishap")
        return True

    def _hold(self, trial: Trial) -> None:
        asked = "a person paused it"
        self._change(trial, state=TrialState.PAUSED, pause_requested=asked, reason=asked)
        if self.held_s is not None:
            heapq.heappush(self._due, (self.now_s + self.held_s, trial.number, None))

    def _end(self, trial: Trial, state: TrialState, reason: str = "") -> None:
        """End a trial; one that was to count has failed without a finite value."""
        assert trial.state not in FINAL, f"trial {trial.number} has ended already"
        chosen = select_measurement(self.history.curve(trial.number).measurements, self.spec)
        metrics = {} if chosen is None else dict(chosen.metrics)
        counts = state in (TrialState.COMPLETED, TrialState.STOPPED)
        if counts and not math.isfinite(metrics.get(self.spec.objective.metric, math.nan)):
            counts, state = False, TrialState.FAILED
        self._change(
            trial,
            state=state,
            reason=reason,
            metrics=metrics if counts else {},
            step=chosen.step if chosen is not None and counts else None,
            finished=self.now_s,
        )

    def _change(self, trial: Trial, **changes: object) -> Trial:
        self._revision += 1
        changed = replace(trial, revision=self._revision, **changes)  # type: ignore[arg-type]
        allowed = MOVES[trial.state] | {trial.state}
        assert changed.state in allowed, f"a trial can't go from {trial.state} to {changed.state}"
        self.history.update([changed])
        return changed
