"""What a server keeps of a trial: its files, names and the content that each stands for, and its outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tunesmith.errors import TunesmithError

__all__ = ["FileRefusedError", "Manifest", "OutputName", "StoredFile", "Stream"]

Stream = Literal["stdout", "stderr"]


class FileRefusedError(TunesmithError):
    """The server does not take a file, and would not take it another time: it is too large, say."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The content of a file.

    Attributes:
        sha256: Its SHA-256, as 64 small hexadecimal digits.
        size: Its bytes.
    """

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """All files of a trial, as they were together at one moment.

    Attributes:
        attempt: The attempt of the trial that wrote them; 0 where there are none.
        files: What each name stands for; names are relative to the trial's folder, with ``/``.
    """

    attempt: int = 0
    files: Mapping[str, StoredFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutputName:
    """Which output of a study's trials.

    Attributes:
        number: The trial.
        attempt: Its attempt.
        stream: Which of the two that a program has.
    """

    number: int
    attempt: int
    stream: Stream
