"""What ``run`` makes of a file and options together."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest

from tunesmith.cli.plan import Overrides, algorithm_text, check_program, read_plan
from tunesmith.errors import SpecError
from tunesmith.model import Algorithm, Constraint, Objective, Program
from tunesmith.space import Double, Prior

NOTHING = Overrides(
    parameters=(),
    metrics=(),
    goals=(),
    standard_errors=(),
    constraints=(),
    priors=(),
    warm_start=(),
    max_trials=3,
    parallel_trials=None,
    algorithm=None,
    settings=(),
    seed=None,
    name=None,
    program=(),
    time_limit=None,
    memory_limit=None,
    cpus=None,
    gpus=None,
    pattern="",
)
INLINE = replace(
    NOTHING,
    parameters=("lr=log:1e-4..1e-1", "opt=adam,sgd"),
    metrics=("accuracy",),
    goals=("maximize",),
    program=(sys.executable, "train.py"),
)
FILE = """\
study: s
maximize: accuracy
standard_error: accuracy_se
constraints: [latency_ms <= 20, recall >= 0.5]
algorithm: {name: grid, points: 3}
warm_start: [old]
parameters: {lr: log:1e-4..1e-1}
command: python train.py
resources: {cpus: 2}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tune.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_command_line_says_all_that_a_file_can_say_of_metrics_and_priors() -> None:
    plan = read_plan(
        None,
        replace(
            INLINE,
            metrics=("accuracy", "loss"),
            goals=("maximize", "minimize"),
            standard_errors=("loss=loss_se",),
            constraints=("latency_ms<=20",),
            priors=("lr=0.01:high", "opt=sgd"),
            warm_start=("old",),
            algorithm="grid",
            settings=("points=3",),
            cpus=1,
            gpus=2,
        ),
    )

    spec = plan.spec
    assert spec.objectives == (
        Objective("accuracy", "maximize"),
        Objective("loss", "minimize", "loss_se"),
    )
    assert spec.constraints == (Constraint("latency_ms", 20),)
    assert spec.space["lr"] == Double(1e-4, 1e-1, scale="log", prior=Prior(0.01, "high"))
    assert spec.space["opt"].prior == Prior("sgd")
    assert spec.warm_start == ("old",)
    assert spec.algorithm == Algorithm("grid", {"points": 3})
    assert plan.program is not None
    assert (plan.program.resources.cpus, plan.program.resources.gpus) == (1, 2)


def test_a_file_says_it_all_without_options(file: Path) -> None:
    plan = read_plan(file, NOTHING)

    assert plan.spec.objective == Objective("accuracy", "maximize", "accuracy_se")
    assert plan.spec.warm_start == ("old",)
    assert plan.spec.algorithm == Algorithm("grid", {"points": 3})
    assert plan.program is not None
    assert plan.program.resources.cpus == 2


def test_options_add_to_a_file_and_win_where_both_speak(file: Path) -> None:
    plan = read_plan(
        file,
        replace(
            NOTHING,
            constraints=("recall>=0.9", "size_mb<=5"),
            warm_start=("older", "old"),
            settings=("points=4",),
            standard_errors=("se",),
        ),
    )

    assert list(map(str, plan.spec.constraints)) == [
        "latency_ms <= 20",
        "recall >= 0.9",
        "size_mb <= 5",
    ]
    assert plan.spec.warm_start == ("old", "older")
    assert plan.spec.algorithm == Algorithm("grid", {"points": 4})
    assert plan.spec.objective.standard_error == "se"


def test_another_algorithm_does_not_inherit_settings(file: Path) -> None:
    plan = read_plan(file, replace(NOTHING, algorithm="random"))

    assert plan.spec.algorithm == Algorithm("random")


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=3", 3), ("a=0.5", 0.5), ("a=true", True), ("a=ucb", "ucb"), ("a = x=y", "x=y")],
)
def test_settings_have_the_types_they_have_in_a_file(text: str, value: object) -> None:
    plan = read_plan(None, replace(INLINE, settings=(text,)))

    assert plan.spec.algorithm.settings == {"a": value}
    assert type(plan.spec.algorithm.settings["a"]) is type(value)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"goals": (None,)}, click.UsageError, "-m accuracy --max"),
        ({"constraints": ("a<1",)}, click.UsageError, "--constraint: A constraint on a looks like"),
        ({"constraints": ("a<=1", "a<=2")}, click.UsageError, "each metric can have one"),
        ({"standard_errors": ("acc=se",)}, SpecError, "'acc', which is no objective"),
        ({"priors": ("lr=3",)}, SpecError, "lr: 3 is not a number|lr: 3.0 is not a number"),
        ({"priors": ("rl=3",)}, SpecError, "there is no parameter 'rl'"),
        ({"settings": ("points",)}, SpecError, "'points' is not NAME=VALUE"),
        (
            {"metrics": ("a", "b"), "goals": ("maximize",) * 2, "standard_errors": ("se",)},
            click.UsageError,
            "a=se",
        ),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(
    changes: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read_plan(None, replace(INLINE, **changes))  # type: ignore[arg-type]


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., Program]:
    """Checks a command in a folder that has ``train.py``."""
    (tmp_path / "train.py").touch()

    def check(*words: str) -> Program:
        plan = read_plan(None, replace(INLINE, program=words))
        assert plan.program is not None
        return check_program(replace(plan, program=replace(plan.program, directory=str(tmp_path))))

    return check


def test_a_script_that_is_not_there_is_refused_before_any_trial(
    checked: Callable[..., Program],
) -> None:
    with pytest.raises(SpecError, match=r"script 'trian\.py' does not exist") as caught:
        checked(sys.executable, "-u", "trian.py")

    assert caught.value.problems[0].hint == "did you mean 'train.py'?"


@pytest.mark.parametrize(
    "words",
    [
        [sys.executable, "train.py", "absent.py"],
        [sys.executable, "-W", "ignore", "train.py"],
        [sys.executable, "-m", "absent.py"],
        [sys.executable, "-c", "print(1)", "absent.py"],
        [sys.executable, "{trial_dir}/absent.py"],
        [sys.executable],
        ["env", "python", "absent.py"],
    ],
)
def test_only_what_is_surely_a_script_is_looked_for(
    checked: Callable[..., Program], words: list[str]
) -> None:
    assert checked(*words).command == tuple(words)


def test_an_algorithm_is_shown_with_its_settings() -> None:
    assert algorithm_text(Algorithm("grid", {"points": 3})) == "grid (points=3)"
    assert algorithm_text(Algorithm("random")) == "random"
