import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tunesmith as ts
from tunesmith.errors import MetricError
from tunesmith.execution import CommandExecutor, Ended, Outcome
from tunesmith.model import Trial


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNESMITH_TRIAL_DIR", str(tmp_path))
    return tmp_path


def lines(directory: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_reports_are_lines_with_their_step(directory: Path) -> None:
    ts.report(step=3, y=0.5, größe=2)
    ts.report(y=0.25)

    first, second = lines(directory)
    assert (first["step"], first["metrics"]) == (3, {"y": 0.5, "größe": 2.0})
    assert (second["step"], second["metrics"]) == (None, {"y": 0.25})


def test_values_that_are_not_finite_keep_the_lines_valid_json(directory: Path) -> None:
    ts.report(a=float("nan"), b=float("inf"), c=float("-inf"))

    assert lines(directory)[0]["metrics"] == {"a": "nan", "b": "inf", "c": "-inf"}


@pytest.mark.parametrize("value", ["0.5", None, 1j, [1], 10**400])
def test_what_is_no_number_is_refused_where_it_is_reported(directory: Path, value: object) -> None:
    with pytest.raises(MetricError, match="'y'"):
        ts.report(y=value)  # type: ignore[arg-type]

    assert not (directory / "metrics.jsonl").exists()


def test_infeasible_leaves_the_program_with_a_reason(directory: Path) -> None:
    with pytest.raises(SystemExit, match="infeasible: too deep"):
        ts.infeasible("too deep")

    assert lines(directory) == [{"infeasible": "too deep"}]


def test_by_hand_a_report_does_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNESMITH_TRIAL_DIR")

    ts.report(step=1, y=0.5)
    with pytest.raises(SystemExit):
        ts.infeasible("too deep")

    assert not list(directory.iterdir())


def test_a_program_run_by_hand_ends_as_if_there_were_no_tuner(tmp_path: Path) -> None:
    code = "import tunesmith; tunesmith.report(step=1, y=0.5); print('done')"

    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (ran.stdout, ran.stderr) == ("done\n", "")


def test_a_command_reports_from_inside(
    commands: Callable[..., CommandExecutor],
    trial: Callable[..., Trial],
    next_end: Callable[..., Ended],
) -> None:
    code = "import tunesmith; tunesmith.report(y=1); tunesmith.infeasible('no')"
    executor = commands(sys.executable, "-c", code)

    executor.start(trial())

    assert next_end(executor) == Ended(1, Outcome.FAILED, "exit status 1: infeasible: no")
    assert [set(line) for line in lines(executor.directory(1))] == [
        {"step", "elapsed_s", "metrics"},
        {"infeasible"},
    ]
