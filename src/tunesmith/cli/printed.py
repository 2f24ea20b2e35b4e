"""What trials printed: on this machine's disk, or at the server that keeps it for all machines."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.errors import NotFoundError
from tunesmith.execution import trial_directory
from tunesmith.model import Trial
from tunesmith.storage import Storage, files_root, is_remote

if TYPE_CHECKING:
    from tunesmith.storage.manifest import Stream

__all__ = ["STREAMS", "Reader", "from_folders", "lines_of", "reader"]

STREAMS: "tuple[Stream, ...]" = ("stdout", "stderr")

Reader = Callable[[int, "Stream", int, int], bytes]
"""Returns bytes that a trial's last attempt printed: of which trial and stream, from where, how many at most."""

_PIECE = 2**20


def reader(storage: Storage, study: str) -> Reader:
    """Return what reads the output of a study's trials; it raises `NotFoundError` where there is none."""
    if not is_remote(storage.url):
        root = files_root(storage.url)
        return from_folders(lambda number: trial_directory(root, study, number))
    from tunesmith.storage.manifest import OutputName  # noqa: PLC0415 - only with a server
    from tunesmith.storage.remote import RemoteStorage  # noqa: PLC0415 - loads an HTTP client
    from tunesmith.storage.remote_files import RemoteFiles  # noqa: PLC0415 - as above

    assert isinstance(storage, RemoteStorage)
    files = RemoteFiles(storage.client)

    def read(number: int, stream: "Stream", offset: int, limit: int) -> bytes:
        return files.read(study, OutputName(number, 0, stream), offset=offset, limit=limit)

    return read


def from_folders(directory: Callable[[int], Path]) -> Reader:
    """Return what reads files in the trials' folders."""

    def read(number: int, stream: "Stream", offset: int, limit: int) -> bytes:
        try:
            with (directory(number) / stream).open("rb") as file:
                file.seek(offset)
                return file.read(limit)
        except OSError as error:
            msg = (
                f"Trial {number} has no {stream} in {directory(number)}. It ran on another machine, or its"
                " files were deleted."
            )
            raise NotFoundError(msg) from error

    return read


def lines_of(read: Reader, trial: Trial, stream: "Stream") -> Iterator[str]:
    """Yield the lines of a trial's output; raise `NotFoundError` where there is none."""
    offset, rest = 0, b""
    while data := read(trial.number, stream, offset, _PIECE):
        offset += len(data)
        whole, newline, rest = (rest + data).rpartition(b"\n")
        yield from (whole + newline).decode(errors="replace").splitlines()
    yield from rest.decode(errors="replace").splitlines()
