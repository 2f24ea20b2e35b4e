import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.errors import StorageError
from tunesmith.execution.workdir import prepare
from tunesmith.model import Algorithm, StudyState, Trial, TrialState
from tunesmith.space import Categorical, Discrete
from tunesmith.study import Study
from tunesmith.tuner import BestChanged, Haste, TrialEnded, TrialMeasured, TrialStarted

Make = Callable[..., Any]
Until = Callable[[Callable[[], object]], None]
Marked = Callable[[], list[int]]

GATED = """
print("ready", flush=True)
while not os.path.exists("gate"): time.sleep(0.01)
print(f"y={x}")
"""
WAITS = "print('ready', flush=True); time.sleep(600)"


def states(setting: Any) -> list[str]:
    return [trial.state.value for trial in setting.study.trials]


def open_gate(tmp_path: Path) -> None:
    (tmp_path / "gate").touch()


def test_a_study_runs_to_its_budget_and_tells_what_happens(make: Make) -> None:
    setting = make("sh", "-c", "echo y=1", max_trials=3)

    reason = setting.tuner.work()

    assert "3 trials" in reason
    assert states(setting) == ["completed"] * 3
    kinds = [type(event) for event in setting.events]
    assert kinds.count(TrialStarted) == kinds.count(TrialEnded) == kinds.count(TrialMeasured) == 3
    assert kinds.count(BestChanged) == 1
    assert setting.study.record.state is StudyState.FINISHED


def test_as_many_trials_as_wished_run_at_once_and_never_more(
    python: Make, tmp_path: Path, until: Until
) -> None:
    code = """
open(f"running-{number}", "w").close()
with open("seen", "a") as f: f.write(f"{sum(n.startswith('running-') for n in os.listdir('.'))}\\n")
while number <= 3 and not os.path.exists("gate"): time.sleep(0.01)
os.remove(f"running-{number}")
print("y=1")
"""
    setting = python(code, max_trials=8, parallel_trials=3)
    with setting.working():
        until(lambda: len(setting.tuner.running) == 3)
        until(lambda: len(list(tmp_path.glob("running-*"))) == 3)
        open_gate(tmp_path)

    seen = [int(line) for line in (tmp_path / "seen").read_text().split()]
    assert len(seen) == 8
    assert max(seen) <= 3


def test_a_free_slot_is_filled_while_another_trial_goes_on(
    python: Make, tmp_path: Path, until: Until
) -> None:
    code = """
while number == 1 and not os.path.exists("gate"): time.sleep(0.01)
print("y=1")
"""
    setting = python(code, max_trials=6, parallel_trials=2)
    with setting.working():
        until(lambda: len(setting.study.history.trials) == 6 and len(setting.tuner.running) == 1)
        open_gate(tmp_path)

    assert states(setting) == ["completed"] * 6


def test_a_program_that_ends_well_without_the_metric_fails_with_advice(make: Make) -> None:
    setting = make("sh", "-c", "echo Y=1 z=2", max_trials=1)

    setting.tuner.work()

    trial = setting.study.trials[0]
    assert trial.state is TrialState.FAILED
    assert "ended well but never reported 'y'" in trial.reason
    assert "Did you mean 'Y'?" in trial.reason


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_metric_that_is_not_finite_fails(value: str, make: Make) -> None:
    setting = make("sh", "-c", f"echo y={value}", max_trials=1)

    setting.tuner.work()

    trial = setting.study.trials[0]
    assert trial.state is TrialState.FAILED
    assert f"y was {value}" in trial.reason


def test_a_trial_killed_from_outside_starts_again_up_to_the_retries(python: Make) -> None:
    setting = python("os.kill(os.getpid(), signal.SIGKILL)", max_trials=1, retries=2)

    setting.tuner.work()

    trial = setting.study.trials[0]
    assert (trial.state, trial.attempt) == (TrialState.FAILED, 3)
    assert "killed from outside by SIGKILL" in trial.reason
    assert trial.reason.endswith("(3 times)")


def test_a_trial_that_survives_a_retry_completes(python: Make) -> None:
    code = "if attempt == 1: os.kill(os.getpid(), signal.SIGKILL)\nprint('y=1')"
    setting = python(code, max_trials=1)

    setting.tuner.work()

    trial = setting.study.trials[0]
    assert (trial.state, trial.attempt, trial.metrics["y"]) == (TrialState.COMPLETED, 2, 1.0)


def test_a_program_that_breaks_is_not_retried(python: Make) -> None:
    setting = python("os.kill(os.getpid(), signal.SIGSEGV)", max_trials=1)

    setting.tuner.work()

    trial = setting.study.trials[0]
    assert (trial.state, trial.attempt) == (TrialState.FAILED, 1)
    assert trial.reason == "died by SIGSEGV"


@pytest.mark.parametrize(("prints", "state"), [("y=0.5", "stopped"), ("nothing", "cancelled")])
def test_a_trial_stopped_by_a_person_keeps_what_it_measured(
    prints: str, state: str, python: Make, until: Until
) -> None:
    setting = python(f"print({prints!r}); {WAITS}", max_trials=1)
    with setting.working():
        until(lambda: "ready" in setting.output(1))
        setting.person.request_stop(1, "it looks bad")
        # a cancelled trial is not counted: the study would start another one in its place
        setting.person.stop()

    trial = setting.study.trials[0]
    assert (trial.state.value, trial.reason) == (state, "it looks bad")
    assert trial.metrics == ({"y": 0.5} if state == "stopped" else {})


def test_if_the_first_trials_all_fail_the_study_gives_up(make: Make) -> None:
    setting = make("sh", "-c", "echo broken >&2; exit 3", max_trials=50)

    setting.tuner.work()

    record = setting.study.record
    assert record.state is StudyState.FAILED
    assert record.reason == "the first 5 trials all failed, the last with: exit status 3: broken"
    assert len(setting.study.trials) == 5


def test_while_a_trial_runs_longer_than_any_failed_the_study_does_not_give_up(
    python: Make, tmp_path: Path
) -> None:
    # The first trial ends well, but only after nine others have failed at once.
    code = f"""
from pathlib import Path
if number > 1:
    Path({str(tmp_path)!r}, f"failed-{{number}}").touch()
    sys.exit("out of memory")
while len(list(Path({str(tmp_path)!r}).glob("failed-*"))) < 9:
    time.sleep(0.01)
print("y=1")
"""
    setting = python(code, max_trials=10, parallel_trials=2)

    setting.tuner.work()

    assert states(setting) == ["completed"] + ["failed"] * 9
    assert setting.study.record.state is StudyState.FINISHED


def test_a_failure_after_a_success_is_not_hopeless(python: Make) -> None:
    setting = python("print('y=1' if number == 1 else 'n=1')", max_trials=6)

    setting.tuner.work()

    assert states(setting) == ["completed"] + ["failed"] * 5
    assert setting.study.record.state is StudyState.FINISHED


def test_more_failures_than_allowed_end_the_study(python: Make) -> None:
    setting = python("print('y=1' if number % 2 else 'n=1')", max_trials=50, max_failed_trials=2)

    setting.tuner.work()

    assert setting.study.record.state is StudyState.FAILED
    assert len(setting.study.trials) == 6


def test_an_exhausted_space_ends_the_study(make: Make) -> None:
    space = {"x": Discrete([1, 2, 4])}
    setting = make("sh", "-c", "echo y=1", space=space, max_trials=50, algorithm=Algorithm("grid"))

    reason = setting.tuner.work()

    assert "all 3 points of the space have been tried" in reason
    assert sorted(t.values["x"] for t in setting.study.trials) == [1, 2, 4]


def test_a_paused_study_waits_and_goes_on(python: Make, tmp_path: Path, until: Until) -> None:
    setting = python(GATED, max_trials=3)
    with setting.working():
        until(lambda: "ready" in setting.output(1))
        setting.person.pause()
        open_gate(tmp_path)
        until(lambda: states(setting) == ["completed"])
        until(lambda: not setting.tuner.running)
        setting.person.resume()

    assert states(setting) == ["completed"] * 3


def test_a_stopped_study_lets_running_trials_finish(
    python: Make, tmp_path: Path, until: Until
) -> None:
    setting = python(GATED, max_trials=9, parallel_trials=2)
    with setting.working():
        until(lambda: "ready" in setting.output(1) and "ready" in setting.output(2))
        setting.person.stop("seen enough")
        open_gate(tmp_path)

    assert states(setting) == ["completed"] * 2
    assert setting.study.record.reason == "seen enough"


def test_a_budget_raised_while_the_study_runs_is_used(
    python: Make, tmp_path: Path, until: Until
) -> None:
    setting = python(GATED, max_trials=1)
    with setting.working():
        until(lambda: "ready" in setting.output(1))
        setting.person.set_budget(max_trials=4, parallel_trials=2)
        until(lambda: len(setting.tuner.running) == 2)
        open_gate(tmp_path)

    assert states(setting) == ["completed"] * 4


def test_a_point_of_the_users_own_comes_next(python: Make, tmp_path: Path, until: Until) -> None:
    setting = python(GATED, max_trials=3)
    with setting.working():
        until(lambda: "ready" in setting.output(1))
        queued = setting.person.enqueue({"x": 0.125})
        open_gate(tmp_path)

    assert queued.number == 2
    assert setting.study.trials[1].metrics == {"y": 0.125}
    assert len(setting.study.trials) == 3


def test_haste_to_drain_lets_running_trials_finish(
    python: Make, tmp_path: Path, until: Until
) -> None:
    setting = python(GATED, max_trials=9, parallel_trials=2)
    with setting.working():
        until(lambda: "ready" in setting.output(1) and "ready" in setting.output(2))
        setting.tuner.hurry(Haste.DRAIN)
        open_gate(tmp_path)

    assert states(setting) == ["completed"] * 2


@pytest.mark.parametrize("haste", [Haste.STOP, Haste.KILL])
def test_haste_to_stop_puts_running_trials_back_without_counting_a_fault(
    haste: Haste, python: Make, until: Until, marked: Marked
) -> None:
    setting = python(f"print('y=1'); {WAITS}", max_trials=9, parallel_trials=2)
    with setting.working():
        until(lambda: "ready" in setting.output(1) and "ready" in setting.output(2))
        setting.tuner.hurry(haste)

    assert states(setting) == ["queued"] * 2
    assert [trial.faults for trial in setting.study.trials] == [0, 0]
    assert not marked()


def test_haste_to_kill_does_not_wait_for_a_stubborn_program(python: Make, until: Until) -> None:
    code = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"
    setting = python(code, max_trials=2, grace_s=600.0)
    with setting.working():
        until(lambda: "ready" in setting.output(1))
        setting.tuner.hurry(Haste.STOP)
        setting.tuner.hurry(Haste.KILL)

    assert states(setting) == ["queued"]


def test_a_program_that_prints_a_megabyte_a_second_slows_nothing(
    python: Make, tmp_path: Path, until: Until
) -> None:
    code = """
if number == 1:
    line = "x" * 99 + "\\n"
    while not os.path.exists("gate"):
        sys.stdout.write(line * 1000); sys.stdout.flush(); time.sleep(0.02)
print("y=1")
"""
    setting = python(code, max_trials=12, parallel_trials=2)
    with setting.working():
        until(lambda: len(setting.study.history.trials) == 12 and len(setting.tuner.running) == 1)
        open_gate(tmp_path)

    assert states(setting) == ["completed"] * 12


def test_values_of_any_script_reach_the_program_and_come_back(make: Make) -> None:
    space = {"größe": Categorical(["klein", "groß und weit", "--大"])}
    setting = make("sh", "-c", 'echo "$@"; echo y=1', "sh", space=space, max_trials=3)

    setting.tuner.work()

    for trial in setting.study.trials:
        assert f"--größe={trial.values['größe']}" in setting.output(trial.number)
        assert trial.state is TrialState.COMPLETED


def test_a_trial_that_another_tuner_has_by_now_is_ended_and_its_word_does_not_count(
    python: Make, until: Until, marked: Marked
) -> None:
    setting = python(WAITS, max_trials=1)
    with setting.working():
        until(lambda: "ready" in setting.output(1))
        storage, name = setting.study.storage, setting.study.name
        storage.requeue(name, 1, 1, "its lease ran out")
        other = Study.load(name, storage)
        taken = other.ask()
        until(lambda: not marked())
        other.tell(taken, y=0.5)

    trial = setting.study.trials[0]
    assert (trial.state, trial.attempt, trial.metrics["y"]) == (TrialState.COMPLETED, 2, 0.5)


def test_if_the_storage_fails_all_programs_are_ended(
    python: Make, until: Until, marked: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = python(f"print('y=1'); {WAITS}", max_trials=4, parallel_trials=2)

    def break_down(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    def work() -> None:
        with setting.working():
            until(lambda: "ready" in setting.output(1) and "ready" in setting.output(2))
            monkeypatch.setattr(setting.study.storage, "changes", break_down)

    with pytest.raises(StorageError, match="the disk is full"):
        work()

    assert not marked()
    monkeypatch.undo()
    assert states(setting) == ["queued"] * 2


def test_if_the_trials_folder_fails_the_trial_goes_back(make: Make, tmp_path: Path) -> None:
    setting = make("sh", "-c", "echo y=1", max_trials=2)
    folder = setting.executor.directory(1).parent
    folder.rmdir()
    folder.touch()

    with pytest.raises(StorageError, match="Can't write to the trials' folder"):
        setting.tuner.work()

    assert states(setting) == ["queued"]


def test_what_nobody_had_read_is_kept_if_the_tuner_is_killed_at_the_next_start_as_well(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = make("true", max_trials=1)
    directory = setting.executor.directory(1)
    first = setting.person.ask()
    prepare(directory, first)
    (directory / "stdout").write_text("step=1 y=5\n")
    setting.study.storage.requeue(setting.study.name, 1, first.attempt, "its tuner was killed")

    def killed_at_the_start(trial: Trial) -> None:
        prepare(directory, trial)
        raise KeyboardInterrupt

    monkeypatch.setattr(setting.executor, "start", killed_at_the_start)
    with pytest.raises(KeyboardInterrupt):
        setting.tuner.work()

    measured = setting.person.measurements(1)
    assert [(m.step, m.metrics) for m in measured] == [(1, {"y": 5.0})]


def test_an_observer_that_raises_leaves_no_process(
    python: Make, marked: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = python(WAITS, max_trials=2)

    def raises(_: object) -> None:
        raise RuntimeError("the observer broke")

    monkeypatch.setattr(setting.tuner, "_observe", raises)

    with pytest.raises(RuntimeError, match="the observer broke"):
        setting.tuner.work()

    assert not marked()
    assert states(setting) == ["queued"]


def test_a_daemon_of_a_trial_that_ended_well_ends_with_the_tuner(
    python: Make, marked: Marked, until: Until
) -> None:
    code = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: time.sleep(600)
    os._exit(0)
os.wait()
print("y=1")
"""
    setting = python(code, max_trials=1)

    setting.tuner.work()

    assert states(setting) == ["completed"]
    until(lambda: not marked())


def test_two_hundred_trials_leave_no_open_files(make: Make) -> None:
    setting = make("sh", "-c", "echo y=1", max_trials=200, parallel_trials=4)
    before = len(list(Path("/proc/self/fd").iterdir()))

    setting.tuner.work()

    assert states(setting) == ["completed"] * 200
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 4


def test_a_frozen_program_is_ended_by_force(python: Make, until: Until, marked: Marked) -> None:
    setting = python(f"print('y=1'); {WAITS}", max_trials=1, grace_s=0.2)
    with setting.working():
        until(lambda: "ready" in setting.output(1))
        (leader,) = marked()
        os.kill(leader, signal.SIGSTOP)
        setting.person.request_stop(1, "it hangs")

    assert states(setting) == ["stopped"]
