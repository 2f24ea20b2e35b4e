"""Unpacks code that a client has sent: plain files into a folder of their own, and nothing else."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from tunesmith.service.paths import check_path
from tunesmith.service.refusals import PathError, TooLargeError, WrongContentError

__all__ = ["unpack"]

_PIECE = 2**20
_MOST_FILES = 20_000
_HEADERS = 64 * 2**20  # beside the files themselves


def unpack(archive: Path, folder: Path, *, most_bytes: int) -> None:
    """Unpack a tar file, compressed by gzip, into a folder that is not there yet: whole or not at all.

    Args:
        archive: The file.
        folder: Where its files go.
        most_bytes: How many bytes they may have together.

    Raises:
        PathError: a name would lead out of the folder.
        TooLargeError: there are too many files or bytes.
        WrongContentError: it is no such file, or has links or devices in it.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with (
            gzip.open(archive, "rb") as data,
            tarfile.open(fileobj=cast("BinaryIO", _Bounded(data, most_bytes)), mode="r:") as tar,
        ):
            for count, member in enumerate(tar, start=1):
                if count > _MOST_FILES:
                    msg = f"The code may have {_MOST_FILES} files; these are more."
                    raise TooLargeError(msg)
                _unpack_one(tar, member, part)
    except (tarfile.TarError, EOFError, OSError, zlib.error, FileExistsError) as error:
        shutil.rmtree(part, ignore_errors=True)
        msg = f"The code can't be unpacked: {error}"
        raise WrongContentError(msg) from error
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    part.rename(folder)


class _Bounded:
    """A file that gives so many bytes at most, and never many at once: headers may lie about their size."""

    def __init__(self, file: gzip.GzipFile, most_bytes: int) -> None:
        self._file = file
        self._most = most_bytes + _HEADERS

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _PIECE:
            msg = "A header in the packed code is too long."
            raise TooLargeError(msg)
        data = self._file.read(size)
        self._check(self._file.tell())
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        self._check(place)
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def _check(self, place: int) -> None:
        if place > self._most:
            msg = (
                f"The code may have {self._most - _HEADERS} bytes when it is unpacked; it has more."
            )
            raise TooLargeError(msg)


def _unpack_one(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    try:
        name = check_path(member.name.removesuffix("/"))
    except (PathError, UnicodeEncodeError) as error:
        raise PathError(str(error)) from None
    if member.isdir():
        (folder / name).mkdir(parents=True, exist_ok=True)
        return
    if not member.isreg():
        msg = f"The code has plain files only; {name!r} is a link or a device."
        raise WrongContentError(msg)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None
    with source, path.open("xb") as file:
        while piece := source.read(_PIECE):
            file.write(piece)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)
