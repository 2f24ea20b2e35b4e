"""Chooses ports for the replicas of a trial, so that no two on this machine get the same one.

A port is chosen below those that the system gives to connections by itself. The UDP port of the same
number is bound as long as the trial runs: that is a lock among all tuners of the machine, of whatever
user, which goes with the process that holds it. Until its replica starts, the port itself is held too.
"""

import contextlib
import random
import socket
from pathlib import Path

from tunesmith.errors import StorageError

__all__ = ["HOST", "Ports"]

HOST = "127.0.0.1"

_FIRST = 15_000
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_END = 32_768


class Ports:
    """Ports that belong to one trial until `close`.

    Args:
        count: How many.

    Raises:
        StorageError: there are not as many free ones.
        OSError: the system gives no more sockets.
    """

    def __init__(self, count: int) -> None:
        self._locks: list[socket.socket] = []
        self._held: dict[int, socket.socket] = {}
        candidates = list(range(_FIRST, _end()))
        random.SystemRandom().shuffle(candidates)
        try:
            while len(self._held) < count:
                if not candidates:
                    msg = (
                        f"No {count} ports between {_FIRST} and {_end()} are free on this machine."
                    )
                    raise StorageError(msg)
                self._try(candidates.pop())
        except BaseException:
            self.close()
            raise
        self.numbers = tuple(self._held)

    def open(self, port: int) -> None:
        """Let go of a port, for the replica that is about to start; it stays locked."""
        if (held := self._held.pop(port, None)) is not None:
            held.close()

    def close(self) -> None:
        """Give all back."""
        for port in list(self._held):
            self.open(port)
        for lock in self._locks:
            lock.close()
        self._locks.clear()

    def _try(self, port: int) -> None:
        with contextlib.ExitStack() as kept:
            lock = kept.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            held = kept.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            try:
                lock.bind((HOST, port))
                held.bind(("", port))  # on all addresses, as TensorFlow's servers do
            except OSError:
                return
            kept.pop_all()
        self._locks.append(lock)
        self._held[port] = held


def _end() -> int:
    """Return the first port that the system gives to connections by itself."""
    try:
        end = int(_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _USUAL_END
    return end if end > _FIRST + 1000 else _USUAL_END
