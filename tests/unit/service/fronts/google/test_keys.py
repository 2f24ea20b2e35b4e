"""Requests with a key happen once, however often they are sent."""

from typing import Any

import pytest

from tunesmith.errors import StorageError
from tunesmith.storage import ServedStorage
from tunesmith.storage.sql_jobs import SqlJobs

Google = Any
Job = dict[str, Any]
JOBS = "/hyperparameterTuningJobs"
CUSTOM: Job = {
    "displayName": "plain",
    "jobSpec": {"workerPoolSpecs": [{"containerSpec": {"imageUri": "gcr.io/p/digits"}}]},
}
TRAINING: Job = {
    "jobId": "census",
    "trainingInput": {
        "pythonModule": "trainer.task",
        "hyperparameters": {
            "params": [{"parameterName": "x", "type": "DOUBLE", "minValue": 0, "maxValue": 1}]
        },
    },
}
SPEC: dict[str, Any] = {
    "metrics": [{"metricId": "loss", "goal": "MINIMIZE"}],
    "parameters": [{"parameterId": "x", "doubleValueSpec": {"maxValue": 1}}],
}
OLDER: dict[str, Any] = {
    "studyConfig": {
        "metrics": [{"metric": "loss", "goal": "MINIMIZE"}],
        "parameters": [{"parameter": "x", "type": "DOUBLE", "doubleValueSpec": {"maxValue": 1}}],
    }
}
MEASURED: dict[str, Any] = {"metrics": [{"metricId": "loss", "value": 0.5}]}


@pytest.fixture
def study(idle: Google) -> str:
    """The name of a new study."""
    return str(idle("POST", "/studies", {"displayName": "s", "studySpec": SPEC})["name"])


def again(google: Google, path: str, body: object, key: str = "key-0001") -> tuple[Any, Any]:
    """Make a request twice, as whoever has not heard the first answer; return both."""
    first = google("POST", path, body, Idempotency_Key=key)
    return first, google("POST", path, body, Idempotency_Key=key)


def test_a_job_is_made_once(taken: Google, tuning_job: Job, storage: ServedStorage) -> None:
    first, second = again(taken, JOBS, tuning_job)

    assert first["name"] == second["name"]
    assert storage.study_names() == ["digits"]
    assert len(storage.jobs.all()) == 1
    other = taken("POST", JOBS, tuning_job, Idempotency_Key="key-0002")
    assert other["name"] != first["name"]
    assert taken("POST", JOBS, tuning_job)["name"] not in (first["name"], other["name"])


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [("/customJobs", CUSTOM, "name"), ("//v1/projects/p/jobs", TRAINING, "jobId")],
)
def test_so_is_a_job_of_any_kind(
    taken: Google, storage: ServedStorage, path: str, body: Job, name: str
) -> None:
    first, second = again(taken, path, body)

    assert first[name] == second[name]
    assert len(storage.jobs.all()) == 1


def test_a_job_that_could_not_be_handed_in_is_when_its_client_tries_again(
    taken: Google, tuning_job: Job, storage: ServedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StorageError("The storage is away.")

    with monkeypatch.context() as patch:
        patch.setattr(SqlJobs, "submit", away)
        error = taken.refused("POST", JOBS, tuning_job, Idempotency_Key="key-0001")
    made = taken("POST", JOBS, tuning_job, Idempotency_Key="key-0001")

    assert error["status"] == "UNAVAILABLE"
    assert storage.study_names() == ["digits"]
    assert [job.study for job in storage.jobs.all()] == ["digits"]
    assert [job["name"] for job in taken("GET", JOBS)["hyperparameterTuningJobs"]] == [made["name"]]


@pytest.mark.parametrize("path", [JOBS, "/customJobs"])
def test_a_key_stands_for_one_request(taken: Google, tuning_job: Job, path: str) -> None:
    body = tuning_job if path == JOBS else CUSTOM
    taken("POST", path, body, Idempotency_Key="key-0001")

    error = taken.refused("POST", path, body | {"displayName": "b"}, Idempotency_Key="key-0001")
    malformed = taken.refused("POST", path, body, Idempotency_Key="short")

    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert "key" in error["message"]
    assert malformed["code"] == 400
    assert len(taken("GET", path)[path[1:]]) == 1


def test_a_study_of_either_api_is_made_once(idle: Google, storage: ServedStorage) -> None:
    vizier = again(idle, "/studies", {"displayName": "s", "studySpec": SPEC}, "key-0001")
    older = again(idle, "/studies?studyId=o", OLDER, "key-0002")

    assert vizier[0] == vizier[1]
    assert older[0] == older[1]
    assert sorted(storage.study_names()) == ["o", "s"]
    assert idle.refused("POST", "/studies?studyId=o", OLDER)["status"] == "ALREADY_EXISTS"


def test_trials_are_given_and_added_once(idle: Google, study: str, storage: ServedStorage) -> None:
    point = [{"parameterId": "x", "value": 0.5}]
    contexts = [{"parameters": [{"parameterId": "x", "value": value}]} for value in (0.25, 0.75)]
    ask = {"clientId": "me", "suggestionCount": 2}

    suggested = again(idle, f"{study}/trials:suggest", ask, "key-0001")
    fixed = again(idle, f"{study}/trials:suggest", {**ask, "contexts": contexts}, "key-0002")
    waiting = again(idle, f"{study}/trials", {"parameters": point}, "key-0003")
    done = again(
        idle, f"{study}/trials", {"parameters": point, "finalMeasurement": MEASURED}, "key-0004"
    )

    assert [trial["id"] for trial in suggested[0]["response"]["trials"]] == ["1", "2"]
    assert [trial["parameters"][0]["value"] for trial in fixed[0]["response"]["trials"]] == [
        0.25,
        0.75,
    ]
    for first, second in (suggested, fixed, waiting, done):
        assert first == second
    assert done[0]["state"] == "SUCCEEDED"
    assert storage.study("s").size == 6


def test_a_trial_is_measured_and_ended_once(idle: Google, study: str) -> None:
    ask = {"clientId": "me", "suggestionCount": 3}
    found = idle("POST", f"{study}/trials:suggest", ask)["response"]["trials"]
    one, two, three = (trial["name"] for trial in found)
    final = {"finalMeasurement": {**MEASURED, "stepCount": "7"}}

    measured = again(idle, f"{one}:addTrialMeasurement", {"measurement": MEASURED}, "key-0001")
    stopped = again(idle, f"{two}:stop", {}, "key-0002")
    by_measurements = again(idle, f"{one}:complete", {}, "key-0003")
    by_final = again(idle, f"{two}:complete", final, "key-0004")
    infeasible = again(idle, f"{three}:complete", {"trialInfeasible": True}, "key-0005")

    for first, second in (measured, stopped, by_measurements, by_final, infeasible):
        assert first == second
    assert len(measured[1]["measurements"]) == 1
    assert infeasible[0]["state"] == "INFEASIBLE"
    for name, body in ((one, {}), (two, final), (three, {"trialInfeasible": True})):
        assert idle.refused("POST", f"{name}:complete", body)["status"] == "FAILED_PRECONDITION"
    other = {"finalMeasurement": {"metrics": [{"metricId": "loss", "value": 9}]}}
    refused = idle.refused("POST", f"{two}:complete", other, Idempotency_Key="key-0006")
    assert refused["status"] == "FAILED_PRECONDITION"


def test_labels_are_changed_once(taken: Google) -> None:
    made = taken("POST", "//v1/projects/p/jobs", TRAINING)
    path = "//v1/projects/p/jobs/census?updateMask=labels"
    body = {"labels": {"team": "b"}, "etag": made["etag"]}

    answers = [taken("PATCH", path, body, Idempotency_Key="key-0001") for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[0]["labels"] == {"team": "b"}
    assert taken.refused("PATCH", path, body)["code"] == 409
