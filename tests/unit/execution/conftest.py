import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunesmith.execution import (
    CommandExecutor,
    Ended,
    Executor,
    FunctionExecutor,
    Reported,
    pack_function,
)
from tunesmith.model import Objective, Program, Resources, StudySpec, Trial
from tunesmith.space import Double, Space, Value
from tunesmith.stopping import Verdict

Run = Callable[..., Ended]


@pytest.fixture
def spec() -> StudySpec:
    return StudySpec(Space({"x": Double(0.0, 1.0)}), (Objective("y", "minimize"),))


@pytest.fixture
def commands(tmp_path: Path, spec: StudySpec) -> Iterator[Callable[..., CommandExecutor]]:
    """Makes executors of commands; they are closed after the test."""
    made: list[CommandExecutor] = []

    def make(
        *command: str, resources: Resources | None = None, worker: str = ""
    ) -> CommandExecutor:
        program = Program(
            command, directory=str(tmp_path), resources=resources or Resources(grace_s=5.0)
        )
        name = worker or f"tuner of {tmp_path}"
        executor = CommandExecutor(
            program, study="s", spec=spec, root=tmp_path / "files", worker=name
        )
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.close()


@pytest.fixture
def functions(tmp_path: Path, spec: StudySpec) -> Iterator[Callable[..., FunctionExecutor]]:
    """Makes executors of functions; they are closed after the test."""
    made: list[FunctionExecutor] = []

    def make(
        function: Callable[..., object], *, resources: Resources | None = None
    ) -> FunctionExecutor:
        executor = FunctionExecutor(
            pack_function(function, spec.space),
            study="s",
            spec=spec,
            root=tmp_path / "files",
            worker=f"tuner of {tmp_path}",
            resources=resources or Resources(grace_s=5.0),
        )
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.close()


@pytest.fixture
def trial() -> Callable[..., Trial]:
    def make(number: int = 1, attempt: int = 1, **values: Value) -> Trial:
        return Trial(number, values or {"x": 0.5}, attempt=attempt)

    return make


@pytest.fixture
def next_end() -> Callable[..., Ended]:
    """Waits for the next trial to end, and answers reports on the way."""

    def wait(
        executor: Executor,
        answer: Callable[[Reported], str] = lambda _: "",
        timeout_s: float = 30.0,
    ) -> Ended:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            match executor.wait(0.5):
                case Reported() as report:
                    report.answer(Verdict(answer(report)))
                case Ended() as ended:
                    return ended
        pytest.fail("no trial ended in time")

    return wait
