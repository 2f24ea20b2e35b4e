"""Where studies and jobs come from: as the server tells it, and as the command line shows it."""

import json
from collections.abc import Callable
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tunesmith.cli.jobs import jobs_command
from tunesmith.cli.look import ls_command
from tunesmith.cli.show import show_command
from tunesmith.errors import NotFoundError
from tunesmith.model import Objective, StudySpec
from tunesmith.space import Double, Space
from tunesmith.storage import ServedStorage

Until = Callable[..., None]
Google = Any
Job = dict[str, Any]
JOBS = "/hyperparameterTuningJobs"


@pytest.fixture
def version() -> str:
    """One is enough: the same is told of all."""
    return "v1"


@pytest.fixture
def vizier_study(tuning_job: Job) -> Job:
    """A study of Vizier's."""
    return {"displayName": "by hand", "studySpec": tuning_job["studySpec"]}


@pytest.fixture
def say(google: Google) -> Callable[..., str]:
    """Runs a command against the server; returns what it prints."""

    def run(command: click.Command, *words: str) -> str:
        arguments = [*words, "--storage", google.client.url]
        result = CliRunner().invoke(command, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def ended(google: Google, name: str, until: Until) -> None:
    """Wait for a job's end."""
    until(lambda: google("GET", name)["state"] == "JOB_STATE_SUCCEEDED", timeout_s=90)


def test_what_clients_made_is_listed_the_newest_first_with_its_names(
    google: Google, tuning_job: Job, vizier_study: Job
) -> None:
    tuned = google("POST", JOBS, {**tuning_job, "displayName": "horses & humans"})["name"]
    once = google(
        "POST", "/customJobs", {"displayName": "once", "jobSpec": tuning_job["trialJobSpec"]}
    )["name"]
    by_hand = google("POST", "/studies", vizier_study)["name"]

    listed = google.client("GET", "/origins").json()

    assert [(o["kind"], o["name"], o["title"]) for o in listed] == [
        ("studies", by_hand, "by hand"),
        ("customJobs", once, "once"),
        ("hyperparameterTuningJobs", tuned, "horses & humans"),
    ]
    assert [o["study"] for o in listed][::2] == ["by-hand", "horses-humans"]
    assert [bool(o["job"]) for o in listed] == [False, True, True]
    assert [o["created"] for o in listed] == sorted((o["created"] for o in listed), reverse=True)


def test_a_study_tells_its_document_as_it_was_sent_and_its_state_in_googles_words(
    idle: Google, vizier_study: Job
) -> None:
    name = idle("POST", "/studies", vizier_study)["name"]

    origin = idle.client("GET", "/origins/by-hand").json()

    assert (origin["name"], origin["state"]) == (name, "ACTIVE")
    assert origin["document"] == vizier_study


def test_a_study_that_no_client_made_has_no_origin(idle: Google, storage: ServedStorage) -> None:
    spec = StudySpec(Space({"x": Double(0, 1)}), (Objective("y", "minimize"),))
    storage.create_study("own", spec)

    assert idle.client("GET", "/studies/own").status == 200
    assert idle.client("GET", "/origins/own").status == 404
    assert idle.client("GET", "/origins").json() == []


@pytest.mark.slow
def test_the_command_line_finds_a_job_by_the_names_that_its_maker_knows(
    google: Google, tuning_job: Job, until: Until, say: Callable[..., str]
) -> None:
    sent = {**tuning_job, "displayName": "horses & humans"}
    name = google("POST", JOBS, sent)["name"]
    ended(google, name, until)
    number = name.rpartition("/")[2]

    shown = {call: say(show_command, call) for call in ("horses-humans", number, name)}
    document = json.loads(say(show_command, "horses & humans", "--document"))
    origin = json.loads(say(show_command, number, "--json"))["origin"]
    listed = say(ls_command)
    jobs = say(jobs_command)
    job = say(jobs_command, number)

    of = f'from a tuning job of Vertex AI "horses & humans", {name}, JOB_STATE_SUCCEEDED'
    for text in shown.values():
        assert text.startswith("study horses-humans: finished")
        assert of in text
        assert "command" not in text
    assert document == sent
    assert (origin["state"], origin["kind"]) == ("JOB_STATE_SUCCEEDED", "hyperparameterTuningJobs")
    assert 'tuning job of Vertex AI "horses & humans"' in listed
    assert 'tuning job of Vertex AI "horses & humans"' in jobs
    assert f"study horses-humans, {of}, started 1 times" in job


@pytest.mark.slow
def test_a_job_that_tunes_nothing_is_found_among_the_jobs(
    google: Google, tuning_job: Job, until: Until, say: Callable[..., str]
) -> None:
    tuning_job["trialJobSpec"]["workerPoolSpecs"][0]["containerSpec"]["command"] = ["true"]
    sent = {"displayName": "once", "jobSpec": tuning_job["trialJobSpec"]}
    name = google("POST", "/customJobs", sent)["name"]
    ended(google, name, until)

    job = say(jobs_command, "once")
    document = json.loads(say(jobs_command, name, "--document"))
    listed = json.loads(say(jobs_command, "--json"))["jobs"]

    of = f'from a custom job of Vertex AI "once", {name}, JOB_STATE_SUCCEEDED, started 1 times'
    assert job.splitlines()[1] == of
    assert document == sent
    assert [found["origin"]["title"] for found in listed] == ["once"]


def test_a_title_of_two_jobs_is_told_with_both(
    google: Google, tuning_job: Job, say: Callable[..., str]
) -> None:
    tuning_job["trialJobSpec"]["workerPoolSpecs"][0]["containerSpec"]["imageUri"] = "gcr.io/p/none"
    names = [google("POST", JOBS, tuning_job)["name"] for _ in range(2)]

    with pytest.raises(NotFoundError, match="may be any of") as caught:
        say(jobs_command, "digits")

    assert all(name in str(caught.value) for name in names)
