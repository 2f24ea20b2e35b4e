"""Real programs that are paused, resumed, preempted, stopped with their whole tree, and copied."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.model import Stopping, TrialState
from tunesmith.tuner import TrialEnded

Make = Callable[..., Any]
Until = Callable[[Callable[[], object]], None]
Marked = Callable[[], list[int]]

# Trains to `last`, one step whenever the file "go" allows it, saves each step, and says where it began.
TRAINS = """
import json, pathlib
place = pathlib.Path(os.environ["TUNESMITH_CHECKPOINT_DIR"]) / "step"
done = int(place.read_text()) if place.exists() else 0
print("began after", done, flush=True)
def leave(*_):
    print("saved at", done, flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, leave)
last = int(os.environ["TUNESMITH_BUDGET"] or 6) if OBEYS else 6
while done < last:
    while os.path.exists("gate") and done >= int(open("gate").read() or 0): time.sleep(0.01)
    done += 1
    part = place.with_suffix(".part"); part.write_text(str(done)); part.replace(place)
    print(f"step={done} y={abs(x - 0.3) + 1 / done}", flush=True)
"""
OBEYS = "OBEYS = True\n" + TRAINS
FREE = "OBEYS = False\n" + TRAINS
# Knows nothing of a budget; only, its next step takes so long that it is ended before.
SLOW = (
    FREE
    + """
    while done >= int(os.environ["TUNESMITH_BUDGET"]) and done < 6: time.sleep(0.01)
"""
)


def began(setting: Any, number: int) -> list[int]:
    """After which step each attempt of a trial began, by its own log."""
    folder = setting.executor.directory(number)
    attempts = sorted(
        folder.parent.glob(f"{number}-attempt-*"), key=lambda p: int(p.name.split("-")[-1])
    )
    logs = [p / "stdout" for p in (*attempts, folder)]
    return [int(log.read_text().split()[2]) for log in logs]


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie that nobody has buried."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def steps(setting: Any, number: int) -> list[int]:
    return [m.step for m in setting.study.measurements(number)]


def test_a_paused_trial_resumes_at_the_step_where_it_was(
    python: Make, tmp_path: Path, until: Until, marked: Marked
) -> None:
    (tmp_path / "gate").write_text("3")
    setting = python(FREE, max_trials=1)

    with setting.working():
        until(lambda: "step=3" in setting.output(1))
        setting.person.request_pause(1, "lunch")
    paused = setting.person.storage.trial("s", 1)
    assert (paused.state, paused.reason) == (TrialState.PAUSED, "lunch")
    assert "saved at 3" in setting.output(1)
    assert not marked()
    (tmp_path / "gate").unlink()
    setting.person.resume_trial(1)
    python(FREE, max_trials=1).tuner.work()

    (trial,) = setting.person.trials
    assert (trial.state, trial.attempt, trial.step, trial.faults) == (TrialState.COMPLETED, 2, 6, 0)
    assert began(setting, 1) == [0, 3]
    assert steps(setting, 1) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("code", [OBEYS, SLOW], ids=["keeps to its budget", "trains until paused"])
def test_what_a_schedule_promotes_goes_on_from_its_checkpoint(code: str, python: Make) -> None:
    halving = Stopping("halving", {"min_steps": 2})
    setting = python(code, max_trials=3, parallel_trials=2, max_steps=6, stopping=(halving,))

    setting.tuner.work()

    trials = setting.study.trials
    (best,) = [t for t in trials if t.state is TrialState.COMPLETED]
    assert best.step == 6
    assert [t.state for t in trials].count(TrialState.STOPPED) == 2
    assert began(setting, best.number) == [0, 2]
    assert steps(setting, best.number) == [1, 2, 3, 4, 5, 6]


def test_a_preempted_program_goes_on_and_costs_no_retry(
    python: Make, tmp_path: Path, until: Until
) -> None:
    (tmp_path / "gate").write_text("2")
    setting = python(
        "open(f'pid{attempt}', 'w').write(str(os.getpid()))\n" + FREE, max_trials=1, retries=0
    )

    with setting.working():
        until(lambda: "step=2" in setting.output(1))
        os.kill(int((tmp_path / "pid1").read_text()), signal.SIGTERM)
        until((tmp_path / "pid2").exists)
        (tmp_path / "gate").unlink()

    (trial,) = setting.study.trials
    assert (trial.state, trial.attempt, trial.faults) == (TrialState.COMPLETED, 2, 0)
    assert began(setting, 1) == [0, 2]


def test_a_program_that_is_preempted_again_and_again_without_getting_anywhere_fails(
    make: Make,
) -> None:
    setting = make("sh", "-c", "kill -TERM $$", max_trials=1, retries=1)

    setting.tuner.work()

    (trial,) = setting.study.trials
    assert trial.state is TrialState.FAILED
    assert "preempted" in trial.reason
    assert trial.attempt > 20


def test_a_stopped_trials_whole_process_tree_is_gone_within_the_grace_period(
    python: Make, until: Until, marked: Marked
) -> None:
    code = """
import subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-S", "-c", stubborn], start_new_session=True)
subprocess.Popen([sys.executable, "-S", "-c", stubborn])
print("step=1 y=nan", flush=True)
time.sleep(600)
"""
    setting = python(code, max_trials=1, grace_s=0.5, stopping=(Stopping("threshold", {}),))
    seen: list[int] = []

    with setting.working():
        until(lambda: len(marked()) >= 3)
        seen.extend(marked())

    assert not marked()
    assert not [pid for pid in seen if lives(pid)]
    (trial,) = setting.study.trials
    assert trial.state is TrialState.FAILED
    assert "not finite" in trial.reason


def test_a_copy_begins_from_its_parents_checkpoint(python: Make) -> None:
    first = python(OBEYS, max_trials=2, max_steps=4)
    first.study.enqueue({"x": 0.3})
    trial = first.study.ask()
    first.study.requeue(trial, "for the tuner")
    first.study.pause()
    first.study.resume()
    first.tuner.work()

    first.study.set_budget(max_trials=3)
    child = first.person.continue_trial(1, steps=6)
    again = python(OBEYS, max_trials=3, max_steps=4)
    again.tuner.work()

    trials = first.person.trials
    assert began(first, child.number) == [4]
    assert (trials[child.number - 1].parent, trials[child.number - 1].step) == (1, 6)
    assert steps(first, child.number) == [5, 6]
    assert steps(first, 1) == [1, 2, 3, 4]


def test_a_copy_whose_parents_folder_is_not_here_fails_and_says_so(
    python: Make, tmp_path: Path
) -> None:
    setting = python(OBEYS, max_trials=1)
    setting.tuner.work()
    (tmp_path / "files" / "trials" / "s" / "1").rename(tmp_path / "elsewhere")
    setting.study.set_budget(max_trials=2)
    setting.person.continue_trial(1, steps=8)

    python(OBEYS, max_trials=2).tuner.work()

    failed = setting.person.trials[1]
    assert failed.state is TrialState.FAILED
    assert "its parent, trial 1" in failed.reason


def test_when_the_target_is_reached_what_still_runs_is_ended(
    python: Make, until: Until, marked: Marked
) -> None:
    from tunesmith.model import Ending

    code = """
if number == 1:
    print("step=1 y=5", flush=True)
    time.sleep(600)
print("y=0.1")
"""
    setting = python(code, max_trials=9, parallel_trials=2, ending=Ending(target=0.5))

    reason = setting.tuner.work()

    first, second = setting.study.trials
    assert "target" in reason
    assert (first.state, second.state) == (TrialState.STOPPED, TrialState.COMPLETED)
    assert "trial 2 has reached the target" in first.reason
    assert not marked()


def test_the_end_of_every_trial_is_told_once_also_of_those_that_were_paused(python: Make) -> None:
    halving = Stopping("halving", {"min_steps": 2})
    setting = python(OBEYS, max_trials=4, parallel_trials=2, max_steps=6, stopping=(halving,))

    setting.tuner.work()

    ended = [e.trial for e in setting.events if isinstance(e, TrialEnded) and e.trial.is_final]
    assert sorted(t.number for t in ended) == [1, 2, 3, 4]
