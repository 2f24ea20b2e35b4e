"""Leases and time limits go by the storage's clock, however wrong this machine's is."""

import time
from collections.abc import Callable

import pytest

from tunesmith import Ending, Study, StudyEnded
from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.clock import Clock

Make = Callable[..., Study]

HOUR_S = 3600.0


@pytest.fixture(params=[-HOUR_S, HOUR_S], ids=["behind", "ahead"])
def server(request: pytest.FixtureRequest) -> Clock:
    """The storage's clock; this machine's is an hour behind it, or ahead."""
    return Clock(time.time() - float(request.param))


def test_a_lease_runs_out_by_the_storages_clock(make: Make, server: Clock) -> None:
    with SqlStorage("sqlite://", clock=server) as storage:
        vanished = make(name="s", storage=storage, lease_s=60.0)
        other = make(name="s", storage=storage, lease_s=60.0)
        first = vanished.ask()

        server.now += 30
        second = other.ask()
        server.now += 40
        third = other.ask()

        assert [first.number, second.number, third.number] == [1, 2, 1]
        assert third.attempt == 2


def test_the_time_of_a_study_is_spent_by_the_storages_clock(make: Make, server: Clock) -> None:
    with SqlStorage("sqlite://", clock=server) as storage:
        study = make(name="s", storage=storage, ending=Ending(time_s=60.0))
        running = study.ask()

        server.now += 30
        assert not study.overrun()
        study.tell(study.ask(), 0.5)
        server.now += 31

        assert "time of 1m00s" in study.overrun()
        study.tell(running, 0.5)
        with pytest.raises(StudyEnded, match="time"):
            study.ask()
