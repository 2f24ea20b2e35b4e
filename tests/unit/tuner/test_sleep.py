import time
from pathlib import Path

import pytest

from tunesmith.execution import CommandExecutor
from tunesmith.model import MetricReading, Objective, Program, StudySpec
from tunesmith.space import Double, Space
from tunesmith.storage.sql import SqlStorage
from tunesmith.study import Study
from tunesmith.testing.clock import Clock
from tunesmith.tuner import LEASE_S, Event, TrialStarted, Tuner


def test_a_lease_that_runs_out_while_the_machine_sleeps_costs_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    spec = StudySpec(Space({"x": Double(0, 1)}), (Objective("y", "minimize"),), max_trials=1)
    storage = SqlStorage(f"sqlite:///{tmp_path / 's.db'}", clock=clock)
    study = Study.from_spec(spec, name="s", storage=storage, lease_s=LEASE_S)
    wakes = tmp_path / "wakes"
    script = f"while [ ! -e {wakes} ]; do sleep 0.05; done; echo y=1"
    executor = CommandExecutor(
        Program(("sh", "-c", script), directory=str(tmp_path)),
        study="s",
        spec=spec,
        root=tmp_path,
        worker=study.worker,
    )
    real = time.time
    asked = 0

    def sleep_and_wake(event: Event) -> None:
        if isinstance(event, TrialStarted):
            clock.now += 10 * LEASE_S
            monkeypatch.setattr("tunesmith.tuner.tuner.time.time", lambda: real() + 10 * LEASE_S)

    ask = study.ask

    def counted() -> object:
        nonlocal asked
        asked += 1
        if asked == 3:  # it has asked, with a free slot, since the machine woke up
            wakes.touch()
        return ask()

    monkeypatch.setattr(study, "ask", counted)
    tuner = Tuner(
        study, executor, parallel_trials=2, reading=MetricReading(), observe=sleep_and_wake
    )

    tuner.work()

    (trial,) = study.trials
    assert (trial.state, trial.attempt) == ("completed", 1)
    study.close()


def test_a_trial_that_comes_back_to_its_own_tuner_goes_on_without_a_second_program(
    tmp_path: Path,
) -> None:
    clock = Clock()
    spec = StudySpec(Space({"x": Double(0, 1)}), (Objective("y", "minimize"),), max_trials=1)
    storage = SqlStorage(f"sqlite:///{tmp_path / 's.db'}", clock=clock)
    study = Study.from_spec(spec, name="s", storage=storage, lease_s=LEASE_S)
    script = (
        f"echo began >> {tmp_path / 'began'}; until [ -e {tmp_path / 'ends'} ]; do sleep 0.05; done"
    )
    executor = CommandExecutor(
        Program(("sh", "-c", f"{script}; echo y=1"), directory=str(tmp_path)),
        study="s",
        spec=spec,
        root=tmp_path,
        worker=study.worker,
    )
    events: list[Event] = []

    def observe(event: Event) -> None:
        events.append(event)
        if isinstance(event, TrialStarted):
            clock.now += 10 * LEASE_S  # the storage's clock alone
            (tmp_path / "ends").touch()

    Tuner(study, executor, parallel_trials=2, reading=MetricReading(), observe=observe).work()

    (trial,) = study.trials
    assert (trial.state, trial.attempt) == ("completed", 2)
    assert (tmp_path / "began").read_text().split() == ["began"]
    assert sum(isinstance(event, TrialStarted) for event in events) == 1
    study.close()
