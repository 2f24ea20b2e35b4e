from dataclasses import replace

import pytest

from tunesmith.model import FINAL, History, Trial, TrialState
from tunesmith.space import Categorical, Integer, Space
from tunesmith.testing.studies import spec_of

SPACE = Space({"n": Integer(1, 3), "flag": Categorical([True, 1])})
SPEC = spec_of(SPACE, max_trials=3)


def trial(number: int, n: int, state: TrialState = TrialState.QUEUED) -> Trial:
    return Trial(number, {"n": n, "flag": True}, state)


def test_a_history_begins_empty() -> None:
    history = History(SPEC)

    assert list(history.trials) == list(history.open) == []
    assert history.distinct == history.count(*TrialState) == 0


def test_trials_stand_at_their_numbers() -> None:
    history = History(SPEC, [trial(1, 1)])

    history.update([trial(2, 2), trial(3, 3)])

    assert [t.number for t in history.trials] == [1, 2, 3]


def test_a_changed_trial_takes_the_place_of_the_old() -> None:
    history = History(SPEC, [trial(1, 1), trial(2, 2)])
    ended = replace(history.trials[0], state=TrialState.COMPLETED)

    history.update([ended])

    assert history.trials[0] is ended
    assert [t.number for t in history.open] == [2]
    assert history.count(TrialState.COMPLETED) == history.count(TrialState.QUEUED) == 1


def test_a_trial_that_is_tried_again_is_open_again() -> None:
    failed = trial(1, 1, TrialState.FAILED)
    history = History(SPEC, [failed])
    assert not history.open

    history.update([replace(failed, state=TrialState.QUEUED)])

    assert [t.number for t in history.open] == [1]
    assert history.count(*FINAL) == 0


def test_what_was_tried_is_known_by_its_first_trial() -> None:
    history = History(SPEC, [trial(1, 2), trial(2, 2), trial(3, 1)])

    assert history.tried(SPACE.key({"n": 2, "flag": True})) == 1
    assert history.tried(SPACE.key({"n": 1, "flag": True})) == 3
    assert history.tried(SPACE.key({"n": 3, "flag": True})) is None
    assert history.distinct == 2


def test_true_and_one_are_two_points() -> None:
    history = History(SPEC, [trial(1, 2)])

    assert history.tried(SPACE.key({"n": 2, "flag": 1})) is None


def test_the_same_news_twice_change_nothing() -> None:
    news = [trial(1, 1), trial(2, 2, TrialState.RUNNING)]
    history = History(SPEC, news)

    history.update(news)

    assert list(history.trials) == news
    assert history.count(*TrialState) == 2
    assert len(history.open) == history.distinct == 2


def test_a_gap_can_not_happen() -> None:
    with pytest.raises(AssertionError, match="dense"):
        History(SPEC, [trial(2, 1)])


def test_a_changed_budget_is_taken_in() -> None:
    history = History(SPEC)

    history.update([], replace(SPEC, max_trials=9))

    assert history.spec.max_trials == 9
