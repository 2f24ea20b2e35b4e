import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tunesmith.execution import CommandExecutor, Ended, Outcome
from tunesmith.execution.child import Nursery
from tunesmith.model import Trial

Until = Callable[[Callable[[], object]], None]
Marked = Callable[[], Mapping[int, Mapping[str, str]]]

TUNER = """
import os, subprocess, sys, time
from pathlib import Path
from tunesmith.execution.child import Nursery

folder = Path(sys.argv[1])
nursery = Nursery(f"tuner of {folder}")
code = sys.argv[2]
with open(folder / "output", "wb") as out:
    nursery.start([sys.executable, "-c", code], environment=os.environ, mark=folder / "1", stdout=out)
time.sleep(600)
"""
WAITS = "import time; print('ready', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WAITS
DAEMONISES = f"""
import os
if os.fork() == 0:
    os.setsid()
    {WAITS}
"""
SAVES = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("saved", flush=True), sys.exit()))
print("ready", flush=True)
time.sleep(600)
"""


def reapers(owner: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if len(words) > 4 and words[3].endswith("reaper.py") and words[4] == owner:
                found.append(int(entry.name))
    return found


@pytest.fixture
def tuner(tmp_path: Path, until: Until) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", TUNER, str(tmp_path), code])
        started.append(process)
        output = tmp_path / "output"
        until(lambda: output.exists() and "ready" in output.read_text())
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("code", [WAITS, STUBBORN, DAEMONISES], ids=["plain", "stubborn", "daemon"])
def test_kill_9_of_the_tuner_leaves_no_process(
    code: str, tuner: Callable[[str], subprocess.Popen[bytes]], marked: Marked, until: Until
) -> None:
    process = tuner(code)
    assert marked()

    process.kill()

    until(lambda: not marked())


def test_a_trial_may_save_what_it_has_when_its_tuner_died(
    tuner: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path, marked: Marked, until: Until
) -> None:
    process = tuner(SAVES)

    process.kill()

    until(lambda: not marked())
    assert "saved" in (tmp_path / "output").read_text()


def test_the_reaper_goes_with_the_tuner_in_the_end(
    tmp_path: Path, tuner: Callable[[str], subprocess.Popen[bytes]], until: Until
) -> None:
    process = tuner(WAITS)
    assert reapers(f"tuner of {tmp_path}")

    process.kill()

    until(lambda: not reapers(f"tuner of {tmp_path}"))


def test_a_reaper_that_was_killed_is_replaced(
    commands: Callable[..., CommandExecutor],
    trial: Callable[..., Trial],
    next_end: Callable[..., Ended],
    until: Until,
    tmp_path: Path,
) -> None:
    executor = commands("true")
    executor.start(trial(1))
    next_end(executor)
    (reaper,) = reapers(f"tuner of {tmp_path}")

    os.kill(reaper, signal.SIGKILL)
    until(lambda: not reapers(f"tuner of {tmp_path}"))
    for number in (2, 3):
        executor.start(trial(number))
        assert next_end(executor).outcome is Outcome.SUCCEEDED

    (another,) = reapers(f"tuner of {tmp_path}")
    assert another != reaper


def test_a_trial_s_end_is_told_also_where_no_other_reaper_can_be_started(
    *,
    commands: Callable[..., CommandExecutor],
    trial: Callable[..., Trial],
    next_end: Callable[..., Ended],
    until: Until,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor = commands("sh", "-c", "exec sleep 600", "sh")
    executor.start(trial(1))
    (reaper,) = reapers(f"tuner of {tmp_path}")
    os.kill(reaper, signal.SIGKILL)
    until(lambda: not reapers(f"tuner of {tmp_path}"))
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    executor.start(trial(2))
    assert next_end(executor).outcome is Outcome.FAILED

    executor.stop(1, Outcome.STOPPED, "enough")

    assert next_end(executor) == Ended(1, Outcome.STOPPED, "enough")


def test_another_tuners_processes_are_none_of_a_reapers_business(
    tmp_path: Path, tuner: Callable[[str], subprocess.Popen[bytes]], marked: Marked, until: Until
) -> None:
    process = tuner(WAITS)
    (first,) = marked()
    nursery = Nursery(f"another tuner of {tmp_path}")
    ours = nursery.start([sys.executable, "-c", WAITS], environment=os.environ, mark=tmp_path / "1")

    process.kill()

    until(lambda: not reapers(f"tuner of {tmp_path}"))
    assert first not in marked()
    assert ours.poll() is None
    ours.kill()
    nursery.outlast(ours)
    assert nursery.bury(ours) == -signal.SIGKILL
    nursery.close()
