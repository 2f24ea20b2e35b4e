"""Training scripts are read, never run; what is found becomes a first file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import SpecError
from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter
from tunesmith.specs import TuneFile, init_yaml, scan_script

ARGPARSE = """
import argparse
import torch  # not installed here, and not needed: the script is never run

OPTIMIZERS = ["sgd", "adam"]

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", metavar="DIR")
    parser.add_argument("-a", "--arch", default="small", choices=("small", "large"))
    parser.add_argument("--lr", "--learning-rate", default=0.1, type=float, help="rate")
    parser.add_argument("--momentum", default=0.9, type=float)
    parser.add_argument("--weight-decay", default=0.0, type=float)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, choices=[128, 64], default=64)
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="adam")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--log-interval", type=int, default=10)
    parser.add_argument("--test-batch-size", type=int, default=1000)
    parser.add_argument("--job-dir", default="/tmp")
    parser.add_argument("--num-gpus", type=int, default=1)
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1])
    parser.add_argument("--gain", default=0.5)
    parser.add_argument("--bias", type=float, default=-1.0)
    parser.add_argument("--scale", type=float)
    parser.add_argument("-q", type=float, default=1.0)
    args = parser.parse_args()
    for epoch in range(args.epochs):
        print(f"epoch={epoch} train_loss={loss:.4f} accuracy={100 * accuracy:.2f} lr={args.lr}")
"""

CLICK = """
import click

@click.command()
@click.option("--learning-rate", "-l", default=1e-3, show_default=True)
@click.option("--dropout", type=click.FloatRange(0, 0.8), default=0.5)
@click.option("--depth", type=click.IntRange(min=2, max=12), default=6)
@click.option("--act", type=click.Choice(["relu", "gelu"]), default="relu")
@click.option("--shuffle/--no-shuffle", default=True)
@click.option("--tag", default=None)
@click.argument("data")
def main(**options):
    writer.add_scalar("train/loss", loss, step)
    writer.add_scalar("val/loss", loss, step)
"""

ABSL = """
from absl import flags

flags.DEFINE_float("learning_rate", 1e-4, "rate")
flags.DEFINE_float("beta2", 0.999, "Adam")
flags.DEFINE_integer("units", 128, "units", lower_bound=8, upper_bound=1024)
flags.DEFINE_enum("loss", "mse", ["mse", "mae"], "loss")
flags.DEFINE_bool("fast", False, "fast")
flags.DEFINE_string("model_dir", "/tmp", "where")

hpt.report_hyperparameter_tuning_metric(
    hyperparameter_metric_tag="my_metric", metric_value=1, global_step=2)
print("accuracy=%f" % a)
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a script and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "train.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


Write = Callable[[str], Path]


def proposals(path: Path) -> dict[str, Parameter]:
    options = scan_script(path).options
    return {option.name: option.parameter for option in options if option.parameter is not None}


def test_argparse_options_become_ranges_around_their_defaults(script: Write) -> None:
    assert proposals(script(ARGPARSE)) == {
        "arch": Categorical(["small", "large"], default="small"),
        "lr": Double(0.01, 1.0, scale="log", default=0.1),
        "momentum": Double(0.0, 0.99, default=0.9),
        "weight-decay": Double(1e-6, 1e-1, scale="log"),
        "batch-size": Integer(16, 256, scale="log", default=64),
        "layers": Integer(1, 8, default=2),
        "width": Discrete([64, 128], default=64),
        "optimizer": Categorical(["sgd", "adam"], default="adam"),
    }


def test_what_is_no_hyperparameter_is_left_alone_for_a_reason(script: Write) -> None:
    reasons = {o.name: o.reason for o in scan_script(script(ARGPARSE)).options if o.reason}

    assert reasons == {
        "data": "can't be given as --name=value",
        "epochs": "decides how long a trial takes",
        "seed": "only changes the luck",
        "workers": "describes the machine",
        "log-interval": "does not change what is learned",
        "test-batch-size": "does not change what is learned",
        "job-dir": "describes the machine",
        "num-gpus": "describes the machine",
        "amp": "is a switch; give it values yourself if the program takes --name=true",
        "sizes": "takes several values",
        "gain": "has no type, so the program would get a text",
        "bias": "has the default -1.0, which suggests no range",
        "scale": "has no default to search around",
        "q": "can't be given as --name=value",
    }


def test_click_options_keep_the_ranges_they_declare(script: Write) -> None:
    assert proposals(script(CLICK)) == {
        "learning-rate": Double(1e-4, 1e-2, scale="log", default=1e-3),
        "dropout": Double(0.0, 0.8, default=0.5),
        "depth": Integer(2, 12, default=6),
        "act": Categorical(["relu", "gelu"], default="relu"),
    }


def test_absl_flags_become_ranges(script: Write) -> None:
    assert proposals(script(ABSL)) == {
        "learning_rate": Double(1e-5, 1e-3, scale="log", default=1e-4),
        "beta2": Double(0.9, 0.9999, scale="reverse_log", default=0.999),
        "units": Integer(8, 1024, default=128),
        "loss": Categorical(["mse", "mae"], default="mse"),
    }


@pytest.mark.parametrize(
    ("text", "metrics"),
    [
        (ARGPARSE, ("accuracy", "train_loss")),
        (CLICK, ("val/loss", "train/loss")),
        (ABSL, ("my_metric", "accuracy")),
        ("trial.report(epoch, accuracy=a, step=3)", ("accuracy",)),
        ("train.report({'loss': x, 'epoch': 3})", ("loss",)),
        ("print(f'{accuracy=}')", ("accuracy",)),
        ("print('val_loss=', loss)\nprint('loss={:.3f}'.format(loss))", ("val_loss", "loss")),
        ("wandb.log({'test/f1': f, 'loss': l})", ("test/f1", "loss")),
        ("self.log('val_acc', a)\nmlflow.log_metric('auc', a)", ("auc",)),
        ("print('done'); report(); x = 3", ()),
        ("print(f'точность={a}')", ("точность",)),
    ],
)
def test_the_metrics_a_script_reports_are_guessed_best_first(
    script: Write, text: str, metrics: tuple[str, ...]
) -> None:
    assert scan_script(script(text)).metrics == metrics


@pytest.mark.parametrize(
    ("text", "goal"), [(ARGPARSE, "maximize"), (CLICK, "minimize"), (ABSL, "maximize")]
)
def test_the_first_file_for_a_script_is_without_fault(
    script: Write, read: Callable[[str], TuneFile], text: str, goal: str
) -> None:
    path = script(text)
    scanned = scan_script(path)

    tune = read(init_yaml(Path("my code/train.py"), scanned))

    assert tune.spec.objective.goal == goal
    assert dict(tune.spec.space.items()) == proposals(path)
    assert tune.program is not None
    assert tune.program.command == ("python", "my code/train.py")
    assert tune.program.values_as == "flags"


def test_the_first_file_says_where_everything_comes_from(script: Write) -> None:
    path = script(
        'p.add_argument("--lr", type=float, default=0.01)\n'
        'p.add_argument("--epochs", type=int, default=9)\n'
    )

    text = init_yaml(Path("train.py"), scan_script(path))

    assert (
        text
        == """\
# Tunes train.py. Look through it, then: tunesmith check FILE, tunesmith run FILE
study: train
# No metric was found in the script. Let it print one, such as accuracy=0.93, and name it:
maximize: accuracy
max_trials: 30
parallel_trials: 1      # how many run at once

# The first trial has the defaults.
parameters:
  lr: {type: double, min: 0.001, max: 0.1, scale: log, default: 0.01}  # line 1
  # Left alone:
  #   --epochs (line 2) decides how long a trial takes

# Each trial gets its values as --name=value behind the command.
command: python train.py
"""
    )


def test_a_default_outside_the_proposed_range_is_said_to_be_left_out(script: Write) -> None:
    path = script('p.add_argument("--weight-decay", type=float, default=0.0)\n')

    text = init_yaml(Path("train.py"), scan_script(path))

    assert "scale: log}  # line 1; leaves out its default 0.0" in text


def test_without_anything_to_tune_the_first_file_asks_for_it(script: Write) -> None:
    text = init_yaml(Path("train.py"), scan_script(script("print(1)")))

    assert "# No option that is worth tuning was found. Write yours, such as:" in text


def test_a_script_that_is_not_python_is_a_fault_at_its_place(script: Write) -> None:
    path = script("x = 1\ny = = 2\n")

    with pytest.raises(SpecError) as caught:
        scan_script(path)

    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.column) == ("E140", 2, 5)
    assert problem.message == "not a Python script: invalid syntax"


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00", b"# coding: nonsense\n", b"a = 'gr\xfcn'", b"\0"]
)
def test_a_script_that_can_t_be_decoded_is_a_fault(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "train.py"
    path.write_bytes(data)

    with pytest.raises(SpecError) as caught:
        scan_script(path)

    assert caught.value.problems[0].code == "E140"


def test_a_script_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the script can't be read: No such file"):
        scan_script(tmp_path / "none.py")
