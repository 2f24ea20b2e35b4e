import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tunesmith.model import Objective, StudySpec, Suggestion, Trial, TrialState
from tunesmith.search.grid import Grid
from tunesmith.search.random import Random
from tunesmith.space import Discrete, Double, Space, Value
from tunesmith.stopping.promotion import AshaPromotion
from tunesmith.stopping.synchronous import halving
from tunesmith.testing.simulation import Mishap, Simulation

SPEC = StudySpec(
    Space({"x": Double(0.0, 1.0)}),
    (Objective("loss", "minimize"),),
    max_trials=4,
    max_steps=5,
)


def count(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    """Keep in the checkpoint which steps were trained."""
    done = (*(state if isinstance(state, tuple) else ()), step)
    return {"loss": float(values["x"]) / step, "steps": float(len(done))}, done


def at(number: int, step: int, state: TrialState) -> Mishap:
    """Return what befalls the first attempt of one trial at one step."""

    def mishap(trial: Trial, now: int) -> TrialState | None:
        hit = trial.number == number and trial.attempt == 1 and now == step
        return state if hit else None

    return mishap


def steps(simulation: Simulation, number: int) -> list[int]:
    return [event.step for event in simulation.events if event.number == number]


def test_without_a_schedule_every_trial_trains_to_the_end() -> None:
    simulation = Simulation(SPEC, count, Random(), workers=2)

    trials = simulation.run().trials

    assert [t.state for t in trials] == [TrialState.COMPLETED] * 4
    assert len(simulation.events) == 4 * 5
    assert simulation.now_s == 10.0
    assert simulation.idle_s == 0.0


def test_a_trial_whose_worker_is_lost_starts_again_from_its_checkpoint() -> None:
    lost = at(2, 4, TrialState.QUEUED)

    simulation = Simulation(SPEC, count, Random(), mishap=lost)
    trials = simulation.run().trials

    assert steps(simulation, 2) == [1, 2, 3, 4, 5]
    assert trials[1].attempt == 2
    assert trials[1].metrics["steps"] == 5.0


def test_a_program_without_checkpoints_starts_again_from_its_beginning() -> None:
    lost = at(2, 4, TrialState.QUEUED)

    simulation = Simulation(SPEC, count, Random(), mishap=lost, keeps=False)
    simulation.run()

    assert steps(simulation, 2) == [1, 2, 3, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "state",
    [TrialState.FAILED, TrialState.INFEASIBLE, TrialState.CANCELLED, TrialState.STOPPED],
)
def test_a_trial_ends_as_its_mishap_says(state: TrialState) -> None:
    simulation = Simulation(SPEC, count, Random(), mishap=at(1, 3, state))

    trials = simulation.run().trials

    assert trials[0].state is state
    assert bool(trials[0].metrics) is (state is TrialState.STOPPED)
    assert steps(simulation, 1) == [1, 2]
    assert len(trials) == (5 if state is TrialState.CANCELLED else 4), "the cancelled don't count"


def test_a_held_trial_gives_its_slot_to_others_and_goes_on_when_it_is_let_go() -> None:
    held = at(1, 3, TrialState.PAUSED)

    for_ever = Simulation(SPEC, count, Random(), mishap=held)
    for_a_while = Simulation(SPEC, count, Random(), mishap=held, held_s=4.0)

    first = for_ever.run().trials[0]
    assert first.state is TrialState.PAUSED
    assert first.pause_requested
    assert for_a_while.run().trials[0].state is TrialState.COMPLETED
    assert [(e.number, e.step) for e in for_a_while.events[:8]] == [
        *[(1, 1), (1, 2)],
        *[(2, n) for n in range(1, 6)],
        (1, 3),
    ]


def test_a_trial_may_be_held_while_it_rests() -> None:
    spec = replace(SPEC, max_steps=9, max_trials=9)

    simulation = Simulation(spec, count, Random(), halving(), mishap=at(1, 2, TrialState.PAUSED))

    assert simulation.run().trials[0].pause_requested


def test_a_trial_that_never_measured_its_metric_has_failed() -> None:
    def silent(
        values: Mapping[str, Value], step: int, state: object
    ) -> tuple[Mapping[str, float], object]:
        return {"loss": math.nan if values["x"] != 0 else 1.0}, state

    simulation = Simulation(SPEC, silent, Random())

    assert {t.state for t in simulation.run().trials} == {TrialState.FAILED}


def test_points_of_a_person_go_first() -> None:
    own: Sequence[Suggestion] = [Suggestion({"x": 0.25}, "user")]

    simulation = Simulation(SPEC, count, Random(), AshaPromotion(), enqueued=own)
    trials = simulation.run().trials

    assert trials[0].values == {"x": 0.25}
    assert trials[0].budget is not None
    assert len(trials) == 4


def test_a_space_without_more_points_ends_the_study() -> None:
    spec = replace(SPEC, space=Space({"x": Discrete([1, 2, 3])}), max_trials=10)

    simulation = Simulation(spec, count, Grid(), workers=2)

    assert len(simulation.run().trials) == 3


def test_idle_slots_are_counted_while_trials_could_begin_and_at_the_end() -> None:
    spec = replace(SPEC, max_trials=3)

    simulation = Simulation(spec, count, Random(), workers=2)
    simulation.run()

    assert simulation.idle_s == 5.0
    assert simulation.idle_early_s == 0.0


def test_it_may_be_cut_off_after_so_many_steps() -> None:
    simulation = Simulation(SPEC, count, Random(), max_total=7)

    simulation.run()

    assert len(simulation.events) == 7
