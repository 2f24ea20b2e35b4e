"""Jobs that tune nothing, on the command line: they run once, as the services would run them."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

Until = Callable[..., None]
Marked = Callable[[], Mapping[int, Mapping[str, str]]]

PROGRAM = """\
import json, os, sys

cluster = json.loads(os.environ["CLUSTER_SPEC"])
print("arguments", sys.argv[1:], flush=True)
print("told", {k: v for k, v in os.environ.items() if k.startswith(("CLOUD_ML_", "AIP_")) and k[-4:] != "_JOB"})
print("in words", file=sys.stderr)
if folder := os.environ.get("AIP_MODEL_DIR"):
    os.makedirs(folder, exist_ok=True)
    with open(folder + "model.txt", "w") as file:
        print(cluster["task"], file=file)
raise SystemExit(int(os.environ.get("STATUS", "0")))
"""
JOB = """\
displayName: fit once
jobSpec:
  baseOutputDirectory: {outputUriPrefix: gs://my-bucket/out}
  workerPoolSpecs:
  - containerSpec: {imageUri: gcr.io/p/fit, command: [python, fit.py], args: [--epochs=2]}
  - replicaCount: 2
    containerSpec: {imageUri: gcr.io/p/fit, command: [echo, I work]}
tunesmith: {engine: none, buckets: store}
"""
TRAINING = """\
trainingInput:
  region: asia-east1
  pythonModule: trainer.task
  args: [--epochs=2]
  jobDir: gs://my-bucket/census
"""
WAITS = "import os, signal; open('begun', 'w').close(); signal.pause()"


@pytest.fixture
def job(cli: Any) -> Any:
    """A command line beside a job and its program."""
    cli.write("fit.py", PROGRAM)
    cli.write("job.yaml", JOB)
    return cli


def test_a_custom_job_runs_once_with_all_its_pools_and_shows_what_they_print(job: Any) -> None:
    ran = job("run", "job.yaml")

    assert "arguments ['--epochs=2']" in ran.stdout
    assert "\nworkerpool1-0: I work\n" in ran.stdout
    assert "workerpool1-1: I work\n" in ran.stdout
    assert "in words\n" in ran.stderr
    assert "tunesmith: job fit-once runs once, in " in ran.stderr
    assert "tunesmith: job fit-once succeeded after " in ran.stderr
    assert "CLOUD_ML_TRIAL_ID" not in ran.stdout
    assert "'index': 0" in (job.folder / "store/my-bucket/out/model/model.txt").read_text()
    assert not job.json("ls")["studies"]


def test_the_primarys_exit_status_is_that_of_the_command(job: Any) -> None:
    job.environment["STATUS"] = "7"

    ran = job("run", "job.yaml", status=7)
    killed = job("run", "job.yaml", "-q", "--", "sh", "-c", "kill -SEGV $$", status=128 + 11)

    assert "job fit-once failed" in ran.stderr
    assert "exit status 7: in words" in ran.stderr
    assert killed.stdout == ""
    assert "job fit-once-2 failed" in killed.stderr


def test_a_specification_alone_is_run_as_gcloud_takes_it(job: Any) -> None:
    lines = JOB.splitlines()[3:-1]
    spec = "\n".join(line.removeprefix("  ") for line in lines)
    job.write("spec.yaml", spec)

    ran = job("run", "spec.yaml", "--engine", "none", "--project", "42", "--region", "europe-west4")

    assert "arguments ['--epochs=2']" in ran.stdout
    assert "'CLOUD_ML_PROJECT_ID': '42', 'CLOUD_ML_REGION': 'europe-west4'" in ran.stdout
    assert "job spec succeeded" in ran.stderr


def test_a_training_job_that_tunes_nothing_runs_once_with_its_folder(cli: Any) -> None:
    (cli.folder / "trainer").mkdir()
    cli.write("trainer/task.py", "import os, sys\nprint(sys.argv[1:], 'TF_CONFIG' in os.environ)")
    cli.write("train.yaml", TRAINING)

    ran = cli("run", "train.yaml", "--buckets", "store")

    folder = cli.folder / "store/my-bucket/census"
    assert ran.stdout == f"['--epochs=2', '--job-dir', '{folder}'] True\n"


def test_what_such_a_job_does_is_told_as_events(job: Any) -> None:
    job.environment["STATUS"] = "3"

    events = [
        json.loads(line) for line in job("run", "job.yaml", "--json", status=3).stdout.splitlines()
    ]

    assert events[0]["event"] == "job_started"
    assert {event["schema"] for event in events} == {"tunesmith.events/1"}
    printed = [event for event in events if event["event"] == "job_printed"]
    assert {event["replica"] for event in printed} == {"", "workerpool1-0", "workerpool1-1"}
    assert {event["stream"] for event in printed if not event["replica"]} == {"stdout", "stderr"}
    assert events[-1]["event"] == "job_finished"
    assert (events[-1]["outcome"], events[-1]["exit_status"]) == ("failed", 3)


def test_a_character_that_is_half_printed_is_told_when_it_is_whole(job: Any) -> None:
    job.write(
        "halves.py",
        "import os\nos.write(1, b'\\xc3')\nos.write(2, b'half\\n')\nos.read(os.open('pipe', 0), 1)\n"
        "os.write(1, b'\\xbc\\n')",
    )
    os.mkfifo(job.folder / "pipe")
    process = job.start("run", "job.yaml", "--json", "--", sys.executable, "halves.py")

    before = list(iter(lambda: json.loads(process.stdout.readline()).get("text"), "half\n"))
    (job.folder / "pipe").write_text("x")
    texts = [
        *before,
        *(json.loads(line).get("text") for line in process.communicate()[0].splitlines()),
    ]

    assert "ü\n" in texts


def test_jobs_of_one_name_that_start_at_once_have_folders_of_their_own(job: Any) -> None:
    processes = [job.start("run", "job.yaml", "-q", "--", "true") for _ in range(3)]

    told = [process.communicate()[1].split()[2] for process in processes]

    assert sorted(told) == ["fit-once", "fit-once-2", "fit-once-3"]


def test_check_shows_what_would_run_and_runs_nothing(job: Any) -> None:
    shown = job("check", "job.yaml")
    document = job.json("check", "job.yaml")

    assert shown.stdout.startswith(
        "job fit-once: it tunes nothing and runs once\ncommand: python fit"
    )
    assert "it is 3 processes; beside that one:\n  2 workerpool1: echo 'I work'" in shown.stdout
    assert (document["schema"], document["job"]) == ("tunesmith.single/1", "fit-once")
    assert [pool["replicas"] for pool in document["pools"]] == [1, 2]
    assert not (job.folder / ".tunesmith").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("run", "-n", "3"),
        ("run", "-p", "lr=0..1"),
        ("run", "--require", "best>1"),
        ("run", "--no-stop-running"),
        ("run", "--new"),
        ("check", "--smoke"),
        ("check", "--stopping", "median"),
    ],
)
def test_options_that_tune_are_refused(job: Any, words: tuple[str, ...]) -> None:
    told = job(words[0], "job.yaml", *words[1:], status=2).stderr

    assert "job.yaml tunes nothing, its job runs once" in told


@pytest.mark.parametrize("command", ["plan", "convert"])
def test_commands_for_studies_say_that_there_is_none(job: Any, command: str) -> None:
    told = job(command, "job.yaml", status=2).stderr

    assert "job.yaml:1:1" in told
    assert "studySpec: there is nothing to tune" in told
    assert "`tunesmith run` runs such a job once" in told


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_job_and_all_that_belongs_to_it(
    job: Any, until: Until, marked: Marked, number: signal.Signals, status: int
) -> None:
    job.write("waits.py", WAITS)
    process = job.start("run", "job.yaml", "--", sys.executable, str(job.folder / "waits.py"))
    until((job.folder / "begun").exists)

    process.send_signal(number)

    assert process.wait(timeout=30) == status
    assert "was stopped" in process.stderr.read()
    assert not marked()
