"""What jobs print, as gcloud and a browser ask for it."""

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.model import Suggestion
from tunesmith.service.fronts.google import logs
from tunesmith.storage import Claim, ServedStorage

Google = Any
Job = dict[str, Any]
Entry = dict[str, Any]
Print = Callable[..., None]
ENTRIES = "//v2/entries:list"
JOBS = "/hyperparameterTuningJobs"
TRAINING: Job = {
    "jobId": "census",
    "trainingInput": {
        "scaleTier": "CUSTOM",
        "masterType": "large_model",
        "workerType": "large_model",
        "workerCount": 1,
        "masterConfig": {"imageUri": "gcr.io/p/digits", "containerCommand": ["true"]},
        "enableWebAccess": True,
    },
}


@pytest.fixture
def version() -> str:
    """Cloud Logging is the same for all versions of Vertex AI."""
    return "v1"


@pytest.fixture
def prints(tmp_path: Path) -> Print:
    """Has a trial of a study print something: ``prints("digits", 1, "a line")``."""
    trials = tmp_path / "server" / "projects" / "default" / "trials" / "trials"

    def write(study: str, directory: object, text: str, *, file: str = "stdout") -> None:
        path = trials / study / str(directory) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as printed:
            printed.write(text + "\n")

    return write


def query(job: str, *more: str, **fields: object) -> dict[str, Any]:
    """Return a request as gcloud makes it."""
    filters = ['resource.type="ml_job"', f'resource.labels.job_id="{job}"', *more]
    body = {"resourceNames": ["projects/p"], "orderBy": "timestamp asc", "pageSize": 1000}
    return {**body, "filter": " AND ".join(filters), **fields}


def entries(google: Google, job: str, *more: str, **fields: object) -> list[Entry]:
    found: list[Entry] = google("POST", ENTRIES, query(job, *more, **fields)).get("entries", [])
    return found


def texts(found: list[Entry]) -> list[str]:
    return [entry["textPayload"] for entry in found]


class Stream:
    """Follows a job as gcloud does: by the time and the id of the last entry, compared as texts."""

    def __init__(self, google: Google, job: str) -> None:
        self.google = google
        self.job = job
        self.at, self.id, self.has_id = "1970-01-01T01:00:00.000000000Z", "", False

    def poll(self) -> list[str]:
        later = f'timestamp>="{self.at}"'
        if self.has_id:
            later = f'((timestamp="{self.at}" AND insertId>"{self.id}") OR timestamp>"{self.at}")'
        found = entries(
            self.google, self.job, later, 'timestamp<"2999-01-01T00:00:00.000000+00:00"'
        )
        return texts([entry for entry in found if self._moves_on(entry)])

    def _moves_on(self, entry: Entry) -> bool:
        at, id_ = entry["timestamp"], entry["insertId"]
        if (at, id_) <= (self.at, self.id):
            return False
        self.has_id = at == self.at
        self.at, self.id = at, id_
        return True


def test_a_stream_tells_every_line_once_whatever_happens_between_its_polls(
    taken: Google, tuning_job: Job, prints: Print, tmp_path: Path
) -> None:
    stream = Stream(taken, taken("POST", JOBS, tuning_job)["name"].rpartition("/")[2])
    said = [stream.poll()]

    prints("digits", 1, "1: begins\n1: learns")
    prints("digits", 2, "2: begins")
    said.append(sorted(stream.poll()))
    said.append(stream.poll())
    prints("digits", 2, "2: warns", file="stderr")
    prints("digits", 1, "1: breaks")
    other = entries(taken, stream.job)
    study = tmp_path / "server" / "projects" / "default" / "trials" / "trials" / "digits"
    (study / "1").rename(study / "1-attempt-1")
    prints("digits", 1, "1: begins again")
    said.append(sorted(stream.poll()))
    said.append(stream.poll())

    assert said == [
        [],
        ["1: begins", "1: learns", "2: begins"],
        [],
        ["1: begins again", "1: breaks", "2: warns"],
        [],
    ]
    assert len(other) == 5


def test_entries_say_of_which_trial_and_replica_they_are(
    taken: Google, tuning_job: Job, prints: Print
) -> None:
    pools = tuning_job["trialJobSpec"]["workerPoolSpecs"]
    pools.append(copy.deepcopy(pools[0]) | {"replicaCount": 2})
    job = taken("POST", JOBS, tuning_job)["name"].rpartition("/")[2]
    prints("digits", 3, "a")
    prints("digits", 3, "b", file="stderr-workerpool1-1")

    first, second = sorted(entries(taken, job), key=lambda entry: entry["textPayload"])

    assert first["resource"] == {
        "type": "ml_job",
        "labels": {"project_id": "p", "job_id": job, "task_name": "workerpool0-0", "trial_id": "3"},
    }
    assert first["labels"]["ml.googleapis.com/trial_id"] == "3"
    assert first["logName"] == "projects/p/logs/workerpool0-0"
    assert first["severity"] == "INFO"
    assert second["resource"]["labels"]["task_name"] == "workerpool1-1"
    assert second["severity"] == "ERROR"
    only = {
        'resource.labels.task_name="workerpool1-1"': ["b"],
        "severity>=WARNING": ["b"],
        'labels."ml.googleapis.com/trial_id"="3" AND textPayload:"A"': ["a"],
        'resource.labels.task_name="workerpool1-0"': [],
    }
    assert {text: texts(entries(taken, job, text)) for text in only} == only


def test_jobs_of_cloud_ml_engine_are_told_under_either_name_of_their_kind(
    taken: Google, prints: Print, storage: ServedStorage
) -> None:
    taken("POST", "//v1/projects/p/jobs", TRAINING)
    study = storage.jobs.all()[0].study
    prints(study, 1, "trained")
    prints(study, 1, "helped", file="stdout-worker-replica-0")

    filters = [
        '(resource.type="ml_job" OR resource.type="cloudml_job") AND resource.labels.job_id="census"',
        '(resource.labels.task_name="worker-replica-0" OR labels.task_name="worker-replica-0")',
    ]
    found = taken("POST", ENTRIES, {"resourceNames": ["projects/p"], "filter": filters[0]})
    helpers = taken(
        "POST", ENTRIES, {"resourceNames": ["projects/p"], "filter": " AND ".join(filters)}
    )

    tasks = {e["textPayload"]: e["resource"]["labels"]["task_name"] for e in found["entries"]}
    assert tasks == {"trained": "master-replica-0", "helped": "worker-replica-0"}
    assert texts(helpers["entries"]) == ["helped"]
    assert "trial_id" not in helpers["entries"][0]["resource"]["labels"]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_tell_everything_once_also_while_more_is_printed(
    taken: Google, tuning_job: Job, prints: Print, order: str
) -> None:
    job = taken("POST", JOBS, tuning_job)["name"].rpartition("/")[2]
    for number in (1, 2):
        prints("digits", number, "\n".join(f"{number}: {line}" for line in range(25)))
    whole = texts(entries(taken, job))
    ask = query(job, orderBy=f"timestamp {order}", pageSize=20)

    page = taken("POST", ENTRIES, ask)
    said = texts(page["entries"])
    prints("digits", 3, "and more")
    while "nextPageToken" in page:
        page = taken("POST", ENTRIES, {**ask, "pageToken": page["nextPageToken"]})
        said += texts(page.get("entries", []))

    assert said == ([*whole, "and more"] if order == "asc" else whole[::-1])


def test_what_is_no_sound_request_is_refused_by_its_field(taken: Google, tuning_job: Job) -> None:
    job = taken("POST", JOBS, tuning_job)["name"].rpartition("/")[2]
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("resourceNames", query(job, resourceNames=[])),
        ("resourceNames[0]", query(job, resourceNames=["organizations/7"])),
        ("resourceNames", query(job, resourceNames="projects/p")),
        ("orderBy", query(job, orderBy="severity")),
        ("pageSize", query(job, pageSize=-1)),
        ("pageToken", query(job, pageToken="x")),
        ("pageToken", query(job, pageToken="MTIz")),
        ("filter", query(job, "timestamp>yesterday")),
        ("filter", query(job, "timestamp>")),
        ("filter", query(job, 'textPayload=~"(a+)+"')),
        ("filter", query(job, "x" * 20_000)),
        ("filter", query(job, filter="")),
        ("filter", query(job, filter='resource.type="ml_job"')),
        ("filter", query(job, filter='resource.labels.job_id="1" OR resource.labels.job_id="2"')),
        ("filters", query(job, filters="")),
    ]

    errors = [(field, taken.refused("POST", ENTRIES, body)) for field, body in wrong]

    assert [
        (field, error)
        for field, error in errors
        if (error["code"], error["status"]) != (400, "INVALID_ARGUMENT")
        or not any(v["field"] == field for v in error["details"][0]["fieldViolations"])
    ] == []
    assert taken.refused("POST", ENTRIES, None)["code"] == 400
    assert taken.refused("POST", ENTRIES, "x")["code"] == 400


def test_a_job_is_found_in_its_own_project_only(
    taken: Google, tuning_job: Job, prints: Print
) -> None:
    job = taken("POST", JOBS, tuning_job)["name"].rpartition("/")[2]
    prints("digits", 1, "a")

    assert texts(entries(taken, job, resourceNames=["projects/p/locations/x"])) == ["a"]
    assert entries(taken, job, resourceNames=["projects/q"]) == []
    assert entries(taken, "12345") == []
    assert taken.refused("GET", f"//v2/projects/q/logs/{job}")["status"] == "NOT_FOUND"


def test_a_job_does_not_tell_what_an_earlier_one_of_that_name_printed(
    taken: Google, tuning_job: Job, prints: Print, tmp_path: Path
) -> None:
    prints("digits", 1, "of another")
    old = tmp_path / "server" / "projects" / "default" / "trials" / "trials" / "digits" / "1"
    os.utime(old / "stdout", (1e9, 1e9))

    job = taken("POST", JOBS, tuning_job)["name"].rpartition("/")[2]

    assert entries(taken, job) == []


def test_a_browser_is_shown_what_a_replica_printed_at_the_address_that_web_access_names(
    taken: Google, tuning_job: Job, prints: Print, storage: ServedStorage
) -> None:
    pools = tuning_job["trialJobSpec"]["workerPoolSpecs"]
    pools.append(copy.deepcopy(pools[0]))
    tuning_job["trialJobSpec"]["enableWebAccess"] = True
    name = taken("POST", JOBS, tuning_job)["name"]
    storage.add_trials("digits", [Suggestion({"lr": 0.5, "units": 64})], after=0, claim=Claim("w"))
    storage.add_trials("digits", [Suggestion({"lr": 0.5, "units": 64})], after=1)
    prints("digits", 1, "trained")
    prints("digits", 1, "helped", file="stderr-workerpool1-0")

    running, waiting = taken("GET", name)["trials"]
    uris = running["webAccessUris"]
    pages = {
        task: taken.client.get("/" + uri.removeprefix(taken.client.url))
        for task, uri in uris.items()
    }

    assert set(uris) == {"workerpool0-0", "workerpool1-0"}
    assert all(uri.startswith(f"{taken.client.url}/v2/") for uri in uris.values())
    assert "webAccessUris" not in waiting
    assert pages["workerpool0-0"].headers["Content-Type"] == "text/plain; charset=utf-8"
    assert pages["workerpool0-0"].body.decode().endswith(" trial 1, workerpool0-0: trained\n")
    assert pages["workerpool1-0"].body.decode().endswith(" trial 1, workerpool1-0: helped\n")


def test_web_access_is_given_to_who_asks_for_it_only(
    taken: Google, tuning_job: Job, storage: ServedStorage
) -> None:
    name = taken("POST", JOBS, tuning_job)["name"]
    storage.add_trials("digits", [Suggestion({"lr": 0.5, "units": 64})], after=0, claim=Claim("w"))

    assert "webAccessUris" not in taken("GET", name)["trials"][0]


def test_web_addresses_stand_behind_the_server_s_own_path(
    serve: Callable[..., Any], running_jobs: dict[str, Any], tuning_job: Job, storage: ServedStorage
) -> None:
    client = serve(**running_jobs | {"workers": 0, "base_path": "/tune"})
    tuning_job["trialJobSpec"]["enable_web_access"] = True
    path = "//v1/projects/p/locations/us-central1/hyperparameterTuningJobs"

    name = client("POST", path, tuning_job).json()["name"]
    storage.add_trials("digits", [Suggestion({"lr": 0.5, "units": 64})], after=0, claim=Claim("w"))
    (trial,) = client("GET", f"//v1/{name}").json()["trials"]

    uri = trial["webAccessUris"]["workerpool0-0"]
    assert "/tune/v2/projects/p/logs/" in uri
    assert client("GET", "/" + uri.removeprefix(client.url)).status == 200


@pytest.mark.slow
def test_a_job_that_runs_tells_its_own_lines_beside_those_of_its_trial(
    google: Google, until: Callable[..., None]
) -> None:
    plain = copy.deepcopy(TRAINING)
    plain["trainingInput"]["masterConfig"]["containerCommand"] = ["sh", "-c", "echo so far; exit 3"]
    google("POST", "//v1/projects/p/jobs", plain)
    until(lambda: google("GET", "//v1/projects/p/jobs/census")["state"] == "FAILED", timeout_s=90)

    found = entries(google, "census")
    job = google("GET", "//v1/projects/p/jobs/census")

    said = [(entry["resource"]["labels"]["task_name"], entry["textPayload"]) for entry in found]
    assert ("master-replica-0", "so far") in said
    assert any(task == "service" and "status 3" in text for task, text in said)
    assert set(job["trainingOutput"]["webAccessUris"]) == {"master-replica-0", "worker-replica-0"}


@pytest.mark.parametrize("made", ["link", "folder", "pipe"])
def test_what_a_program_puts_in_the_place_of_lines_is_none(
    taken: Google, tuning_job: Job, prints: Print, tmp_path: Path, *, made: str
) -> None:
    job = taken("POST", JOBS, tuning_job)["name"].rpartition("/")[2]
    prints("digits", 1, "a line")
    folder = tmp_path / "server" / "projects" / "default" / "trials" / "trials" / "digits" / "1"
    (tmp_path / "secret").write_text("a secret\n")
    match made:
        case "link":
            (folder / "stdout-x").symlink_to(tmp_path / "secret")
        case "folder":
            (folder / "stdout-x").mkdir()
        case _:
            os.mkfifo(folder / "stdout-x")

    found = texts(entries(taken, job))

    assert found == ["a line"]


def test_a_search_in_very_many_lines_goes_on_page_by_page(
    taken: Google, tuning_job: Job, prints: Print, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_BYTES", 2**16)
    job = taken("POST", JOBS, tuning_job)["name"].rpartition("/")[2]
    prints("digits", 1, "first" + "\n" * 2_000 + "last")
    body = query(job, 'textPayload="last"')

    pages = [taken("POST", ENTRIES, body)]
    while token := pages[-1].get("nextPageToken"):
        pages.append(taken("POST", ENTRIES, {**body, "pageToken": token}))

    assert pages[0].get("entries") is None
    assert [texts(page["entries"]) for page in pages if "entries" in page] == [["last"]]
    assert len(pages) > 1


def test_a_long_filter_looks_at_fewer_lines(taken: Google, tuning_job: Job, prints: Print) -> None:
    job = taken("POST", JOBS, tuning_job)["name"].rpartition("/")[2]
    prints("digits", 1, "\n" * 5_000)
    long = " OR ".join(f'textPayload="no line {i}"' for i in range(500))

    page = taken("POST", ENTRIES, query(job, f"({long})"))

    assert set(page) == {"nextPageToken"}
