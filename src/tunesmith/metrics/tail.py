"""Reads what a file gained since the last look; a file that was replaced is read from the start."""

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Lines", "Tail"]


class Tail:
    """The part of a file that is still to be read.

    Attributes:
        offset: Where that part begins; a reader may move it within the file.
        size: The file's size at the last look.
        restarts: How often the file turned out to be another one, or to have been cut short.
    """

    def __init__(self, path: Path) -> None:
        self.offset = 0
        self.size = 0
        self.restarts = 0
        self._path = path
        self._identity: tuple[int, int] | None = None

    def read(self, limit: int) -> bytes:
        """Return the next bytes, at most ``limit``; none if there are none or there is no file."""
        try:
            with self._path.open("rb", buffering=0) as file:
                self._look(os.fstat(file.fileno()))
                file.seek(self.offset)
                data = file.read(limit)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        self.offset += len(data)
        return data

    def _look(self, status: os.stat_result) -> None:
        identity = (status.st_dev, status.st_ino)
        replaced = self._identity not in (None, identity)
        if replaced or status.st_size < self.offset:
            self.offset = 0
            self.restarts += 1
        self._identity = identity
        self.size = status.st_size


class Lines:
    r"""The lines that a growing text gained; ``\r``, which redraws progress bars, ends one too."""

    def __init__(self, path: Path, *, longest: int) -> None:
        self._tail = Tail(path)
        self._restarts = 0
        self._longest = longest
        self._unfinished = b""

    def blocks(self, limit: int, *, final: bool) -> Iterator[bytes]:
        r"""Yield new whole lines, joined by ``\n``: one block, or with ``final`` all there are.

        A block has at most ``limit`` bytes and what was left of the last one. A line without an
        end waits for it until ``final``. Of a line longer than ``longest`` bytes that spans two
        blocks only the beginning comes; within a block, lines have any length.
        """
        while True:
            data = self._tail.read(limit)
            at_end = len(data) < limit
            if self._restarts != self._tail.restarts:
                self._restarts = self._tail.restarts
                self._unfinished = b""
            data = self._unfinished + data.replace(b"\r", b"\n")
            whole, newline, rest = data.rpartition(b"\n")
            self._unfinished = rest[: self._longest]
            if newline:
                yield whole
            # A short block ends even the last look: a child that still writes could go on for ever.
            if at_end or not final:
                break
        if final and self._unfinished:
            unfinished, self._unfinished = self._unfinished, b""
            yield unfinished
