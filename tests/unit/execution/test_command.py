import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tunesmith.errors import StorageError
from tunesmith.execution import CommandExecutor, Ended, Outcome
from tunesmith.model import Objective, Program, Resources, StudySpec, Trial
from tunesmith.space import Categorical, Space

Commands = Callable[..., CommandExecutor]
MakeTrial = Callable[..., Trial]
NextEnd = Callable[..., Ended]
Until = Callable[[Callable[[], object]], None]
Marked = Callable[[], Mapping[int, Mapping[str, str]]]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
DAEMONISES = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("ready", flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
if sys.argv[1] == "stay":
    time.sleep(600)
"""
FORKS = """
import subprocess, sys, time
waits = [sys.executable, "-c", "import time; time.sleep(600)"]
subprocess.Popen(waits); subprocess.Popen(waits, start_new_session=True)
print("ready", flush=True)
if sys.argv[1] == "stay":
    time.sleep(600)
"""


def is_ready(executor: CommandExecutor, number: int = 1) -> bool:
    stdout = executor.directory(number) / "stdout"
    return stdout.exists() and "ready" in stdout.read_text()


def test_the_program_gets_values_and_its_output_is_kept(
    commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = commands("sh", "-c", 'echo "$@"; echo oops >&2; pwd', "sh")

    executor.start(trial(x=0.25))

    assert next_end(executor) == Ended(1, Outcome.SUCCEEDED)
    directory = executor.directory(1)
    assert (directory / "stdout").read_text().splitlines()[0] == "--x=0.25"
    assert (directory / "stderr").read_text() == "oops\n"


def test_a_program_that_cannot_be_found_fails_with_its_name(
    commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = commands("no-such-program-here")

    executor.start(trial())

    ended = next_end(executor)
    assert ended.outcome is Outcome.FAILED
    assert "could not be started" in ended.reason
    assert "no-such-program-here" in ended.reason


def test_a_start_that_fails_gives_its_slot_back(
    tmp_path: Path, commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    cpus = len(os.sched_getaffinity(0))
    executor = commands("no-such-program-here", resources=Resources(cpus=cpus))

    for number in (1, 2, 3):
        executor.start(trial(number))
        assert next_end(executor).number == number


def test_words_that_no_process_can_be_given_fail_the_trial(
    commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = commands("echo", "a\0b")

    executor.start(trial())

    ended = next_end(executor)
    assert ended.outcome is Outcome.FAILED
    assert "could not be started" in ended.reason


def test_a_trial_whose_parent_has_left_nothing_fails(commands: Commands, next_end: NextEnd) -> None:
    executor = commands("true")

    executor.start(Trial(2, {"x": 0.5}, attempt=1, parent=1))

    ended = next_end(executor)
    assert ended.outcome is Outcome.FAILED
    assert "checkpoints of its parent" in ended.reason


def test_a_file_that_is_no_program_fails_the_trial_at_once(
    commands: Commands, trial: MakeTrial, next_end: NextEnd, tmp_path: Path
) -> None:
    script = tmp_path / "train"
    script.write_text("no line says what runs it\n")
    script.chmod(0o755)
    executor = commands(str(script))

    executor.start(trial())

    ended = next_end(executor)
    assert ended.outcome is Outcome.FAILED
    assert "Exec format error" in ended.reason


def test_a_folder_that_cannot_be_written_costs_no_slot(
    commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = commands("true", resources=Resources(cpus=len(os.sched_getaffinity(0))))
    folder = executor.directory(1).parent
    folder.rmdir()
    folder.write_text("a file where the folder was")
    with pytest.raises(StorageError):
        executor.start(trial())

    folder.unlink()
    executor.start(trial())

    assert next_end(executor) == Ended(1, Outcome.SUCCEEDED)


def test_cpus_set_aside_are_all_that_the_program_may_use(
    commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    code = "import os, json; print(json.dumps(sorted(os.sched_getaffinity(0))))"
    executor = commands(sys.executable, "-c", code, resources=Resources(cpus=1))
    count = executor.slots or 0

    for number in range(1, count + 1):
        executor.start(trial(number))
    for _ in range(count):
        next_end(executor)

    used = [json.loads((executor.directory(n + 1) / "stdout").read_text()) for n in range(count)]
    assert sorted(cpu for cpus in used for cpu in cpus) == sorted(os.sched_getaffinity(0))


def test_each_gpu_is_shown_to_one_trial(
    commands: Commands, trial: MakeTrial, next_end: NextEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    executor = commands("sh", "-c", 'echo "$CUDA_VISIBLE_DEVICES"', resources=Resources(gpus=1))

    executor.start(trial(1))
    executor.start(trial(2))

    assert executor.slots == 2
    assert {next_end(executor).number, next_end(executor).number} == {1, 2}
    shown = {(executor.directory(n) / "stdout").read_text().strip() for n in (1, 2)}
    assert shown == {"3", "5"}


def test_values_arrive_through_the_environment(
    tmp_path: Path, trial: MakeTrial, next_end: NextEnd
) -> None:
    spec = StudySpec(Space({"opt": Categorical(["größe", "-x y"])}), (Objective("y", "minimize"),))
    program = Program(
        ("sh", "-c", 'printf %s "$opt,$EXTRA"'),
        values_as="environment",
        environment={"EXTRA": "{opt}"},
        directory=str(tmp_path),
    )
    executor = CommandExecutor(program, study="s", spec=spec, root=tmp_path, worker=str(tmp_path))

    executor.start(trial(1, opt="größe"))
    executor.start(trial(2, opt="-x y"))

    assert {next_end(executor).outcome, next_end(executor).outcome} == {Outcome.SUCCEEDED}
    executor.close()
    outputs = {(executor.directory(n) / "stdout").read_text(encoding="utf-8") for n in (1, 2)}
    assert outputs == {"größe,{opt}", "-x y,{opt}"}


def test_a_program_that_kills_itself_by_a_fault_failed(
    commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = commands("sh", "-c", "echo bad pointer >&2; kill -SEGV $$", "sh")

    executor.start(trial())

    assert next_end(executor) == Ended(1, Outcome.FAILED, "died by SIGSEGV: bad pointer")


def test_a_program_killed_from_outside_is_lost(
    commands: Commands, trial: MakeTrial, next_end: NextEnd, marked: Marked, until: Until
) -> None:
    executor = commands("sh", "-c", "echo ready; exec sleep 600", "sh")
    executor.start(trial())
    until(lambda: is_ready(executor))

    for pid in marked():
        os.kill(pid, signal.SIGKILL)

    assert next_end(executor).outcome is Outcome.LOST


def test_a_program_that_is_asked_to_stop_may_save_what_it_has(
    commands: Commands, trial: MakeTrial, next_end: NextEnd, until: Until
) -> None:
    script = "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
    executor = commands("sh", "-c", script, "sh")
    executor.start(trial())
    until(lambda: is_ready(executor))

    executor.stop(1, Outcome.STOPPED, "enough")
    executor.stop(1, Outcome.INTERRUPTED, "a later reason")

    assert next_end(executor) == Ended(1, Outcome.STOPPED, "enough")
    assert "saved" in (executor.directory(1) / "stdout").read_text()


def test_a_program_that_ignores_sigterm_is_killed_after_its_grace(
    commands: Commands, trial: MakeTrial, next_end: NextEnd, until: Until
) -> None:
    executor = commands(sys.executable, "-c", STUBBORN, resources=Resources(grace_s=0.2))
    executor.start(trial())
    until(lambda: is_ready(executor))

    executor.stop(1, Outcome.STOPPED, "enough")

    assert next_end(executor) == Ended(1, Outcome.STOPPED, "enough")


@pytest.mark.parametrize("code", [DAEMONISES, FORKS], ids=["daemon", "children"])
def test_no_process_is_left_when_a_trial_was_stopped(
    *,
    code: str,
    commands: Commands,
    trial: MakeTrial,
    next_end: NextEnd,
    marked: Marked,
    until: Until,
) -> None:
    executor = commands(sys.executable, "-c", code, "stay")
    executor.start(trial())
    until(lambda: is_ready(executor))

    executor.stop(1, Outcome.STOPPED, "enough")

    assert next_end(executor).outcome is Outcome.STOPPED
    until(lambda: not marked())


@pytest.mark.parametrize("code", [DAEMONISES, FORKS], ids=["daemon", "children"])
@pytest.mark.parametrize("end", ["stay", "leave"])
def test_no_process_is_left_when_the_executor_is_closed(
    *,
    code: str,
    end: str,
    commands: Commands,
    trial: MakeTrial,
    next_end: NextEnd,
    marked: Marked,
    until: Until,
) -> None:
    executor = commands(sys.executable, "-c", code, end)
    executor.start(trial())
    until(lambda: is_ready(executor))
    if end == "leave":
        next_end(executor)

    executor.close()

    until(lambda: not marked())


def test_another_tuners_attempt_in_the_same_directory_outlives_this_one(
    commands: Commands, trial: MakeTrial, next_end: NextEnd, until: Until, tmp_path: Path
) -> None:
    waits = ("sh", "-c", "echo ready; read line", "sh")
    ours = commands(*waits, worker=f"ours {tmp_path}")
    theirs = commands("sh", "-c", "echo ready; exec sleep 600", "sh", worker=f"theirs {tmp_path}")
    ours.start(trial(attempt=1))
    next_end(ours)

    theirs.start(trial(attempt=2))
    until(lambda: is_ready(theirs))
    ours.close()

    assert theirs.wait(0.1) is None
    theirs.stop(1, Outcome.STOPPED, "enough")
    assert next_end(theirs).outcome is Outcome.STOPPED


def test_past_its_time_limit_a_trial_fails(
    commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = commands(
        "sh", "-c", "exec sleep 600", "sh", resources=Resources(time_limit_s=0.1, grace_s=5.0)
    )

    executor.start(trial())

    ended = next_end(executor)
    assert ended.outcome is Outcome.FAILED
    assert "time limit" in ended.reason


def test_past_its_memory_limit_a_tree_of_processes_fails(
    commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    eater = "x = bytearray(200_000_000); import time; time.sleep(600)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {eater!r}])"
    executor = commands(sys.executable, "-c", parent, resources=Resources(memory_limit_mib=150))

    executor.start(trial())

    ended = next_end(executor)
    assert ended.outcome is Outcome.FAILED
    assert "over its memory limit of 150 MiB" in ended.reason


def test_a_trial_within_its_limits_is_left_alone(
    commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    limits = Resources(memory_limit_mib=4000, time_limit_s=600)
    executor = commands("sh", "-c", "true", "sh", resources=limits)

    executor.start(trial())

    assert next_end(executor).outcome is Outcome.SUCCEEDED


def test_stopping_a_trial_that_has_ended_does_nothing(
    commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = commands("true")
    executor.start(trial())
    next_end(executor)

    executor.stop(1, Outcome.STOPPED, "enough")
    executor.kill()

    assert executor.wait(0.0) is None


def test_a_folder_that_is_lost_while_the_study_runs_is_explained(
    commands: Commands, trial: MakeTrial
) -> None:
    executor = commands("true")
    executor.directory(1).parent.rmdir()
    executor.directory(1).parent.write_text("a file where the folder was")

    with pytest.raises(StorageError, match="nothing is lost"):
        executor.start(trial())


def test_many_trials_leave_no_zombies_threads_or_open_files(
    commands: Commands, trial: MakeTrial, next_end: NextEnd
) -> None:
    executor = commands("true")
    executor.start(trial(1))
    next_end(executor)
    open_before = open_files()

    for number in range(2, 202):
        executor.start(trial(number))
        next_end(executor)

    assert open_files() <= open_before + 2
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    states = [Path(f"/proc/{c}/stat").read_text().rpartition(")")[2].split()[0] for c in children]
    assert "Z" not in states
