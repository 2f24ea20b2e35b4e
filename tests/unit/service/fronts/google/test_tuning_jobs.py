"""Vertex AI's tuning jobs over HTTP: made, run, listed, cancelled, deleted."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.service.app import make_app
from tunesmith.service.run import Running
from tunesmith.service.settings import Settings
from tunesmith.storage import ServedStorage

Until = Callable[..., None]
Google = Any
Job = dict[str, Any]
JOBS = "/hyperparameterTuningJobs"

# How a job fails has nothing to do with the version of the API, and takes seconds.
once = pytest.mark.parametrize("version", ["v1beta1"])


def ended(google: Google, name: str, until: Until) -> Job:
    """Wait for a job's end; return the job."""
    ends = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
    until(lambda: google("GET", name)["state"] in ends, timeout_s=90)
    job: Job = google("GET", name)
    return job


@pytest.mark.slow
def test_a_job_runs_its_trials_and_tells_what_they_measured(
    google: Google, tuning_job: Job, until: Until, storage: ServedStorage
) -> None:
    made = google("POST", JOBS, tuning_job)

    job = ended(google, made["name"], until)

    assert made["state"] == "JOB_STATE_PENDING"
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert job["studySpec"] == tuning_job["studySpec"]
    assert [trial["id"] for trial in job["trials"]] == ["1", "2", "3"]
    for trial in job["trials"]:
        values = {p["parameterId"]: p["value"] for p in trial["parameters"]}
        assert trial["state"] == "SUCCEEDED"
        assert trial["finalMeasurement"]["metrics"] == [
            {"metricId": "accuracy", "value": values["lr"]}
        ]
        assert trial["finalMeasurement"]["stepCount"] == "3"
        assert trial["measurements"][-1]["metrics"] == trial["finalMeasurement"]["metrics"]
        assert isinstance(values["units"], int)
        assert trial["startTime"] <= trial["endTime"]
    assert made["createTime"] <= job["startTime"] <= job["endTime"]
    # To the page and the command line it is a study like any other.
    assert storage.study("digits").command == made["name"].split("/", 4)[4]


@once
@pytest.mark.slow
def test_a_job_whose_first_trial_fails_has_failed_with_the_reason(
    google: Google, tuning_job: Job, until: Until
) -> None:
    container = tuning_job["trialJobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    container["command"] = ["sh", "-c", "echo no such data >&2; exit 3"]
    tuning_job |= {"maxTrialCount": 50, "parallelTrialCount": 1}

    job = ended(google, google("POST", JOBS, tuning_job)["name"], until)

    assert job["state"] == "JOB_STATE_FAILED"
    assert len(job["trials"]) == 1
    assert job["trials"][0]["state"] == "INFEASIBLE"
    assert "no such data" in job["trials"][0]["infeasibleReason"]
    assert job["error"]["code"] == 3
    assert "the first trial failed" in job["error"]["message"]
    assert "no such data" in job["error"]["message"]


@once
@pytest.mark.slow
def test_a_job_whose_image_is_not_here_fails_before_any_trial_with_advice(
    google: Google, tuning_job: Job, until: Until
) -> None:
    container = tuning_job["trialJobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    del container["command"]
    container["imageUri"] = "localhost:1/nobody/has-this"

    job = ended(google, google("POST", JOBS, tuning_job)["name"], until)

    assert job["state"] == "JOB_STATE_FAILED"
    assert "trials" not in job
    assert "localhost:1/nobody/has-this" in job["error"]["message"]


@pytest.mark.slow
def test_a_cancelled_job_stops_its_trials_and_can_be_deleted_then(
    google: Google, tuning_job: Job, until: Until, storage: ServedStorage
) -> None:
    container = tuning_job["trialJobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    container["command"] = ["sh", "-c", "exec sleep 300"]
    name = google("POST", JOBS, tuning_job)["name"]
    until(lambda: google("GET", name).get("trials"), timeout_s=60)

    early = google.refused("DELETE", name)
    answer = google("POST", f"{name}:cancel", {})
    between = google("GET", name)["state"]
    job = ended(google, name, until)
    deleted = google("DELETE", name)

    assert early["status"] == "FAILED_PRECONDITION"
    assert answer == {}
    assert between in ("JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED")
    assert job["state"] == "JOB_STATE_CANCELLED"
    assert job["error"]["code"] == 1
    assert {trial["state"] for trial in job["trials"]} == {"INFEASIBLE"}
    assert deleted["done"] is True
    assert deleted["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    for prefix in (google.version, "ui"):
        assert google("GET", f"//{prefix}/{deleted['name']}") == deleted
    assert f"aiplatform.{google.version}." in deleted["metadata"]["@type"]
    assert google.refused("GET", name)["status"] == "NOT_FOUND"
    assert "digits" not in storage.study_names()


@pytest.fixture
def running(
    storage: ServedStorage,
    tmp_path: Path,
    connect: Callable[..., Any],
    running_jobs: dict[str, Any],
) -> Callable[[], AbstractContextManager[Any]]:
    """Runs a server on the same storage and folder for as long as a block lasts."""

    @contextmanager
    def run() -> Iterator[Any]:
        settings = replace(Settings(port=0, data=tmp_path / "server"), **running_jobs)
        with Running(make_app(storage, settings), settings) as server:
            yield connect(server.url)

    return run


@pytest.mark.slow
def test_a_job_goes_on_when_its_server_is_started_again(
    running: Callable[[], AbstractContextManager[Any]],
    tuning_job: Job,
    until: Until,
    tmp_path: Path,
) -> None:
    container = tuning_job["trialJobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.1; done; python3 -c"
    report = container["command"][2]
    container["command"] = ["sh", "-c", f'{wait} "$0" "$@"', report]
    jobs = "//v1beta1/projects/p/locations/us-central1/hyperparameterTuningJobs"
    with running() as client:
        name = client("POST", jobs, tuning_job).json()["name"]
        until(lambda: client("GET", f"//v1/{name}").json().get("trials"), timeout_s=60)

    (tmp_path / "go").touch()
    with running() as client:
        until(
            lambda: client("GET", f"//v1/{name}").json()["state"] == "JOB_STATE_SUCCEEDED",
            timeout_s=90,
        )
        job = client("GET", f"//v1/{name}").json()

    assert [trial["state"] for trial in job["trials"]] == ["SUCCEEDED"] * 3


def test_jobs_are_listed_filtered_ordered_and_paged(google: Google, tuning_job: Job) -> None:
    for name in ("b", "a", "c"):
        google("POST", JOBS, tuning_job | {"displayName": name, "labels": {"team": name}})

    every = google("GET", JOBS)["hyperparameterTuningJobs"]
    one = google("GET", JOBS + '?filter=display_name%3D"a"%20AND%20labels.team%3Da')
    ordered = google("GET", JOBS + "?orderBy=display_name%20desc&pageSize=2")
    rest = google(
        "GET",
        JOBS + f"?orderBy=display_name%20desc&pageSize=2&pageToken={ordered['nextPageToken']}",
    )
    nowhere = google("GET", "projects/p/locations/europe-west4/hyperparameterTuningJobs")

    assert [job["displayName"] for job in every] == ["c", "a", "b"]
    assert [job["displayName"] for job in one["hyperparameterTuningJobs"]] == ["a"]
    assert [job["displayName"] for job in ordered["hyperparameterTuningJobs"]] == ["c", "b"]
    assert [job["displayName"] for job in rest["hyperparameterTuningJobs"]] == ["a"]
    assert "nextPageToken" not in rest
    assert nowhere == {}
    assert google.refused("GET", JOBS + "?filter=state%20%3D")["status"] == "INVALID_ARGUMENT"
    assert google.refused("GET", JOBS + "?pageToken=x")["status"] == "INVALID_ARGUMENT"


def test_a_server_that_runs_no_jobs_says_how_it_would(idle: Google, tuning_job: Job) -> None:
    error = idle.refused("POST", JOBS, tuning_job)

    assert error["status"] == "FAILED_PRECONDITION"
    assert "--executor local" in error["message"]
    assert idle("GET", JOBS) == {}


def test_an_unknown_address_is_not_found_in_google_s_form(idle: Google) -> None:
    error = idle.refused("GET", "/trainingPipelines")

    assert error["status"] == "NOT_FOUND"


def test_another_project_has_no_such_job(
    serve: Callable[..., Any],
    secret: Callable[..., str],
    connect: Callable[..., Any],
    tuning_job: Job,
    version: str,
) -> None:
    server = serve(executor="local")
    mine, theirs = (connect(server.url, secret("write", project)) for project in ("a", "b"))
    path = f"//{version}/projects/p/locations/us-central1/hyperparameterTuningJobs"
    name = f"//{version}/{mine('POST', path, tuning_job).json()['name']}"

    answers = [
        theirs("GET", name),
        theirs("DELETE", name),
        theirs("POST", f"{name}:cancel", {}),
    ]

    assert [answer.status for answer in answers] == [404] * 3
    assert theirs("GET", path).json() == {}
    assert mine("GET", name).status == 200


def test_roles_are_asked_for_and_a_missing_token_is_told_in_google_s_form(
    serve: Callable[..., Any],
    secret: Callable[..., str],
    connect: Callable[..., Any],
    tuning_job: Job,
    version: str,
) -> None:
    server = serve(executor="local")
    reader = connect(server.url, secret("read"))
    path = f"//{version}/projects/p/locations/us-central1/hyperparameterTuningJobs"

    forbidden = reader("POST", path, tuning_job)
    nobody = server("GET", path)

    assert (forbidden.status, forbidden.error["status"]) == (403, "PERMISSION_DENIED")
    assert (nobody.status, nobody.error["status"]) == (401, "UNAUTHENTICATED")
    assert reader("GET", path).json() == {}
    assert reader("GET", "//storage/v1/b").status == 403


def test_a_body_that_is_no_json_is_an_invalid_argument(idle: Google) -> None:
    answer = idle.client(
        "POST",
        idle.path(JOBS),
        raw=b'{"a": 1, "a": 2}',
        Content_Type="application/json",
    )

    assert answer.status == 400
    assert json.loads(answer.body)["error"]["status"] == "INVALID_ARGUMENT"
