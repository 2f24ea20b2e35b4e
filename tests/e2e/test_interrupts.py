import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

TuneFile = Callable[..., Path]
Until = Callable[..., None]
Marked = Callable[[], Sequence[int]]

GATED = """
echo $TUNESMITH_TRIAL >> started
while ! test -e gate; do sleep 0.02; done
echo y=$TUNESMITH_TRIAL
"""
SAVES = (
    """
trap 'echo saved >> $TUNESMITH_CHECKPOINT_DIR/model; echo saved >> saved; exit 0' TERM
"""
    + GATED
)
STUBBORN = "trap '' TERM\n" + GATED


@pytest.fixture
def running(cli: Any, tune_file: TuneFile, until: Until) -> Callable[..., Any]:
    """Starts a run, and returns once two of its trials run."""

    def start(script: str, *, grace: str = "10s", **settings: Any) -> Any:
        path = tune_file(script, max_trials=4, parallel_trials=2)
        path.write_text(path.read_text() + f"limits: {{grace: {grace}}}\n")
        process = cli.start("run", "tune.yaml", **settings)
        started = cli.folder / "started"
        until(lambda: started.exists() and len(started.read_text().split()) == 2)
        return process

    return start


def interrupt(process: subprocess.Popen[str], words: str) -> None:
    """Send SIGINT, and wait for the words that answer it."""
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while words not in (line := process.stderr.readline()):
        assert line, "it ended without a word"


def completes_exactly(cli: Any) -> None:
    (cli.folder / "gate").touch()
    cli("run", "tune.yaml")
    trials = cli.trials()
    assert [(t["number"], t["state"]) for t in trials] == [(n, "completed") for n in range(1, 5)]


def test_ctrl_c_once_lets_running_trials_finish(cli: Any, running: Callable[..., Any]) -> None:
    process = running(GATED)

    interrupt(process, "finishing 2 running trials, no new ones. Ctrl-C again to stop them now.")
    (cli.folder / "gate").touch()

    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "go on with: tunesmith run tune.yaml" in errors
    assert [t["state"] for t in cli.trials()] == ["completed"] * 2
    completes_exactly(cli)


def test_ctrl_c_twice_stops_running_trials_which_start_again(
    cli: Any, running: Callable[..., Any], marked: Marked, until: Until
) -> None:
    process = running(SAVES)

    interrupt(process, "finishing 2 running trials")
    interrupt(process, "stopping the running trials")

    process.communicate(timeout=30)
    assert process.returncode == 130
    assert (cli.folder / "saved").read_text() == "saved\n" * 2
    assert [(t["state"], t["attempt"]) for t in cli.trials()] == [("queued", 1)] * 2
    until(lambda: not marked())
    completes_exactly(cli)
    assert [t["attempt"] for t in cli.trials()] == [2, 2, 1, 1]
    saved = cli.folder / ".tunesmith/trials/s/1/checkpoints/model"
    assert saved.read_text() == "saved\n"


def test_ctrl_c_three_times_kills_what_ignores_it(
    cli: Any, running: Callable[..., Any], marked: Marked, until: Until
) -> None:
    process = running(STUBBORN, grace="1h")

    interrupt(process, "finishing 2 running trials")
    interrupt(process, "stopping the running trials")
    process.send_signal(signal.SIGINT)

    process.communicate(timeout=30)
    assert process.returncode == 130
    until(lambda: not marked())
    completes_exactly(cli)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_ends_within_the_grace_and_the_same_command_completes(
    number: signal.Signals,
    cli: Any,
    running: Callable[..., Any],
    marked: Marked,
    until: Until,
) -> None:
    process = running(STUBBORN, grace="200ms")
    began = time.monotonic()

    process.send_signal(number)

    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < 15
    assert process.returncode == 143
    assert "nothing is lost" in errors
    until(lambda: not marked())
    completes_exactly(cli)


def test_under_nohup_a_hangup_is_ignored(cli: Any, running: Callable[..., Any]) -> None:
    process = running(GATED, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))

    process.send_signal(signal.SIGHUP)
    (cli.folder / "gate").touch()

    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_terminal_shows_a_live_block_and_ctrl_c_answers(
    cli: Any, running: Callable[..., Any], until: Until
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    os.set_blocking(ours, False)
    cli.environment["TERM"] = "xterm-256color"
    process = running(
        "echo y=0.5\n" + GATED, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = bytearray()

    def shows(words: str) -> bool:
        try:
            while data := os.read(ours, 65536):
                seen.extend(data)
        except OSError:  # nothing new yet, or the other side has closed
            pass
        return words in seen.decode(errors="replace")

    try:
        until(lambda: shows("running") and shows("0/4"))
        assert b"\x1b[" in seen

        process.send_signal(signal.SIGINT)
        until(lambda: shows("Ctrl-C again to stop them"))
        (cli.folder / "gate").touch()

        until(lambda: (shows(""), process.poll())[1] is not None)
        assert process.returncode == 130
        assert shows("go on with")
    finally:
        os.close(ours)
