"""How many bytes a project may keep on the server's disk."""

import os
import threading
from pathlib import Path

from tunesmith.service.refusals import TooLargeError

__all__ = ["Allowance", "bytes_below"]


class Allowance:
    """Counts the bytes below a folder, and refuses more than are allowed.

    The disk is read when it is first asked and by `recount`; in between it counts what goes through it.

    Args:
        folder: A project's folder.
        most: The bytes it may hold; None for any number.
    """

    def __init__(self, folder: Path, most: int | None) -> None:
        self._folder = folder
        self._most = most
        self._lock = threading.Lock()
        self._used: int | None = None

    @property
    def used(self) -> int:
        """The bytes it holds."""
        with self._lock:
            return self._counted()

    def take(self, size: int) -> None:
        """Count ``size`` bytes more; raise `TooLargeError` if there is no room for them."""
        with self._lock:
            used = self._counted()
            if self._most is not None and used + size > self._most:
                msg = (
                    f"The project's files on the server would grow past {self._most} bytes: it has {used},"
                    f" and {size} more were to come. Delete studies or files of trials, or have the"
                    " server's quota raised."
                )
                raise TooLargeError(msg)
            self._used = used + size

    def give_back(self, size: int) -> None:
        """Count ``size`` bytes less."""
        with self._lock:
            if self._used is not None:
                self._used = max(0, self._used - size)

    def recount(self) -> int:
        """Read the disk again, where other processes may have written too; return the bytes."""
        found = bytes_below(self._folder)
        with self._lock:
            self._used = found
        return found

    def _counted(self) -> int:
        if self._used is None:
            self._used = bytes_below(self._folder)
        return self._used


def bytes_below(folder: Path) -> int:
    """Return the bytes of all files below a folder, links not followed."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(place, name).lstat().st_size
            except OSError:  # deleted meanwhile
                continue
    return total
