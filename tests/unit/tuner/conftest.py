import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tunesmith.execution import CommandExecutor
from tunesmith.model import Objective, Program, Resources, StudySpec
from tunesmith.space import Double, Parameter, Space
from tunesmith.study import Study
from tunesmith.tuner import LEASE_S, Event, Tuner


class Setting:
    """A study, its tuner, and what the tuner told."""

    def __init__(self, study: Study, program: Program, folder: Path) -> None:
        self.study = study
        self.person = Study.load(study.name, study.storage)  # who changes it from outside
        self.events: list[Event] = []
        self.executor = CommandExecutor(
            program, study=study.name, spec=study.spec, root=folder, worker=study.worker
        )
        self.tuner = Tuner(
            study,
            self.executor,
            retries=program.retries,
            reading=program.reading,
            observe=self.events.append,
        )

    def output(self, number: int) -> str:
        """What a trial has printed so far."""
        path = self.executor.directory(number) / "stdout"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @contextmanager
    def working(self) -> Iterator[None]:
        """Work in another thread, and wait for its end."""
        ended: list[str | BaseException] = []

        def work() -> None:
            try:
                ended.append(self.tuner.work())
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            thread.join(60)
            assert not thread.is_alive(), "the tuner does not end"
        if isinstance(ended[0], BaseException):
            raise ended[0]


Make = Callable[..., Setting]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes a study of commands with the metric y, and its tuner."""
    studies: list[Study] = []

    def setting(
        *command: str,
        space: Mapping[str, Parameter] | None = None,
        retries: int = 2,
        grace_s: float = 5.0,
        **spec: object,
    ) -> Setting:
        described = StudySpec(
            Space(space or {"x": Double(0.0, 1.0)}),
            (Objective("y", "minimize"),),
            seed=1,
            **spec,  # type: ignore[arg-type]
        )
        study = Study.from_spec(
            described,
            name="s",
            storage=f"sqlite:///{tmp_path / 'studies.db'}",
            lease_s=LEASE_S,
        )
        studies.append(study)
        program = Program(
            command,
            directory=str(tmp_path),
            resources=Resources(grace_s=grace_s),
            retries=retries,
        )
        return Setting(study, program, tmp_path / "files")

    yield setting
    for study in studies:
        study.close()


@pytest.fixture
def python(make: Make) -> Make:
    """As `make`, for a Python program given as text; it finds x, number and attempt."""
    head = """
import os, signal, sys, time
x = float(next(a for a in sys.argv if a.startswith("--x=")).partition("=")[2])
number, attempt = int(os.environ["TUNESMITH_TRIAL"]), int(os.environ["TUNESMITH_ATTEMPT"])
"""

    def setting(code: str, **settings: object) -> Setting:
        return make(sys.executable, "-S", "-c", head + code, **settings)

    return setting
