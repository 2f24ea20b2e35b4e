"""Malformed jobs: each is refused with the field named that is at fault, and nothing is accepted."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.specs.google import Document

Refused = Callable[[Document, object], dict[str, str]]

LEAVE_OUT = object()
STUDY = "studySpec"
RATE = "studySpec.parameters[0]"
OPTIMIZER = "studySpec.parameters[1]"
POOL = "trialJobSpec.workerPoolSpecs[0]"
INPUT = "trainingInput"
TUNED = "trainingInput.hyperparameters"


def put(body: Any, path: str, value: object) -> None:
    """Set a field, or leave it out."""
    *way, last = [int(p) if p.isdigit() else p for p in re.findall(r"\w+", path)]
    for step in way:
        body = body[step]
    if value is LEAVE_OUT:
        del body[last]
    else:
        body[last] = value


def below(kind: str, values: object, **parameter: object) -> list[object]:
    """Return a list of one conditional parameter."""
    spec = {"parameterId": "momentum", "doubleValueSpec": {"maxValue": 1}} | parameter
    return [{kind: {"values": values}, "parameterSpec": spec}]


TUNING_JOBS: list[tuple[str, object, str]] = [
    ("displayName", LEAVE_OUT, "displayName"),
    ("displayName", "x" * 129, "displayName"),
    ("displayName", {"a": 1}, "displayName"),
    ("maxTrialCount", LEAVE_OUT, "maxTrialCount"),
    ("maxTrialCount", 0, "maxTrialCount"),
    ("maxTrialCount", "six", "maxTrialCount"),
    ("maxTrialCount", 2.5, "maxTrialCount"),
    ("parallelTrialCount", LEAVE_OUT, "parallelTrialCount"),
    ("parallelTrialCount", -1, "parallelTrialCount"),
    ("maxFailedTrialCount", 7, "maxFailedTrialCount"),
    ("maxFailedTrialCount", -1, "maxFailedTrialCount"),
    ("labels", {"Team": "vision"}, "labels"),
    ("labels", ["vision"], "labels"),
    ("maxTrailCount", 3, "maxTrailCount"),
    ("studySpec", LEAVE_OUT, "studySpec"),
    ("studySpec", [], "studySpec"),
    (f"{STUDY}.metrics", LEAVE_OUT, f"{STUDY}.metrics"),
    (f"{STUDY}.metrics", [], f"{STUDY}.metrics"),
    (f"{STUDY}.metrics", "accuracy", f"{STUDY}.metrics"),
    (f"{STUDY}.metrics[0].metricId", LEAVE_OUT, f"{STUDY}.metrics[0].metricId"),
    (f"{STUDY}.metrics[0].metricId", "my accuracy", f"{STUDY}.metrics[0].metricId"),
    (f"{STUDY}.metrics", [{"metricId": "a"}, {"metricId": "a"}], f"{STUDY}.metrics[1].metricId"),
    (f"{STUDY}.metrics[0].goal", "UP", f"{STUDY}.metrics[0].goal"),
    (f"{STUDY}.metrics[0].goal", 3, f"{STUDY}.metrics[0].goal"),
    (f"{STUDY}.metrics[0].safetyConfig", {}, f"{STUDY}.metrics"),
    (f"{STUDY}.metrics",
     [{"metricId": "a"}, {"metricId": "b", "safetyConfig": {"desiredMinSafeTrialsFraction": 2}}],
     f"{STUDY}.metrics[1].safetyConfig.desiredMinSafeTrialsFraction"),
    (f"{STUDY}.parameters", LEAVE_OUT, f"{STUDY}.parameters"),
    (f"{STUDY}.parameters", [], f"{STUDY}.parameters"),
    (f"{RATE}.parameterId", LEAVE_OUT, f"{RATE}.parameterId"),
    (f"{RATE}.parameterId", "learning rate", f"{RATE}.parameterId"),
    (f"{RATE}.parameterId", "optimizer", f"{OPTIMIZER}.parameterId"),
    (f"{RATE}.doubleValueSpec", LEAVE_OUT, f"{RATE}.doubleValueSpec"),
    (f"{RATE}.doubleValueSpec", {}, f"{RATE}.doubleValueSpec.minValue"),
    (f"{RATE}.doubleValueSpec.maxValue", LEAVE_OUT, f"{RATE}.doubleValueSpec.minValue"),
    (f"{RATE}.doubleValueSpec.minValue", 2, f"{RATE}.doubleValueSpec.maxValue"),
    (f"{RATE}.doubleValueSpec.minValue", "NaN", f"{RATE}.doubleValueSpec.minValue"),
    (f"{RATE}.doubleValueSpec.minValue", 0, f"{RATE}.scaleType"),
    (f"{RATE}.doubleValueSpec.defaultValue", 7, f"{RATE}.doubleValueSpec.defaultValue"),
    (f"{RATE}.doubleValueSpec.step", 0.1, f"{RATE}.doubleValueSpec.step"),
    (f"{RATE}.scaleType", "LOG", f"{RATE}.scaleType"),
    (f"{RATE}.integerValueSpec", {"minValue": 1, "maxValue": 2}, f"{RATE}.integerValueSpec"),
    (f"{OPTIMIZER}.categoricalValueSpec.values", [],
     f"{OPTIMIZER}.categoricalValueSpec.values"),
    (f"{OPTIMIZER}.categoricalValueSpec.values", ["sgd", "sgd"],
     f"{OPTIMIZER}.categoricalValueSpec.values[1]"),
    (f"{OPTIMIZER}.categoricalValueSpec.defaultValue", "rmsprop",
     f"{OPTIMIZER}.categoricalValueSpec.defaultValue"),
    (OPTIMIZER, {"parameterId": "n", "discreteValueSpec": {"values": [3, 2]}},
     f"{OPTIMIZER}.discreteValueSpec.values[1]"),
    (OPTIMIZER, {"parameterId": "n", "discreteValueSpec": {"values": [1, 1 + 1e-12]}},
     f"{OPTIMIZER}.discreteValueSpec.values[1]"),
    (OPTIMIZER, {"parameterId": "n", "discreteValueSpec": {"values": list(range(1001))}},
     f"{OPTIMIZER}.discreteValueSpec.values"),
    (OPTIMIZER, {"parameterId": "n", "discreteValueSpec": {"values": [0, 1]}, "scaleType": 2},
     f"{OPTIMIZER}.scaleType"),
    (OPTIMIZER, {"parameterId": "n", "integerValueSpec": {"minValue": 0.5, "maxValue": 2}},
     f"{OPTIMIZER}.integerValueSpec.minValue"),
    (f"{RATE}.conditionalParameterSpecs", below("parentDiscreteValues", [0.5]),
     f"{RATE}.conditionalParameterSpecs[0].parentDiscreteValues"),
    (f"{OPTIMIZER}.conditionalParameterSpecs", below("parentIntValues", [1]),
     f"{OPTIMIZER}.conditionalParameterSpecs[0].parentIntValues"),
    (f"{OPTIMIZER}.conditionalParameterSpecs", below("parentCategoricalValues", ["rmsprop"]),
     f"{OPTIMIZER}.conditionalParameterSpecs[0].parentCategoricalValues.values[0]"),
    (f"{OPTIMIZER}.conditionalParameterSpecs", below("parentCategoricalValues", []),
     f"{OPTIMIZER}.conditionalParameterSpecs[0].parentCategoricalValues.values"),
    (f"{OPTIMIZER}.conditionalParameterSpecs",
     below("parentCategoricalValues", ["sgd"], doubleValueSpec={"maxValue": -1}),
     f"{OPTIMIZER}.conditionalParameterSpecs[0].parameterSpec.doubleValueSpec.maxValue"),
    (f"{OPTIMIZER}.conditionalParameterSpecs", [{"parentCategoricalValues": {"values": ["sgd"]}}],
     f"{OPTIMIZER}.conditionalParameterSpecs[0].parameterSpec"),
    (f"{OPTIMIZER}.conditionalParameterSpecs",
     [{"parameterSpec": {"parameterId": "m", "doubleValueSpec": {"maxValue": 1}}}],
     f"{OPTIMIZER}.conditionalParameterSpecs[0].parentCategoricalValues"),
    (OPTIMIZER, {"parameterId": "n", "integerValueSpec": {"minValue": 1, "maxValue": 3},
     "conditionalParameterSpecs": below("parentIntValues", [4])},
     f"{OPTIMIZER}.conditionalParameterSpecs[0].parentIntValues.values"),
    (OPTIMIZER, {"parameterId": "n", "discreteValueSpec": {"values": [1, 2]},
     "conditionalParameterSpecs": below("parentDiscreteValues", [1.5])},
     f"{OPTIMIZER}.conditionalParameterSpecs[0].parentDiscreteValues.values[0]"),
    (f"{STUDY}.algorithm", "BAYESIAN", f"{STUDY}.algorithm"),
    (f"{STUDY}.algorithm", "GRID_SEARCH", f"{STUDY}.algorithm"),
    (f"{STUDY}.observationNoise", "NONE", f"{STUDY}.observationNoise"),
    (f"{STUDY}.measurementSelectionType", "FIRST", f"{STUDY}.measurementSelectionType"),
    (f"{STUDY}.medianAutomatedStoppingSpec", {"useElapsed": True},
     f"{STUDY}.medianAutomatedStoppingSpec.useElapsed"),
    (f"{STUDY}.medianAutomatedStoppingSpec", True, f"{STUDY}.medianAutomatedStoppingSpec"),
    (f"{STUDY}.convexAutomatedStoppingSpec", {"maxStepCount": "many"},
     f"{STUDY}.convexAutomatedStoppingSpec.maxStepCount"),
    (f"{STUDY}.studyStoppingConfig", {"maxNumTrials": 0},
     f"{STUDY}.studyStoppingConfig.maxNumTrials"),
    (f"{STUDY}.studyStoppingConfig", {"maximumRuntimeConstraint": {"maxDuration": 60}},
     f"{STUDY}.studyStoppingConfig.maximumRuntimeConstraint.maxDuration"),
    (f"{STUDY}.studyStoppingConfig", {"maximumRuntimeConstraint": {"endTime": "2000-01-01T00:00:00Z"}},
     f"{STUDY}.studyStoppingConfig.maximumRuntimeConstraint.endTime"),
    (f"{STUDY}.studyStoppingConfig", {"maximumRuntimeConstraint": {}},
     f"{STUDY}.studyStoppingConfig.maximumRuntimeConstraint.maxDuration"),
    ("trialJobSpec", LEAVE_OUT, "trialJobSpec"),
    ("trialJobSpec.workerPoolSpecs", [], "trialJobSpec.workerPoolSpecs"),
    ("trialJobSpec.workerPoolSpecs", [{}], f"{POOL}.containerSpec"),
    (f"{POOL}.replicaCount", 2, f"{POOL}.replicaCount"),
    (f"{POOL}.replicaCount", "one", f"{POOL}.replicaCount"),
    (f"{POOL}.containerSpec.imageUri", LEAVE_OUT, f"{POOL}.containerSpec.imageUri"),
    (f"{POOL}.containerSpec.args", "--epochs=3", f"{POOL}.containerSpec.args"),
    (f"{POOL}.containerSpec.env", [{"value": "x"}], f"{POOL}.containerSpec.env[0].name"),
    (f"{POOL}.containerSpec.env", [{"name": "A"}, {"name": "A"}],
     f"{POOL}.containerSpec.env[1].name"),
    (f"{POOL}.containerSpec.env", [{"name": f"V{i}"} for i in range(101)],
     f"{POOL}.containerSpec.env"),
    (f"{POOL}.pythonPackageSpec", {"pythonModule": "t"}, f"{POOL}.pythonPackageSpec"),
    (f"{POOL}.machineSpec.acceleratorType", 99, f"{POOL}.machineSpec.acceleratorType"),
    (f"{POOL}.machineSpec.acceleratorCount", -1, f"{POOL}.machineSpec.acceleratorCount"),
    ("trialJobSpec.scheduling", {"timeout": "1h"}, "trialJobSpec.scheduling.timeout"),
    ("trialJobSpec.scheduling", {"timeout": "0s"}, "trialJobSpec.scheduling.timeout"),
    ("trialJobSpec.scheduling", {"strategy": "CHEAP"}, "trialJobSpec.scheduling.strategy"),
]  # fmt: skip

TRAINING_JOBS: list[tuple[str, object, str]] = [
    ("jobId", LEAVE_OUT, "jobId"),
    ("jobId", "1-bad", "jobId"),
    (INPUT, LEAVE_OUT, INPUT),
    (f"{INPUT}.scaleTier", "HUGE", f"{INPUT}.scaleTier"),
    (f"{INPUT}.scaleTier", "CUSTOM", f"{INPUT}.masterType"),
    (f"{INPUT}.workerCount", 2, f"{INPUT}.workerCount"),
    (f"{INPUT}.packageUris", ["gs://b/p"] * 101, f"{INPUT}.packageUris"),
    (f"{INPUT}.pythonModule", LEAVE_OUT, f"{INPUT}.pythonModule"),
    (f"{INPUT}.runtimeVersion", "newest", f"{INPUT}.runtimeVersion"),
    (f"{INPUT}.args", "--epochs=3", f"{INPUT}.args"),
    (f"{INPUT}.masterConfig", {"imageUri": "gcr.io/p/t"}, f"{INPUT}.masterConfig.imageUri"),
    (f"{INPUT}.masterConfig", {"containerCommand": ["x"]}, f"{INPUT}.masterConfig.imageUri"),
    (f"{INPUT}.scheduling", {"maxRunningTime": "2h"}, f"{INPUT}.scheduling.maxRunningTime"),
    (f"{INPUT}.hyperParameters", {}, f"{INPUT}.hyperParameters"),
    (f"{TUNED}.goal", "HIGHER", f"{TUNED}.goal"),
    (f"{TUNED}.hyperparameterMetricTag", "my=tag", f"{TUNED}.hyperparameterMetricTag"),
    (f"{TUNED}.maxTrials", -1, f"{TUNED}.maxTrials"),
    (f"{TUNED}.maxFailedTrials", 7, f"{TUNED}.maxFailedTrials"),
    (f"{TUNED}.enableTrialEarlyStopping", "sometimes", f"{TUNED}.enableTrialEarlyStopping"),
    (f"{TUNED}.algorithm", "GRID_SEARCH", f"{TUNED}.algorithm"),
    (f"{TUNED}.resumePreviousJobId", ["PREVIOUS"], f"{TUNED}.resumePreviousJobId"),
    (f"{TUNED}.resumePreviousJobId", "a/b", f"{TUNED}.resumePreviousJobId"),
    (f"{TUNED}.params", [], f"{TUNED}.params"),
    (f"{TUNED}.params[0].parameterName", LEAVE_OUT, f"{TUNED}.params[0].parameterName"),
    (f"{TUNED}.params[1].parameterName", "lr", f"{TUNED}.params[1].parameterName"),
    (f"{TUNED}.params[0].type", LEAVE_OUT, f"{TUNED}.params[0].type"),
    (f"{TUNED}.params[0].type", "FLOAT", f"{TUNED}.params[0].type"),
    (f"{TUNED}.params[0].maxValue", 0.05, f"{TUNED}.params[0].maxValue"),
    (f"{TUNED}.params[0].categoricalValues", ["a"], f"{TUNED}.params[0].categoricalValues"),
    (f"{TUNED}.params[0].scaleType", "LOG_SCALE", f"{TUNED}.params[0].scaleType"),
    (f"{TUNED}.params[1].minValue", 0.5, f"{TUNED}.params[1].minValue"),
    (f"{TUNED}.params[1]", {"parameterName": "c", "type": "CATEGORICAL"},
     f"{TUNED}.params[1].categoricalValues"),
    (f"{TUNED}.params[1]", {"parameterName": "d", "type": "DISCRETE", "discreteValues": [2, 1]},
     f"{TUNED}.params[1].discreteValues[1]"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "field"), TUNING_JOBS)
def test_a_malformed_tuning_job_is_refused_by_the_field_at_fault(
    refused: Refused, tuning_job: dict[str, Any], path: str, value: object, field: str
) -> None:
    put(tuning_job, path, value)

    assert list(refused("tuning job", tuning_job)) == [field]


@pytest.mark.parametrize(("path", "value", "field"), TRAINING_JOBS)
def test_a_malformed_training_job_is_refused_by_the_field_at_fault(
    refused: Refused, training_job: dict[str, Any], path: str, value: object, field: str
) -> None:
    put(training_job, path, value)

    assert list(refused("training job", training_job)) == [field]


@pytest.mark.parametrize("body", [None, 3, "job", [], [{}]])
def test_what_is_no_message_is_refused(refused: Refused, body: object) -> None:
    assert refused("tuning job", body) == {"": "a mapping is needed"}


def test_all_faults_are_told_at_once_in_reading_order(
    refused: Refused, tuning_job: dict[str, Any]
) -> None:
    put(tuning_job, f"{POOL}.containerSpec.imageUri", LEAVE_OUT)
    put(tuning_job, "maxTrialCount", 0)
    put(tuning_job, f"{OPTIMIZER}.categoricalValueSpec.defaultValue", "rmsprop")
    put(tuning_job, f"{RATE}.scaleType", "LOG")

    assert list(refused("tuning job", tuning_job)) == [
        f"{RATE}.scaleType",
        f"{OPTIMIZER}.categoricalValueSpec.defaultValue",
        "maxTrialCount",
        f"{POOL}.containerSpec.imageUri",
    ]


def test_the_one_parameter_s_own_fault_is_all_that_is_said_of_it(
    refused: Refused, study: dict[str, Any]
) -> None:
    study["parameters"] = [{"parameterId": "x", "doubleValueSpec": {"minValue": 2, "maxValue": 1}}]

    assert list(refused("study spec", study)) == ["parameters[0].doubleValueSpec.maxValue"]


def test_a_fault_says_what_was_given_and_what_would_be_right(
    refused: Refused, tuning_job: dict[str, Any]
) -> None:
    put(tuning_job, f"{RATE}.doubleValueSpec.minValue", 0)

    assert refused("tuning job", tuning_job) == {
        f"{RATE}.scaleType": "learning_rate: UNIT_LOG_SCALE needs a minValue above 0; given 0.0"
    }
