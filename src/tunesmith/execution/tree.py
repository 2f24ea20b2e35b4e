"""All processes of a trial: its group, its descendants, and what slipped out of both."""

import contextlib
import os
import signal
from collections.abc import Collection

import psutil

from tunesmith.execution.mark import MARK, OWNER

__all__ = ["kill_marked", "memory_mib", "signal_tree", "sweep"]

_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError)
_MOST_PASSES = 20


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


def kill_marked(*, owner: str | None = None, directories: Collection[str] | None = None) -> int:
    """Kill the processes that were started for trials, whatever group or parent they have by now.

    Args:
        owner: Only those of this tuner; None for all.
        directories: Only those of the trials with these directories; None for all.

    Returns:
        How many there were.
    """
    killed: set[int] = set()
    for _ in range(_MOST_PASSES):  # what was forked between is found by the next pass
        found = [p for p in _marked(owner, directories) if p.pid not in killed]
        for process in found:
            with contextlib.suppress(*_GONE):
                process.kill()
            killed.add(process.pid)
        if not found:
            break
    return len(killed)


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process and all its descendants, in MiB."""
    total = 0
    with contextlib.suppress(*_GONE):
        for process in [psutil.Process(pid), *_descendants(pid)]:
            with contextlib.suppress(*_GONE):
                total += process.memory_info().rss
    return total / 2**20


def _marked(owner: str | None, directories: Collection[str] | None) -> list[psutil.Process]:
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(*_GONE):
            process = psutil.Process(pid)
            variables = process.environ()
            ours = owner is None or variables.get(OWNER) == owner
            here = directories is None or variables.get(MARK) in directories
            if MARK in variables and ours and here and pid != os.getpid():
                found.append(process)
    return found


def _descendants(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(*_GONE):
        return psutil.Process(pid).children(recursive=True)
    return []


def _group(pid: int) -> int:
    with contextlib.suppress(*_GONE):
        return os.getpgid(pid)
    return -1
