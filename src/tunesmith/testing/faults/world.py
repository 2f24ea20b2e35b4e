"""A world in virtual time, in which one thread at a time goes on.

Every thread is a real one, but runs only while it has the turn; it hands the turn on when it sleeps,
to whoever is due first. So all that happens follows from what was drawn from a seed, whatever the
machine below is doing, and an hour takes no time.
"""

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Killed", "Machine", "Process", "Thread", "World"]

_BEGINNING = 1_700_000_000.0


class Killed(BaseException):
    """Raised in the threads of a process that is no more, so that they leave; nothing may catch it."""


@dataclass
class Machine:
    """A computer with a clock of its own.

    Attributes:
        name: Its name.
        ahead_s: How far its clock is ahead of the world's.
    """

    name: str
    ahead_s: float = 0.0


@dataclass(eq=False)
class Process:
    """Threads that die together.

    Attributes:
        name: Unique in the world.
        machine: Where it runs.
        dead: Whether it was killed or has ended.
        frozen_until: Until when none of its threads goes on, as after SIGSTOP.
        error: What its first thread died of, apart from being killed.
    """

    name: str
    machine: Machine
    dead: bool = False
    frozen_until: float = 0.0
    error: BaseException | None = None
    threads: list["Thread"] = field(default_factory=list, repr=False)


class Thread:
    """One thread of a process.

    Args:
        world: Where it lives.
        process: Whose it is.
        work: What it does.
    """

    def __init__(self, world: "World", process: Process, work: Callable[[], object]) -> None:
        self.process = process
        self.alive = True
        self.joiners: list[Thread] = []
        self.due = 0  # the number of its entry in the calendar that counts
        self._world = world
        self._work = work
        self._turn = threading.Lock()
        self._turn.acquire()
        self._thread = threading.Thread(target=self._run, daemon=True)
        process.threads.append(self)

    def give_turn(self) -> None:
        """Let it go on."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._turn.release()

    def await_turn(self) -> None:
        """Wait until it may go on; raise `Killed` if it may not any more."""
        self._turn.acquire()

    def _run(self) -> None:
        try:
            if not self.process.dead:
                self._work()
        except Killed:
            pass
        except BaseException as error:
            if self.process.error is None:
                self.process.error = error
        self.alive = False
        self._world.leave(self)


class World:
    """The calendar, and who has the turn."""

    def __init__(self) -> None:
        self.now = _BEGINNING
        self.turns = 0
        self._calendar: list[tuple[float, int, Thread | Callable[[], object]]] = []
        self._entries = 0
        self._current: Thread | None = None
        self._over = threading.Lock()
        self._over.acquire()
        self._until: Callable[[], bool] = lambda: False
        self._error: BaseException | None = None
        self._processes: dict[Process, None] = {}
        self._ending = False

    @property
    def age_s(self) -> float:
        """How much time has passed."""
        return self.now - _BEGINNING

    @property
    def process(self) -> Process | None:
        """Whose turn it is; None for what happens by itself."""
        return None if self._current is None else self._current.process

    def clock(self) -> float:
        """Return the time as the machine shows it whose turn it is."""
        return self.now + (self._current.process.machine.ahead_s if self._current else 0.0)

    def start(self, process: Process, work: Callable[[], object]) -> Thread:
        """Start a thread."""
        thread = Thread(self, process, work)
        self._processes[process] = None
        self.wake(thread)
        return thread

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Have something happen by itself."""
        if not self._ending:
            self._enter(self.now + seconds, act)

    def run(self, until: Callable[[], bool]) -> None:
        """Let the world go on until something is so, or nothing is going to happen any more."""
        self._until = until
        following = self._next()
        if following is not None:
            self._pass_to(following)
            self._over.acquire()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Kill every process, and let nothing happen any more."""
        self._ending = True
        for process in self._processes:
            self.kill(process)
        self._calendar = [entry for entry in self._calendar if isinstance(entry[2], Thread)]
        heapq.heapify(self._calendar)
        self.run(lambda: False)

    # For the thread that has the turn

    def sleep(self, seconds: float) -> None:
        """Let others go on for so long."""
        thread = self._mine()
        self._enter(self.now + max(seconds, 0.0), thread)
        self._hand_on(thread)

    def park(self, seconds: float | None = None) -> None:
        """Let others go on until somebody wakes this thread, or for so long."""
        thread = self._mine()
        if seconds is not None:
            self._enter(self.now + max(seconds, 0.0), thread)
        self._hand_on(thread)

    def current(self) -> Thread:
        """Return the thread that has the turn."""
        assert self._current is not None, "nobody has the turn"
        return self._current

    def _mine(self) -> Thread:
        thread = self.current()
        if thread.process.dead:
            raise Killed
        return thread

    def _hand_on(self, thread: Thread) -> None:
        following = self._next()
        if following is not thread:
            self._pass_to(following)
            thread.await_turn()
        if thread.process.dead:
            raise Killed

    # For anybody

    def wake(self, thread: Thread) -> None:
        """Let a thread go on as soon as it may."""
        self._enter(self.now, thread)

    def kill(self, process: Process) -> None:
        """End a process at once; what it has under way stays undone."""
        process.dead = True
        for thread in process.threads:
            if thread.alive:
                self.wake(thread)

    def leave(self, thread: Thread) -> None:
        """Hand the turn on for good."""
        for other in thread.joiners:
            self.wake(other)
        if thread is thread.process.threads[0]:  # as a process ends when its main thread does
            self.kill(thread.process)
        self._pass_to(self._next())

    def _enter(self, time: float, what: Thread | Callable[[], object]) -> None:
        self._entries += 1
        if isinstance(what, Thread):
            what.due = self._entries
        heapq.heappush(self._calendar, (time, self._entries, what))

    def _pass_to(self, thread: Thread | None) -> None:
        self._current = thread
        if thread is None:
            self._over.release()
        else:
            thread.give_turn()

    def _next(self) -> Thread | None:
        """Return whose turn it is; let happen what happens by itself before that."""
        self._current = None
        while self._calendar and self._error is None and not self._until():
            time, entry, what = heapq.heappop(self._calendar)
            if not isinstance(what, Thread):
                self.now = max(self.now, time)
                self._happen(what)
            elif what.due == entry and what.alive:
                if what.process.frozen_until > time and not what.process.dead:
                    self._enter(what.process.frozen_until, what)
                    continue
                self.now = max(self.now, time)
                self.turns += 1
                self._current = what
                return what
        return None

    def _happen(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException as error:
            self._error = error
