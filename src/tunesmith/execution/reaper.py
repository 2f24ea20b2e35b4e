"""Ends trials whose tuner died without a word, as by kill -9 or a crash.

The tuner starts this file as a process of its own, with its name as the argument, and tells it line
by line which process groups run (``+pid``), which have ended (``-pid``), and that all is well
(``.``). When the pipe closes without that, the tuner is gone: what still runs is asked to end, then
made to. Only the standard library is used, and little of it: this must start in milliseconds.
"""

import os
import signal
import sys
import time

_GRACE_S = 2.0
_MOST_PASSES = 20


def main() -> None:
    """Follow the tuner's pipe to its end, then clear up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        if line.startswith(b"."):
            return
        if line.startswith(b"+"):
            groups.add(int(line[1:]))
        else:
            groups.discard(int(line[1:]))
    for pid in groups:
        _send(pid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while time.monotonic() < deadline and any(_lives(pid) for pid in groups):
        time.sleep(0.05)
    for pid in groups:
        _send(pid, signal.SIGKILL)
    _kill_marked(f"TUNESMITH_WORKER={sys.argv[1]}".encode())


def _send(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except OSError:
        return


def _lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except OSError:
        return False
    return True


def _kill_marked(owner: bytes) -> None:
    """Kill the tuner's processes that left their group, and the one it did not get to tell of.

    A process carries its mark from its first instruction, and the pipe stays open until that: so
    none is missed, even if the tuner died right after it started one.
    """
    killed: set[int] = set()
    for _ in range(_MOST_PASSES):  # what was forked between is found by the next pass
        found = _marked(owner) - killed
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        killed |= found


def _marked(owner: bytes) -> set[int]:
    found = set()
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:  # noqa: PTH112, PTH208 - pathlib loads slowly
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123 - as above
                variables = file.read().split(b"\0")
        except OSError:
            continue
        if owner in variables:
            found.add(int(name))
    return found


if __name__ == "__main__":
    main()
