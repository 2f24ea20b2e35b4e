from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import Constraint, History, Measurement, Objective, StudySpec, TrialState
from tunesmith.search.random import Random
from tunesmith.space import Double, Space, Value
from tunesmith.stopping import Begin, Halt, Move, Resume
from tunesmith.stopping.auto import Auto
from tunesmith.testing.schedules import Trained, history_of
from tunesmith.testing.simulation import Simulation

SPACE = Space({"x": Double(0.0, 1.0)})
SPEC = StudySpec(SPACE, (Objective("loss", "minimize"),), max_steps=32, max_trials=20)
RUNNING, STOPPED, FAILED = TrialState.RUNNING, TrialState.STOPPED, TrialState.FAILED


def moves(
    trials: Sequence[Trained], *, count: int = 100, room: int = 0, spec: StudySpec = SPEC
) -> Sequence[Move]:
    return Auto().moves(history_of(spec, trials), count, room, np.random.default_rng(0))


def resumed(found: Sequence[Move]) -> dict[int, int]:
    return {move.number: move.budget for move in found if isinstance(move, Resume)}


def halted(found: Sequence[Move]) -> dict[int, str]:
    return {move.number: move.reason for move in found if isinstance(move, Halt)}


def flat(loss: float, steps: int) -> list[float]:
    return [loss] * steps


def falls(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    return {"loss": abs(float(values["x"]) - 0.3) + 1.0 / step}, state


# Rungs


def test_the_lowest_rung_is_a_sixteenth_of_a_whole_trial_and_each_has_twice_the_steps() -> None:
    assert [rung.steps for rung in Auto().plan(SPEC).brackets[0].rungs] == [2, 4, 8, 16, 32]


def test_rungs_can_be_set() -> None:
    plan = Auto(min_steps=3, eta=3).plan(replace(SPEC, max_steps=27))

    assert [rung.steps for rung in plan.brackets[0].rungs] == [3, 9, 27]


def test_a_whole_trial_too_short_to_be_shared_out_is_refused() -> None:
    with pytest.raises(SpecError, match="nothing to share out"):
        Auto().check(replace(SPEC, max_steps=1))


@pytest.mark.parametrize("settings", [{"eta": 1}, {"min_steps": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(SpecError, match="auto"):
        Auto(**settings)


# Who goes on


def test_the_better_half_of_those_at_a_rung_goes_on_and_others_wait() -> None:
    trials = [Trained(flat(loss, 2), 2) for loss in (0.4, 0.1, 0.3, 0.2)]

    found = moves(trials, room=9, count=3)

    assert resumed(found) == {2: 4, 4: 4}
    assert found[2:] == [Begin(2)]


def test_one_of_two_that_came_as_far_goes_on_if_it_still_falls() -> None:
    found = moves([Trained([0.50, 0.49], 2), Trained([0.80, 0.50], 2)], room=9, count=1)

    assert resumed(found) == {2: 4}


def test_a_trial_that_goes_on_does_so_without_a_pause() -> None:
    trials = [Trained(flat(0.3, 2), 2), Trained(flat(0.2, 2), 2, RUNNING)]
    history = history_of(SPEC, trials)

    assert Auto().go_on(history.trials[1], history) == 4


def test_the_first_at_a_rung_waits_for_another_to_be_compared_with() -> None:
    history = history_of(SPEC, [Trained(flat(0.2, 2), 2, RUNNING)])

    assert Auto().go_on(history.trials[0], history) is None


def test_whoever_went_on_and_turned_out_badly_gives_its_place_to_another() -> None:
    others = [
        Trained(flat(0.25, 16), 16),
        Trained(flat(0.26, 8), 8),
        *(Trained(flat(loss, 2), 2) for loss in (0.3, 0.5, 0.6)),
    ]

    before = moves([Trained(flat(0.2, 2), 4, RUNNING), *others], room=9, count=1)
    after = moves([Trained([0.2, 0.2, 0.9, 0.9], 4), *others], room=9, count=1)

    assert before == [Begin(2)]
    assert resumed(after) == {4: 4}


def test_a_trial_whose_latest_loss_is_no_number_comes_last() -> None:
    trials = [Trained([0.1, np.nan], 2), Trained(flat(0.9, 2), 2)]

    assert resumed(moves(trials, room=9, count=1)) == {2: 4}


def test_a_trial_that_failed_is_not_compared() -> None:
    trials = [Trained(flat(0.1, 2), 2, FAILED), Trained(flat(0.9, 2), 2)]

    assert moves(trials, room=9, count=1) == [Begin(2)]


def test_with_constraints_those_that_keep_them_go_on_first() -> None:
    spec = replace(SPEC, constraints=(Constraint("size", 1.0),))
    history = history_of(spec, [Trained(flat(0.1, 2), 2), Trained(flat(0.9, 2), 2)])
    for number, size in ((1, 5.0), (2, 0.5)):
        history.measure(number, 1, Measurement(2, {"size": size}, revision=9))

    found = Auto().moves(history, 1, 9, np.random.default_rng(0))

    assert resumed(found) == {2: 4}


# The end of a study


def test_a_study_without_room_trains_the_best_to_its_end_and_then_halts_the_others() -> None:
    trials = [Trained(flat(0.1, 16), 16), Trained(flat(0.2, 2), 2)]

    climbing = moves(trials)
    done = moves([Trained(flat(0.1, 32), 32, TrialState.COMPLETED), trials[1]])

    assert resumed(climbing) == {1: 32}
    assert halted(done) == {
        2: "expected to be number 2 of 2 that have done 2 steps, and no more trials come"
    }


def test_while_others_run_nobody_is_halted() -> None:
    found = moves([Trained(flat(0.2, 2), 2), Trained(flat(0.1, 1), 2, RUNNING)])

    assert found == []


# Programs that keep no checkpoints


def begun_anew() -> History:
    """Return a study whose first trial was resumed and began at its first step again."""
    history = history_of(SPEC, [Trained(flat(loss, 2), 2) for loss in (0.1, 0.5, 0.6, 0.7)])
    history.update([replace(history.trials[0], state=RUNNING, attempt=2, budget=4, revision=8)])
    for step in (1, 2, 3):
        history.measure(1, 2, Measurement(step, {"loss": 0.1}, revision=8 + step))
    return history


def test_when_a_resumed_trial_has_begun_anew_no_other_is_resumed() -> None:
    found = Auto().moves(begun_anew(), 2, 9, np.random.default_rng(0))

    assert sorted(halted(found)) == [2, 3, 4]
    assert "it would have to begin anew" in halted(found)[2]
    assert [move for move in found if isinstance(move, Begin)] == [Begin(2), Begin(2)]


def test_then_at_least_one_of_those_at_a_rung_goes_on_at_once() -> None:
    history = begun_anew()
    history.measure(1, 2, Measurement(4, {"loss": 0.1}, revision=12))

    assert Auto().go_on(history.trials[0], history) == 8


def test_programs_without_checkpoints_repeat_hardly_any_steps() -> None:
    def steps_done_again(*, keeps: bool) -> int:
        simulation = Simulation(SPEC, falls, Random(), Auto(), workers=2, keeps=keeps)
        history = simulation.run()
        kept = sum(history.curve(t.number).reach for t in history.trials)
        return len(simulation.events) - kept

    assert steps_done_again(keeps=True) == 0
    assert steps_done_again(keeps=False) <= 16


def test_programs_with_checkpoints_are_resumed_to_the_end_of_the_study() -> None:
    simulation = Simulation(SPEC, falls, Random(), Auto(), workers=2)

    history = simulation.run()

    assert sum(t.attempt > 1 for t in history.trials) >= 3
    assert all(t.is_final for t in history.trials)


# What it saves


def test_it_finds_as_good_a_trial_as_whole_ones_with_less_than_half_of_the_steps() -> None:
    spec = replace(SPEC, max_trials=60)
    whole = Simulation(spec, falls, Random(), workers=4)
    saving = Simulation(spec, falls, Random(), Auto(), workers=4)

    best_whole = min(t.metrics["loss"] for t in whole.run().trials)
    ends = [t for t in saving.run().trials if t.state is TrialState.COMPLETED]

    assert min(t.metrics["loss"] for t in ends) == best_whole
    assert len(saving.events) < len(whole.events) / 2
