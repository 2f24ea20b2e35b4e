"""What stands in for ``time`` and ``threading`` in the modules that are driven in virtual time.

The study and the tuner are the real ones, unchanged: while a world is installed, the modules of their
rooms find its clock and its threads under the names that they import.
"""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

from tunesmith.study import asking
from tunesmith.testing.faults.world import Thread, World

__all__ = ["installed"]

_ROOMS = ("tunesmith.study", "tunesmith.tuner", "tunesmith.storage.http_client")
_STORAGE = ("tunesmith.storage.engine",)


class _Time:
    """The world's ``time``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def time(self) -> float:
        return self._world.clock()

    def monotonic(self) -> float:
        return self._world.now

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        self._world.sleep(seconds)


class _StillTime(_Time):
    """The world's ``time`` where nobody else goes on meanwhile: in the middle of a verb of the storage."""

    def sleep(self, seconds: float) -> None:
        self._world.now += seconds


class _Event:
    """The world's ``threading.Event``."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._set = False
        self._waiting: list[Thread] = []

    def set(self) -> None:
        self._set = True
        for thread in self._waiting:
            self._world.wake(thread)

    def is_set(self) -> bool:
        return self._set

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            thread = self._world.current()
            self._waiting.append(thread)
            try:
                self._world.park(timeout)
            finally:
                self._waiting.remove(thread)
        return self._set


class _Thread:
    """The world's ``threading.Thread``, in the process that makes it."""

    def __init__(
        self,
        world: World,
        target: Callable[..., object],
        args: tuple[object, ...] = (),
    ) -> None:
        self._world = world
        self._work = lambda: target(*args)
        self._thread: Thread | None = None

    def start(self) -> None:
        process = self._world.process
        assert process is not None
        self._thread = self._world.start(process, self._work)

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.alive

    def join(self, timeout: float | None = None) -> None:
        assert self._thread is not None
        if self._thread.alive:
            self._thread.joiners.append(self._world.current())
            self._world.park(timeout)


class _Threading:
    """The world's ``threading``; locks are the real ones, for their holders share them with nobody."""

    Lock = staticmethod(threading.Lock)
    RLock = staticmethod(threading.RLock)
    local = threading.local
    get_ident = staticmethod(threading.get_ident)
    current_thread = staticmethod(threading.current_thread)

    def __init__(self, world: World) -> None:
        self._world = world

    def Event(self) -> _Event:  # noqa: N802 - as it is called
        return _Event(self._world)

    def Thread(  # noqa: N802 - as it is called
        self,
        *,
        target: Callable[..., object],
        args: tuple[object, ...] = (),
        daemon: bool = True,
        name: str = "",
    ) -> _Thread:
        del daemon, name
        return _Thread(self._world, target, args)


@contextmanager
def installed(world: World, dice: random.Random, is_dead: Callable[[str], bool]) -> Iterator[None]:
    """Let the rooms that are driven see the world's time, threads and chance, and who is dead in it."""
    driven: dict[object, object] = {time: _Time(world), threading: _Threading(world), random: dice}
    within: dict[object, object] = {time: _StillTime(world), random: dice}
    changed: list[tuple[object, str, object]] = []

    def put(module: object, name: str, value: object) -> None:
        changed.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    for rooms, stand_ins in ((_ROOMS, driven), (_STORAGE, within)):
        for module in [m for name, m in sys.modules.items() if name.startswith(rooms)]:
            for name in ("time", "threading", "random"):
                real = getattr(module, name, None)
                if isinstance(real, ModuleType) and real in stand_ins:
                    put(module, name, stand_ins[real])
    put(asking, "is_dead", is_dead)
    try:
        yield
    finally:
        for where, name, real in reversed(changed):
            setattr(where, name, real)
