import json
from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.errors import SpecError
from tunesmith.specs.google import Document, GoogleJob, read_request, violations

NOW = 1_700_000_000.0


@pytest.fixture
def study() -> dict[str, Any]:
    """A StudySpec that makes sense, to be changed."""
    return {
        "metrics": [{"metricId": "accuracy", "goal": "MAXIMIZE"}],
        "parameters": [
            {
                "parameterId": "learning_rate",
                "doubleValueSpec": {"minValue": 0.001, "maxValue": 1},
                "scaleType": "UNIT_LOG_SCALE",
            },
            {"parameterId": "optimizer", "categoricalValueSpec": {"values": ["sgd", "adam"]}},
        ],
    }


@pytest.fixture
def tuning_job(study: dict[str, Any]) -> dict[str, Any]:
    """A HyperparameterTuningJob that makes sense, to be changed."""
    return {
        "displayName": "digits",
        "studySpec": study,
        "maxTrialCount": 6,
        "parallelTrialCount": 2,
        "trialJobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {"machineType": "n1-standard-4"},
                    "replicaCount": "1",
                    "containerSpec": {"imageUri": "gcr.io/p/train"},
                }
            ]
        },
    }


@pytest.fixture
def training_job() -> dict[str, Any]:
    """A job of Cloud ML Engine that makes sense, to be changed."""
    return {
        "jobId": "census_1",
        "trainingInput": {
            "scaleTier": "BASIC",
            "packageUris": ["gs://b/trainer-0.1.tar.gz"],
            "pythonModule": "trainer.task",
            "hyperparameters": {
                "goal": "MAXIMIZE",
                "hyperparameterMetricTag": "accuracy",
                "maxTrials": 6,
                "params": [
                    {"parameterName": "lr", "type": "DOUBLE", "minValue": 0.1, "maxValue": 1},
                    {"parameterName": "n", "type": "INTEGER", "minValue": 1, "maxValue": 4},
                ],
            },
        },
    }


@pytest.fixture
def read() -> Callable[[Document, object], GoogleJob]:
    """Reads the body of a request, as a server would get it."""
    return lambda document, body: read_request(document, json.loads(json.dumps(body)), now=NOW)


@pytest.fixture
def refused() -> Callable[[Document, object], dict[str, str]]:
    """Returns the fields that a body is refused for, each with the description of its first fault."""

    def fields(document: Document, body: object) -> dict[str, str]:
        with pytest.raises(SpecError) as caught:
            read_request(document, json.loads(json.dumps(body)), now=NOW)
        found: dict[str, str] = {}
        for field, description in violations(caught.value):
            found.setdefault(field, description)
        return found

    return fields
