import sys
from collections.abc import Callable

import pytest

from tunesmith.errors import StorageError
from tunesmith.execution import CommandExecutor, Ended, Outcome
from tunesmith.execution.single import SingleRun
from tunesmith.model import Resources

Commands = Callable[..., CommandExecutor]

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def attempts(executor: CommandExecutor) -> int:
    """Return how often the job was started."""
    return len(list(executor.directory(1).parent.glob("1*")))


def printed(executor: CommandExecutor) -> str:
    stdout = executor.directory(1) / "stdout"
    return stdout.read_text() if stdout.exists() else ""


@pytest.mark.parametrize(
    ("script", "ended"),
    [
        ("true", Ended(1, Outcome.SUCCEEDED)),
        ("echo oh no >&2; exit 3", Ended(1, Outcome.FAILED, "exit status 3: oh no")),
    ],
)
def test_it_ends_as_its_program_does(script: str, ended: Ended, commands: Commands) -> None:
    executor = commands("sh", "-c", script)

    assert SingleRun(executor, retries=2).run() == ended
    assert attempts(executor) == 1


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_what_was_killed_from_outside_starts_again_as_often_as_it_may(
    signal: str, commands: Commands
) -> None:
    executor = commands("sh", "-c", f"kill -{signal} $$")
    told: list[str] = []

    ended = SingleRun(executor, retries=2, again=told.append).run()

    assert attempts(executor) == 3
    assert told == [ended.reason] * 2
    assert f"SIG{signal}" in ended.reason


def test_who_is_asked_to_end_may_save_what_he_has(commands: Commands) -> None:
    executor = commands("sh", "-c", "trap 'echo saved; exit 0' TERM; echo ready; sleep 600 & wait")

    def look() -> None:
        if "ready" in printed(executor):
            single.hurry()

    single = SingleRun(executor, retries=2, look=look)

    assert single.run() == Ended(1, Outcome.INTERRUPTED, "it was asked to end")
    assert "saved" in printed(executor)


def test_force_does_not_wait_for_the_grace_period(commands: Commands) -> None:
    executor = commands(sys.executable, "-c", STUBBORN, resources=Resources(grace_s=1000.0))

    def look() -> None:
        if "ready" in printed(executor):
            single.hurry(by_force=True)

    single = SingleRun(executor, retries=2, look=look)

    assert single.run().outcome is Outcome.INTERRUPTED


def test_who_was_asked_to_end_is_not_started_again(commands: Commands) -> None:
    executor = commands("sh", "-c", "kill -KILL $$")

    def look() -> None:
        single.hurry()

    single = SingleRun(executor, retries=2, look=look)

    assert single.run().outcome is Outcome.INTERRUPTED
    assert attempts(executor) == 1


def test_a_job_that_was_asked_to_end_before_it_began_ends(commands: Commands) -> None:
    single = SingleRun(commands("sh", "-c", "exec sleep 600"), retries=2)

    single.hurry()

    assert single.run().outcome is Outcome.INTERRUPTED


def test_an_attempt_comes_after_those_of_a_process_that_died(commands: Commands) -> None:
    script = 'echo "$TUNESMITH_ATTEMPT"; echo x >> "$TUNESMITH_CHECKPOINT_DIR/seen"'
    executors = [commands("sh", "-c", script) for _ in range(3)]

    outputs = []
    for executor in executors:
        SingleRun(executor, retries=2).run()
        outputs.append(printed(executor).strip())

    assert outputs == ["1", "2", "3"]
    assert (executors[0].directory(1) / "checkpoints" / "seen").read_text() == "x\n" * 3


def test_a_folder_that_cannot_be_written_is_told(commands: Commands) -> None:
    executor = commands("true")
    executor.directory(1).parent.rmdir()
    executor.directory(1).parent.write_text("a file where the folder was")

    with pytest.raises(StorageError, match="nothing is lost"):
        SingleRun(executor, retries=2).run()
