import math

import pytest

from tunesmith.errors import SpecError
from tunesmith.stopping.slack import Bandit
from tunesmith.testing.rules import history_of, study


def ends(rule: Bandit, best: float, own: float, goal: str) -> bool:
    history = history_of(study(goal), [best], [own], running=[2])
    return rule.stop_reason(history.trials[1], history) is not None


def test_azures_example() -> None:
    # learn.microsoft.com, "Hyperparameter tuning a model": the best run at interval 10 reports 0.8,
    # slack_factor is 0.2, so runs whose best is below 0.8 / 1.2 = 0.66… end.
    rule = Bandit(slack_factor=0.2, min_steps=1)
    history = history_of(study("maximize"), [0.8], [0.66], running=[2])

    assert rule.stop_reason(history.trials[1], history) == (
        "best 0.66 at step 1 is worse than 0.6667, which is the best value 0.8 with a slack factor of 0.2"
    )
    assert not ends(rule, 0.8, 0.67, "maximize")


@pytest.mark.parametrize(
    ("goal", "best", "bar"),
    [
        ("maximize", 0.8, 0.64),
        ("minimize", 0.8, 1.0),
        ("maximize", -0.8, -1.0),
        ("minimize", -0.8, -0.64),
        ("maximize", 0.0, 0.0),
        ("minimize", 0.0, 0.0),
    ],
)
def test_a_factor_widens_the_best_value_away_from_the_goal(
    goal: str, best: float, bar: float
) -> None:
    rule = Bandit(slack_factor=0.25, min_steps=1)
    worse = 1e-9 if goal == "minimize" else -1e-9

    assert not ends(rule, best, bar - worse, goal)
    assert ends(rule, best, bar + worse, goal)


@pytest.mark.parametrize(("goal", "bar"), [("maximize", 0.7), ("minimize", 0.9)])
def test_an_amount_is_in_the_units_of_the_metric(goal: str, bar: float) -> None:
    rule = Bandit(slack_amount=0.1, min_steps=1)
    worse = 1e-9 if goal == "minimize" else -1e-9

    assert not ends(rule, 0.8, bar - worse, goal)
    assert ends(rule, 0.8, bar + worse, goal)


def test_both_bests_are_those_up_to_the_same_place() -> None:
    rule = Bandit(slack_amount=0.5, min_steps=1)
    at_two = history_of(study(), [1.0, 0.2, 0.1], [0.6, 0.9], running=[2])
    at_three = history_of(study(), [1.0, 0.2, 0.05], [0.6, 0.9, 0.9], running=[2])

    assert rule.stop_reason(at_two.trials[1], at_two) is None
    assert rule.stop_reason(at_three.trials[1], at_three) is not None


def test_trials_that_run_and_those_that_were_stopped_may_be_the_best() -> None:
    rule = Bandit(slack_amount=0.5, min_steps=1)
    history = history_of(study(), [0.1], [1.0], running=[1, 2])

    assert rule.stop_reason(history.trials[1], history) is not None


def test_among_trials_without_a_number_nobody_is_behind() -> None:
    rule = Bandit(slack_factor=0.5, min_steps=1)

    assert not ends(rule, math.nan, 5.0, "minimize")
    assert not ends(rule, math.nan, math.nan, "minimize")
    assert ends(rule, 5.0, math.nan, "minimize")


@pytest.mark.parametrize(
    "settings", [{}, {"slack_factor": 0.1, "slack_amount": 0.1}, {"slack_factor": 0.0}]
)
def test_just_one_slack_has_to_be_given(settings: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="bandit needs one slack: slack_factor"):
        Bandit(**settings)  # type: ignore[arg-type]


def test_a_slack_is_no_less_than_nothing() -> None:
    with pytest.raises(SpecError, match="'slack_amount' is a finite number from 0; given -1"):
        Bandit(slack_amount=-1)
