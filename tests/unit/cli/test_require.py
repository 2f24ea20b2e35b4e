import click
import pytest

from tunesmith import Double, Space
from tunesmith.cli.require import Requirement
from tunesmith.model import Objective, StudyRecord, StudySpec, StudySummary, Trial, TrialState

_SPEC = StudySpec(Space({"x": Double(0, 1)}), (Objective("accuracy", "maximize"),))
_BEST = Trial(
    1, {"x": 0.5}, TrialState.COMPLETED, metrics={"accuracy": 0.93, "loss": 0.2, "Eval F1": 0.8}
)
_SUMMARY = StudySummary(StudyRecord("s", _SPEC), {TrialState.COMPLETED: 1}, _BEST)


@pytest.mark.parametrize(
    "text", ["accuracy>=0.93", "best > 0.9", "loss<0.3", "loss <= 2e-1", "Eval F1 >= 0.8"]
)
def test_a_condition_on_a_metric_of_the_best_trial_holds(text: str) -> None:
    assert Requirement.parse(text).holds(_SUMMARY)


@pytest.mark.parametrize("text", ["accuracy>0.93", "best<0.5", "f1>0"])
def test_a_condition_that_is_not_met_or_names_no_metric_does_not_hold(text: str) -> None:
    assert not Requirement.parse(text).holds(_SUMMARY)


def test_nothing_holds_before_there_is_a_best_trial() -> None:
    empty = StudySummary(_SUMMARY.record, {}, None)

    assert not Requirement.parse("best>0").holds(empty)


@pytest.mark.parametrize("text", ["accuracy", "accuracy=0.9", ">0.9", "accuracy>high", ""])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match=r"accuracy>=0\.9"):
        Requirement.parse(text)


@pytest.mark.parametrize("text", ["accuracy>0", "best>0", "loss<1"])
def test_a_metric_that_the_study_names_or_has_measured_is_not_doubted(text: str) -> None:
    assert Requirement.parse(text).doubt(_SUMMARY) == ""


def test_an_unknown_metric_is_doubted_with_what_was_probably_meant() -> None:
    doubt = Requirement.parse("acuracy>=0.9").doubt(_SUMMARY)

    assert "'acuracy', which the study does not name; it names accuracy." in doubt
    assert doubt.endswith("Did you mean 'accuracy'?")
