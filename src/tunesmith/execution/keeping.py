"""Keeps a trial's checkpoints and artifacts on a server, and fetches them from there.

What is sent is a list of names and hashes, then the contents that the server does not have: so a
file that has not changed is not sent again, and the server has either all the files as they were at
one moment, or those of a moment before.

A mark beside the trial's folder, ``.NUMBER``, says which attempt of it was here last, and whether it ran
here or was fetched. Whoever starts a trial, or a child of it, compares that with the server's list, and
fetches what is newer.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tunesmith.errors import TunesmithError
from tunesmith.execution.workdir import CHECKPOINTS
from tunesmith.model import Trial
from tunesmith.storage.manifest import Manifest, OutputName, StoredFile

__all__ = ["ARTIFACTS", "FileStore", "Keeper"]

ARTIFACTS = "artifacts"
"""A folder that a program may make in its trial's folder, for what should outlast the machine."""

_FETCHED = "checkpoints.fetched"
_BEFORE = "checkpoints.before"
_ROUNDS = 3  # how often what a server lacks is sent, before somebody else must be at fault
_FORGETS_S = 600.0  # how long a server keeps contents that no list names

Listing = tuple[tuple[str, int, int], ...]


class FileStore(Protocol):
    """Where trials' files and outputs are kept for other machines.

    All raise `StorageError` while it can't be reached, and another `TunesmithError` when it refuses.
    """

    def manifest(self, study: str, number: int) -> Manifest:
        """Return the files that it has of a trial."""
        ...

    def keep(self, study: str, number: int, manifest: Manifest) -> list[str]:
        """Replace a trial's list of files; return the hashes that have to be sent first, if any."""
        ...

    def send(self, path: Path, file: StoredFile) -> None:
        """Send a content, from where it broke off before."""
        ...

    def fetch(self, file: StoredFile, path: Path) -> None:
        """Write a content to ``path``, from where that broke off before; nothing if it is there."""
        ...

    def append(self, study: str, output: OutputName, offset: int, data: bytes) -> int:
        """Add what a trial printed from ``offset`` on; return where the next bytes must begin."""
        ...


@dataclass(frozen=True, slots=True)
class _Mark:
    """Which attempt of a trial was here last.

    Attributes:
        attempt: The attempt; 0 for none.
        fetched: A hash of the list by which it was fetched; ``""`` if it ran here.
    """

    attempt: int = 0
    fetched: str = ""


class Keeper:
    """Sends and fetches the files of one study's trials; from several threads, one for each trial.

    Args:
        store: Where the files are kept.
        study: The study's name.
        created: When the study was made.
    """

    def __init__(self, store: FileStore, *, study: str, created: float) -> None:
        self._store = store
        self._study = study
        self._created = f"{created:.6f}"
        self._sent: dict[int, Listing] = {}
        self._hashes: dict[int, dict[tuple[str, int, int], StoredFile]] = {}

    def was_here(self, directory: Path) -> int:
        """Return which attempt of a trial ran on this machine last, or was fetched; 0 for none."""
        return self._mark(directory).attempt

    def note(self, directory: Path, attempt: int, *, fetched: str = "") -> None:
        """Note that an attempt's files are here now."""
        mark = _mark_file(directory)
        mark.parent.mkdir(parents=True, exist_ok=True)
        part = mark.with_name(f"{mark.name}.{os.getpid()}")
        part.write_text(f"{self._created}:{attempt}:{fetched}")
        part.replace(mark)

    def changed(self, number: int, directory: Path) -> bool:
        """Whether there are files that have not been sent as they are."""
        listing = tuple(_listing(directory))
        return listing != self._sent.get(number, ())

    def send(self, trial: Trial, directory: Path) -> bool:
        """Send a trial's files; return whether they stood still meanwhile, so that all are there."""
        listing = tuple(_listing(directory))
        known = self._hashes.get(trial.number, {})
        try:
            hashed = {key: known.get(key) or _stored(directory / key[0]) for key in listing}
        except FileNotFoundError:
            return False
        if tuple(_listing(directory)) != listing:
            return False
        self._hashes[trial.number] = hashed
        files = {name: file for (name, _, _), file in hashed.items()}
        manifest = Manifest(trial.attempt, files)
        names = {file.sha256: name for name, file in files.items()}
        for _ in range(_ROUNDS + len(names)):
            missing = self._store.keep(self._study, trial.number, manifest)
            if not missing:
                self._sent[trial.number] = listing
                return True
            deadline = time.monotonic() + _FORGETS_S / 5
            for digest in missing:
                if (
                    time.monotonic() > deadline
                ):  # the server must hear that the others are wanted still
                    break
                try:
                    self._store.send(directory / names[digest], files[names[digest]])
                except FileNotFoundError:
                    return False
                except TunesmithError:
                    if (
                        tuple(_listing(directory)) != listing
                    ):  # it was refused because it has changed
                        return False
                    raise
        return False

    def forget(self, number: int) -> None:
        """Forget what was sent of a trial that has left."""
        self._sent.pop(number, None)
        self._hashes.pop(number, None)

    def fetch(self, number: int, directory: Path) -> bool:
        """Bring a trial's checkpoints here, if the server has newer ones; return whether there are any here."""
        manifest = self._store.manifest(self._study, number)
        wanted = {
            name: file
            for name, file in manifest.files.items()
            if name.startswith(f"{CHECKPOINTS}/")
        }
        mark, digest = self._mark(directory), _digest(wanted)
        ran_here = mark.attempt > 0 and not mark.fetched
        if not wanted or mark.fetched == digest or (ran_here and mark.attempt >= manifest.attempt):
            return ran_here or mark.fetched == digest
        part = directory / _FETCHED
        _remove_others(part, {name.removeprefix(f"{CHECKPOINTS}/") for name in wanted})
        for name, file in wanted.items():
            path = part / name.removeprefix(f"{CHECKPOINTS}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._store.fetch(file, path)
        _put_in_place(part, directory)
        self.note(directory, manifest.attempt, fetched=digest)
        return True

    def _mark(self, directory: Path) -> _Mark:
        try:
            study, attempt, fetched = _mark_file(directory).read_text().split(":")
        except (FileNotFoundError, ValueError):
            return _Mark()
        # Another study of the same name, since deleted, has other trials.
        return _Mark(int(attempt), fetched) if study == self._created else _Mark()


def _mark_file(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}")


def _stored(path: Path) -> StoredFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return StoredFile(digest, file.tell())


def _digest(files: Mapping[str, StoredFile]) -> str:
    text = "\n".join(f"{file.sha256} {name}" for name, file in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _listing(directory: Path) -> Iterator[tuple[str, int, int]]:
    """Yield the name, size and time of change of every file that is to be kept.

    A link to a file counts as that file, if it is the trial's own; one to a folder is left out.
    """
    own = directory.resolve()
    for top in (CHECKPOINTS, ARTIFACTS):
        for place, folders, names in os.walk(directory / top):
            folders.sort()
            for name in sorted(names):
                path = Path(place, name)
                if path.is_symlink() and not path.resolve().is_relative_to(own):
                    continue
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                if path.is_file():
                    yield path.relative_to(directory).as_posix(), status.st_size, status.st_mtime_ns


def _remove_others(folder: Path, names: set[str]) -> None:
    """Delete what an earlier fetch left that is not wanted now."""
    for place, _, found in os.walk(folder):
        for name in found:
            path = Path(place, name)
            if path.relative_to(folder).as_posix() not in names:
                path.unlink()


def _put_in_place(part: Path, directory: Path) -> None:
    """Exchange the checkpoints for those that were fetched."""
    shutil.rmtree(directory / _BEFORE, ignore_errors=True)
    if (directory / CHECKPOINTS).exists():
        (directory / CHECKPOINTS).rename(directory / _BEFORE)
    part.rename(directory / CHECKPOINTS)
    shutil.rmtree(directory / _BEFORE, ignore_errors=True)
