"""Several processes on one SQLite file."""

import itertools
import os
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import StudyEnded
from tunesmith.model import StudyState, TrialState
from tunesmith.space import Double, Space
from tunesmith.storage import open_storage
from tunesmith.study import Study
from tunesmith.testing.studies import spec_of, suggestions

Process = subprocess.Popen[str]
LINE = Space({"x": Double(0.0, 1.0)})

OPEN = """
import sys
from tunesmith.storage import open_storage
import tunesmith.storage.sql
print("ready", flush=True)
sys.stdin.readline()
open_storage(sys.argv[1]).close()
"""

ASK_AND_TELL = """
import sys
from tunesmith.errors import StudyEnded
from tunesmith.study import Study

study = Study.load("shared", sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
while True:
    try:
        trial = study.ask()
    except StudyEnded:
        break
    study.report(trial, 0, loss=trial.values["x"] + 1)
    study.tell(trial, loss=trial.values["x"])
    print(trial.number, trial.attempt, flush=True)
"""

FORK = """
import os, sys
from tunesmith.storage import open_storage
from tunesmith.testing.studies import suggestions

storage = open_storage(sys.argv[1])
pid = os.fork()
if not pid:
    for number in range(20):
        storage.add_trials("shared", suggestions(0.5), after=number)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
storage.add_trials("shared", suggestions(0.5), after=20)
print("ready")
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'shared.db'}"


def is_intact(url: str) -> bool:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def test_processes_that_open_a_new_file_at_once_all_succeed(
    start: Callable[..., Process], release: Callable[..., None], url: str
) -> None:
    processes = [start(OPEN, url) for _ in range(4)]

    release(*processes)

    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors


def test_four_processes_share_a_study_of_sixty_trials(
    start: Callable[..., Process], release: Callable[..., None], url: str
) -> None:
    study = Study(
        LINE, minimize="loss", name="shared", storage=url, algorithm="sobol", seed=1, max_trials=60
    )
    processes = [start(ASK_AND_TELL, url) for _ in range(4)]

    release(*processes)
    outputs = [process.communicate(timeout=120) for process in processes]

    assert [p.returncode for p in processes] == [0] * 4, outputs
    told = [int(line.split()[0]) for out, _ in outputs for line in out.splitlines()]
    assert sorted(told) == list(range(1, 61))
    trials = study.trials
    assert [t.number for t in trials] == list(range(1, 61))
    assert {t.state for t in trials} == {TrialState.COMPLETED}
    assert {t.attempt for t in trials} == {1}
    assert all(len(study.measurements(t)) == 1 for t in trials)
    assert study.record.state is StudyState.FINISHED
    alone = Study(LINE, minimize="loss", algorithm="sobol", seed=1, max_trials=60)
    assert [t.values for t in trials] == [alone.ask().values for _ in range(60)]
    study.close()
    alone.close()


@pytest.mark.slow
def test_a_study_survives_the_kill_of_its_processes_in_the_midst_of_writing(
    start: Callable[..., Process], release: Callable[..., None], url: str
) -> None:
    study = Study(
        LINE,
        minimize="loss",
        name="shared",
        storage=url,
        seed=1,
        max_trials=100,
        algorithm="random",  # what is suggested makes no difference here
    )
    told: set[int] = set()

    for end_after in (3, 1, 7, 5):
        victims = [start(ASK_AND_TELL, url) for _ in range(2)]
        release(*victims)
        assert victims[0].stdout is not None
        lines = list(itertools.islice(victims[0].stdout, end_after))
        for victim in victims:
            victim.kill()
        outputs = [victim.communicate()[0] for victim in victims]
        lines += "".join(outputs).splitlines()
        told |= {int(line.split()[0]) for line in lines}
        assert is_intact(url)
    last = start(ASK_AND_TELL, url)
    release(last)
    out, errors = last.communicate(timeout=120)

    assert last.returncode == 0, errors
    trials = study.trials
    assert [t.number for t in trials] == list(range(1, 101))
    assert {t.state for t in trials} == {TrialState.COMPLETED}
    assert all(t.metrics == {"loss": t.values["x"]} for t in trials)
    again = [int(line.split()[0]) for line in out.splitlines()]
    assert not told & set(again), "a finished trial was run again"
    assert study.record.state is StudyState.FINISHED
    study.close()


def test_a_storage_may_be_used_on_both_sides_of_a_fork(
    start: Callable[..., Process], url: str
) -> None:
    with Study(LINE, minimize="loss", name="shared", storage=url) as study:
        out, errors = start(FORK, url).communicate(timeout=60)

        assert out == "ready\n", errors
        assert len(study.trials) == 21
    assert is_intact(url)


@pytest.mark.parametrize("where", ["file", "memory"])
def test_threads_share_a_storage(where: str, url: str) -> None:
    storage = open_storage(url if where == "file" else "sqlite://")
    study = Study(LINE, minimize="loss", storage=storage, seed=1, max_trials=120)
    told: list[int] = []
    faults: list[BaseException] = []

    def work() -> None:
        try:
            while True:
                trial = study.ask()
                study.report(trial, 0, loss=1.0)
                study.tell(trial, loss=2.0)
                told.append(trial.number)
        except StudyEnded:
            pass
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert sorted(told) == list(range(1, 121))
    assert study.record.state is StudyState.FINISHED
    study.close()


def test_who_is_suspended_while_asking_holds_nobody_up(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.storage.sqlite._PATIENCE_S", 0.05)
    suspended, other = open_storage(url), open_storage(url)
    suspended.create_study("s", spec_of(LINE))

    with suspended.asking("s"), other.asking("s"):
        other.add_trials("s", suggestions(0.1), after=0)

    assert other.study("s").size == 1
    suspended.close()
    other.close()


def test_a_storage_gives_back_what_it_holds_of_the_system(url: str) -> None:
    def held() -> list[str]:
        entries = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
        targets = [os.readlink(entry) for entry in entries if entry.is_symlink()]  # noqa: PTH115
        return [target for target in targets if "shared.db" in target]

    storage = open_storage(url)
    storage.create_study("s", spec_of(LINE))
    with storage.asking("s"):
        storage.add_trials("s", suggestions(0.1), after=0)

    storage.close()

    assert held() == []
