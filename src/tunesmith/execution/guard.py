"""Watches over one trial's processes: ends them at a limit or when asked, gently and then by force."""

import signal
import threading
import time

from tunesmith.execution.base import Outcome
from tunesmith.execution.tree import memory_mib, signal_tree
from tunesmith.model import Resources
from tunesmith.reporting import duration

__all__ = ["Guard"]

_MEMORY_EVERY_S = 0.5  # summing a tree's memory reads a file per process


class Guard:
    """Knows when a trial's processes must end, and why.

    Args:
        pid: The leader of the trial's process group.
        resources: The limits.
    """

    def __init__(self, pid: int, resources: Resources) -> None:
        self.started = time.monotonic()
        self.outcome: Outcome | None = None
        self.reason = ""
        self._pid = pid
        self._resources = resources
        self._kill_at: float | None = None
        self._memory_at = self.started
        self._over = False
        self._lock = threading.Lock()

    def stop(self, outcome: Outcome, reason: str) -> None:
        """Send SIGTERM, and SIGKILL after the grace period; the first of several reasons counts."""
        with self._lock:
            if self.outcome is None and not self._over:
                self.outcome, self.reason = outcome, reason
                signal_tree(self._pid, signal.SIGTERM)
                self._kill_at = time.monotonic() + self._resources.grace_s

    def kill(self) -> None:
        """Send SIGKILL."""
        with self._lock:
            if not self._over:
                signal_tree(self._pid, signal.SIGKILL)

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
        if self._kill_at is not None and now >= self._kill_at:
            self.kill()
            self._kill_at = now + 1.0  # what was forked in between gets the next one

    def due_in_s(self) -> float:
        """Return in how many seconds `check` has something to do."""
        due = [60.0]
        now = time.monotonic()
        if self._resources.time_limit_s is not None and self.outcome is None:
            due.append(self.started + self._resources.time_limit_s - now)
        if self._resources.memory_limit_mib is not None:
            due.append(self._memory_at - now)
        if self._kill_at is not None:
            due.append(self._kill_at - now)
        return max(0.0, min(due))

    def _check_memory(self, limit: float) -> None:
        used = memory_mib(self._pid)
        if used > limit:
            self.stop(
                Outcome.FAILED, f"it used {used:.0f} MiB, over its memory limit of {limit:.0f} MiB"
            )
