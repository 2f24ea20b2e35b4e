"""Prints what trials print, as they print it, with the trial's number in front."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tunesmith.cli.console import out

__all__ = ["Follower"]

_MOST_BYTES = 1 << 20  # a turn; a program that prints faster than this must wait its turn


class Follower:
    """Reads the output files of trials from where it last stopped.

    Args:
        directory: Gives a trial's directory by its number.
        names: Which files are read.
    """

    def __init__(
        self, directory: Callable[[int], Path], names: tuple[str, ...] = ("stdout", "stderr")
    ) -> None:
        self._directory = directory
        self._names = names
        self._lock = threading.Lock()
        self._places: dict[tuple[int, str], int] = {}
        self._leaving: set[int] = set()

    def add(self, trial: int) -> None:
        """Follow a trial from now on."""
        with self._lock:
            self._leaving.discard(trial)
            for name in self._names:
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
                lines, after = self._new_lines(self._directory(trial) / name, place, trial)
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

    def _new_lines(self, path: Path, place: int, trial: int) -> tuple[Iterator[str], int]:
        try:
            with path.open("rb") as file:
                file.seek(place)
                data = file.read(_MOST_BYTES)
        except OSError:
            return iter(()), place
        end = data.rfind(b"\n") + 1
        if not end and (trial in self._leaving or len(data) == _MOST_BYTES):
            end = len(data)
        text = data[:end].decode(errors="replace")
        return iter(text.splitlines()), place + end
