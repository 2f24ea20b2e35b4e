"""The process that runs a job of Google's clients, without a server around it."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.execution.job import JobExecutor
from tunesmith.model import Trial
from tunesmith.service.fronts.google import work
from tunesmith.specs.google import read_request
from tunesmith.storage import open_storage
from tunesmith.storage.sql import SqlStorage

Work = Callable[..., int]

PRINTS = "import sys; x = sys.argv[1].partition('=')[2]; print(f'accuracy={x} loss=2')"
# What hypertune writes, without the time that importing it takes.
REPORTS = """
import json, os
line = {"timestamp": 1.0, "trial": "1", "accuracy": "0.75", "global_step": "3"}
open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "w").write(json.dumps(line) + chr(10))
"""
APPENDS = "import os; open(os.environ['AIP_CHECKPOINT_DIR'] + 'seen', 'a').write('x')"


def pool(code: str) -> dict[str, Any]:
    container = {"imageUri": "gcr.io/p/digits", "command": ["python3", "-c", code]}
    return {"replicaCount": "1", "containerSpec": container}


def tuning(code: str) -> dict[str, Any]:
    parameter = {"parameterId": "x", "doubleValueSpec": {"minValue": 0.25, "maxValue": 0.5}}
    return {
        "displayName": "digits",
        "maxTrialCount": 2,
        "parallelTrialCount": 1,
        "studySpec": {"metrics": [{"metricId": "accuracy"}], "parameters": [parameter]},
        "trialJobSpec": {"workerPoolSpecs": [pool(code)]},
    }


def single(code: str) -> dict[str, Any]:
    spec = {
        "workerPoolSpecs": [pool(code)],
        "baseOutputDirectory": {"outputUriPrefix": "gs://bucket/base"},
    }
    return {"displayName": "digits", "jobSpec": spec}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Runs a job as the server's process for it does; returns its exit status."""
    (tmp_path / "image").mkdir()
    site = {
        "buckets": str(tmp_path / "buckets"),
        "environments": str(tmp_path / "environments"),
        "images": [["gcr.io/p/digits", str(tmp_path / "image")]],
        "trials": str(tmp_path / "files"),
    }
    monkeypatch.setenv(work.SITE, json.dumps(site))
    monkeypatch.setenv("TUNESMITH_STORAGE", f"sqlite:///{tmp_path}/t.db")

    def start(document: str, body: dict[str, Any], name: str = "digits") -> int:
        if document == "tuning job":
            spec = read_request("tuning job", body, now=0.0).spec
            assert spec is not None
            storage = open_storage(None)
            storage.create_study(name, replace(spec, seed=1))
            assert isinstance(storage, SqlStorage)
            storage.close()
        order = {
            "document": document,
            "body": body,
            "identity": {"job": "7", "project": "p", "region": "r"},
            "first_decides": True,
        }
        (tmp_path / "order.json").write_text(json.dumps(order))
        return work.main(str(tmp_path / "order.json"), name)

    return start


@pytest.fixture
def trials(tmp_path: Path) -> Callable[[], tuple[Trial, ...]]:
    """Reads the trials of the study."""

    def read() -> tuple[Trial, ...]:
        storage = SqlStorage(f"sqlite:///{tmp_path}/t.db")
        found = tuple(storage.trials("digits"))
        storage.close()
        return found

    return read


def test_what_a_trial_prints_counts_where_it_reports_nothing_else(
    run: Work, trials: Callable[[], tuple[Trial, ...]]
) -> None:
    status = run("tuning job", tuning(PRINTS))

    assert status == 0
    for trial in trials():
        assert trial.metrics == {"accuracy": trial.values["x"], "loss": 2.0}


def test_what_a_trial_reports_comes_before_what_it_prints(
    run: Work, trials: Callable[[], tuple[Trial, ...]]
) -> None:
    status = run("tuning job", tuning(f"print('accuracy=0.1', flush=True)\n{REPORTS}"))

    assert status == 0
    assert [trial.metrics for trial in trials()] == [{"accuracy": 0.75}] * 2


def test_a_job_whose_first_trial_reports_nothing_has_failed(
    run: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run("tuning job", tuning("print('precision=0.5')"))

    assert status == 5
    assert "never reported 'accuracy'" in capsys.readouterr().err


def test_a_job_that_tunes_nothing_runs_once_as_its_program_ends(
    run: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    good = run("custom job", single("pass"), "good")
    bad = run("custom job", single("import sys; sys.exit('no such data')"), "bad")

    assert (good, bad) == (0, 1)
    assert "exit status 1: no such data" in capsys.readouterr().err


def test_a_job_that_runs_again_finds_what_it_wrote_before(run: Work, tmp_path: Path) -> None:
    seen = tmp_path / "buckets" / "bucket" / "base" / "checkpoints" / "seen"
    job = single(
        f"import os; os.makedirs(os.environ['AIP_CHECKPOINT_DIR'], exist_ok=True)\n{APPENDS}"
    )

    statuses = [run("custom job", job) for _ in range(3)]

    assert statuses == [0, 0, 0]
    assert seen.read_text() == "xxx"


def test_a_job_that_was_preempted_starts_again(run: Work, tmp_path: Path) -> None:
    preempted = (
        "import os, signal\n"
        "if os.environ['TUNESMITH_ATTEMPT'] != '3': os.kill(os.getpid(), signal.SIGTERM)\n"
    )

    status = run("custom job", single(preempted))

    assert status == 0


def test_a_job_that_is_preempted_again_and_again_has_failed(
    run: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run("custom job", single("import os, signal; os.kill(os.getpid(), signal.SIGTERM)"))

    assert status == 1
    assert "preempted" in capsys.readouterr().err


def test_a_signal_that_comes_while_a_job_starts_ends_it(
    run: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = JobExecutor.start

    def interrupted(executor: JobExecutor, trial: Trial) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        start(executor, trial)

    monkeypatch.setattr(JobExecutor, "start", interrupted)

    status = run("custom job", single("import time; time.sleep(20)"))

    assert status == 143
