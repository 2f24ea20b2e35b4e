"""Watches over one trial's processes: ends them at a limit or when asked, gently and then by force."""

import signal
import threading
import time
from collections.abc import Iterable

from tunesmith.execution.base import Outcome
from tunesmith.execution.tree import memory_mib, signal_tree
from tunesmith.model import Resources
from tunesmith.reporting import duration

__all__ = ["Guard"]

_MEMORY_EVERY_S = 0.5  # summing a tree's memory reads a file per process


class Guard:
    """Knows when a trial's processes must end, and why.

    Args:
        leaders: The leaders of the trial's process groups.
        resources: The limits.

    Attributes:
        started: When the trial began, by the monotonic clock.
        outcome: How the trial was made to end; None if it was not.
        reason: Why.
        killed: Whether it was ended by force without being asked before.
    """

    def __init__(self, leaders: Iterable[int], resources: Resources) -> None:
        self.started = time.monotonic()
        self.outcome: Outcome | None = None
        self.reason = ""
        self.killed = False
        self._leaders = set(leaders)
        self._resources = resources
        self._terminate_at: float | None = None
        self._kill_at: float | None = None
        self._memory_at = self.started
        self._over = False
        self._lock = threading.Lock()

    def stop(self, outcome: Outcome, reason: str) -> None:
        """Send SIGTERM, and SIGKILL after the grace period; the first of several reasons counts."""
        with self._lock:
            if self._over:
                return
            if self.outcome is None:
                self.outcome, self.reason = outcome, reason
                self._terminate()
            elif self._kill_at is None:
                self._terminate()  # it was left to end by itself, which somebody does not wait for

    def finish(self, within_s: float) -> None:
        """Note that the trial ended well, and leave its other processes some time to end likewise."""
        with self._lock:
            if self.outcome is None and not self._over:
                self.outcome = Outcome.SUCCEEDED
            if self.outcome is Outcome.SUCCEEDED and self._kill_at is None:
                self._terminate_at = time.monotonic() + within_s

    def kill(self) -> None:
        """Send SIGKILL."""
        with self._lock:
            self.killed = True
            self._send(signal.SIGKILL)

    def join(self, leader: int) -> bool:
        """Watch over one more group; False, without doing so, if the trial is to end."""
        with self._lock:
            if self.outcome is not None or self.killed:
                return False
            self._leaders.add(leader)
            return True

    def leave(self, leader: int) -> None:
        """Send no more signals to a group that has ended; from any thread."""
        with self._lock:
            self._leaders.discard(leader)

    def release(self) -> None:
        """Send no more signals: the process has ended, or it is done with this trial.

        From any thread. A process number may mean another process soon after, and a worker serves
        other trials.
        """
        with self._lock:
            self._over = True

    def check(self) -> None:
        """Enforce what is due by now."""
        now = time.monotonic()
        limit = self._resources.time_limit_s
        if limit is not None and now - self.started > limit:
            self.stop(Outcome.FAILED, f"it ran longer than its time limit of {duration(limit)}")
        if self._resources.memory_limit_mib is not None and now >= self._memory_at:
            self._memory_at = now + _MEMORY_EVERY_S
            self._check_memory(self._resources.memory_limit_mib)
        with self._lock:
            if self._terminate_at is not None and now >= self._terminate_at:
                self._terminate()
            if self._kill_at is not None and now >= self._kill_at:
                self._send(signal.SIGKILL)
                self._kill_at = now + 1.0  # what was forked in between gets the next one

    def due_in_s(self) -> float:
        """Return in how many seconds `check` has something to do."""
        due = [60.0]
        now = time.monotonic()
        if self._resources.time_limit_s is not None and self.outcome is None:
            due.append(self.started + self._resources.time_limit_s - now)
        if self._resources.memory_limit_mib is not None:
            due.append(self._memory_at - now)
        due += [at - now for at in (self._terminate_at, self._kill_at) if at is not None]
        return max(0.0, min(due))

    def _terminate(self) -> None:
        self._send(signal.SIGTERM)
        self._terminate_at = None
        self._kill_at = time.monotonic() + self._resources.grace_s

    def _send(self, number: signal.Signals) -> None:
        if not self._over:
            for leader in self._leaders:
                signal_tree(leader, number)

    def _check_memory(self, limit: float) -> None:
        used = sum(memory_mib(leader) for leader in tuple(self._leaders))
        if used > limit:
            self.stop(
                Outcome.FAILED, f"it used {used:.0f} MiB, over its memory limit of {limit:.0f} MiB"
            )
