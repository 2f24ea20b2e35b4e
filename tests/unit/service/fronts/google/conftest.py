"""Clients of Google's services as they speak over HTTP, and jobs whose trials are shell scripts."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PARENT = "projects/p/locations/us-central1"

# What hypertune writes, without the time that importing it takes.
REPORT = """\
import json, os, sys
values = dict(word[2:].split("=", 1) for word in sys.argv[1:])
line = {"timestamp": 1.0, "trial": os.environ["CLOUD_ML_TRIAL_ID"], "accuracy": values["lr"], "global_step": "3"}
open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w").write(json.dumps(line) + chr(10))
"""


class Google:
    """Talks to a server as one of Google's clients does, in one version of Vertex AI's API.

    A path that begins with ``//`` is a whole one, with ``/`` it is below a location, and without it is the name
    of a resource.
    """

    def __init__(self, client: Any, version: str) -> None:
        self.client = client
        self.version = version

    def path(self, given: str) -> str:
        """Return the whole path of what is given."""
        if given.startswith("//"):
            return given
        name = PARENT + given if given.startswith("/") else given
        return f"//{self.version}/{name}"

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Make a request that is to go well; return the answer's document."""
        answer = self.client(method, self.path(path), body, **headers)
        assert answer.status == 200, answer.body
        return answer.json()

    def refused(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Make a request that is to be refused; return the error."""
        answer = self.client(method, self.path(path), body, **headers)
        assert answer.status >= 400, answer.body
        error = answer.error
        assert error["code"] == answer.status
        return error


@pytest.fixture(params=["v1", "v1beta1"])
def version(request: pytest.FixtureRequest) -> str:
    """A version of Vertex AI's API."""
    return str(request.param)


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
def google(serve: Callable[..., Any], running_jobs: dict[str, Any], version: str) -> Google:
    """A client of a server that runs jobs."""
    return Google(serve(**running_jobs), version)


@pytest.fixture
def idle(serve: Callable[..., Any], version: str) -> Google:
    """A client of a server that runs no jobs, but takes studies."""
    return Google(serve(), version)


@pytest.fixture
def taken(serve: Callable[..., Any], running_jobs: dict[str, Any], version: str) -> Google:
    """A client of a server that takes jobs, and does not come to run them."""
    return Google(serve(**running_jobs | {"workers": 0}), version)


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
