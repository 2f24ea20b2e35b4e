import json
import math
from dataclasses import replace

import pytest

from tunesmith.errors import SpecError
from tunesmith.model import Constraint, Ending, Objective, StudySpec, with_standard_errors
from tunesmith.space import Double, Space

SPEC = StudySpec(Space({"lr": Double(0.0, 1.0)}), (Objective("loss", "minimize"),))


@pytest.mark.parametrize(
    ("text", "constraint"),
    [
        ("latency_ms<=20", Constraint("latency_ms", 20.0)),
        (" val/recall >=  .9 ", Constraint("val/recall", 0.9, "at_least")),
        ("a<=-1e-3", Constraint("a", -0.001)),
        ("Eval F1 >= 0.5", Constraint("Eval F1", 0.5, "at_least")),
    ],
)
def test_a_constraint_is_read_from_its_condition(text: str, constraint: Constraint) -> None:
    assert Constraint.parse(text) == constraint
    assert Constraint.parse(str(constraint)) == constraint


def test_a_constraint_is_shown_as_people_write_it() -> None:
    assert str(Constraint("latency_ms", 20)) == "latency_ms <= 20"
    assert str(Constraint("recall", 0.9, "at_least")) == "recall >= 0.9"


@pytest.mark.parametrize(
    "text", ["latency", "latency<20", "latency=20", "<=20", "latency<=", "latency<=much", "a<=1 b", ""]
)  # fmt: skip
def test_what_is_no_constraint_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SpecError, match="looks like"):
        Constraint.parse(text)


@pytest.mark.parametrize("bound", [math.inf, math.nan, True, "20"])
def test_a_bound_is_a_finite_number(bound: float) -> None:
    with pytest.raises(SpecError, match="The bound of a is a finite number"):
        Constraint("a", bound)


def test_a_side_is_one_of_two() -> None:
    with pytest.raises(SpecError, match="'at_most' or 'at_least', not 'below'"):
        Constraint("a", 1.0, "below")  # type: ignore[arg-type]


def test_the_bound_itself_is_allowed_and_what_lies_beyond_exceeds_it() -> None:
    assert Constraint("a", 2.0).excess(2.0) == 0.0
    assert Constraint("a", 2.0).excess(2.5) == 0.5
    assert Constraint("a", 2.0, "at_least").excess(1.5) == 0.5
    assert math.isnan(Constraint("a", 2.0).excess(math.nan))


def test_a_standard_error_is_another_metric() -> None:
    with pytest.raises(SpecError, match="a metric of its own, such as loss_se"):
        Objective("loss", "minimize", "loss")


def test_standard_errors_are_given_for_one_objective_or_by_metric() -> None:
    loss, accuracy = SPEC.objective, Objective("accuracy", "maximize")

    (only,) = with_standard_errors([loss], "loss_se")
    first, second = with_standard_errors([loss, accuracy], {"accuracy": "se"})

    assert only == Objective("loss", "minimize", "loss_se")
    assert (first, second) == (loss, Objective("accuracy", "maximize", "se"))


@pytest.mark.parametrize(
    ("given", "words"),
    [("se", "say whose standard error 'se' is: {loss: se}"), ({"lost": "se"}, "'lost', which is no objective")],
)  # fmt: skip
def test_a_standard_error_of_nothing_is_refused(given: str | dict[str, str], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        with_standard_errors([SPEC.objective, Objective("accuracy", "maximize")], given)


def test_a_spec_with_everything_about_metrics_survives_json() -> None:
    spec = replace(
        SPEC,
        objectives=(Objective("loss", "minimize", "loss_se"), Objective("accuracy", "maximize")),
        constraints=(Constraint("latency_ms", 20), Constraint("recall", 0.9, "at_least")),
        warm_start=("old", "older"),
    )

    assert StudySpec.from_json(json.loads(json.dumps(spec.to_json(), allow_nan=False))) == spec


def test_a_spec_knows_every_metric_it_names_once() -> None:
    spec = replace(
        SPEC,
        objectives=(Objective("loss", "minimize", "se"), Objective("accuracy", "maximize")),
        constraints=(Constraint("accuracy", 0.5, "at_least"), Constraint("latency_ms", 20)),
    )

    assert spec.metrics == ("loss", "accuracy", "se", "latency_ms")


@pytest.mark.parametrize("text", ["latency_ms <= 20 in 0.9 of trials", "recall >= 0.5"])
def test_a_constraint_with_a_share_of_trials_is_read_as_it_is_written(text: str) -> None:
    constraint = Constraint.parse(text)

    assert f"{constraint.metric} {constraint.condition}" == text
    assert str(constraint) == text.removesuffix(" in 0.9 of trials")
    assert constraint.safe_fraction == (0.9 if "0.9" in text else 0.0)


@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan, True])
def test_a_share_of_trials_is_from_0_to_1(share: float) -> None:
    with pytest.raises(SpecError, match="share of trials that keep ms's bound is from 0 to 1"):
        Constraint("ms", 20, safe_fraction=share)


def test_another_share_of_trials_is_a_difference() -> None:
    some, most = (replace(SPEC, constraints=(Constraint("a", 1, safe_fraction=s),)) for s in (0, 1))

    assert some.differences(most) == ["constraints: were a <= 1, are now a <= 1 in 1 of trials"]


def test_a_study_that_was_stored_without_shares_and_least_numbers_has_none() -> None:
    old = replace(SPEC, constraints=(Constraint("a", 1),), ending=Ending(target=1.0))
    data = json.loads(json.dumps(old.to_json()))
    del data["constraints"][0]["safe_fraction"]
    for name in ("no_improvement_for_s", "min_trials", "min_time_s", "stop_running"):
        del data["ending"][name]

    assert StudySpec.from_json(data) == old


def test_each_metric_has_one_constraint_and_each_study_is_learnt_from_once() -> None:
    with pytest.raises(SpecError, match="one constraint; given two on a"):
        replace(SPEC, constraints=(Constraint("a", 1), Constraint("b", 1), Constraint("a", 2)))
    with pytest.raises(SpecError, match="warm_start names 'old' twice"):
        replace(SPEC, warm_start=("old", "old"))


def test_changed_constraints_and_standard_errors_are_differences() -> None:
    other = replace(
        SPEC,
        objectives=(Objective("loss", "minimize", "se"),),
        constraints=(Constraint("latency_ms", 20),),
    )

    assert SPEC.differences(other) == [
        "objective: was minimize loss, is now minimize loss (standard error se)",
        "constraints: were none, are now latency_ms <= 20",
    ]


def test_what_a_study_learns_from_is_no_difference() -> None:
    assert SPEC.differences(replace(SPEC, warm_start=("old",))) == []
