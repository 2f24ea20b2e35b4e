"""How often a tuner asks its storage: a server has a hundred of them."""

import time as real
from collections.abc import Callable
from typing import Any

import pytest

WAITS = 'print("y=1", flush=True)\nwhile not os.path.exists("go"): time.sleep(0.02)'


class Time:
    """Goes ten times as fast as the real one, and is spent by a storage that answers slowly."""

    def __init__(self) -> None:
        self.spent = 0.0
        self.time = real.time

    def monotonic(self) -> float:
        return 10 * real.monotonic() + self.spent


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    fake = Time()
    monkeypatch.setattr("tunesmith.tuner.tuner.time", fake)
    return fake


def counted(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, before: Callable[[], None]
) -> list[str]:
    """Have a method counted, and something done before each call."""
    calls: list[str] = []
    method = getattr(owner, name)

    def call(*given: Any, **named: Any) -> Any:
        calls.append(name)
        before()
        return method(*given, **named)

    monkeypatch.setattr(owner, name, call)
    return calls


def test_a_storage_that_answers_slowly_is_looked_at_rarely(
    python: Any, until: Any, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = python(WAITS, max_trials=1)

    def spend() -> None:
        time.spent += 0.05

    with setting.working():
        until(lambda: "y=1" in setting.output(1))
        looks = counted(monkeypatch, setting.study, "refresh", spend)
        until(lambda: len(looks) >= 9)  # by now it knows how slow that is
        began, before = time.monotonic(), len(looks)
        until(lambda: time.monotonic() - began > 12)
        spent, count = time.monotonic() - began, len(looks) - before
        (setting.executor.directory(1).parents[3] / "go").touch()

    assert 1 <= count <= spent / 2.0 + 1


def test_who_was_told_that_there_is_nothing_asks_again_rarely(
    python: Any, until: Any, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = python(WAITS, max_trials=1, parallel_trials=3)
    asked = counted(monkeypatch, setting.study, "ask", lambda: None)

    with setting.working():
        until(lambda: "y=1" in setting.output(1))
        began, before = time.monotonic(), len(asked)
        until(lambda: time.monotonic() - began > 12)
        spent, count = time.monotonic() - began, len(asked) - before
        (setting.executor.directory(1).parents[3] / "go").touch()

    assert count <= spent / 1.0 + 2
    assert setting.study.history.trials[0].state == "completed"


def test_who_was_told_that_there_is_nothing_asks_at_once_when_there_is(
    python: Any, until: Any
) -> None:
    setting = python(WAITS, max_trials=2, parallel_trials=3)
    (folder := setting.executor.directory(1).parents[3]).mkdir(exist_ok=True)

    with setting.working():
        until(lambda: "y=1" in setting.output(2))
        setting.person.set_budget(max_trials=3)
        until(lambda: "y=1" in setting.output(3), timeout_s=20)
        (folder / "go").touch()

    assert [t.state for t in setting.study.trials] == ["completed"] * 3
