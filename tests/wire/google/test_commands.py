"""Google's files on the command line: run, check and convert take them as they are."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tunesmith.cli.check import check_command
from tunesmith.cli.convert import convert_command
from tunesmith.cli.plan import Overrides, check_program, read_plan
from tunesmith.errors import SpecError
from tunesmith.model import Objective, StudySpec
from tunesmith.space import Double, Space
from tunesmith.specs import parse_study
from tunesmith.storage import open_storage
from tunesmith.study import Study

HERE = Path(__file__).parent
NOTHING = Overrides()

TASK = """\
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--job-dir")
parser.add_argument("--epochs", type=int)
parser.add_argument("--lr", type=float)
parser.add_argument("--units", type=int)
args = parser.parse_args()
assert args.job_dir
for epoch in range(args.epochs):
    print(f"step={epoch} accuracy={args.units / 256 - args.lr}")
"""
JOB = """\
trainingInput:
  packageUris: [gs://bucket/trainer-0.1.tar.gz]
  pythonModule: trainer.task
  args: [--epochs=2]
  jobDir: gs://bucket/out
  hyperparameters:
    hyperparameterMetricTag: accuracy
    maxTrials: 2
    maxParallelTrials: 2
    params:
    - {parameterName: lr, type: DOUBLE, minValue: 0.1, maxValue: 1, scaleType: UNIT_LOG_SCALE}
    - {parameterName: units, type: DISCRETE, discreteValues: [64.0, 128.0]}
"""
RESUME = """\
trainingInput:
  packageUris: [gs://bucket/trainer-0.1.tar.gz]
  pythonModule: trainer.task
  args: [--epochs=2]
  jobDir: gs://bucket/out
  hyperparameters: {resumePreviousJobId: census_1, maxTrials: 1}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a trainer and the two jobs of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNESMITH_STORAGE", raising=False)
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "task.py").write_text(TASK, encoding="utf-8")
    (tmp_path / "census_1.yaml").write_text(JOB, encoding="utf-8")
    (tmp_path / "census_2.yaml").write_text(RESUME, encoding="utf-8")
    return tmp_path


def tunesmith(*words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, "-m", "tunesmith", *words],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def convert() -> Callable[..., Result]:
    """Runs ``tunesmith convert``; what it returns is the exit status."""

    def run(*words: object) -> Result:
        return CliRunner().invoke(convert_command, list(map(str, words)), standalone_mode=False)

    return run


# run and check


def test_a_job_runs_and_a_later_one_resumes_it(folder: Path) -> None:
    first = tunesmith("run", "census_1.yaml", "--seed", "1")
    second = tunesmith("run", "census_2.yaml", "--json")

    assert first.returncode == 0, first.stderr
    assert "completed 2" in first.stderr
    assert second.returncode == 0, second.stderr
    events = [json.loads(line) for line in second.stdout.splitlines()]
    assert [e["trial"]["state"] for e in events if e["event"] == "trial_finished"] == ["completed"]
    assert events[-1]["study"]["warm_start"] == ["census_1"]


def test_check_shows_what_a_job_would_run_and_what_it_does_not_keep(folder: Path) -> None:
    text = JOB.replace("  jobDir", "  network: projects/1/global/networks/n\n  jobDir")
    (folder / "census_1.yaml").write_text(text, encoding="utf-8")

    checked = CliRunner().invoke(check_command, ["census_1.yaml"], standalone_mode=False)

    assert checked.return_value == 0
    assert "command of trial 1: python3 -m trainer.task --epochs=2 --lr=" in checked.stdout
    assert "--job-dir " in checked.stdout
    assert "--units=" in checked.stdout
    assert "not kept: trainingInput.network: everything runs on this machine" in checked.stderr


def test_an_image_alone_is_run_by_the_command_that_is_given(folder: Path) -> None:
    file = HERE / "vertex-seed-004.json"
    given = (sys.executable, "-m", "trainer.task", "--job-dir=x", "--epochs=1")

    plan = read_plan(file, replace(NOTHING, program=given, max_trials=3))

    assert check_program(plan).command == given
    assert (plan.name, plan.spec.max_trials) == ("horses-humans", 3)


def test_a_job_that_resumes_an_unknown_one_names_it(folder: Path) -> None:
    spec = StudySpec(Space({"lr": Double(0, 1)}), (Objective("a", "maximize"),))
    Study.from_spec(spec, name="census_1", storage=open_storage()).close()
    text = RESUME.replace("census_1", "census_9")
    (folder / "census_2.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(SpecError, match="there is no study 'census_9'") as caught:
        read_plan(folder / "census_2.yaml", NOTHING)

    [problem] = caught.value.problems
    assert problem.hint == "did you mean 'census_1'?"
    assert "resumePreviousJobId: census_9" in problem.source


# convert


def test_a_converted_job_is_a_native_file_that_reads(
    convert: Callable[..., Result], folder: Path
) -> None:
    made = convert("census_1.yaml", "-o", "tune.yaml")

    assert made.return_value == 0
    assert made.stderr.splitlines() == [
        "not kept: packageUris: the module runs where its source is, or is installed",
        "not kept: output: trials have folders of their own, not gs://bucket/out",
        "wrote tune.yaml",
    ]
    tune = parse_study((folder / "tune.yaml").read_text(encoding="utf-8"), Path("tune.yaml"))
    assert tune.name == "census_1"
    assert tune.program is not None
    assert tune.program.command[:3] == ("python3", "-m", "trainer.task")


def test_a_file_that_is_written_elsewhere_still_runs_where_the_source_is(
    convert: Callable[..., Result], folder: Path
) -> None:
    (folder / "tuning").mkdir()

    convert("census_1.yaml", "-o", "tuning/tune.yaml")

    written = folder / "tuning" / "tune.yaml"
    tune = parse_study(written.read_text(encoding="utf-8"), written)
    assert tune.program is not None
    assert tune.program.directory == str(folder)


def test_a_native_file_becomes_json_where_the_name_says_so(
    convert: Callable[..., Result], folder: Path
) -> None:
    Path("tune.yaml").write_text(
        "maximize: a\nparameters: {lr: 0..1.0}\nmax_trials: 3\ncommand: python t.py\n",
        encoding="utf-8",
    )

    convert("tune.yaml", "--to", "vertex", "-o", "job.json")

    document = json.loads(Path("job.json").read_text(encoding="utf-8"))
    assert document["maxTrialCount"] == 3
    assert (
        document["trialJobSpec"]["workerPoolSpecs"][0]["containerSpec"]["imageUri"] == "IMAGE_URI"
    )


def test_as_json_the_text_stands_beside_what_is_lost(
    convert: Callable[..., Result], folder: Path
) -> None:
    made = convert("census_1.yaml", "--to", "vertex", "--json")

    document = json.loads(made.stdout)
    assert document["schema"] == "tunesmith.conversion/1"
    assert (document["file"], document["to"], document["output"]) == (
        "census_1.yaml",
        "vertex",
        None,
    )
    assert document["text"].startswith("displayName: census_1\n")
    assert [lost["field"] for lost in document["not_kept"]] == ["jobDir"]
    field = "trialJobSpec.workerPoolSpecs[0].pythonPackageSpec.executorImageUri"
    assert document["missing"] == [{"field": field, "why": "name the image"}]


def test_strictly_nothing_is_written_that_would_lose_anything(
    convert: Callable[..., Result], folder: Path
) -> None:
    made = convert("census_1.yaml", "-o", "tune.yaml", "--strict")

    assert made.return_value == 6
    assert not Path("tune.yaml").exists()


def test_a_file_that_is_there_is_not_overwritten_unasked(
    convert: Callable[..., Result], folder: Path
) -> None:
    made = convert("census_1.yaml", "-o", "census_2.yaml")
    forced = convert("census_1.yaml", "-o", "census_2.yaml", "--force")

    assert isinstance(made.exception, click.UsageError)
    assert forced.return_value == 0
    assert Path("census_2.yaml").read_text(encoding="utf-8").startswith("study: census_1\n")


def test_faults_of_a_file_are_told_with_their_fields(
    convert: Callable[..., Result], folder: Path
) -> None:
    (folder / "bad.yaml").write_text(JOB.replace("DOUBLE", "FLOAT"), encoding="utf-8")

    made = convert("bad.yaml")

    assert isinstance(made.exception, SpecError)
    (problem,) = made.exception.problems
    assert problem.message.startswith("trainingInput.hyperparameters.params[0].type: one of ")
