"""What a user can say of good trials, good values and earlier studies, from the command line and a file."""

import sys
from typing import Any

import pytest

TRAIN = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--units", type=int, default=64)
a = parser.parse_args()
print(f"accuracy={1 - abs(a.lr - 0.03)}")
print(f"loss={abs(a.lr - 0.03) + a.units}")
print(f"latency_ms={a.units / 10}")
print(f"accuracy_se=0.01")
"""
SPACE = ["-p", "lr=log:1e-3..1e-1", "-p", "units=16,64,256"]
PROGRAM = ["--", sys.executable, "train.py"]

FILE = f"""\
study: s
maximize: accuracy
minimize: loss
standard_error: {{accuracy: accuracy_se}}
constraints: [latency_ms <= 20]
max_trials: 3
warm_start: old
parameters:
  lr: {{type: double, min: 0.001, max: 0.1, scale: log, prior: {{center: 0.03, confidence: high}}}}
  units: {{type: discrete, values: [16, 64, 256], prior: 64}}
command: {sys.executable} train.py
"""


@pytest.fixture
def cli(cli: Any) -> Any:
    cli.write("train.py", TRAIN)
    return cli


def test_a_file_and_a_command_line_say_the_same(cli: Any) -> None:
    cli("run", "--name", "old", *SPACE, "-m", "accuracy", "--max", "-n", "2", *PROGRAM)
    cli.write("tune.yaml", FILE)

    shown = cli("check", "tune.yaml").stdout
    cli("run", "tune.yaml")
    cli(
        "run", "--name", "t", *SPACE, "-m", "accuracy", "--max", "-m", "loss", "--min", "-n", "3",
        "--standard-error", "accuracy=accuracy_se", "--constraint", "latency_ms<=20",
        "--prior", "lr=0.03:high", "--prior", "units=64", "--from", "old", *PROGRAM,
    )  # fmt: skip

    assert "a good trial has latency_ms <= 20" in shown
    assert "learning from old" in shown
    one, two = cli.trials("s"), cli.trials("t")
    assert one[0]["values"] == two[0]["values"] == {"lr": 0.03, "units": 64}
    assert one[0]["origin"] == "prior"
    assert set(one[0]["metrics"]) == {"accuracy", "loss", "accuracy_se", "latency_ms"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-m", "a", "--max", "--min"], "--min belongs to no metric"),
        (["-m", "a", "--max", "--constraint", "b<1"], "looks like '<= 20'"),
        (["-m", "a", "--max", "--prior", "lr=7"], "lr: 7"),
        (["-m", "a", "--max", "--prior", "rl=7"], "there is no parameter 'rl'"),
        (["-m", "a", "--max", "--algorithm", "grid", "-s", "pionts=3"], "these settings: points"),
        (["-m", "a", "--max", "--standard-error", "b=c"], "no objective; there are: a"),
        (["-m", "a", "--max", "--gpus", "-1"], "--gpus"),
    ],
)
def test_a_mistake_is_refused_before_anything_is_made(
    words: list[str], said: str, cli: Any
) -> None:
    ran = cli("run", *SPACE, "-n", "3", *words, *PROGRAM, status=2)

    assert said in ran.stderr
    assert not (cli.folder / ".tunesmith").exists()


def test_an_earlier_study_that_is_not_there_exits_with_3(cli: Any) -> None:
    ran = cli(
        "run", *SPACE, "-m", "a", "--max", "-n", "3", "--from", "odl", *PROGRAM, status=3
    )  # fmt: skip

    assert "'odl'" in ran.stderr


def test_a_misspelt_script_is_refused_by_check_too(cli: Any) -> None:
    cli.write("tune.yaml", FILE.replace("train.py", "trian.py").replace("warm_start: old\n", ""))

    ran = cli("check", "tune.yaml", status=2)

    assert "did you mean 'train.py'?" in ran.stderr


def test_a_requirement_on_an_unknown_metric_is_doubted_at_the_start(cli: Any) -> None:
    ran = cli(
        "run", *SPACE, "-m", "accuracy", "--max", "-n", "1", "--require", "acuracy>=0",
        *PROGRAM, status=6,
    )  # fmt: skip

    assert ran.stderr.index("Did you mean 'accuracy'?") < ran.stderr.index("started")


def test_settings_that_a_study_does_not_take_are_told(cli: Any) -> None:
    words = ["run", "--name", "s", *SPACE, "-m", "accuracy", "--max", "-n", "1"]
    cli(*words, "--algorithm", "grid", "-s", "points=3", *PROGRAM)
    cli(*words[:1], "--name", "old", *words[3:], *PROGRAM)

    ran = cli(*words, "-n", "2", "--from", "old", "--algorithm", "random", *PROGRAM)

    assert "study s keeps its algorithm grid (points=3)" in ran.stderr
    assert "study s keeps what it learns from: no earlier study" in ran.stderr
