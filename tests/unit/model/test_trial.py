import itertools

import pytest

from tunesmith.model import FINAL, MOVES, NOTHING, Trial, TrialState

S = TrialState


def test_the_table_of_moves_speaks_of_every_state() -> None:
    assert set(MOVES) == set(TrialState)


def test_these_and_no_other_moves_are_allowed() -> None:
    allowed = {(old, new) for old, new in itertools.product(S, S) if new in MOVES[old]}

    assert allowed == {
        (S.QUEUED, S.RUNNING),
        (S.QUEUED, S.PAUSED),
        (S.QUEUED, S.CANCELLED),
        (S.RUNNING, S.QUEUED),
        (S.RUNNING, S.PAUSED),
        (S.RUNNING, S.COMPLETED),
        (S.RUNNING, S.STOPPED),
        (S.RUNNING, S.FAILED),
        (S.RUNNING, S.INFEASIBLE),
        (S.RUNNING, S.CANCELLED),
        (S.PAUSED, S.QUEUED),
        (S.PAUSED, S.STOPPED),
        (S.PAUSED, S.FAILED),
        (S.PAUSED, S.CANCELLED),
        (S.STOPPED, S.QUEUED),
        (S.FAILED, S.QUEUED),
        (S.INFEASIBLE, S.QUEUED),
        (S.CANCELLED, S.QUEUED),
    }


def test_a_final_state_is_left_only_for_the_queue() -> None:
    for state in FINAL:
        assert MOVES[state] <= {S.QUEUED}


@pytest.mark.parametrize("state", list(TrialState))
def test_a_trial_counts_when_it_ended_with_a_measurement(state: TrialState) -> None:
    measured = Trial(1, {}, state, metrics={"loss": 1.0})

    assert measured.counts == (state in (S.COMPLETED, S.STOPPED))
    assert not Trial(1, {}, state).counts
    assert measured.is_final == (state in FINAL)


def test_nothing_can_not_be_changed() -> None:
    with pytest.raises(TypeError):
        NOTHING["loss"] = 1.0  # type: ignore[index]
