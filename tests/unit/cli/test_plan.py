"""What ``run`` makes of a file and options together."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from tunesmith.cli.plan import Overrides, check_program, read_plan
from tunesmith.errors import SpecError
from tunesmith.model import Algorithm, Constraint, Ending, Objective, Program, Stopping
from tunesmith.space import Double, Prior

NOTHING = Overrides(max_trials=3)
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


def test_a_command_line_says_what_ends_trials_and_the_study() -> None:
    plan = read_plan(
        None,
        replace(
            INLINE,
            stopping=("median:min_steps=2", "patience"),
            max_steps=30,
            target=0.98,
            time="2h",
            no_improvement=20,
            expected_gain=1e-3,
            no_improvement_for="30m",
            min_trials=5,
            min_time="1m",
            stop_running=False,
        ),
    )

    assert plan.spec.stopping == (Stopping("median", {"min_steps": 2}), Stopping("patience"))
    assert plan.spec.max_steps == 30
    assert plan.spec.ending == Ending(0.98, 7200.0, 20, 0.001, 1800.0, 5, 60.0, False)


def test_rules_of_a_command_line_stand_in_for_those_of_the_file(file: Path) -> None:
    more = "stopping: [median, patience]\nmax_steps: 9\nuntil: {target: 0.5, time: 1h}\n"
    file.write_text(FILE + more, encoding="utf-8")

    kept = read_plan(file, NOTHING).spec
    other = read_plan(file, replace(NOTHING, stopping=("asha",), target=0.75)).spec
    none = read_plan(file, replace(NOTHING, stopping=("none",))).spec

    assert kept.stopping == (Stopping("median"), Stopping("patience"))
    assert other.stopping == (Stopping("asha"),)
    assert none.stopping == ()
    assert other.max_steps == none.max_steps == 9
    assert other.ending == Ending(0.75, 3600.0)


def test_what_a_rule_of_the_file_refuses_is_told_at_its_line(file: Path) -> None:
    text = FILE.replace("standard_error: accuracy_se\n", "minimize: loss\n")
    file.write_text(text + "stopping: {name: median}\n", encoding="utf-8")

    with pytest.raises(SpecError) as caught:
        read_plan(file, NOTHING)

    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (str(file), 10, 18)


def test_what_the_file_lacks_for_its_rule_may_come_from_the_command_line(file: Path) -> None:
    file.write_text(FILE + "stopping: {name: asha, brackets: 2}\n", encoding="utf-8")

    with pytest.raises(SpecError, match="say max_steps"):
        read_plan(file, NOTHING)

    assert read_plan(file, replace(NOTHING, max_steps=9)).spec.max_steps == 9


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"time": "soon"}, "--time: 'soon' is no duration"),
        ({"no_improvement_for": "0s"}, "--no-improvement-for: a time above zero"),
        ({"time": "1h", "min_time": "90m"}, "--min-time: it is at most .*, 1h; given 1h30m"),
    ],
)
def test_a_time_that_is_none_is_refused_by_its_option(wrong: dict[str, str], told: str) -> None:
    with pytest.raises(click.UsageError, match=told):
        read_plan(None, replace(INLINE, **wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "own", [{"time": "2h"}, {"no_improvement": 5}, {"no_improvement_for": "1h"}]
)
def test_a_study_that_ends_by_itself_needs_no_number_of_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").touch()

    plan = read_plan(None, replace(INLINE, max_trials=None, **own))

    assert check_program(plan).command == INLINE.program


@pytest.mark.parametrize("own", [{}, {"target": 0.9}, {"expected_gain": 0.1}, {"min_trials": 3}])
def test_a_study_that_may_never_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").touch()

    with pytest.raises(SpecError, match="would never end"):
        check_program(read_plan(None, replace(INLINE, max_trials=None, **own)))
