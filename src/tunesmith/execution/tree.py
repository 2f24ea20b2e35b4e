"""All processes of a trial: its group, its descendants, and what slipped out of both."""

import contextlib
import os
import signal
from collections.abc import Iterable

import psutil

from tunesmith.execution.mark import MARK

__all__ = ["kill_marked", "memory_mib", "signal_tree", "sweep"]

_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError)


def signal_tree(pid: int, number: signal.Signals) -> None:
    """Send a signal to the process group that ``pid`` leads, and to descendants outside of it."""
    outside = [p for p in _descendants(pid) if _group(p.pid) != pid]
    with contextlib.suppress(*_GONE):
        os.killpg(pid, number)
    for process in outside:
        with contextlib.suppress(*_GONE):
            process.send_signal(number)


def sweep(pid: int) -> None:
    """Kill what is left of a process group whose leader has ended."""
    with contextlib.suppress(*_GONE):
        os.killpg(pid, signal.SIGKILL)


def kill_marked(directories: Iterable[str]) -> int:
    """Kill every process that was started, by whatever way, for a trial in one of ``directories``.

    Returns:
        How many there were.
    """
    wanted = set(directories)
    killed = 0
    for process in psutil.process_iter():
        with contextlib.suppress(*_GONE):
            if process.pid != os.getpid() and process.environ().get(MARK) in wanted:
                process.kill()
                killed += 1
    return killed


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process and all its descendants, in MiB."""
    total = 0
    with contextlib.suppress(*_GONE):
        for process in [psutil.Process(pid), *_descendants(pid)]:
            with contextlib.suppress(*_GONE):
                total += process.memory_info().rss
    return total / 2**20


def _descendants(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(*_GONE):
        return psutil.Process(pid).children(recursive=True)
    return []


def _group(pid: int) -> int:
    with contextlib.suppress(*_GONE):
        return os.getpgid(pid)
    return -1
