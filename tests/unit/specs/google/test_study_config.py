"""A study of the older optimizer API, as CloudTuner describes it: in snake_case, with types in words."""

from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.model import Algorithm, Objective, Stopping
from tunesmith.space import Categorical, Discrete, Double, Integer
from tunesmith.specs.google import Document, GoogleJob

Read = Callable[[Document, object], GoogleJob]
Refused = Callable[[Document, object], dict[str, str]]


@pytest.fixture
def config() -> dict[str, Any]:
    return {
        "metrics": [{"metric": "val_accuracy", "goal": "MAXIMIZE"}],
        "parameters": [
            {"parameter": "learning_rate", "type": "DOUBLE", "scale_type": "UNIT_LOG_SCALE",
             "double_value_spec": {"min_value": 1e-4, "max_value": 0.1}},
            {"parameter": "layers", "type": "INTEGER", "scale_type": "UNIT_LINEAR_SCALE",
             "integer_value_spec": {"min_value": "1", "max_value": "4"},
             "child_parameter_specs": [
                 {"parameter": "units", "type": "DISCRETE", "parent_int_values": {"values": ["2"]},
                  "discrete_value_spec": {"values": [64.0, 128.0]}}]},
            {"parameter": "activation", "type": "CATEGORICAL",
             "categorical_value_spec": {"values": ["relu", "tanh"]}},
        ],
        "automated_stopping_config": {"decay_curve_stopping_config": {"use_elapsed_time": True}},
    }  # fmt: skip


def test_a_study_of_cloudtuner_is_read(read: Read, config: dict[str, Any]) -> None:
    found = read("optimizer study", {"study_config": config})

    assert found.form == "optimizer"
    assert found.spec is not None
    assert dict(found.spec.space.items()) == {
        "learning_rate": Double(1e-4, 0.1, scale="log"),
        "layers": Integer(1, 4),
        "units": Discrete([64, 128], when={"layers": 2}),
        "activation": Categorical(["relu", "tanh"]),
    }
    assert found.spec.objectives == (Objective("val_accuracy", "maximize"),)
    assert found.spec.stopping == (Stopping("curve", {"by": "elapsed"}),)
    assert found.spec.max_trials is None


@pytest.mark.parametrize(
    ("word", "name"),
    [("ALGORITHM_UNSPECIFIED", "default"), ("GAUSSIAN_PROCESS_BANDIT", "bayesian"),
     ("RANDOM_SEARCH", "random")],
)  # fmt: skip
def test_its_algorithms_have_their_own_names(
    read: Read, config: dict[str, Any], word: str, name: str
) -> None:
    found = read("optimizer study", {"studyConfig": config | {"algorithm": word}})

    assert found.spec is not None
    assert found.spec.algorithm == Algorithm(name)


def test_the_median_is_its_other_rule(read: Read, config: dict[str, Any]) -> None:
    config["automated_stopping_config"] = {"median_automated_stopping_config": {}}

    found = read("optimizer study", {"study_config": config})

    assert found.spec is not None
    assert found.spec.stopping == (Stopping("median"),)


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ((0, "type"), "INTEGER", "type"),
        ((0, "type"), "FLOAT", "type"),
        ((0, "parameter"), "", "parameter"),
        ((0, "double_value_spec"), {}, "doubleValueSpec.minValue"),
        ((1, "child_parameter_specs"), [{"parameter": "u", "discrete_value_spec": {"values": [1]}}],
         "childParameterSpecs[0].parentIntValues"),
        ((1, "child_parameter_specs"), [{"parameter": "u", "parent_int_values": {"values": [9]},
         "discrete_value_spec": {"values": [1]}}],
         "childParameterSpecs[0].parentIntValues.values"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_its_field(
    refused: Refused, config: dict[str, Any], field: tuple[int, str], value: object, path: str
) -> None:
    index, key = field
    config["parameters"][index][key] = value

    faults = refused("optimizer study", {"study_config": config})

    assert list(faults) == [f"studyConfig.parameters[{index}].{path}"]


def test_a_study_without_a_configuration_is_refused(refused: Refused) -> None:
    assert list(refused("optimizer study", {"name": "s"})) == ["studyConfig"]
