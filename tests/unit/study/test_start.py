"""The first points of a study."""

from collections.abc import Callable

import pytest

from tunesmith.errors import MismatchError, SpecError
from tunesmith.model import Constraint, Objective
from tunesmith.space import Categorical, Double, Prior, Space
from tunesmith.study import Study

Make = Callable[..., Study]


def test_the_user_s_points_come_first_then_defaults_then_the_centers_of_priors(make: Make) -> None:
    space = Space(
        {
            "lr": Double(1e-4, 1.0, scale="log", default=0.1, prior=Prior(0.01, "high")),
            "optimizer": Categorical(["sgd", "adam"], prior="adam"),
        }
    )

    trials = make(space, initial=[{"lr": 0.5}]).ask(4)

    assert [t.origin for t in trials[:3]] == ["user", "default", "prior"]
    assert trials[2].values == {"lr": 0.01, "optimizer": "adam"}
    assert trials[3].origin not in ("user", "default", "prior")


def test_a_center_that_is_the_default_is_tried_once(make: Make) -> None:
    trials = make(Space({"x": Double(0, 1, default=0.5, prior=0.5)})).ask(2)

    assert [t.origin for t in trials].count("default") == 1
    assert "prior" not in [t.origin for t in trials]


def test_a_prior_is_no_default(make: Make) -> None:
    space = Space({"x": Double(0, 1, prior=0.2)})

    assert space.defaults() is None
    assert space.complete({}) == {"x": 0.5}
    assert make(space).ask().origin == "prior"


def test_constraints_and_standard_errors_are_given_to_a_study(make: Make) -> None:
    study = make(constraints={"latency_ms": "<= 20"}, standard_error="loss_se")

    assert study.spec.constraints == (Constraint("latency_ms", 20),)
    assert study.spec.objective == Objective("loss", "minimize", "loss_se")


@pytest.mark.parametrize("given", [[Constraint("a", 1)], "a <= 1", {"a": "<=1"}])
def test_constraints_come_as_values_a_text_or_texts_by_metric(make: Make, given: object) -> None:
    assert make(constraints=given).spec.constraints == (Constraint("a", 1),)


def test_a_bound_without_a_sign_is_refused(make: Make) -> None:
    with pytest.raises(SpecError, match=r"looks like '<= 20' or '>= 0\.9' .*; given 20"):
        make(constraints={"latency_ms": 20})


def test_a_study_goes_on_only_with_its_own_constraints(make: Make, url: str) -> None:
    make(name="s", storage=url, constraints={"a": "<= 1"})

    with pytest.raises(MismatchError, match="constraints: were a <= 1, are now a <= 2"):
        make(name="s", storage=url, constraints={"a": "<= 2"})


def test_as_many_wait_as_are_wanted_although_some_are_start_points(make: Make) -> None:
    study = make(Space({"x": Double(0, 1, default=0.5)}), initial=[{"x": 0.25}])

    study.fill(4)

    assert [t.origin for t in study.trials][:2] == ["user", "default"]
    assert len(study.trials) == 4
