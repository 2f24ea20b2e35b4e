import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tunesmith.model import TrialState
from tunesmith.study import Study

TuneFile = Callable[..., Path]
Until = Callable[..., None]
Marked = Callable[[], Sequence[int]]

# Says when it starts, works for 0.1 to 0.3 seconds, and says what it found.
WORKS = """
echo $TUNESMITH_TRIAL >> started
sleep 0.$((1 + TUNESMITH_TRIAL % 3))
echo y=$TUNESMITH_TRIAL
echo $TUNESMITH_TRIAL >> ended
"""
WAITS = """
echo $TUNESMITH_TRIAL >> started
while ! test -e gate; do sleep 0.02; done
echo y=$TUNESMITH_TRIAL
"""
# Trains 27 steps, reports and saves each, and goes on where it was.
TRAINS = """
place=$TUNESMITH_CHECKPOINT_DIR/step
done=0
test -e $place && done=$(cat $place)
echo $TUNESMITH_TRIAL >> started
while test $done -lt 27; do
  sleep 0.05
  done=$((done + 1))
  echo $TUNESMITH_TRIAL/$done >> trained
  echo step=$done y=$((1000 / done + TUNESMITH_TRIAL))
  echo $done > $place.part && mv $place.part $place
done
"""


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def reapers(tuner: int) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_text()
        except (OSError, UnicodeDecodeError):
            continue
        if "reaper.py" in line and f":{tuner}:" in line:
            found.append(entry.name)
    return found


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.slow
def test_a_tuner_killed_thirty_times_loses_and_doubles_nothing(
    cli: Any, tune_file: TuneFile, until: Until, marked: Marked
) -> None:
    tune_file(WORKS, max_trials=60, parallel_trials=4)
    started = cli.folder / "started"
    dice = random.Random(7)

    for _ in range(30):
        before = len(lines(started))
        process = cli.start("run", "tune.yaml", stdout=subprocess.DEVNULL, stderr=None)
        # Some die while they start, the others after up to three of their trials began.
        if dice.random() > 0.2:
            wanted = before + dice.randint(1, 3)
            until(lambda p=process, n=wanted: len(lines(started)) >= n or p.poll() is not None)
        time.sleep(dice.uniform(0.0, 0.3))
        assert process.poll() is None, "it ended before it was killed thirty times"
        process.kill()
        process.wait()
    cli("run", "tune.yaml")

    trials = cli.trials("s")
    assert [t["number"] for t in trials] == list(range(1, 61))
    assert {t["state"] for t in trials} == {"completed"}
    assert [t["metrics"]["y"] for t in trials] == list(range(1, 61))
    until(lambda: not marked())


@pytest.mark.slow
@pytest.mark.parametrize(
    "stopping",
    [
        {"name": "hyperband"},
        {"name": "asha-promotion"},
        {"name": "pbt", "population": 4, "interval": 5},
    ],
    ids=lambda stopping: stopping["name"],
)
def test_a_tuner_killed_amid_promotions_and_copies_loses_nothing(
    stopping: dict[str, Any], cli: Any, tune_file: TuneFile, until: Until, marked: Marked
) -> None:
    tune_file(TRAINS, max_trials=12, parallel_trials=3, max_steps=27, stopping=stopping)
    started = cli.folder / "started"
    dice = random.Random(3)
    kills = 0

    while kills < 8:
        before = len(lines(started))
        process = cli.start("run", "tune.yaml", stdout=subprocess.DEVNULL, stderr=None)
        wanted = before + dice.randint(1, 2)
        until(lambda p=process, n=wanted: len(lines(started)) >= n or p.poll() is not None)
        time.sleep(dice.uniform(0.0, 0.4))
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    cli("run", "tune.yaml")

    trials = cli.trials("s")
    assert kills >= 4, "it ended before it was killed a few times"
    assert {t["state"] for t in trials} <= {"completed", "stopped"}
    assert "completed" in {t["state"] for t in trials}
    assert len(trials) <= 12
    study = Study.load("s", f"sqlite:///{cli.folder / '.tunesmith' / 'tunesmith.db'}")
    with study:
        for trial in study.trials:
            steps = [m.step for m in study.measurements(trial.number)]
            first = steps[0]
            assert steps == list(range(first, first + len(steps))), f"trial {trial.number}"
            assert (first == 1) == (trial.parent is None)
            if trial.state is TrialState.COMPLETED:
                assert steps[-1] == 27
    # Only what was under way when the tuner was killed is trained again.
    again = Counter(lines(cli.folder / "trained"))
    assert sum(n - 1 for n in again.values()) <= 3 * kills
    until(lambda: not marked())


@pytest.mark.slow
def test_four_tuners_share_one_study(cli: Any, tune_file: TuneFile, marked: Marked) -> None:
    tune_file(
        "echo $TUNESMITH_TRIAL >> ran; echo $TUNESMITH_WORKER >> workers; sleep 0.1\n"
        "echo y=$TUNESMITH_TRIAL",
        max_trials=40,
        parallel_trials=2,
    )

    tuners = [cli.start("run", "tune.yaml") for _ in range(4)]
    ends = [(p.communicate(timeout=60), p.returncode) for p in tuners]

    assert [status for _, status in ends] == [0] * 4, ends
    assert sorted(lines(cli.folder / "ran"), key=int) == [str(n) for n in range(1, 41)]
    assert len(set(lines(cli.folder / "workers"))) == 4
    trials = cli.trials("s")
    assert [(t["number"], t["state"], t["attempt"]) for t in trials] == [
        (n, "completed", 1) for n in range(1, 41)
    ]
    assert not marked()


def test_a_second_tuner_waits_for_the_trials_of_the_first(
    cli: Any, tune_file: TuneFile, until: Until
) -> None:
    tune_file(WAITS, max_trials=2, parallel_trials=2)
    first = cli.start("run", "tune.yaml")
    until(lambda: len(lines(cli.folder / "started")) == 2)

    second = cli.start("run", "tune.yaml")
    until(lambda: len(cli.json("ls")["studies"]) == 1)
    (cli.folder / "gate").touch()

    for process in (first, second):
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert len(lines(cli.folder / "started")) == 2


def test_a_second_tuner_takes_over_at_once_when_the_first_dies(
    cli: Any, tune_file: TuneFile, until: Until, marked: Marked
) -> None:
    tune_file(WAITS, max_trials=2, parallel_trials=2)
    first = cli.start("run", "tune.yaml")
    until(lambda: len(lines(cli.folder / "started")) == 2)
    second = cli.start("run", "tune.yaml")

    first.kill()

    until(lambda: len(lines(cli.folder / "started")) == 4)
    until(lambda: not reapers(first.pid))  # it must leave the second one's trials alone
    (cli.folder / "gate").touch()
    second.communicate(timeout=30)
    assert second.returncode == 0
    assert [(t["state"], t["attempt"]) for t in cli.trials()] == [("completed", 2)] * 2
    until(lambda: not marked())


def test_trials_killed_from_outside_are_run_again(
    cli: Any, tune_file: TuneFile, until: Until, marked: Marked
) -> None:
    tune_file(WAITS, max_trials=2, parallel_trials=2)
    process = cli.start("run", "tune.yaml")
    started = cli.folder / "started"
    until(lambda: len(lines(started)) == 2)

    for pid in marked():
        kill(pid)
    until(lambda: len(lines(started)) == 4)
    (cli.folder / "gate").touch()

    process.communicate(timeout=30)
    assert process.returncode == 0
    trials = cli.trials()
    assert [t["state"] for t in trials] == ["completed"] * 2
    assert Counter(lines(started)) == {"1": 2, "2": 2}


def test_a_reaper_that_is_killed_harms_nothing(cli: Any, tune_file: TuneFile, until: Until) -> None:
    tune_file(WAITS, max_trials=4, parallel_trials=1)
    process = cli.start("run", "tune.yaml")
    until(lambda: lines(cli.folder / "started"))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        if b"reaper.py" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)

    (cli.folder / "gate").touch()

    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert [t["state"] for t in cli.trials()] == ["completed"] * 4


def test_a_reader_who_leaves_leaves_the_run_and_its_trials_going(
    cli: Any, tune_file: TuneFile, until: Until, marked: Marked
) -> None:
    tune_file(WAITS, max_trials=4, parallel_trials=2)
    process = cli.start("run", "tune.yaml", "--json")
    until(lambda: len(lines(cli.folder / "started")) == 2)

    process.stdout.close()
    (cli.folder / "gate").touch()

    assert process.wait(30) == 0
    assert not process.stderr.read()
    assert not marked()
    assert [t["state"] for t in cli.trials()] == ["completed"] * 4


def test_what_shows_a_study_says_that_its_tuner_has_died(
    cli: Any, tune_file: TuneFile, until: Until
) -> None:
    tune_file(WAITS, max_trials=4, parallel_trials=2)
    process = cli.start("run", "tune.yaml")
    until(lambda: len(lines(cli.folder / "started")) == 2)
    assert "tuner has died" not in cli("show").stdout

    process.kill()
    process.wait()

    assert "tuner has died" in cli("show").stdout
    assert "has died" in cli("wait", "--timeout", "0s", status=124).stderr
    assert "when its tuner died" in cli("stop").stderr


def test_a_file_that_may_not_grow_ends_the_run_clearly_and_it_goes_on_later(
    cli: Any, tune_file: TuneFile, marked: Marked
) -> None:
    tune_file(max_trials=150, parallel_trials=2)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (250 * 1024, 250 * 1024))

    process = cli.start("run", "tune.yaml", preexec_fn=limit)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 4, errors
    assert "error:" in errors
    assert "Traceback" not in errors
    assert not marked()
    assert 0 < len(cli.trials()) < 150
    cli("run", "tune.yaml", "-q")
    trials = cli.trials()
    assert [t["number"] for t in trials] == list(range(1, 151))
    assert {t["state"] for t in trials} == {"completed"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB; an ordinary folder where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", folder], capture_output=True, check=False
    )
    yield folder
    if mounted.returncode == 0:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_ends_the_run_clearly_and_it_goes_on_later(
    cli: Any, tune_file: TuneFile, small_disk: Path, marked: Marked
) -> None:
    if not small_disk.is_mount():
        return  # not allowed here; the limit on a file's size above stands for it
    path = tune_file(max_trials=12, parallel_trials=2)
    shutil.copy(path, small_disk)
    shutil.copy(cli.folder / "train.sh", small_disk)
    cli("run", "tune.yaml", "-n", "3", folder=small_disk)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass

    ran = cli("run", "tune.yaml", status=4, folder=small_disk)

    assert "Traceback" not in ran.stderr
    assert "error:" in ran.stderr
    assert not marked()
    ballast.unlink()
    cli("run", "tune.yaml", folder=small_disk)
    document = cli("trials", "--json", folder=small_disk).stdout
    assert document.count('"completed"') == 12


@pytest.mark.parametrize("below", ["a file", "/proc"])
def test_a_place_that_cannot_be_written_is_refused_clearly(
    below: str, cli: Any, tune_file: TuneFile
) -> None:
    tune_file()
    root = Path("/proc") if below == "/proc" else cli.write("file", "")

    ran = cli("run", "tune.yaml", "--storage", f"sqlite:///{root}/below/s.db", status=4)

    assert ran.stderr.startswith("error:")
    assert "Traceback" not in ran.stderr
    assert not (cli.folder / "started").exists()


def test_a_study_that_became_read_only_is_intact(cli: Any, tune_file: TuneFile) -> None:
    tune_file(max_trials=2)
    cli("run", "tune.yaml")
    home = cli.folder / ".tunesmith"
    mounted = subprocess.run(
        ["mount", "--bind", "-o", "ro", home, home], capture_output=True, check=False
    )
    subprocess.run(["mount", "-o", "remount,ro,bind", home], capture_output=True, check=False)
    if mounted.returncode:
        return  # not allowed here
    try:
        tune_file(max_trials=3)
        ran = cli("run", "tune.yaml", status=4)
    finally:
        subprocess.run(["umount", "-l", home], check=True)

    assert "Traceback" not in ran.stderr
    assert cli.json("show", "s")["best_trial"]["number"] == 1
    cli("run", "tune.yaml")
    assert len(cli.trials()) == 3
