"""What trials printed, as files below one folder: ``STUDY@CREATED/NUMBER/ATTEMPT.STREAM``.

A tuner sends what its trials print piece by piece, each with the place where it begins. The same piece
may come twice, and a piece that would leave a gap is refused with the place that is wanted; so the
file here is always the beginning of the file there. The time at which the study was made is part of the
name: a new study does not find the output of a deleted one of the same name.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tunesmith.errors import ConflictError, NotFoundError
from tunesmith.model import StudyRecord
from tunesmith.service.allowance import Allowance, bytes_below
from tunesmith.service.refusals import OffsetError, TooLargeError
from tunesmith.storage.manifest import OutputName

__all__ = ["Output", "Outputs", "read_output"]

_TAIL_BYTES = 64 * 1024
_NEWLINE = b"\n"


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what an attempt printed.

    Attributes:
        data: The bytes.
        offset: Where they begin in the whole.
        size: How many bytes the whole has so far.
    """

    data: bytes
    offset: int
    size: int


class Outputs:
    """What a project's trials printed.

    Args:
        folder: Where it is; made when the first piece comes.
        largest: The bytes that are kept of one stream of one attempt.
        allowance: What all the project's files together may have.
    """

    def __init__(self, folder: Path, *, largest: int, allowance: Allowance) -> None:
        self._folder = folder
        self._largest = largest
        self._allowance = allowance

    def append(self, study: StudyRecord, output: OutputName, offset: int, data: bytes) -> int:
        """Add bytes that begin at ``offset``; return how many there are now.

        Raises:
            OffsetError: bytes before ``offset`` are missing.
            ConflictError: other bytes are there already.
            TooLargeError: the stream, or the project, has too many bytes.
        """
        path = self._path(study, output)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = os.fstat(file.fileno()).st_size
            if offset > size:
                msg = f"{size} bytes are here, so the next must begin there, not at {offset}."
                raise OffsetError(msg, size)
            file.seek(offset)
            known = file.read(len(data))
            if known != data[: len(known)]:
                msg = f"Other bytes are here already from {offset} on. Send what follows on {size}."
                raise ConflictError(msg)
            new = data[len(known) :]
            if size + len(new) > self._largest:
                msg = f"Of one output of a trial {self._largest} bytes are kept on this server."
                raise TooLargeError(msg)
            self._allowance.take(len(new))
            file.write(new)
            return size + len(new)

    def read(
        self,
        study: StudyRecord,
        output: OutputName,
        *,
        offset: int,
        limit: int,
        tail: int | None,
    ) -> Output:
        """Return a piece; see `read_output`. Raise `NotFoundError` if nothing has come."""
        return read_output(self._path(study, output), offset=offset, limit=limit, tail=tail)

    def forget(self, created: Callable[[str], float | None]) -> int:
        """Delete what belongs to studies that are no more; return how many bytes.

        Args:
            created: Gives the time at which the study of a name was made; None if there is none.
        """
        freed = 0
        for folder in self._folder.glob("*@*"):
            study, _, made = folder.name.rpartition("@")
            now = created(study)
            if now is None or made != _stamp(now):
                freed += bytes_below(folder)
                shutil.rmtree(folder, ignore_errors=True)
        self._allowance.give_back(freed)
        return freed

    def _path(self, study: StudyRecord, output: OutputName) -> Path:
        name = f"{output.attempt}.{output.stream}"
        return self._folder / _study_folder(study) / str(output.number) / name


def read_output(path: Path, *, offset: int, limit: int, tail: int | None) -> Output:
    """Return a piece of an output file.

    Args:
        path: The file.
        offset: Where to begin.
        limit: How many bytes at most.
        tail: The last so many lines, as far as ``limit`` allows, whatever ``offset`` is.

    Raises:
        NotFoundError: there is no such file.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            begin = min(offset, size) if tail is None else _line_from_end(file, size, tail, limit)
            file.seek(begin)
            return Output(file.read(limit), begin, size)
    except FileNotFoundError:
        msg = "Nothing that this attempt printed is here."
        raise NotFoundError(msg) from None


def _line_from_end(file: BinaryIO, size: int, lines: int, limit: int) -> int:
    """Return where the last ``lines`` lines begin, at most ``limit`` bytes from the end."""
    first = max(0, size - limit)
    place, seen = size, 0
    while place > first:
        begin = max(first, place - _TAIL_BYTES)
        file.seek(begin)
        block = file.read(place - begin)
        end = len(block)
        if place == size and block.endswith(_NEWLINE):
            end -= 1
        while (end := block.rfind(_NEWLINE, 0, end)) >= 0:
            seen += 1
            if seen == lines:
                return begin + end + 1
        place = begin
    return first


def _study_folder(study: StudyRecord) -> str:
    return f"{study.name}@{_stamp(study.created)}"


def _stamp(created: float) -> str:
    return f"{created:.6f}"
