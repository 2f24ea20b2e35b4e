import pytest

from tunesmith.model import Objective, StudySpec, Trial, TrialState
from tunesmith.space import Double, Space
from tunesmith.stopping.progress import is_done, is_out, is_resting, room_in
from tunesmith.testing.schedules import Trained, history_of

SPEC = StudySpec(Space({"x": Double(0.0, 1.0)}), (Objective("loss", "minimize"),))


def test_trials_that_were_cancelled_leave_their_room_to_others() -> None:
    states = [TrialState.COMPLETED, TrialState.CANCELLED, TrialState.FAILED, TrialState.RUNNING]
    history = history_of(SPEC, [Trained([], 1, state) for state in states])

    assert room_in(history, 10) == 7
    assert room_in(history, 2) == 0
    assert room_in(history, None) > 1000


@pytest.mark.parametrize("state", list(TrialState))
def test_nobody_waits_for_who_has_ended_or_is_held(state: TrialState) -> None:
    trial, held = Trial(1, {}, state), Trial(1, {}, state, pause_requested="a person paused it")

    assert is_out(trial) is trial.is_final
    assert is_out(held)
    assert is_resting(trial) is (state is TrialState.PAUSED)
    assert not is_resting(held)


def test_a_trial_is_done_when_it_has_trained_the_steps_of_its_budget() -> None:
    history = history_of(SPEC, [Trained([0.5] * 2, 3), Trained([0.5] * 3, 3), Trained([], 3)])

    assert [is_done(trial, history) for trial in history.trials] == [False, True, False]
    assert not is_done(Trial(2, {}), history), "without a budget it trains as long as it likes"
