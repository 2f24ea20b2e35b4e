"""Files by the SHA-256 of their content, below one folder: whole or not there at all.

    blobs/ab/abcdef…    complete files
    uploads/abcdef…     what has come of files that are on their way

A file on its way in keeps what has come, across connections and restarts, so that its sender goes on
where it broke off. When all is there and its hash is right, it is synced to the disk and renamed to its
place. So a file under its hash is complete, and is never written again.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from tunesmith.errors import NotFoundError
from tunesmith.service.allowance import Allowance
from tunesmith.service.refusals import (
    BusyError,
    OffsetError,
    PathError,
    TooLargeError,
    WrongContentError,
)

__all__ = ["Blobs", "Upload", "check_digest"]

_BLOCK = 2**20
_HASHES = 1000


@dataclass(slots=True)
class Hashed:
    """The hash of the beginning of a file, so that it need not be read again when more comes."""

    hash: "hashlib._Hash"
    size: int


class Blobs:
    """The files of one project.

    Args:
        folder: Where they are; made when the first one comes.
        largest: The bytes that one may have.
        allowance: What all the project's files together may have.
    """

    def __init__(self, folder: Path, *, largest: int, allowance: Allowance) -> None:
        self._blobs = folder / "blobs"
        self._uploads = folder / "uploads"
        self._lock_file = folder / "blobs.lock"
        self._largest = largest
        self._allowance = allowance
        self._hashed: OrderedDict[str, Hashed] = OrderedDict()

    def path(self, digest: str) -> Path:
        """Return where a complete file is; raise `NotFoundError` if there is none."""
        path = self._place(digest)
        if not path.is_file():
            msg = f"There is no file with the SHA-256 {digest}. Send it first: PUT blobs/{digest}"
            raise NotFoundError(msg)
        return path

    def has(self, digest: str) -> bool:
        """Whether the complete file is there."""
        return self._place(digest).is_file()

    def received(self, digest: str) -> int:
        """Return how many bytes have come of a file that is on its way; 0 if none have."""
        try:
            return self._upload_place(digest).stat().st_size
        except FileNotFoundError:
            return 0

    def upload(self, digest: str, *, offset: int, total: int) -> "Upload":
        """Go on with a file from ``offset``.

        Raises:
            TooLargeError: it is larger than one file, or all of them, may be.
            OffsetError: another number of bytes than ``offset`` has come of it.
            BusyError: somebody else is sending it now.
        """
        if total > self._largest:
            msg = f"A file may have {self._largest} bytes on this server; this one has {total}."
            raise TooLargeError(msg)
        part = self._upload_place(digest)
        part.parent.mkdir(parents=True, exist_ok=True)
        file = _locked(part)
        try:
            have = os.fstat(file.fileno()).st_size
            if offset != have:
                msg = f"{have} bytes of this file have come; the next must begin there, not at {offset}."
                raise OffsetError(msg, have)
            self._allowance.take(total - have)
        except BaseException:
            file.close()
            raise
        place = self._place(digest)
        return Upload(file, part, place, total, allowance=self._allowance, hashed=self._hashed)

    @contextmanager
    def keeping(self, digests: Iterable[str]) -> Iterator[list[str]]:
        """Keep files from being swept while somebody notes that they are used; give the missing ones."""
        with self._lock(fcntl.LOCK_SH):
            missing = []
            for digest in digests:
                try:
                    os.utime(self._place(digest))
                except FileNotFoundError:
                    missing.append(digest)
            yield missing

    def sweep(
        self, used: Callable[[], Collection[str]], *, grace_s: float, unfinished_s: float
    ) -> int:
        """Delete files that nothing uses, and beginnings that nobody goes on with, once they are old.

        Args:
            used: Gives the hashes that are used; asked after the old files are listed.
            grace_s: How long a file may be there before anything uses it, and after.
            unfinished_s: How long a beginning waits for the rest.

        Returns:
            How many bytes that were.
        """
        limit = time.time() - grace_s
        old = [p for p in self._blobs.glob("??/*") if _changed(p) < limit]
        kept = used() if old else ()
        freed = 0
        for path in old:
            if path.name not in kept:
                with self._lock(fcntl.LOCK_EX):
                    freed += _delete_older(path, limit)
        limit = time.time() - unfinished_s
        for part in self._uploads.glob("*"):
            if _changed(part) < limit:
                with contextlib.suppress(BusyError), _locked(part):
                    freed += _delete_older(part, limit)
        self._allowance.give_back(freed)
        return freed

    def _place(self, digest: str) -> Path:
        check_digest(digest)
        return self._blobs / digest[:2] / digest

    def _upload_place(self, digest: str) -> Path:
        check_digest(digest)
        return self._uploads / digest

    @contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        self._lock_file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock_file.open("ab") as file:
            fcntl.flock(file, kind)
            yield


class Upload:
    """A file on its way in. Nobody else can send it meanwhile; closing it keeps what has come."""

    def __init__(
        self,
        file: BinaryIO,
        part: Path,
        place: Path,
        total: int,
        *,
        allowance: Allowance,
        hashed: "OrderedDict[str, Hashed]",
    ) -> None:
        self._file = file
        self._part = part
        self._place = place
        self._digest = place.name
        self._total = total
        self._allowance = allowance
        self._hashed = hashed
        self._size = file.seek(0, os.SEEK_END)
        known = hashed.pop(place.name, None)
        if known is not None and known.size == self._size:
            self._hash = known.hash
        else:  # after a restart
            file.seek(0)
            self._hash = hashlib.sha256()
            while block := file.read(_BLOCK):
                self._hash.update(block)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def size(self) -> int:
        """How many bytes have come."""
        return self._size

    def write(self, data: bytes) -> None:
        """Add bytes; raise `TooLargeError` for more than were announced."""
        if self._size + len(data) > self._total:
            msg = f"More than the {self._total} bytes came that the file was said to have."
            raise TooLargeError(msg)
        self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def finish(self) -> bool:
        """Put the file in its place if all of it has come; return whether it has.

        Raises:
            WrongContentError: its content has another hash; what has come is thrown away.
        """
        if self._size < self._total:
            return False
        if (found := self._hash.hexdigest()) != self._digest:
            self._part.unlink()
            self._allowance.give_back(self._size)
            self._total = self._size = 0
            msg = f"The SHA-256 of what came is {found}, not {self._digest}. Send the file again from its beginning."
            raise WrongContentError(msg)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._place.parent.mkdir(parents=True, exist_ok=True)
        self._part.replace(self._place)
        os.utime(self._place)
        _sync_folder(self._place.parent)
        return True

    def close(self) -> None:
        """Let others go on with it."""
        if 0 < self._size < self._total:
            self._hashed[self._digest] = Hashed(self._hash, self._size)
            while len(self._hashed) > _HASHES:
                self._hashed.popitem(last=False)
        self._allowance.give_back(self._total - self._size)
        self._total = self._size
        self._file.close()


def check_digest(digest: str) -> None:
    """Raise `PathError` unless ``digest`` is a SHA-256 as 64 small hexadecimal digits."""
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        msg = f"A file is named by its SHA-256, 64 digits of 0-9 and a-f; given: {digest[:80]!r}."
        raise PathError(msg)


def _locked(part: Path) -> BinaryIO:
    """Open a beginning for one process alone; raise `BusyError` if another has it."""
    while True:
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            msg = "Another client is sending this file now. Try again in a few seconds."
            raise BusyError(msg) from error
        # It may have been completed and renamed between opening and locking.
        if part.exists() and part.stat().st_ino == os.fstat(file.fileno()).st_ino:
            return file
        file.close()


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _delete_older(path: Path, limit: float) -> int:
    try:
        status = path.stat()
        if status.st_mtime >= limit:
            return 0
        path.unlink()
    except FileNotFoundError:
        return 0
    return status.st_size


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
