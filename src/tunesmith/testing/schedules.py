"""What every schedule keeps, whatever it does with the budget."""
# ruff: noqa: D102 - a test's name is its sentence

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import (
    History,
    Measurement,
    Objective,
    StudySpec,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.search.random import Random
from tunesmith.space import Categorical, Double, Integer, Space, Value
from tunesmith.stopping import Begin, Halt, Move, Plan, Resume, Schedule, resting
from tunesmith.testing.simulation import Mishap, Simulation, Train

__all__ = ["ScheduleContract", "Trained", "Watched", "history_of"]

_WHOLE = 27
_TRIALS = 36
_SPACE = Space(
    {
        "x": Double(0.0, 1.0),
        "n": Integer(1, 64, scale="log"),
        "kind": Categorical(["flat", "deep"]),
        "depth": Integer(1, 5, when={"kind": ["deep"]}),
    }
)
_FINITE = Space({"a": Integer(1, 4), "b": Categorical(["u", "v", "w"])})

_GOING = (TrialState.RUNNING, TrialState.QUEUED)


def _spec(max_trials: int | None = _TRIALS, space: Space = _SPACE) -> StudySpec:
    goal = (Objective("loss", "minimize"),)
    return StudySpec(space, goal, seed=3, max_trials=max_trials, max_steps=_WHOLE)


def _loss(values: Mapping[str, Value], step: int) -> float:
    """Return a loss that falls from the same height at a pace and to a floor that the values decide."""
    place = abs(float(values.get("x", 0.5)) - 0.3) + 0.1 * float(values.get("a", 1))
    return place + (1.0 + float(values.get("n", 1)) / 64) / step


def _train(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    return {"loss": _loss(values, step)}, state


def _step_s(values: Mapping[str, Value]) -> float:
    return 1.0 + float(values.get("x", 0.0))


def _mishaps(*states: TrialState, share: float = 0.06) -> Mishap:
    """Return what makes one of these happen now and then, by the trial, its attempt and the step."""

    def happens(trial: Trial, step: int) -> TrialState | None:
        rng = np.random.default_rng([trial.number, trial.attempt, step])
        return states[int(rng.integers(len(states)))] if rng.random() < share else None

    return happens


@dataclass(frozen=True, slots=True)
class Trained:
    """A trial as a schedule finds it.

    Attributes:
        losses: What it measured, step by step.
        budget: How many steps it may train.
        state: Where it is in its life.
        held: Whether a person holds it.
        parent: The trial from which it began.
        since: How many steps were done when it began.
        values: Its values.
    """

    losses: Sequence[float]
    budget: int
    state: TrialState = TrialState.PAUSED
    held: bool = False
    parent: int | None = None
    since: int = 0
    values: Mapping[str, Value] | None = None


def history_of(spec: StudySpec, trials: Sequence[Trained]) -> History:
    """Return a study with these trials, whose first objective is their loss."""
    history = History(spec)
    for number, trained in enumerate(trials, start=1):
        trial = Trial(
            number,
            trained.values or {},
            trained.state,
            1,
            budget=trained.budget,
            parent=trained.parent,
            pause_requested="a person paused it" if trained.held else "",
            revision=number,
        )
        history.update([trial])
        for step, loss in enumerate(trained.losses, start=trained.since + 1):
            value = spec.objective.loss(loss)
            measured = Measurement(step, {spec.objective.metric: value}, revision=number)
            history.measure(number, 1, measured)
    return history


class Watched:
    """A schedule that is looked at in each of its decisions.

    Args:
        new_schedule: Makes it, and others of the same kind that decide the same.
    """

    def __init__(self, new_schedule: Callable[[], Schedule]) -> None:
        self._new = new_schedule
        self._schedule = new_schedule()

    def check(self, spec: StudySpec) -> None:
        """Refuse what the schedule refuses."""
        self._schedule.check(spec)

    def plan(self, spec: StudySpec) -> Plan:
        """Return its plan."""
        return self._schedule.plan(spec)

    def trials(self, spec: StudySpec) -> int | None:
        """Return its number of trials."""
        return self._schedule.trials(spec)

    def first_budget(self, number: int, spec: StudySpec) -> int:
        """Return its first budget, which lies between a step and the whole."""
        budget = self._schedule.first_budget(number, spec)
        assert 1 <= budget <= _whole(spec)
        return budget

    def go_on(self, trial: Trial, history: History) -> int | None:
        """Return its answer, which another of its kind gives as well, and which is more than before."""
        before = list(history.trials)
        budget = self._schedule.go_on(trial, history)
        assert budget == self._new().go_on(trial, history)
        assert list(history.trials) == before
        if budget is not None:
            assert trial.budget is not None
            assert trial.budget < budget <= _whole(history.spec)
        return budget

    def moves(
        self, history: History, count: int, room: int, rng: np.random.Generator
    ) -> Sequence[Move]:
        """Return its moves, which others of its kind make as well, and which keep the rules."""
        before, same, other = list(history.trials), deepcopy(rng), deepcopy(rng)
        moves = self._schedule.moves(history, count, room, rng)
        assert list(moves) == list(self._new().moves(history, count, room, same))
        self._leaves_held_trials_alone(history, count, room, other)
        assert list(history.trials) == before
        _check_moves(moves, history, count, room)
        return moves

    def _leaves_held_trials_alone(
        self, history: History, count: int, room: int, rng: np.random.Generator
    ) -> None:
        """Ask once more while a person holds the first trial that rests."""
        for trial in resting(history)[:1]:
            history.update([replace(trial, pause_requested="a person paused it")])
            moves = self._new().moves(history, count, room, rng)
            history.update([trial])
            assert trial.number not in _numbers(moves)


def _whole(spec: StudySpec) -> int:
    assert spec.max_steps is not None
    return spec.max_steps


def _numbers(moves: Sequence[Move]) -> list[int]:
    return [move.number for move in moves if not isinstance(move, Begin)]


def _check_moves(moves: Sequence[Move], history: History, count: int, room: int) -> None:
    numbers = _numbers(moves)
    assert len(set(numbers)) == len(numbers), "one move for each trial"
    may_move = {trial.number for trial in resting(history)}
    assert set(numbers) <= may_move, "only trials that rest"
    begins = [move for move in moves if isinstance(move, Begin)]
    resumes = [move for move in moves if isinstance(move, Resume)]
    assert len(begins) + len(resumes) <= count
    assert len(begins) <= room
    for begin in begins:
        _check_begin(begin, history)
    for resume in resumes:
        trial = history.trials[resume.number - 1]
        trained = history.curve(trial.number).reach >= (trial.budget or 0)
        assert resume.budget > (trial.budget or 0) - (not trained)
        assert resume.budget <= _whole(history.spec)
    for move in moves:
        if isinstance(move, Resume | Halt):
            assert len(move.reason) > 10, "a sentence"
    if not room and not any(trial.state in _GOING for trial in history.open):
        assert resumes or set(numbers) == may_move, "nobody rests for ever"


def _check_begin(begin: Begin, history: History) -> None:
    assert begin.budget is not None
    assert 1 <= begin.budget <= _whole(history.spec)
    if begin.suggestion is None:
        return
    assert history.spec.space.contains(begin.suggestion.values)
    assert begin.suggestion.origin
    if begin.suggestion.parent is not None:
        parent = history.trials[begin.suggestion.parent - 1]
        assert 0 < history.curve(parent.number).reach < _whole(history.spec)


def _run(
    new_schedule: Callable[[], Schedule],
    spec: StudySpec,
    *,
    train: Train = _train,
    workers: int = 4,
    keeps: bool = True,
    mishap: Mishap = lambda _trial, _step: None,
    held_s: float | None = None,
    enqueued: Sequence[Suggestion] = (),
) -> Simulation:
    simulation = Simulation(
        spec,
        train,
        Random(),
        Watched(new_schedule),
        workers=workers,
        step_s=_step_s,
        keeps=keeps,
        mishap=mishap,
        held_s=held_s,
        enqueued=enqueued,
    )
    simulation.run()
    return simulation


def _refusal(schedule: Schedule, spec: StudySpec) -> str:
    try:
        schedule.check(spec)
    except SpecError as error:
        return str(error)
    return ""


def _fates(simulation: Simulation) -> list[tuple[object, ...]]:
    return [(t.values, t.state, t.budget, t.parent) for t in simulation.history.trials]


any_number_of_workers = pytest.mark.parametrize("workers", range(1, 10))
some_numbers_of_workers = pytest.mark.parametrize("workers", [1, 4, 9])


class ScheduleContract:
    """Give the fixture ``new_schedule``: a function that makes a schedule.

    It must serve studies whose whole trials train 27 steps, with 36 trials or its own number of them.
    """

    def test_it_serves_a_study_that_says_how_long_a_whole_trial_trains(
        self, new_schedule: Callable[[], Schedule]
    ) -> None:
        new_schedule().check(_spec())

    def test_without_the_length_of_a_whole_trial_it_says_what_is_missing(
        self, new_schedule: Callable[[], Schedule]
    ) -> None:
        with pytest.raises(SpecError, match="max_steps"):
            new_schedule().check(replace(_spec(), max_steps=None))

    def test_first_budgets_lie_between_a_step_and_the_whole(
        self, new_schedule: Callable[[], Schedule]
    ) -> None:
        budgets = [new_schedule().first_budget(number, _spec()) for number in range(1, 200)]

        assert all(1 <= budget <= _WHOLE for budget in budgets)

    def test_its_plan_has_rungs_that_rise(self, new_schedule: Callable[[], Schedule]) -> None:
        plan = new_schedule().plan(_spec())

        assert plan.brackets
        for bracket in plan.brackets:
            steps = [rung.steps for rung in bracket.rungs]
            assert steps == sorted(set(steps))
            assert steps[-1] == _WHOLE
        assert 0 < plan.steps <= plan.worst_steps

    @any_number_of_workers
    def test_a_study_ends_with_every_trial_and_takes_the_steps_that_were_planned(
        self, new_schedule: Callable[[], Schedule], workers: int
    ) -> None:
        plan = new_schedule().plan(_spec())

        simulation = _run(new_schedule, _spec(), workers=workers)

        trained = len(simulation.events)
        assert trained == plan.steps if plan.exact else trained <= plan.worst_steps
        assert all(trial.is_final for trial in simulation.history.trials)
        assert simulation.history.count(TrialState.COMPLETED) > 0
        assert all(t.reason for t in simulation.history.trials if t.state is TrialState.STOPPED)

    @any_number_of_workers
    def test_a_study_ends_whatever_breaks(
        self, new_schedule: Callable[[], Schedule], workers: int
    ) -> None:
        breaks = _mishaps(
            TrialState.FAILED,
            TrialState.INFEASIBLE,
            TrialState.CANCELLED,
            TrialState.STOPPED,
            TrialState.QUEUED,
            TrialState.QUEUED,
        )

        simulation = _run(new_schedule, _spec(), workers=workers, mishap=breaks)

        assert all(trial.is_final for trial in simulation.history.trials)

    @some_numbers_of_workers
    def test_trials_that_a_person_holds_are_in_nobodys_way(
        self, new_schedule: Callable[[], Schedule], workers: int
    ) -> None:
        simulation = _run(
            new_schedule, _spec(), workers=workers, mishap=_mishaps(TrialState.PAUSED)
        )

        trials = simulation.history.trials
        assert any(trial.pause_requested for trial in trials)
        assert all(trial.is_final or trial.pause_requested for trial in trials)

    @some_numbers_of_workers
    def test_trials_that_a_person_lets_go_on_come_to_their_end(
        self, new_schedule: Callable[[], Schedule], workers: int
    ) -> None:
        held = _mishaps(TrialState.PAUSED)

        simulation = _run(new_schedule, _spec(), workers=workers, mishap=held, held_s=9.5)

        assert all(trial.is_final for trial in simulation.history.trials)

    @some_numbers_of_workers
    def test_programs_without_checkpoints_are_served(
        self, new_schedule: Callable[[], Schedule], workers: int
    ) -> None:
        lost = _mishaps(TrialState.QUEUED, TrialState.FAILED)

        simulation = _run(new_schedule, _spec(), workers=workers, keeps=False, mishap=lost)

        assert all(trial.is_final for trial in simulation.history.trials)

    @pytest.mark.parametrize("workers", [1, 4])
    def test_greater_is_better_mirrors_smaller_is_better(
        self, new_schedule: Callable[[], Schedule], workers: int
    ) -> None:
        def mirrored(
            values: Mapping[str, Value], step: int, state: object
        ) -> tuple[Mapping[str, float], object]:
            return {"loss": -_loss(values, step)}, state

        greater = replace(_spec(), objectives=(Objective("loss", "maximize"),))

        down = _run(new_schedule, _spec(), workers=workers)
        up = _run(new_schedule, greater, train=mirrored, workers=workers)

        assert _fates(up) == _fates(down)

    @pytest.mark.parametrize("workers", [1, 5])
    @pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
    def test_losses_that_are_no_numbers_are_taken_as_they_come(
        self, new_schedule: Callable[[], Schedule], strange: float, workers: int
    ) -> None:
        def train(
            values: Mapping[str, Value], step: int, state: object
        ) -> tuple[Mapping[str, float], object]:
            found = strange if (int(values["n"]) + step) % 3 == 0 else _loss(values, step)
            return {"loss": found}, state

        simulation = _run(new_schedule, _spec(), train=train, workers=workers)

        assert all(trial.is_final for trial in simulation.history.trials)

    @pytest.mark.parametrize("workers", [1, 5])
    def test_metrics_that_are_missing_or_come_seldom_are_taken_as_they_come(
        self, new_schedule: Callable[[], Schedule], workers: int
    ) -> None:
        def train(
            values: Mapping[str, Value], step: int, state: object
        ) -> tuple[Mapping[str, float], object]:
            measured = {"loss": _loss(values, step)} if step % int(values["n"]) == 0 else {}
            return {"seconds": 1.0, **measured}, state

        simulation = _run(new_schedule, _spec(), train=train, workers=workers)

        assert all(trial.is_final for trial in simulation.history.trials)

    def test_a_study_in_which_everything_fails_ends(
        self, new_schedule: Callable[[], Schedule]
    ) -> None:
        fails = _mishaps(TrialState.FAILED, share=1.0)

        simulation = _run(new_schedule, _spec(), mishap=fails)

        assert simulation.history.count(TrialState.FAILED) == len(simulation.history.trials)

    @pytest.mark.parametrize("workers", [1, 4])
    def test_points_of_a_person_are_trials_like_others(
        self, new_schedule: Callable[[], Schedule], workers: int
    ) -> None:
        own = [Suggestion({"x": 0.3, "n": n, "kind": "flat"}, "user") for n in (1, 2, 4)]

        simulation = _run(new_schedule, _spec(), workers=workers, enqueued=own)

        assert [t.origin for t in simulation.history.trials[:3]] == ["user"] * 3
        assert all(trial.is_final for trial in simulation.history.trials)

    @pytest.mark.parametrize("workers", [1, 4])
    def test_a_study_ends_when_the_space_has_no_more_points(
        self, new_schedule: Callable[[], Schedule], workers: int
    ) -> None:
        simulation = _run(new_schedule, _spec(space=_FINITE), workers=workers)

        assert all(trial.is_final for trial in simulation.history.trials)

    def test_its_own_number_of_trials_is_enough(self, new_schedule: Callable[[], Schedule]) -> None:
        own = new_schedule().trials(_spec(max_trials=None))

        simulation = _run(new_schedule, _spec(max_trials=own or 20), workers=3)

        assert own is None or own > 0
        assert all(trial.is_final for trial in simulation.history.trials)

    def test_several_objectives_are_ranked_or_refused(
        self, new_schedule: Callable[[], Schedule]
    ) -> None:
        goals = (Objective("loss", "minimize"), Objective("speed", "maximize"))
        spec = replace(_spec(), objectives=goals)

        def train(
            values: Mapping[str, Value], step: int, state: object
        ) -> tuple[Mapping[str, float], object]:
            return {"loss": _loss(values, step), "speed": float(values["n"])}, state

        if refusal := _refusal(new_schedule(), spec):
            assert len(refusal) > 40, "it says what would help"
            return
        simulation = _run(new_schedule, spec, train=train)
        assert all(trial.is_final for trial in simulation.history.trials)
