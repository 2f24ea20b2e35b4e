"""Tuners, their server and its database, each killed again and again in the middle of a study.

The number of kills is ``TUNESMITH_CHAOS_KILLS`` (a dozen by default, three trials to each):

    TUNESMITH_CHAOS_KILLS=100 pytest -m slow tests/e2e/test_chaos.py -s
"""

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3

from tunesmith.errors import NotFoundError, StorageError
from tunesmith.model import StudyState, TrialState
from tunesmith.storage import Changes
from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.invariants import check
from tunesmith.testing.seen import Run, look

KILLS = int(os.environ.get("TUNESMITH_CHAOS_KILLS", "12"))
TRIALS = 3 * KILLS
TUNERS = 4

# Measures its own x at both of its steps; says when it began and, unless it was killed, when it ended.
TRAINS = """
say() { echo $TUNESMITH_TRIAL $TUNESMITH_ATTEMPT $TUNESMITH_WORKER $(date +%s.%N) $1 >> ran; }
trap 'say ended' EXIT
trap 'exit 143' TERM INT
say began
for word in "$@"; do
  case $word in --x=*) x=${word#--x=} ;; esac
done
echo "step=1 y=$x"
sleep 0.$((1 + TUNESMITH_TRIAL % 5))
echo "step=2 y=$x"
"""


def program(values: Mapping[str, Any], step: int) -> dict[str, float]:
    return {"y": float(values["x"])}


class Database:
    """PostgreSQL, killed with all its processes, and started again on what it had written."""

    def __init__(self, server: Any, url: str) -> None:
        self._server = server
        self.url = url

    def kill(self) -> None:
        pid = (self._server.socket.parent / "postmaster.pid").read_text().splitlines()[0]
        postmaster = psutil.Process(int(pid))
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=30)

    def start(self) -> None:
        self._server.start()


class Server:
    """``tunesmith serve``, always on the same port."""

    def __init__(self, line: Any, database: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._line = line
        self._database = database
        self._process: subprocess.Popen[str] | None = None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        words = ("serve", "--storage", self._database, "--port", str(self.port))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = self._line.start(*words, "--no-log-requests", **quiet)

    def is_ready(self) -> bool:
        try:
            return (
                urllib3.request("GET", f"{self.url}/readyz", retries=False, timeout=5).status == 200
            )
        except urllib3.exceptions.HTTPError:
            return False


class Tuner:
    """``tunesmith run``, in a place of its own."""

    def __init__(self, line: Any, url: str) -> None:
        self._line = line
        self._url = url
        self.process: subprocess.Popen[str] | None = None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        self.process = self._line.start("run", "tune.yaml", "--storage", self._url, **quiet)


class Watcher:
    """Reads along, whenever somebody asks it to."""

    def __init__(self, storage: SqlStorage) -> None:
        self.storage = storage
        self.changes: list[Changes] = []

    def look(self) -> int:
        """Read what is new; return how many trials have ended."""
        since = self.changes[-1].record.revision if self.changes else 0
        try:
            changes = self.storage.changes("s", since, curves=True)
        except (StorageError, NotFoundError):  # it is being killed, or there is no study yet
            return self.ended
        if changes.record.revision > since:
            self.changes.append(changes)
        return self.ended

    @property
    def ended(self) -> int:
        latest = {t.number: t for c in self.changes for t in c.trials}
        return sum(t.is_final for t in latest.values())


@pytest.fixture
def database(postgresql_server: Any, postgresql_url: str) -> Database:
    return Database(postgresql_server, postgresql_url)


@pytest.fixture
def watcher(database: Database) -> Iterator[Watcher]:
    storage = SqlStorage(database.url)
    yield Watcher(storage)
    storage.close()


def runs(path: Path) -> list[Run]:
    """Return the programs that ran, as they said themselves."""
    found: dict[tuple[str, ...], Run] = {}
    for line in path.read_text().splitlines():
        number, attempt, worker, moment, word = line.split()
        if word == "began":
            run = Run(int(number), int(attempt), {}, worker, float(moment))
            assert (number, attempt) not in found, f"attempt {attempt} of {number} ran twice"
            found[number, attempt] = run
        else:
            found[number, attempt].ended = float(moment)
    return list(found.values())


@pytest.mark.slow
def test_whatever_is_killed_no_trial_is_lost_or_doubled(  # noqa: PLR0917 - its fixtures
    cli: Any,
    tune_file: Callable[..., Path],
    until: Callable[..., None],
    marked: Callable[[], Sequence[int]],
    database: Database,
    watcher: Watcher,
) -> None:
    tune_file(TRAINS, max_trials=TRIALS, parallel_trials=2, algorithm="random")
    server = Server(cli, database.url)
    server.start()
    until(server.is_ready, timeout_s=60)
    tuners = [Tuner(cli, server.url) for _ in range(TUNERS)]
    for tuner in tuners:
        tuner.start()
    dice = random.Random(5)
    killed: Counter[str] = Counter()
    began = time.monotonic()

    for kill in range(KILLS):
        # Spread over the whole study, each at any moment of what goes on then.
        due = kill * TRIALS * 0.8 / KILLS
        until(lambda due=due: watcher.look() >= due, timeout_s=120)
        time.sleep(dice.uniform(0.0, 0.6))
        victim: Any = dice.choices([dice.choice(tuners), server, database], [6, 3, 2])[0]
        victim.kill()
        killed[type(victim).__name__] += 1
        time.sleep(dice.choice([0.0, 0.0, 0.5]))
        victim.start()
        until(server.is_ready, timeout_s=60)

    for tuner in tuners:
        assert tuner.process is not None
        _, errors = tuner.process.communicate(timeout=300)
        assert tuner.process.returncode == 0, errors
    watcher.look()
    print(f"\n{dict(killed)} killed in {time.monotonic() - began:.0f} s, {TRIALS} trials")
    assert sum(killed.values()) == KILLS
    assert set(killed) == {"Tuner", "Server", "Database"}
    seen = look(
        watcher.storage,
        "s",
        program=program,
        changes=watcher.changes,
        runs=runs(cli.folder / "ran"),
    )
    assert check(seen) == []
    assert seen.record.state is StudyState.FINISHED
    assert [t.state for t in seen.trials] == [TrialState.COMPLETED] * TRIALS
    assert not any(re.search("Traceback", t.reason) for t in seen.trials)
    until(lambda: not marked())
