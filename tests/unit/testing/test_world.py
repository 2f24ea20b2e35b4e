import random
from importlib import import_module
from typing import Any

import pytest

from tunesmith.testing.faults.standins import installed
from tunesmith.testing.faults.world import Killed, Machine, Process, World


@pytest.fixture
def world() -> World:
    return World()


def process(name: str, machine: Machine | None = None) -> Process:
    return Process(name, machine or Machine("here"))


def finish(world: World) -> None:
    world.run(lambda: False)


def test_who_is_due_first_goes_on_first(world: World) -> None:
    seen: list[tuple[str, float]] = []

    def live(name: str, *naps: float) -> None:
        for nap in naps:
            world.sleep(nap)
            seen.append((name, world.age_s))

    world.start(process("a"), lambda: live("a", 3.0, 3.0))
    world.start(process("b"), lambda: live("b", 2.0, 2.0, 2.5))
    finish(world)

    assert seen == [("b", 2.0), ("a", 3.0), ("b", 4.0), ("a", 6.0), ("b", 6.5)]


def test_what_happens_by_itself_happens_in_between(world: World) -> None:
    seen: list[str] = []

    def live() -> None:
        world.sleep(2.0)
        seen.append("woke")

    world.start(process("a"), live)
    world.after(1.0, lambda: seen.append("it rained"))
    finish(world)

    assert seen == ["it rained", "woke"]


def test_who_is_killed_does_nothing_more(world: World) -> None:
    seen: list[str] = []
    one = process("one")

    def live() -> None:
        try:
            world.sleep(10.0)
            seen.append("lived on")
        except Killed:
            seen.append("died")
            raise

    world.start(one, live)
    world.after(5.0, lambda: world.kill(one))
    finish(world)

    assert seen == ["died"]
    assert world.age_s == 5.0


def test_who_is_frozen_goes_on_when_it_is_over(world: World) -> None:
    woke: list[float] = []
    one = process("one")

    def live() -> None:
        world.sleep(2.0)
        woke.append(world.age_s)

    def freeze() -> None:
        one.frozen_until = world.now + 100.0

    world.start(one, live)
    world.after(1.0, freeze)
    finish(world)

    assert woke == [101.0]


def test_threads_die_with_the_first_one_of_their_process(world: World) -> None:
    beats: list[float] = []
    one = process("one")

    def beat() -> None:
        while True:
            world.sleep(1.0)
            beats.append(world.age_s)

    def live() -> None:
        world.start(one, beat)
        world.sleep(3.5)

    world.start(one, live)
    finish(world)

    assert beats == [1.0, 2.0, 3.0]
    assert one.dead


def test_what_goes_wrong_by_itself_is_raised_where_the_world_is_run(world: World) -> None:
    def fail() -> None:
        raise ArithmeticError

    world.after(1.0, fail)

    with pytest.raises(ArithmeticError):
        finish(world)


def test_the_end_of_the_world_leaves_no_thread(world: World) -> None:
    one, two = process("one"), process("two")
    world.start(one, lambda: world.sleep(1e9))
    world.start(two, world.park)
    world.after(1.0, lambda: world.after(1.0, lambda: None))
    world.run(lambda: world.age_s >= 1.0)

    world.end()

    assert not any(thread.alive for p in (one, two) for thread in p.threads)


def test_a_machine_has_a_clock_of_its_own(world: World) -> None:
    shown: list[float] = []
    world.start(process("a", Machine("ahead", 3600.0)), lambda: shown.append(world.clock()))
    finish(world)

    assert shown == [world.now + 3600.0]


def test_the_tuner_finds_the_world_instead_of_time_and_threads(world: World) -> None:
    heard: list[object] = []
    driven: Any = import_module("tunesmith.tuner.tuner")
    real = driven.time

    def live() -> None:
        stop = driven.threading.Event()
        thread = driven.threading.Thread(target=lambda: heard.append(stop.wait(5.0)))
        thread.start()
        driven.time.sleep(2.0)
        stop.set()
        thread.join()
        heard.append(driven.time.monotonic() - world.now)

    with installed(world, random.Random(0), lambda _: False):
        world.start(process("a"), live)
        finish(world)

    assert heard == [True, 0.0]
    assert world.age_s == 2.0
    assert driven.time is real
