"""The code beside a study's file, packed to be sent: the same files always make the same bytes."""

import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

import click

from tunesmith.storage.manifest import StoredFile

__all__ = ["Parcel", "gather", "pack"]

_MIB = 2**20
_MOST_FILES = 20_000
_LEFT_OUT = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to be sent.

    Attributes:
        files: The name of each file within, and where it is.
        left_out: Names of links that lead out of the folder, which are not sent.
    """

    files: Sequence[tuple[str, Path]]
    left_out: Sequence[str] = ()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(path.stat().st_size for _, path in self.files)


def gather(folder: Path, more: Iterable[Path], *, largest_mib: float) -> Parcel:
    """Return what belongs to the code in a folder: what git lists there, else all but hidden files.

    Args:
        folder: The folder with the study's file.
        more: Files and folders to be sent too, wherever git or this would leave them out. What lies
            elsewhere comes to stand in the folder, by its own name.
        largest_mib: How large all may be together.

    Raises:
        click.UsageError: something is missing, or it is too much.
    """
    named = {path.relative_to(folder).as_posix(): path for path in _own(folder)}
    for path in more:
        if not path.exists():
            msg = f"--with: {path} does not exist."
            raise click.UsageError(msg)
        whole = Path(os.path.normpath(path.absolute()))  # links stay links
        base = folder if whole.is_relative_to(folder) else whole.parent
        found = _walk(whole, hidden=True) if whole.is_dir() else [whole]
        named |= {file.relative_to(base).as_posix(): file for file in found}
    inside: list[tuple[str, Path]] = []
    outside: list[tuple[str, Path]] = []
    for name, path in sorted(named.items()):
        leads_out = path.is_symlink() and not path.resolve().is_relative_to(folder)
        (outside if leads_out else inside).append((name, path))
    parcel = Parcel([pair for pair in inside if pair[1].is_file()], [name for name, _ in outside])
    _refuse_too_much(parcel, largest_mib)
    return parcel


def pack(parcel: Parcel, file: BufferedRandom) -> StoredFile:
    """Write the files as a tar file, compressed by gzip; return its hash and size."""
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as data,
        tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path in parcel.files:
            with path.open("rb") as source:
                entry = tarfile.TarInfo(name)
                status = os.fstat(source.fileno())
                entry.size = status.st_size
                entry.mode = 0o755 if status.st_mode & 0o100 else 0o644
                tar.addfile(entry, source)
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    return StoredFile(digest, file.tell())


def _own(folder: Path) -> Iterator[Path]:
    listed = _by_git(folder)
    if listed is None:
        yield from _walk(folder, hidden=False)
        return
    for name in listed:
        path = folder / name
        if not name.startswith(".tunesmith/") and os.path.lexists(path):
            yield path


def _by_git(folder: Path) -> Sequence[str] | None:
    """Return what git has or would take below the folder; None where there is no git."""
    git = shutil.which("git")
    if git is None:
        return None
    words = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=folder, capture_output=True, check=False)
    if listed.returncode != 0:
        return None
    return [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]


def _walk(folder: Path, *, hidden: bool) -> Iterator[Path]:
    """Yield the files below a folder, but for compiled code, environments and, mostly, hidden ones."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _LEFT_OUT
            and (hidden or not name.startswith("."))
            and not Path(place, name, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if hidden or not name.startswith("."):
                yield Path(place, name)


def _refuse_too_much(parcel: Parcel, largest_mib: float) -> None:
    size = parcel.size
    if size <= largest_mib * _MIB and len(parcel.files) <= _MOST_FILES:
        return
    largest = sorted(parcel.files, key=lambda pair: pair[1].stat().st_size, reverse=True)[:3]
    named = ", ".join(f"{name} ({path.stat().st_size / _MIB:.1f} MiB)" for name, path in largest)
    msg = (
        f"That would send {len(parcel.files)} files of {size / _MIB:.1f} MiB; up to {_MOST_FILES} files of"
        f" {largest_mib:g} MiB go. The largest: {named}. Keep data where the server can read it, have"
        " .gitignore leave it out, or raise --largest. --dry-run lists all."
    )
    raise click.UsageError(msg)
