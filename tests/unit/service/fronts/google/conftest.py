"""Clients of Google's services as they speak over HTTP, and jobs whose trials are shell scripts."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PARENT = "//v1/projects/p/locations/us-central1"

# What hypertune writes, without the time that importing it takes.
REPORT = """\
import json, os, sys
values = dict(word[2:].split("=", 1) for word in sys.argv[1:])
line = {"timestamp": 1.0, "trial": os.environ["CLOUD_ML_TRIAL_ID"], "accuracy": values["lr"], "global_step": "3"}
open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w").write(json.dumps(line) + chr(10))
"""


class Google:
    """Talks to a server as one of Google's clients does."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __call__(self, method: str, path: str, body: object = None) -> Any:
        """Make a request that is to go well; return the answer's document. Paths are below a location."""
        answer = self.client(method, path if path.startswith("//") else PARENT + path, body)
        assert answer.status == 200, answer.body
        return answer.json()

    def refused(self, method: str, path: str, body: object = None) -> Any:
        """Make a request that is to be refused; return the error."""
        answer = self.client(method, path if path.startswith("//") else PARENT + path, body)
        assert answer.status >= 400, answer.body
        error = answer.error
        assert error["code"] == answer.status
        return error


@pytest.fixture
def running_jobs(tmp_path: Path) -> dict[str, Any]:
    """The settings of a server that runs jobs; a folder stands for their image."""
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM python:3\nWORKDIR /app\n")
    return {
        "executor": "local",
        "workers": 2,
        "grace_s": 5.0,
        "buckets": tmp_path / "buckets",
        "images": (("gcr.io/p/digits", str(folder)),),
    }


@pytest.fixture
def google(serve: Callable[..., Any], running_jobs: dict[str, Any]) -> Google:
    """A client of a server that runs jobs."""
    return Google(serve(**running_jobs))


@pytest.fixture
def idle(serve: Callable[..., Any]) -> Google:
    """A client of a server that runs no jobs, but takes studies."""
    return Google(serve())


@pytest.fixture
def tuning_job() -> dict[str, Any]:
    """A tuning job whose trials report their learning rate as accuracy."""
    return copy.deepcopy(
        {
            "displayName": "digits",
            "maxTrialCount": 3,
            "parallelTrialCount": 2,
            "studySpec": {
                "metrics": [{"metricId": "accuracy", "goal": 1}],
                "parameters": [
                    {
                        "parameterId": "lr",
                        "doubleValueSpec": {"minValue": 0.001, "maxValue": 1},
                        "scaleType": 2,
                    },
                    {"parameterId": "units", "discreteValueSpec": {"values": [64.0, 128.0]}},
                ],
            },
            "trialJobSpec": {
                "workerPoolSpecs": [
                    {
                        "replicaCount": "1",
                        "containerSpec": {
                            "imageUri": "gcr.io/p/digits",
                            "command": ["python3", "-c", REPORT],
                        },
                    }
                ]
            },
        }
    )
