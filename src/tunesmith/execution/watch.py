"""Waits for whatever happens next to the trials that run, and keeps their limits meanwhile."""

import queue
import time

from tunesmith.execution.base import Ended, Outcome, Reported
from tunesmith.execution.guard import Guard

__all__ = ["Watch"]


class Watch:
    """The events of an executor, and the guards of its trials.

    Threads that read from processes put events in; one thread takes them out.
    """

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Ended | Reported] = queue.SimpleQueue()
        self._guards: dict[int, Guard] = {}

    @property
    def busy(self) -> bool:
        """Whether any trial is guarded."""
        return bool(self._guards)

    def put(self, event: Ended | Reported) -> None:
        """Add an event; from any thread."""
        self._events.put(event)

    def guard(self, number: int, guard: Guard) -> None:
        """Watch over a trial from now on, until its end is taken out."""
        self._guards[number] = guard

    def wait(self, timeout_s: float) -> Ended | Reported | None:
        """Return the next event, or None after ``timeout_s`` seconds without one."""
        deadline = time.monotonic() + timeout_s
        while True:
            for guard in list(self._guards.values()):
                guard.check()
            left = deadline - time.monotonic()
            pause = min([left, *(guard.due_in_s() for guard in self._guards.values())])
            try:
                event = self._events.get(timeout=max(0.0, pause))
            except queue.Empty:
                if left <= 0:
                    return None
                continue
            if isinstance(event, Ended):
                self._guards.pop(event.number, None)
            return event

    def stop(self, number: int, outcome: Outcome, reason: str) -> None:
        """Ask a trial's processes to end; nothing if they have ended."""
        if number in self._guards:
            self._guards[number].stop(outcome, reason)

    def kill(self) -> None:
        """End all processes at once."""
        for guard in self._guards.values():
            guard.kill()
