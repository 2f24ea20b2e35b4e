"""Which goal each ``-m`` has."""

import click
import pytest

from tunesmith.cli.goals import goals_in_order

OPTIONS = {"m": "metrics", "+": "maximize", "-": "minimize", "n": "max_trials"}
GOALS = {"+": "maximize", "-": "minimize", "?": None}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("m+", "+"),
        ("+m", "+"),
        ("m+nm-", "+-"),
        ("mm-", "--"),
        ("-mm", "--"),
        ("m+m", "++"),
        ("m-nm+m", "-++"),
        ("m", "?"),
        ("n", ""),
    ],
)
def test_a_metric_takes_the_goal_behind_it_or_else_the_last_before_it(
    given: str, wanted: str
) -> None:
    assert goals_in_order([OPTIONS[c] for c in given]) == tuple(GOALS[c] for c in wanted)


@pytest.mark.parametrize(("given", "flag"), [("+", "--max"), ("m+-", "--min"), ("+m-", "--max")])
def test_a_goal_of_no_metric_is_refused(given: str, flag: str) -> None:
    with pytest.raises(click.UsageError, match=f"{flag} belongs to no metric"):
        goals_in_order([OPTIONS[c] for c in given])
