import math
from dataclasses import replace

import pytest

from tunesmith.errors import SpecError
from tunesmith.model import TrialState
from tunesmith.stopping.truncation import Truncation
from tunesmith.testing.rules import Steps, history_of, study


def judged(rule: Truncation, trial: Steps, *others: Steps) -> str | None:
    history = history_of(study(), *others, trial, running=range(1, len(others) + 2))
    return rule.stop_reason(history.trials[-1], history)


def test_the_worst_part_of_those_that_came_as_far_ends() -> None:
    rule = Truncation(percent=20, min_steps=1)
    others = [[1.0], [2.0], [3.0], [4.0]]

    assert judged(rule, [5.0], *others) == "5 at step 1 is among the worst 1 of 5 trials (20%)"
    assert judged(rule, [3.5], *others) is None


def test_it_takes_as_many_trials_as_make_one_to_cut_off() -> None:
    rule = Truncation(percent=20, min_steps=1)

    assert judged(rule, [5.0], [1.0], [2.0], [3.0]) is None


def test_a_part_is_rounded_down() -> None:
    rule = Truncation(percent=30, min_steps=1)
    nine = [[float(n)] for n in range(9)]

    # 30 percent of 10 are 3: the two worst others have 7 and 8.
    assert judged(rule, [6.5], *nine) is not None
    assert judged(rule, [5.5], *nine) is None
    assert judged(rule, [6.5], *nine[:8], []) is not None  # 2.7 of 9 are 2
    assert judged(rule, [5.5], *nine[:8], []) is None


def test_values_are_compared_at_the_same_place() -> None:
    rule = Truncation(percent=50, min_steps=1)

    # The other trial had 9 at step 2, whatever it came to; and one that is behind says nothing.
    assert judged(rule, [5.0, 5.0], [9.0, 9.0, 0.0]) is None
    assert judged(rule, [5.0, 5.0], [9.0, 4.0, 9.0]) is not None
    assert judged(rule, [5.0, 5.0], [0.0]) is None


def test_the_latest_value_counts_not_the_best() -> None:
    assert judged(Truncation(percent=50, min_steps=1), [0.0, 5.0], [9.0, 4.0]) is not None


def test_of_equals_none_is_the_worst() -> None:
    assert judged(Truncation(percent=50, min_steps=1), [1.0], [1.0], [1.0], [1.0]) is None


def test_a_value_that_is_no_number_is_the_worst() -> None:
    rule = Truncation(percent=50, min_steps=1)

    assert judged(rule, [math.nan], [1.0]) == "nan at step 1 is among the worst 1 of 2 trials (50%)"
    assert judged(rule, [math.nan], [math.nan]) is None


def test_trials_that_ended_are_left_out_if_asked_for() -> None:
    history = history_of(study(), [1.0], [2.0], [3.0], running=[3])
    history.update([replace(history.trials[0], state=TrialState.STOPPED)])

    trial = history.trials[2]
    assert Truncation(percent=50, among="open", min_steps=1).stop_reason(trial, history) is None
    reason = Truncation(percent=50, min_steps=1).stop_reason(trial, history)
    assert reason == "3 at step 1 is among the worst 1 of 3 trials (50%)"


@pytest.mark.parametrize("percent", [0, 100, -1, math.nan, True])
def test_a_part_that_is_none_or_all_is_refused(percent: float) -> None:
    with pytest.raises(SpecError, match="truncation's setting 'percent' is"):
        Truncation(percent=percent)


def test_trials_to_compare_with_are_all_or_those_open() -> None:
    with pytest.raises(SpecError, match="'among' is one of all, open; given 'completed'"):
        Truncation(among="completed")
