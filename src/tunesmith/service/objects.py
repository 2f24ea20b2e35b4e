"""Objects in buckets as files in folders, for the imitation of Cloud Storage."""

import base64
import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path

from tunesmith.errors import SpecError
from tunesmith.execution.buckets import Buckets
from tunesmith.service.crc32c import crc32c

__all__ = ["Objects", "RefusedError", "StoredObject", "Upload"]

_UPLOADS = ".uploads"  # no bucket's name begins so


class RefusedError(Exception):
    """What was asked for can't be; with the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it is now.

    Attributes:
        bucket: Its bucket.
        name: Its name in the bucket.
        path: Its file.
        size: In bytes.
        modified_ns: When it was written, in nanoseconds since the epoch.
    """

    bucket: str
    name: str
    path: Path
    size: int
    modified_ns: int

    @property
    def generation(self) -> int:
        """The number of its version: microseconds since the epoch, as Cloud Storage has it."""
        return self.modified_ns // 1000

    @property
    def content_type(self) -> str:
        """What it is, by its name."""
        return guess_type(self.name)[0] or "application/octet-stream"

    @property
    def updated(self) -> str:
        """When it was written, as RFC 3339 has it."""
        moment = datetime.fromtimestamp(self.modified_ns / 1e9, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def hashes(self) -> tuple[str, str]:
        """Return its MD5 and its CRC-32C, in base 64."""
        return _hashes(self.path, self.size, self.modified_ns)


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that comes in pieces, perhaps across restarts of the server.

    Attributes:
        identity: What it is called.
        bucket: Where the object goes.
        name: The object's name.
        generation: The version it is meant to replace, 0 for none; None for any.
        path: What has come so far.
    """

    identity: str
    bucket: str
    name: str
    generation: int | None
    path: Path


class Objects:
    """The objects of all buckets.

    Args:
        root: The folder with a folder for each bucket.
    """

    def __init__(self, root: Path) -> None:
        self._buckets = Buckets(root)
        self._uploads = root / _UPLOADS

    def bucket(self, bucket: str) -> Path:
        """Return a bucket's folder, which may be not there yet; raise `RefusedError` if its name is none."""
        return self._path(bucket, "")

    def buckets(self) -> list[str]:
        """Return the names of the buckets there are."""
        root = self._buckets.root
        names = (
            [entry.name for entry in os.scandir(root) if entry.is_dir()] if root.exists() else []
        )
        return sorted(name for name in names if not name.startswith("."))

    def get(self, bucket: str, name: str) -> StoredObject:
        """Return an object; raise `RefusedError` if there is none of that name."""
        path = self._path(bucket, name)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise RefusedError(404, f"No such object: {bucket}/{name}") from None
        if path.is_dir() != name.endswith("/"):
            raise RefusedError(404, f"No such object: {bucket}/{name}")
        size = 0 if path.is_dir() else status.st_size
        return StoredObject(bucket, name, path, size, status.st_mtime_ns)

    def names(self, bucket: str, prefix: str = "") -> list[str]:
        """Return the names of a bucket's objects that begin with ``prefix``, sorted."""
        folder = self._path(bucket, prefix.rpartition("/")[0])
        base = self.bucket(bucket)
        found = (path.relative_to(base).as_posix() for path in _files(folder, ()))
        return sorted(name for name in found if name.startswith(prefix))

    def begin(self, bucket: str, name: str, generation: int | None) -> Upload:
        """Begin an upload."""
        self._path(bucket, name)
        if not name:
            raise RefusedError(400, "Required: the object's name")
        self._uploads.mkdir(parents=True, exist_ok=True)
        identity = secrets.token_urlsafe(24)
        said = {"bucket": bucket, "name": name, "generation": generation}
        (self._uploads / f"{identity}.json").write_text(json.dumps(said))
        (self._uploads / identity).touch()
        return Upload(identity, bucket, name, generation, self._uploads / identity)

    def upload(self, identity: str) -> Upload:
        """Return an upload that was begun; raise `RefusedError` if there is none."""
        plain = identity.replace("-", "").replace("_", "").isalnum()
        try:
            said = json.loads((self._uploads / f"{identity}.json").read_text()) if plain else None
        except FileNotFoundError:
            said = None
        if said is None:
            raise RefusedError(404, f"No such upload: {identity}")
        path = self._uploads / identity
        return Upload(identity, said["bucket"], said["name"], said["generation"], path)

    def finish(self, upload: Upload) -> StoredObject:
        """Make what was uploaded the object; whole at once, for whoever reads it meanwhile."""
        try:
            self.require(upload.bucket, upload.name, upload.generation)
            path = self._path(upload.bucket, upload.name)
            if upload.name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                _move(upload.path, path)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            message = (
                f"{upload.bucket}/{upload.name} is a folder here, or is below what is no folder"
            )
            raise RefusedError(409, message) from None
        finally:
            self.drop(upload)
        return self.get(upload.bucket, upload.name)

    def drop(self, upload: Upload) -> None:
        """Forget an upload."""
        upload.path.unlink(missing_ok=True)
        upload.path.with_name(f"{upload.identity}.json").unlink(missing_ok=True)

    def delete(self, bucket: str, name: str, generation: int | None) -> None:
        """Delete an object; raise `RefusedError` if there is none."""
        found = self.get(bucket, name)
        self.require(bucket, name, generation)
        if found.path.is_dir():
            try:
                found.path.rmdir()
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
        else:
            found.path.unlink()

    def require(self, bucket: str, name: str, generation: int | None) -> None:
        """Raise `RefusedError` unless the object is of that version; 0 means that it is not there."""
        if generation is None:
            return
        try:
            now = self.get(bucket, name).generation
        except RefusedError:
            now = 0
        if now != generation:
            message = f"At least one of the pre-conditions you specified did not hold: it is {now}"
            raise RefusedError(412, message)

    def _path(self, bucket: str, name: str) -> Path:
        try:
            return self._buckets.path(f"gs://{bucket}/{name}")
        except SpecError as error:
            raise RefusedError(400, str(error)) from None


def _files(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    """Yield all files below a folder, also through links, which trials' folders are; not in circles."""
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in entries:
        if entry.is_dir():
            yield from _files(Path(entry.path), (*above, real))
        elif entry.is_file():
            yield Path(entry.path)


def _move(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        near = target.with_name(f".{target.name}.{source.name}")
        shutil.copyfile(source, near)
        near.replace(target)


@lru_cache(maxsize=4096)
def _hashes(path: Path, size: int, modified_ns: int) -> tuple[str, str]:  # noqa: ARG001 - the version
    if path.is_dir():
        return _base64(hashlib.md5(b"", usedforsecurity=False).digest()), _base64(bytes(4))
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
        file.seek(0)
        return _base64(md5), _base64(crc32c(file).to_bytes(4, "big"))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
