import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunesmith.errors import LeaseLostError, StorageError
from tunesmith.execution import CommandExecutor, Ended, Outcome, mirror
from tunesmith.execution.mirror import MirroredExecutor
from tunesmith.model import Objective, Program, Resources, StudyRecord, StudySpec, Trial
from tunesmith.space import Double, Space
from tunesmith.storage.manifest import FileRefusedError, Manifest, OutputName, StoredFile

SAVE = "echo weights of $TUNESMITH_ATTEMPT > $TUNESMITH_CHECKPOINT_DIR/model"
LOAD = "cat $TUNESMITH_CHECKPOINT_DIR/model"


class Shelf:
    """A server's files in memory, whose faults a test can choose."""

    def __init__(self) -> None:
        self.manifests: dict[int, Manifest] = {}
        self.contents: dict[str, bytes] = {}
        self.outputs: dict[OutputName, bytes] = {}
        self.sent: list[str] = []
        self.fetched: list[str] = []
        self.faults: list[Exception] = []
        self.most_bytes = 10**9
        self.open = threading.Event()
        self.open.set()

    def manifest(self, study: str, number: int) -> Manifest:
        self._answer()
        return self.manifests.get(number, Manifest())

    def keep(self, study: str, number: int, manifest: Manifest) -> list[str]:
        self._answer()
        missing = [f.sha256 for f in manifest.files.values() if f.sha256 not in self.contents]
        if not missing:
            self.manifests[number] = manifest
        return missing

    def send(self, path: Path, file: StoredFile) -> None:
        self._answer()
        data = path.read_bytes()
        if len(data) > self.most_bytes:
            raise FileRefusedError("it is too large")
        assert hashlib.sha256(data).hexdigest() == file.sha256
        self.contents[file.sha256] = data
        self.sent.append(path.name)

    def fetch(self, file: StoredFile, path: Path) -> None:
        self._answer()
        path.write_bytes(self.contents[file.sha256])
        self.fetched.append(path.name)

    def append(self, study: str, output: OutputName, offset: int, data: bytes) -> int:
        self._answer()
        have = self.outputs.get(output, b"")
        if offset <= len(have):
            assert have[offset : offset + len(data)] == data[: len(have) - offset]
            self.outputs[output] = have[:offset] + data
        return len(self.outputs.get(output, b""))

    def printed(self, number: int, attempt: int) -> str:
        return self.outputs.get(OutputName(number, attempt, "stdout"), b"").decode()

    def _answer(self) -> None:
        self.open.wait(30)
        if self.faults:
            raise self.faults.pop(0)


class Machine:
    """A machine of its own: an executor and its folder, before the common shelf."""

    def __init__(self, folder: Path, shelf: Shelf, created: float = 1.0) -> None:
        self.folder = folder
        self.shelf = shelf
        self.said: list[str] = []
        self._study = StudyRecord("s", _SPEC, created=created)
        self._made: list[MirroredExecutor] = []

    def executor(self, script: str, *, snapshot_s: float = 1000.0) -> MirroredExecutor:
        self.folder.mkdir(exist_ok=True)
        program = Program(
            ("sh", "-c", f"{script} #"),
            directory=str(self.folder),
            resources=Resources(grace_s=5.0),
        )
        commands = CommandExecutor(
            program, study="s", spec=_SPEC, root=self.folder, worker=f"tuner of {self.folder}"
        )
        executor = MirroredExecutor(
            commands, self.shelf, self._study, say=self.said.append, snapshot_s=snapshot_s
        )
        self._made.append(executor)
        return executor

    def close(self) -> None:
        self.shelf.open.set()
        for executor in self._made:
            executor.close()


_SPEC = StudySpec(Space({"x": Double(0.0, 1.0)}), (Objective("y", "minimize"),))

NextEnd = Callable[..., Ended]
MachineMaker = Callable[..., Machine]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def machine(tmp_path: Path, shelf: Shelf) -> Iterator[MachineMaker]:
    """Makes machines by name; their executors are closed after the test."""
    made: list[Machine] = []

    def make(name: str, created: float = 1.0) -> Machine:
        made.append(Machine(tmp_path / name, shelf, created))
        return made[-1]

    yield make
    for each in made:
        each.close()


def run(machine: Machine, script: str, trial: Trial, next_end: NextEnd) -> Ended:
    executor = machine.executor(script)
    executor.start(trial)
    ended = next_end(executor)
    executor.close()
    return ended


def test_a_trial_goes_on_elsewhere_from_the_checkpoint_it_left(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    run(machine("a"), SAVE, trial(attempt=1), next_end)

    run(machine("b"), LOAD, trial(attempt=2), next_end)

    assert shelf.printed(1, attempt=2) == "weights of 1\n"


def test_a_child_begins_from_the_checkpoint_of_a_parent_that_ran_elsewhere(
    machine: MachineMaker, shelf: Shelf, next_end: NextEnd
) -> None:
    run(machine("a"), SAVE, Trial(1, {"x": 0.5}, attempt=1), next_end)

    run(machine("b"), LOAD, Trial(2, {"x": 0.5}, attempt=1, parent=1), next_end)

    assert shelf.printed(2, attempt=1) == "weights of 1\n"


def test_a_child_gets_what_its_running_parent_saved_since_the_last_child(
    machine: MachineMaker, shelf: Shelf, next_end: NextEnd
) -> None:
    a, b = machine("a"), machine("b")
    run(a, SAVE, Trial(1, {"x": 0.5}, attempt=1), next_end)
    run(b, LOAD, Trial(2, {"x": 0.5}, attempt=1, parent=1), next_end)
    later = StoredFile(hashlib.sha256(b"later\n").hexdigest(), 6)
    shelf.contents[later.sha256] = b"later\n"
    shelf.manifests[1] = Manifest(1, {"checkpoints/model": later})

    run(b, LOAD, Trial(3, {"x": 0.5}, attempt=1, parent=1), next_end)

    assert shelf.printed(3, attempt=1) == "later\n"


def test_a_child_waits_for_the_first_checkpoint_of_a_parent_that_runs_elsewhere(
    machine: MachineMaker, shelf: Shelf, next_end: NextEnd
) -> None:
    saved = StoredFile(hashlib.sha256(b"at last\n").hexdigest(), 8)
    shelf.contents[saved.sha256] = b"at last\n"
    executor = machine("b").executor(LOAD)

    executor.start(Trial(2, {"x": 0.5}, attempt=1, parent=1))
    before = executor.wait(0.1)
    shelf.manifests[1] = Manifest(1, {"checkpoints/model": saved})
    next_end(executor)
    executor.close()

    assert before is None
    assert shelf.printed(2, attempt=1) == "at last\n"


def test_a_child_of_a_parent_that_saves_nothing_begins_with_nothing(
    machine: MachineMaker, shelf: Shelf, next_end: NextEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_PARENT_S", 0.0)
    b = machine("b")

    ended = run(b, "echo began", Trial(2, {"x": 0.5}, attempt=1, parent=1), next_end)

    assert ended.outcome is Outcome.SUCCEEDED
    assert b.said == ["trial 2 starts without checkpoints: its parent, trial 1, has sent none"]


def test_the_end_waits_until_the_checkpoints_are_at_the_server(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    executor = machine("a").executor(SAVE)
    shelf.open.clear()
    executor.start(trial())

    with pytest.raises(pytest.fail.Exception):
        next_end(executor, timeout_s=1.0)
    shelf.open.set()

    assert next_end(executor).outcome is Outcome.SUCCEEDED
    assert set(shelf.manifests[1].files) == {"checkpoints/model"}


def test_a_trial_without_checkpoints_ends_at_once_though_the_server_is_away(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    executor = machine("a").executor("echo printed")
    shelf.open.clear()

    executor.start(trial())

    assert next_end(executor).outcome is Outcome.SUCCEEDED


def test_what_is_printed_is_sent_while_the_trial_runs(
    machine: MachineMaker,
    shelf: Shelf,
    trial: Callable[..., Trial],
    until: Callable[..., None],
) -> None:
    executor = machine("a").executor("echo first; echo second; exec sleep 60")
    executor.start(trial())

    until(lambda: shelf.printed(1, attempt=1) == "first\nsecond\n")

    executor.stop(1, Outcome.STOPPED, "enough")


def test_output_goes_on_where_the_server_wants_it_after_a_break(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    shelf.outputs[OutputName(1, 1, "stdout")] = b"one\ntw"

    run(machine("a"), "printf 'one\\ntwo\\nthree\\n'", trial(), next_end)

    assert shelf.printed(1, attempt=1) == "one\ntwo\nthree\n"


def test_what_a_dead_tuner_had_not_sent_is_sent_by_the_next(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    a = machine("a")
    run(a, "echo unsent", trial(attempt=1), next_end)
    shelf.outputs.clear()

    run(a, "echo again", trial(attempt=2), next_end)

    assert shelf.printed(1, attempt=1) == "unsent\n"
    assert shelf.printed(1, attempt=2) == "again\n"


def test_unchanged_files_are_not_sent_again(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    a = machine("a")
    run(a, f"{SAVE}; echo big > $TUNESMITH_CHECKPOINT_DIR/data", trial(attempt=1), next_end)

    run(a, SAVE, trial(attempt=2), next_end)

    assert sorted(shelf.sent) == ["data", "model", "model"]
    assert shelf.manifests[1].attempt == 2


def test_artifacts_are_kept_too(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    script = (
        "mkdir -p $TUNESMITH_TRIAL_DIR/artifacts/a && echo x > $TUNESMITH_TRIAL_DIR/artifacts/a/b"
    )

    run(machine("a"), script, trial(), next_end)

    assert set(shelf.manifests[1].files) == {"artifacts/a/b"}


def test_links_out_of_the_trial_are_not_followed(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    script = (
        f"{SAVE}; cd $TUNESMITH_CHECKPOINT_DIR && ln -s /etc/hostname secret && ln -s model last"
    )

    run(machine("a"), script, trial(), next_end)

    assert set(shelf.manifests[1].files) == {"checkpoints/last", "checkpoints/model"}


def test_newer_checkpoints_of_this_machine_are_not_exchanged_for_the_servers(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    a = machine("a")
    run(a, SAVE, trial(attempt=1), next_end)
    (a.folder / "trials" / "s" / "1" / "checkpoints" / "model").write_text("not sent in time\n")

    run(a, LOAD, trial(attempt=2), next_end)

    assert shelf.printed(1, attempt=2) == "not sent in time\n"
    assert shelf.fetched == []


def test_a_trial_that_comes_back_gets_what_it_saved_elsewhere(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    a, b = machine("a"), machine("b")
    run(a, SAVE, trial(attempt=1), next_end)
    run(b, SAVE, trial(attempt=2), next_end)

    run(a, LOAD, trial(attempt=3), next_end)

    assert shelf.printed(1, attempt=3) == "weights of 2\n"
    assert not (a.folder / "trials" / "s" / "1-attempt-2").exists()


def test_checkpoints_of_a_deleted_study_of_the_same_name_are_not_used(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    run(machine("a", created=1.0), SAVE, trial(attempt=1), next_end)
    shelf.manifests.clear()

    run(machine("a", created=2.0), f"{LOAD} || echo none", trial(attempt=2), next_end)

    assert shelf.printed(1, attempt=2) == "none\n"


def test_files_of_an_earlier_attempt_are_aside_while_checkpoints_are_fetched(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    a = machine("a")
    run(a, "echo old > $TUNESMITH_TRIAL_DIR/metrics.jsonl", trial(attempt=1), next_end)
    executor = a.executor("true")
    shelf.open.clear()

    executor.start(trial(attempt=2))

    assert not (executor.directory(1) / "metrics.jsonl").exists()
    assert (a.folder / "trials" / "s" / "1-attempt-1" / "metrics.jsonl").exists()


def test_a_trial_that_waits_for_its_checkpoints_can_be_stopped(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    executor = machine("a").executor("true")
    shelf.open.clear()
    executor.start(trial(attempt=2))

    executor.stop(1, Outcome.INTERRUPTED, "in haste")

    assert next_end(executor) == Ended(1, Outcome.INTERRUPTED, "in haste")


def test_a_fault_of_the_server_is_tried_again(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    a, b = machine("a"), machine("b")
    run(a, SAVE, trial(attempt=1), next_end)
    shelf.faults = [StorageError("away")]

    run(b, LOAD, trial(attempt=2), next_end)

    assert shelf.printed(1, attempt=2) == "weights of 1\n"


def test_files_that_the_server_refuses_do_not_hold_the_trial(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    a = machine("a")
    shelf.most_bytes = 5

    ended = run(a, SAVE, trial(), next_end)

    assert ended.outcome is Outcome.SUCCEEDED
    assert a.said == ["the files of trial 1 are kept on this machine only: it is too large"]


def test_a_trial_that_went_to_another_tuner_is_let_go_silently(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    a = machine("a")
    shelf.faults = [LeaseLostError("attempt 2 has it")] * 3

    ended = run(a, SAVE, trial(), next_end)

    assert ended.outcome is Outcome.SUCCEEDED
    assert shelf.manifests == {}


def test_checkpoints_of_a_running_trial_are_sent_now_and_then(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], until: Callable[..., None]
) -> None:
    executor = machine("a").executor(f"{SAVE}; exec sleep 60", snapshot_s=0.05)
    executor.start(trial())

    until(lambda: executor.wait(0.05) is None and "checkpoints/model" in _files(shelf))

    executor.stop(1, Outcome.STOPPED, "enough")


def test_by_force_nothing_is_waited_for(
    machine: MachineMaker, shelf: Shelf, trial: Callable[..., Trial], next_end: NextEnd
) -> None:
    executor = machine("a").executor(f"{SAVE}; exec sleep 60")
    shelf.open.clear()
    executor.start(trial())

    executor.stop(1, Outcome.INTERRUPTED, "in haste")
    executor.kill()

    assert next_end(executor).outcome is Outcome.INTERRUPTED


def _files(shelf: Shelf) -> set[str]:
    return set(shelf.manifests[1].files) if 1 in shelf.manifests else set()
