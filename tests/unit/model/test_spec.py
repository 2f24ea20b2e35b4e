import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.errors import SpaceError, SpecError
from tunesmith.model import (
    Algorithm,
    Objective,
    StudySpec,
    check_metric_name,
    check_study_name,
)
from tunesmith.space import Categorical, Discrete, Double, Integer, Space

SPACE = Space({"lr": Double(0.0, 1.0), "größe": Discrete([64, 128])})
LOSS = Objective("loss", "minimize")
SPEC = StudySpec(SPACE, (LOSS,))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objectives": ()}, "needs a metric"),
        ({"objectives": (LOSS, Objective("loss", "maximize"))}, "once; given: loss, loss"),
        ({"max_trials": 0}, "max_trials is a whole number from 1 to 2147483647; given 0"),
        ({"max_trials": 2.5}, "given 2.5"),
        ({"max_trials": True}, "given True"),
        ({"max_trials": float("nan")}, "given nan"),
        ({"parallel_trials": 0}, "parallel_trials"),
        ({"parallel_trials": None}, "parallel_trials .* given None"),
        ({"max_failed_trials": -1}, "max_failed_trials is a whole number from 0"),
        ({"seed": -1}, "seed"),
        ({"measurement": "median"}, "last, best, minimum, maximum; given 'median'"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(changes: Mapping[str, object], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        replace(SPEC, **changes)  # type: ignore[arg-type]


def test_an_initial_point_outside_the_space_is_refused() -> None:
    with pytest.raises(SpaceError, match="'lr'"):
        replace(SPEC, initial=({"lr": 7.0},))


def test_a_goal_is_one_of_two() -> None:
    with pytest.raises(SpecError, match="'minimize' or 'maximize', not 'min'"):
        Objective("loss", "min")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["loss", "val/точность", "損失", "a-b.c_d", "x" * 200, "Taxi Model Accuracy"]
)
def test_a_metric_may_have_any_visible_name(name: str) -> None:
    check_metric_name(name)


@pytest.mark.parametrize(
    "name",
    ["", " a", "a ", "a  b", "a\u2003b", "a=b", "a\n", "\x00", "\ud800", "x" * 201, "a\u200b"],
)
def test_a_metric_has_no_name_that_breaks_lines_or_texts(name: str) -> None:
    with pytest.raises(SpecError, match="metric's name can't be"):
        check_metric_name(name)


@pytest.mark.parametrize("name", ["digits", "Größen-2.1_b", "学习", "7"])
def test_a_study_may_have_a_name_in_any_alphabet(name: str) -> None:
    check_study_name(name)


@pytest.mark.parametrize(
    "name", ["", "a/b", "a\\b", "a:b", "a b", "-a", "@a", ".a", "\x1b", "x" * 101]
)
def test_a_study_has_no_name_that_would_break_paths_or_commands(name: str) -> None:
    with pytest.raises(SpecError, match="can't be called"):
        check_study_name(name)


def test_a_spec_survives_json() -> None:
    space = Space(
        {
            "lr": Double(1e-5, 0.1, scale="log", default=0.01),
            "稳": Discrete([64, 0.5], when={"kind": ["a", True]}),
            "kind": Categorical(["a", True, 3, 2.5]),
            "n": Integer(-3, 9, step=3),
        }
    )
    spec = StudySpec(
        space,
        (Objective("acc", "maximize"), LOSS),
        algorithm=Algorithm("grid", {"points": 3, "fine": True, "by": 0.25, "as": "ü"}),
        seed=2**63 + 1,
        max_trials=10,
        parallel_trials=2,
        max_failed_trials=0,
        measurement="maximum",
        initial=({"lr": 0.02, "kind": "a", "稳": 64}, {}),
    )

    text = json.dumps(spec.to_json(), allow_nan=False)
    again = StudySpec.from_json(json.loads(text))

    assert again == spec
    assert [type(v) for v in again.initial[0].values()] == [float, str, int]


def test_initial_points_are_kept_in_plain_values() -> None:
    spec = replace(SPEC, initial=({"größe": np.int64(64)},))  # type: ignore[dict-item]

    json.dumps(spec.to_json())
    assert type(spec.initial[0]["größe"]) is int
    assert dict(spec.initial[0]) == {"größe": 64}


def test_equal_specs_differ_in_nothing() -> None:
    assert SPEC.differences(replace(SPEC)) == []


def test_what_may_change_between_runs_is_no_difference() -> None:
    other = replace(SPEC, seed=9, max_trials=5, parallel_trials=3, algorithm=Algorithm("random"))

    assert SPEC.differences(other) == []


def test_each_difference_is_a_sentence() -> None:
    other = StudySpec(
        Space({"lr": Double(0.0, 2.0), "größe": Discrete([64, 128])}),
        (Objective("acc", "maximize"),),
        measurement="best",
    )

    sentences = SPEC.differences(other)

    assert len(sentences) == 3
    assert "lr" in sentences[0]
    assert sentences[1] == "objective: was minimize loss, is now maximize acc"
    assert sentences[2] == "measurement: was last, is now best"


def test_a_loss_is_turned_for_maximizing() -> None:
    high = Objective("acc", "maximize")

    assert high.loss(3.0) == -3.0
    assert high.better(3.0, than=2.0)
    assert LOSS.better(2.0, than=3.0)
    assert not LOSS.better(2.0, than=2.0)
