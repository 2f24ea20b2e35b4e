import click
import pytest

from tunesmith.cli.where import Filter
from tunesmith.model import Trial, TrialState

_TRIAL = Trial(
    3,
    {"lr": 1e-4, "optimizer": "adam", "nesterov": True, "größe": 64},
    TrialState.COMPLETED,
    metrics={"accuracy": 0.91, "Eval F1": 0.8},
    step=8,
    budget=27,
    parent=2,
    reason="it was good",
)


@pytest.mark.parametrize(
    "text",
    [
        "state=completed",
        "state=completed and lr<1e-3",
        "lr<1e-3 accuracy>=0.91",
        "accuracy >= 0.91 and number = 3",
        "optimizer!=sgd",
        "nesterov=True",
        "größe==64",
        "reason='it was good'",
        "step=8 budget=27 parent=2",
        "'Eval F1'>0.7 and lr<1",
        "",
    ],
)
def test_conditions_that_hold_match(text: str) -> None:
    assert Filter.parse(text).matches(_TRIAL)


@pytest.mark.parametrize(
    "text",
    [
        "state=failed",
        "lr>1e-3",
        "accuracy<0.91",
        "momentum<1",
        "optimizer<b",
        "lr<adam",
        "number=4",
    ],
)
def test_conditions_that_do_not_hold_or_ask_for_what_is_not_there_do_not_match(text: str) -> None:
    assert not Filter.parse(text).matches(_TRIAL)


@pytest.mark.parametrize("text", ["lr", "lr <", "and", "= 3", "lr<1e-3 or accuracy"])
def test_what_is_no_condition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.UsageError, match="state=completed and lr<1e-3"):
        Filter.parse(text)


def test_how_far_trials_have_trained_is_told_where_they_are_filtered() -> None:
    wanted = Filter.parse("steps>=9")

    assert wanted.matches(_TRIAL, {3: 9})
    assert not wanted.matches(_TRIAL, {3: 8})
    assert not wanted.matches(_TRIAL)
