"""Buckets of Cloud Storage as folders of this machine, one below another root.

What a trial writes there lies in its own directory, as its checkpoints: so it is there when the trial is
started again, wherever that is, and metrics are looked for in it. The place that the job names,
``gs://BUCKET/BASE/3``, is a link to it.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tunesmith.errors import Problem, SpecError, StorageError

__all__ = ["Buckets", "lay_link"]

_BUCKET = re.compile(r"(?:gs://|/gcs/)([^/]*)(/.*)?", re.DOTALL)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Buckets:
    """Where buckets are.

    Attributes:
        root: The folder with a folder for each bucket.
        url: Where a program with a client of Cloud Storage finds them; with it a program is told
            ``gs://`` addresses, without it paths.
    """

    root: Path
    url: str = ""

    def path(self, address: str) -> Path:
        """Return the path of ``gs://BUCKET/NAME``, ``/gcs/BUCKET/NAME``, ``file:///PATH`` or a path.

        Raises:
            SpecError: the address names no bucket, or leads out of it.
        """
        if (match := _BUCKET.fullmatch(address)) is not None:
            return self._in_bucket(address, match[1], match[2] or "")
        if address.startswith("file:"):
            return Path(unquote(urlsplit(address).path))
        if (scheme := re.match(r"[a-z][a-z0-9+.-]+://", address)) is not None:
            _refuse(f"{address} can't be reached: {scheme[0]} is neither gs:// nor a path.")
        return Path(address).expanduser().absolute()

    def told(self, address: str) -> str:
        """Return an address as a program is told it: a path, or ``gs://`` where it has a client for it."""
        if self.url and _BUCKET.fullmatch(address):
            return re.sub("^/gcs/", "gs://", address)
        path = str(self.path(address))
        return path + "/" if address.endswith("/") and path != "/" else path

    def replaced(self, word: str) -> str:
        """Return a word of a command, with the path in place of a ``gs://`` address that is there."""

        def local(match: re.Match[str]) -> str:
            try:
                path = self.path(match[0])
            except SpecError:
                return match[0]
            return self.told(match[0]) if path.exists() else match[0]

        return word if self.url else re.sub(r"gs://[^\s,;'\"]+", local, word)

    def _in_bucket(self, address: str, bucket: str, name: str) -> Path:
        if not _NAME.fullmatch(bucket):
            # Such as gs://{YOUR_BUCKET}, which a guide wanted to be replaced.
            _refuse(
                f"{address} names no bucket: {bucket!r} would have 3 to 222 small letters, digits,"
                " dashes, underscores and dots, and begin and end with a letter or a digit."
            )
        parts = [part for part in name.split("/") if part]
        if any(part in (".", "..") for part in parts) or "\0" in name:
            _refuse(f"{address} leads out of its bucket.")
        return self.root.joinpath(bucket, *parts)


def lay_link(place: Path, target: Path) -> None:
    """Make ``place`` a link to ``target``, in place of another such link.

    Raises:
        StorageError: something else is there, or can't be written.
    """
    if place.exists() and not place.is_symlink():
        msg = (
            f"{place} is there already, and no trial wrote it. Name another output folder for the job,"
            " or move this one away."
        )
        raise StorageError(msg)
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target, target_is_directory=True)
        fresh.replace(place)
    except OSError as error:
        msg = f"Can't write to the folder {place.parent}: {error.strerror}."
        raise StorageError(msg) from error


def _refuse(message: str) -> None:
    raise SpecError([Problem("E122", message)])
