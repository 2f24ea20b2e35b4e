from collections.abc import Callable

import pytest

from tunesmith.model import Stopping
from tunesmith.stopping import Schedule, make_schedule
from tunesmith.testing.schedules import ScheduleContract

NewSchedule = Callable[[], Schedule]


def made(name: str, **settings: bool | float | str) -> NewSchedule:
    def new() -> Schedule:
        schedule = make_schedule([Stopping(name, settings)])
        assert schedule is not None
        return schedule

    return new


class TestHalving(ScheduleContract):
    @pytest.fixture
    def new_schedule(self) -> NewSchedule:
        return made("halving")


class TestHalvingInRoundsOfTen(ScheduleContract):
    @pytest.fixture
    def new_schedule(self) -> NewSchedule:
        return made("halving", trials=10, min_steps=2, eta=2)


class TestHyperband(ScheduleContract):
    @pytest.fixture
    def new_schedule(self) -> NewSchedule:
        return made("hyperband")


class TestBohb(ScheduleContract):
    @pytest.fixture
    def new_schedule(self) -> NewSchedule:
        return made("bohb", min_steps=3)


class TestAshaPromotion(ScheduleContract):
    @pytest.fixture
    def new_schedule(self) -> NewSchedule:
        return made("asha-promotion")


class TestAshaPromotionInBrackets(ScheduleContract):
    @pytest.fixture
    def new_schedule(self) -> NewSchedule:
        return made("asha-promotion", brackets=3, eta=2)


class TestPbt(ScheduleContract):
    @pytest.fixture
    def new_schedule(self) -> NewSchedule:
        return made("pbt", population=6, interval=3)


class TestPb2(ScheduleContract):
    @pytest.fixture
    def new_schedule(self) -> NewSchedule:
        return made("pb2", population=4, interval=5)


class TestAuto(ScheduleContract):
    @pytest.fixture
    def new_schedule(self) -> NewSchedule:
        return made("auto")


class TestAutoWithItsRungsSet(ScheduleContract):
    @pytest.fixture
    def new_schedule(self) -> NewSchedule:
        return made("auto", min_steps=1, eta=3)
