"""Prints what trials print, as they print it, with the trial's number in front."""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tunesmith.cli.console import out
from tunesmith.cli.printed import STREAMS, Reader
from tunesmith.errors import NotFoundError

if TYPE_CHECKING:
    from tunesmith.storage.manifest import Stream

__all__ = ["Follower"]

_MOST_BYTES = 1 << 20  # a turn; a program that prints faster than this must wait its turn


class Follower:
    """Reads what trials print from where it last stopped.

    Args:
        read: Gives the bytes.
    """

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._places: dict[tuple[int, Stream], int] = {}
        self._leaving: set[int] = set()

    def add(self, trial: int) -> None:
        """Follow a trial from now on."""
        with self._lock:
            self._leaving.discard(trial)
            for name in STREAMS:
                self._places[trial, name] = 0

    def remove(self, trial: int) -> None:
        """Follow a trial no longer, once all it has printed is printed."""
        with self._lock:
            self._leaving.add(trial)

    def print_new(self) -> bool:
        """Print what is new; return whether there was anything."""
        any_new = False
        with self._lock:
            for (trial, name), place in list(self._places.items()):
                lines, after = self._new_lines(trial, name, place)
                for line in lines:
                    out(f"#{trial} | {line}")
                self._places[trial, name] = after
                any_new = any_new or after != place
                if trial in self._leaving and after == place:
                    del self._places[trial, name]
        return any_new

    def print_rest(self) -> None:
        """Print all that is left, to the last line, of trials that have ended."""
        with self._lock:
            self._leaving.update(trial for trial, _ in self._places)
        while self.print_new():
            pass

    def _new_lines(self, trial: int, name: "Stream", place: int) -> tuple[Iterator[str], int]:
        try:
            data = self._read(trial, name, place, _MOST_BYTES)
        except NotFoundError:
            return iter(()), place
        end = data.rfind(b"\n") + 1
        if not end and (trial in self._leaving or len(data) == _MOST_BYTES):
            end = len(data)
        text = data[:end].decode(errors="replace")
        return iter(text.splitlines()), place + end
