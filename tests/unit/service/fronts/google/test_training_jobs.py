"""Cloud ML Engine's jobs over HTTP."""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

Google = Any
Job = dict[str, Any]
Until = Callable[..., None]
JOBS = "//v1/projects/p/jobs"

REPORT = """\
import json, os, sys
x = float(sys.argv[1].partition("=")[2])
lines = [{"timestamp": s + 1.0, "trial": "1", "metric1": str(x * s), "global_step": str(s)} for s in (1, 2)]
open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w").write("".join(json.dumps(line) + chr(10) for line in lines))
name, folder = " ".join(sys.argv[2:]).replace("=", " ").split()
assert name == "--job-dir" and os.path.basename(folder) == os.environ["CLOUD_ML_TRIAL_ID"]
assert json.loads(os.environ["TF_CONFIG"])["task"]["trial"] == os.environ["CLOUD_ML_TRIAL_ID"]
"""
JOB: Job = {
    "jobId": "census",
    "labels": {"team": "a"},
    "trainingInput": {
        "scaleTier": "CUSTOM",
        "masterType": "complex_model_m",
        "jobDir": "gs://my-bucket/census",
        "masterConfig": {
            "imageUri": "gcr.io/p/digits",
            "containerCommand": ["python3", "-c", REPORT],
        },
        "hyperparameters": {
            "goal": "MAXIMIZE",
            "hyperparameterMetricTag": "metric1",
            "maxTrials": 3,
            "params": [
                {"parameterName": "x", "type": "DOUBLE", "minValue": 0.5, "maxValue": 1},
            ],
        },
    },
}


@pytest.fixture
def version() -> str:
    """The only one: Cloud ML Engine has no other."""
    return "v1"


def ended(google: Google, id_: str, until: Until) -> Job:
    """Wait for a job's end; return the job."""
    ends = ("SUCCEEDED", "FAILED", "CANCELLED")
    until(lambda: google("GET", f"{JOBS}/{id_}")["state"] in ends, timeout_s=90)
    job: Job = google("GET", f"{JOBS}/{id_}")
    return job


@pytest.mark.slow
def test_a_job_tells_its_trials_best_first_and_another_goes_on_with_them(
    google: Google, until: Until
) -> None:
    google("POST", JOBS, JOB)
    job = ended(google, "census", until)
    resumed = copy.deepcopy(JOB) | {"jobId": "census_2"}
    resumed["trainingInput"]["hyperparameters"] = {
        "maxTrials": 2,
        "resumePreviousJobId": "census",
        "enableTrialEarlyStopping": True,
    }

    google("POST", JOBS, resumed)
    second = ended(google, "census_2", until)

    output = job["trainingOutput"]
    assert job["state"] == "SUCCEEDED"
    assert output["isHyperparameterTuningJob"] is True
    assert output["hyperparameterMetricTag"] == "metric1"
    assert output["completedTrialCount"] == "3"
    values = [trial["finalMetric"]["objectiveValue"] for trial in output["trials"]]
    assert values == sorted(values, reverse=True)
    for trial in output["trials"]:
        x = float(trial["hyperparameters"]["x"])
        assert trial["finalMetric"] == {"trainingStep": "2", "objectiveValue": 2 * x}
        assert [m["objectiveValue"] for m in trial["allMetrics"]] == [x, 2 * x]
        assert trial["state"] == "SUCCEEDED"
    assert second["state"] == "SUCCEEDED"
    assert second["trainingOutput"]["completedTrialCount"] == "2"
    assert second["trainingOutput"]["hyperparameterMetricTag"] == "metric1"


@pytest.mark.slow
def test_a_job_that_tunes_nothing_runs_once(google: Google, until: Until) -> None:
    plain = copy.deepcopy(JOB) | {"jobId": "plain"}
    del plain["trainingInput"]["hyperparameters"]
    command = 'test -z "$CLOUD_ML_TRIAL_ID" && echo "$0 $@"'
    plain["trainingInput"]["masterConfig"]["containerCommand"] = ["sh", "-c", command, "trained"]
    bad = copy.deepcopy(plain) | {"jobId": "bad"}
    bad["trainingInput"]["masterConfig"]["containerCommand"] = ["sh", "-c", "echo oh no >&2; false"]

    google("POST", JOBS, plain)
    google("POST", JOBS, bad)

    assert ended(google, "plain", until)["state"] == "SUCCEEDED"
    assert ended(google, "plain", until)["trainingOutput"] == {}
    failed = ended(google, "bad", until)
    assert failed["state"] == "FAILED"
    assert "oh no" in failed["errorMessage"]


def test_an_id_names_one_job_of_a_project(google: Google) -> None:
    google("POST", JOBS, JOB)

    again = google.refused("POST", JOBS, JOB)
    elsewhere = google("POST", "//v1/projects/q/jobs", JOB)

    assert (again["code"], again["status"]) == (409, "ALREADY_EXISTS")
    assert elsewhere["jobId"] == "census"
    assert google.refused("GET", f"{JOBS}/nobody")["code"] == 404


def test_only_labels_can_be_changed_and_only_of_the_job_that_was_read(google: Google) -> None:
    made = google("POST", JOBS, JOB)

    body = {"labels": {"team": "b"}, "etag": made["etag"]}
    changed = google("PATCH", f"{JOBS}/census?updateMask=labels", body)
    late = google.refused("PATCH", f"{JOBS}/census?updateMask=labels", body)
    other = google.refused("PATCH", f"{JOBS}/census?updateMask=state", {"state": "FAILED"})

    assert changed["labels"] == {"team": "b"}
    assert changed["etag"] != made["etag"]
    assert late["code"] == 409
    assert (other["code"], other["status"]) == (400, "INVALID_ARGUMENT")
    assert google("GET", f"{JOBS}?filter=labels.team%3Db")["jobs"][0]["jobId"] == "census"
    assert google("GET", f"{JOBS}?filter=labels.team%3Da") == {}


def test_of_changes_at_once_to_the_job_that_was_read_one_is_made(taken: Google) -> None:
    etag = taken("POST", JOBS, JOB)["etag"]

    def change(number: int) -> int:
        body = {"labels": {"team": str(number)}, "etag": etag}
        path = f"{JOBS}/census?updateMask=labels"
        return int(taken.client("PATCH", taken.path(path), body).status)

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(change, range(8)))

    assert sorted(statuses) == [200, *[409] * 7]


def test_an_id_that_is_a_path_leads_nowhere(google: Google) -> None:
    for id_ in ("..%2F..%2Fserver", "%00", ".", "x" * 5000):
        answer = google.client("GET", f"{JOBS}/{id_}")
        assert answer.status in (400, 404)


def test_a_job_that_resumes_one_with_other_parameters_is_refused(google: Google) -> None:
    google("POST", JOBS, JOB)
    resumed = copy.deepcopy(JOB) | {"jobId": "census_2"}
    hyper = resumed["trainingInput"]["hyperparameters"]
    hyper["resumePreviousJobId"] = "census"
    hyper["params"][0]["maxValue"] = 2

    error = google.refused("POST", JOBS, resumed)

    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert "resumePreviousJobId" in error["message"]
    assert "has other parameters or another metric" in error["message"]
    assert "census_2" not in [job["jobId"] for job in google("GET", JOBS)["jobs"]]
