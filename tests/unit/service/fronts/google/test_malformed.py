"""Fifty malformed jobs and studies: each is answered 400 with its field, none is taken, none is a fault of ours."""

import copy
import re
from typing import Any

import pytest

Google = Any
Job = dict[str, Any]

LEFT_OUT = object()
JOBS = "/hyperparameterTuningJobs"
P0, P1, POOL = (
    "studySpec.parameters[0]",
    "studySpec.parameters[1]",
    "trialJobSpec.workerPoolSpecs[0]",
)
HYPER = "trainingInput.hyperparameters"

TUNING: list[tuple[str, object, str]] = [
    ("displayName", LEFT_OUT, "displayName"),
    ("displayName", "x" * 129, "displayName"),
    ("maxTrialCount", LEFT_OUT, "maxTrialCount"),
    ("maxTrialCount", -1, "maxTrialCount"),
    ("maxTrialCount", "many", "maxTrialCount"),
    ("parallelTrialCount", LEFT_OUT, "parallelTrialCount"),
    ("parallelTrialCount", 1.5, "parallelTrialCount"),
    ("maxFailedTrialCount", 99, "maxFailedTrialCount"),
    ("labels", {"UPPER": "x"}, "labels"),
    ("studySpec", LEFT_OUT, "studySpec"),
    ("studySpec", "spec", "studySpec"),
    ("studySpec.metrics", [], "studySpec.metrics"),
    ("studySpec.metrics[0].metricId", "", "studySpec.metrics[0].metricId"),
    ("studySpec.metrics[0].goal", "BEST", "studySpec.metrics[0].goal"),
    ("studySpec.parameters", [], "studySpec.parameters"),
    (f"{P0}.parameterId", "", f"{P0}.parameterId"),
    (f"{P0}.parameterId", "learning rate", f"{P0}.parameterId"),
    (f"{P1}.parameterId", "lr", f"{P1}.parameterId"),
    (f"{P0}.doubleValueSpec", LEFT_OUT, f"{P0}.doubleValueSpec"),
    (f"{P0}.doubleValueSpec", {"minValue": 2, "maxValue": 1}, f"{P0}.doubleValueSpec.maxValue"),
    (f"{P0}.doubleValueSpec", {"minValue": 0, "maxValue": 1}, f"{P0}.scaleType"),
    (f"{P0}.doubleValueSpec.minValue", [1], f"{P0}.doubleValueSpec.minValue"),
    (f"{P0}.scaleType", 9, f"{P0}.scaleType"),
    (f"{P1}.discreteValueSpec.values", [], f"{P1}.discreteValueSpec.values"),
    ("studySpec.algorithm", "GRID_SEARCH", "studySpec.algorithm"),
    ("studySpec.algorithm", 77, "studySpec.algorithm"),
    ("studySpec.measurementSelectionType", "FIRST", "studySpec.measurementSelectionType"),
    ("studySpec.medianAutomatedStoppingSpec", 5, "studySpec.medianAutomatedStoppingSpec"),
    ("studySpec.unheardOf", 5, "studySpec.unheardOf"),
    ("studySpec.transferLearningConfig", {"priorStudyNames": ["nobody"]},
     "studySpec.transferLearningConfig.priorStudyNames"),
    ("trialJobSpec", LEFT_OUT, "trialJobSpec"),
    ("trialJobSpec.workerPoolSpecs", [], "trialJobSpec.workerPoolSpecs"),
    (f"{POOL}.replicaCount", 2, f"{POOL}.replicaCount"),
    (f"{POOL}.containerSpec", LEFT_OUT, f"{POOL}.containerSpec"),
    (f"{POOL}.containerSpec.imageUri", "", f"{POOL}.containerSpec.imageUri"),
    (f"{POOL}.containerSpec.env", [{"name": "A=B"}], f"{POOL}.containerSpec.env[0].name"),
    ("trialJobSpec.scheduling", {"timeout": "soon"}, "trialJobSpec.scheduling.timeout"),
    ("trialJobSpec.scheduling", {"timeout": "-5s"}, "trialJobSpec.scheduling.timeout"),
]  # fmt: skip

TRAINING: list[tuple[str, object, str]] = [
    ("jobId", LEFT_OUT, "jobId"),
    ("jobId", "1st", "jobId"),
    ("trainingInput", LEFT_OUT, "trainingInput"),
    ("trainingInput.scaleTier", "HUGE", "trainingInput.scaleTier"),
    ("trainingInput.scaleTier", "CUSTOM", "trainingInput.masterType"),
    ("trainingInput.workerCount", 3, "trainingInput.workerCount"),
    (f"{HYPER}.params", LEFT_OUT, f"{HYPER}.params"),
    (f"{HYPER}.params[0].type", LEFT_OUT, f"{HYPER}.params[0].type"),
    (f"{HYPER}.params[0].minValue", 9, f"{HYPER}.params[0].maxValue"),
    (f"{HYPER}.goal", "HIGH", f"{HYPER}.goal"),
    (f"{HYPER}.maxTrials", "x", f"{HYPER}.maxTrials"),
    (f"{HYPER}.resumePreviousJobId", "nobody", f"{HYPER}.resumePreviousJobId"),
    (f"{HYPER}.resumePreviousJobId", ["x"], f"{HYPER}.resumePreviousJobId"),
]

TRAINING_JOB: Job = {
    "jobId": "census",
    "trainingInput": {
        "pythonModule": "trainer.task",
        "hyperparameters": {
            "goal": "MAXIMIZE",
            "maxTrials": 2,
            "params": [{"parameterName": "x", "type": "DOUBLE", "minValue": 0, "maxValue": 1}],
        },
    },
}


def changed(body: Job, path: str, value: object) -> Job:
    """Return a body with a field set, or left out."""
    found: Any = copy.deepcopy(body)
    *way, last = [int(p) if p.isdigit() else p for p in re.findall(r"\w+", path)]
    at = found
    for step in way:
        at = at[step]
    if value is LEFT_OUT:
        del at[last]
    else:
        at[last] = value
    return found  # type: ignore[no-any-return]


def test_malformed_tuning_jobs_are_refused_by_field(google: Google, tuning_job: Job) -> None:
    answers = [
        (path, value, field, google.refused("POST", JOBS, changed(tuning_job, path, value)))
        for path, value, field in TUNING
    ]

    wrong = [
        (path, value, error)
        for path, value, field, error in answers
        if (error["code"], error["status"]) != (400, "INVALID_ARGUMENT")
        or field not in error["message"]
        or not any(field in v["field"] for v in error["details"][0]["fieldViolations"])
    ]
    assert not wrong
    assert google("GET", JOBS) == {}
    assert google.client.get("/studies").json()["studies"] == []


def test_malformed_training_jobs_are_refused_by_field(google: Google) -> None:
    jobs = "//v1/projects/p/jobs"

    answers = [
        (path, value, field, google.refused("POST", jobs, changed(TRAINING_JOB, path, value)))
        for path, value, field in TRAINING
    ]

    wrong = [
        (path, value, error)
        for path, value, field, error in answers
        if (error["code"], error["status"]) != (400, "INVALID_ARGUMENT")
        or field not in error["message"]
    ]
    assert not wrong
    assert google("GET", jobs) == {}
    assert google.client.get("/studies").json()["studies"] == []


@pytest.mark.parametrize("body", [None, [], "job", 7, {"a": {}}, {"displayName": None}])
def test_what_is_no_job_at_all_is_refused(google: Google, body: object) -> None:
    for path in (JOBS, "/customJobs", "/studies", "//v1/projects/p/jobs"):
        assert google.refused("POST", path, body)["code"] == 400
