"""Takes apart an upload of two parts: what is said of an object, in JSON, and its content."""

import json
import mmap
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Content", "cut_out"]

_LONGEST_HEAD = 2**20
_COPY_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Content:
    """A part of a file.

    Attributes:
        path: The file.
        first: Where the part begins.
        size: Its number of bytes.
    """

    path: Path
    first: int
    size: int

    def save(self, target: Path) -> None:
        """Write the part to a file of its own."""
        with self.path.open("rb") as source, target.open("wb") as file:
            source.seek(self.first)
            left = self.size
            while left and (piece := source.read(min(left, _COPY_BYTES))):
                file.write(piece)
                left -= len(piece)


def cut_out(path: Path, content_type: str) -> tuple[Mapping[str, object], Content]:
    """Return what the first part says and where the second one is.

    Args:
        path: The whole body of the request.
        content_type: Its type, which names the boundary.

    Raises:
        ValueError: it is not such an upload.
    """
    match = re.search(r"boundary=(?:\"([^\"]+)\"|'([^']+)'|([^\s;]+))", content_type)
    if match is None or not path.stat().st_size:
        msg = "A multipart upload names its boundary and has a body"
        raise ValueError(msg)
    mark = b"--" + next(filter(None, match.groups())).encode()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        said_at = _after_head(body, _after(body, mark, 0))
        second = _find(body, mark, said_at)
        content_at = _after_head(body, second + len(mark))
        end = body.rfind(mark)
        if end <= second:
            msg = "A multipart upload ends with its boundary"
            raise ValueError(msg)
        end = _before_newline(body, end)
        said = json.loads(body[said_at:second].decode() or "{}")
    known = said if isinstance(said, dict) else {}
    return known, Content(path, content_at, end - content_at)


def _find(body: mmap.mmap, mark: bytes, start: int) -> int:
    at = body.find(mark, start, start + _LONGEST_HEAD)
    if at < 0:
        msg = "A multipart upload has two parts"
        raise ValueError(msg)
    return at


def _after(body: mmap.mmap, mark: bytes, start: int) -> int:
    return _find(body, mark, start) + len(mark)


def _after_head(body: mmap.mmap, start: int) -> int:
    """Return where a part's content begins: behind the first empty line."""
    match = re.compile(rb"\r?\n\r?\n").search(body, start, start + _LONGEST_HEAD)
    if match is None:
        msg = "A part of a multipart upload has a head"
        raise ValueError(msg)
    return match.end()


def _before_newline(body: mmap.mmap, at: int) -> int:
    if body[at - 2 : at] == b"\r\n":
        return at - 2
    return at - 1 if body[at - 1 : at] == b"\n" else at
