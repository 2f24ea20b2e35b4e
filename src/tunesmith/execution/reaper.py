"""Ends trials whose tuner died without a word, as by kill -9 or a crash.

The tuner starts this file as a process of its own and tells it, line by line, which process groups
run (``+pid directory``) and which have ended (``-pid``). When the pipe closes, the tuner is gone:
what still runs is asked to end, then made to. Only the standard library is used, and little of it:
this must start in milliseconds.
"""

import os
import signal
import sys
import time

_GRACE_S = 2.0
_MARK = b"TUNESMITH_TRIAL_DIR="


def main() -> None:
    """Follow the tuner's pipe to its end, then clear up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, bytes] = {}
    for line in sys.stdin.buffer:
        pid, _, directory = line[1:].rstrip(b"\n").partition(b" ")
        if line.startswith(b"+"):
            groups[int(pid)] = directory
        else:
            groups.pop(int(pid), None)
    if not groups:
        return
    for pid in groups:
        _send(pid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    while time.monotonic() < deadline and any(_lives(pid) for pid in groups):
        time.sleep(0.05)
    for pid in groups:
        _send(pid, signal.SIGKILL)
    for pid in _marked(set(groups.values())):
        _send(pid, signal.SIGKILL, group=False)


def _send(pid: int, number: int, *, group: bool = True) -> None:
    try:
        (os.killpg if group else os.kill)(pid, number)
    except OSError:
        return


def _lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except OSError:
        return False
    return True


def _marked(directories: set[bytes]) -> list[int]:
    """Return processes that left their group but still carry their trial's mark."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:  # noqa: PTH112, PTH208 - pathlib loads slowly
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123 - as above
                variables = file.read().split(b"\0")
        except OSError:
            continue
        if any(v.startswith(_MARK) and v[len(_MARK) :] in directories for v in variables):
            found.append(int(name))
    return found


if __name__ == "__main__":
    main()
