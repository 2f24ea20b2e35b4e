import errno
import signal
from pathlib import Path

import pytest

from tunesmith.execution import Ended, Outcome
from tunesmith.execution.ending import explain_exit, explain_start, last_line
from tunesmith.execution.guard import Guard
from tunesmith.model import Resources


@pytest.fixture
def stderr(tmp_path: Path) -> Path:
    path = tmp_path / "stderr"
    path.write_text("Traceback ...\nValueError: größe\n\n", encoding="utf-8")
    return path


def explain(status: int, stderr: Path) -> Ended:
    return explain_exit(1, status, Guard([1], Resources()), stderr)


def test_status_0_is_success(stderr: Path) -> None:
    assert explain(0, stderr) == Ended(1, Outcome.SUCCEEDED)


def test_any_other_status_is_a_failure_with_the_last_line_of_stderr(stderr: Path) -> None:
    assert explain(3, stderr) == Ended(1, Outcome.FAILED, "exit status 3: ValueError: größe")


def test_a_program_without_last_words_has_its_status_alone(tmp_path: Path) -> None:
    assert explain(3, tmp_path / "none") == Ended(1, Outcome.FAILED, "exit status 3")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS", "SIGILL", "SIGPIPE"])
def test_a_signal_that_programs_bring_upon_themselves_is_a_failure(name: str, stderr: Path) -> None:
    ended = explain(-signal.Signals[name], stderr)

    assert ended.outcome is Outcome.FAILED
    assert ended.reason == f"died by {name}: ValueError: größe"


@pytest.mark.parametrize("name", ["SIGKILL", "SIGHUP", "SIGINT", "SIGUSR1"])
def test_any_other_signal_came_from_outside(name: str, stderr: Path) -> None:
    ended = explain(-signal.Signals[name], stderr)

    assert ended.outcome is Outcome.LOST
    assert ended.reason.startswith(f"killed from outside by {name}")


@pytest.mark.parametrize("status", [-signal.SIGTERM, 143])
def test_a_request_to_end_that_came_from_outside_preempts(status: int, stderr: Path) -> None:
    ended = explain(status, stderr)

    assert ended.outcome is Outcome.PREEMPTED
    assert ended.reason == "preempted: SIGTERM from outside"


def test_a_shell_whose_program_was_killed_counts_as_killed(stderr: Path) -> None:
    assert explain(137, stderr).outcome is Outcome.LOST


@pytest.mark.parametrize("status", [129, 130, 139, 255])
def test_other_high_statuses_are_the_programs_own(status: int, stderr: Path) -> None:
    assert explain(status, stderr).outcome is Outcome.FAILED


def test_sigkill_hints_at_memory(stderr: Path) -> None:
    assert "out of memory" in explain(-9, stderr).reason


def test_an_unknown_signal_is_named_by_its_number(stderr: Path) -> None:
    assert explain(-61, stderr).reason == "killed from outside by signal 61"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "train"), Outcome.FAILED),
        (PermissionError(errno.EACCES, "Permission denied", "train"), Outcome.FAILED),
        (OSError(errno.EAGAIN, "Resource temporarily unavailable"), Outcome.LOST),
        (OSError(errno.EMFILE, "Too many open files"), Outcome.LOST),
    ],
)
def test_a_start_fails_for_good_only_if_the_program_is_at_fault(
    error: OSError, outcome: Outcome
) -> None:
    assert explain_start(1, error).outcome is outcome


def test_last_words_are_found_at_the_end_of_a_long_file_and_cut(tmp_path: Path) -> None:
    path = tmp_path / "stderr"
    path.write_bytes(b"x" * 100_000 + b"\n\xff" + b"y" * 400 + b"\n  \n")

    assert last_line(path) == "�" + "y" * 299
