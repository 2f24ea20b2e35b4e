"""What runs on this machine in place of an image: a table from images to folders and commands."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tunesmith.errors import Problem, SpecError, StorageError
from tunesmith.execution.dockerfile import Copied, Recipe

__all__ = [
    "ImageEntry",
    "check_copies",
    "image_entry",
    "lay_out",
    "look_up",
    "replaced_paths",
    "replaced_variables",
]

_MOST_ENTRIES = 200

# A path that is a word or part of one, such as in --config=/app/a.yaml or PYTHONPATH=/app:/lib. A slash
# alone is one in a list of paths, and elsewhere just a sign in a text.
_PATH = re.compile(r"(?:(?<=[:=,;\s'\"])|^)/[^:=,;\s'\"]+|(?:(?<=[:=])|^)/(?=:|$)")


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """What runs here in place of certain images.

    Attributes:
        pattern: The image's address, or one with wildcards; without a tag it means all tags.
        folder: The folder with its Dockerfile; with a command, where that runs. None for none.
        command: The words that run whatever the image or the job would; empty for those.
        install: Whether what the Dockerfile installs by pip is installed, into an environment of its own.
    """

    pattern: str
    folder: Path | None = None
    command: tuple[str, ...] = ()
    install: bool = False

    def matches(self, image: str) -> bool:
        """Whether it means this image."""
        bare = re.sub(r"@.*|:[^/:]*$", "", image)
        tagged = re.search(r"@|:[^/]*$", self.pattern) is not None
        names = [image] if tagged else [image, bare]
        return any(name == self.pattern or fnmatchcase(name, self.pattern) for name in names)


def image_entry(pattern: str, meant: str, *, install: bool = False) -> ImageEntry:
    """Return the entry for a text of a command line: a folder, or else a command.

    Raises:
        SpecError: it is neither.
    """
    folder = Path(meant).expanduser()
    if folder.is_dir():
        return ImageEntry(pattern, folder.absolute(), install=install)
    words = tuple(shlex.split(meant)) if meant.count('"') % 2 == meant.count("'") % 2 == 0 else ()
    if not words or (len(words) == 1 and "/" in meant and not folder.is_file()):
        message = f"{meant!r} for the image {pattern} is no folder, and no command either."
        raise SpecError([Problem("E121", message)])
    return ImageEntry(pattern, None, words, install=install)


def look_up(image: str, table: Sequence[ImageEntry]) -> ImageEntry | None:
    """Return the first entry that means the image; None if there is none."""
    return next((entry for entry in table if entry.matches(image)), None)


def lay_out(recipe: Recipe, root: Path) -> Path:
    """Make ``root`` look like the image's root, as far as files were copied there.

    Folders are made and files are links, so that this takes no time and what a program writes beside
    its code stays with the trial. Folders with very many files are links too.

    Returns:
        The folder in which the program runs.

    Raises:
        StorageError: it can't be written.
    """
    try:
        for copied in recipe.copies:
            _copy(recipe.folder, copied, root)
        directory = _below(root, recipe.directory)
        _make_folder(directory, root)
    except OSError as error:
        msg = f"Can't write to the trial's folder {root}: {error.strerror}."
        raise StorageError(msg) from error
    return directory


def check_copies(recipe: Recipe) -> None:
    """Raise `SpecError` if something that is to be copied is not there."""
    for copied in recipe.copies:
        for source in copied.sources:
            if not _found(recipe.folder, source):
                message = (
                    f"{recipe.folder / 'Dockerfile'} copies {source}, but there is no such file."
                )
                raise SpecError([Problem("E121", message)])


def replaced_paths(text: str, root: Path) -> str:
    """Return a word with those paths in it put below ``root`` that are there."""

    def place(match: re.Match[str]) -> str:
        path = root / match[0].lstrip("/")
        return str(path) if path.exists() else match[0]

    return _PATH.sub(place, text)


def replaced_variables(variables: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return variables with those paths in them put below ``root`` that are there."""
    return {name: replaced_paths(text, root) for name, text in variables.items()}


def _copy(folder: Path, copied: Copied, root: Path) -> None:
    target = _below(root, copied.target)
    found = [path for source in copied.sources for path in _found(folder, source)]
    for path in found:
        if path.is_dir():  # its content is copied, not the folder itself
            _link_content(path, target, root)
        elif copied.into or len(found) > 1 or target.is_dir():
            _link(path, target / path.name, root)
        else:
            _link(path, target, root)


def _link_content(source: Path, target: Path, root: Path) -> None:
    _make_folder(target, root)
    for entry in os.scandir(source):
        # What earlier runs wrote there is no output of this trial's.
        if entry.name != "__pycache__" and "tfevents" not in entry.name:
            _link(Path(entry.path), target / entry.name, root)


def _link(source: Path, target: Path, root: Path) -> None:
    """Link a file; make a folder anew."""
    if source.is_dir() and (target.is_dir() or not _is_apart(source)):
        _link_content(source, target, root)
        return
    _make_folder(target.parent, root)
    target.unlink(missing_ok=True)
    target.symlink_to(source.resolve())


def _is_apart(folder: Path) -> bool:
    """Whether a folder is no part of the program, such as a data set or an environment."""
    return folder.name.startswith(".") or sum(1 for _ in os.scandir(folder)) > _MOST_ENTRIES


def _make_folder(folder: Path, root: Path) -> None:
    """Make a folder and those above it, also where one of them was a link so far."""
    if folder != root:
        _make_folder(folder.parent, root)
    if folder.is_symlink():
        source = folder.resolve()
        folder.unlink()
        _link_content(source, folder, root)
    folder.mkdir(parents=folder == root, exist_ok=True)


def _found(folder: Path, source: str) -> list[Path]:
    name = os.path.normpath(source.lstrip("/") or ".")
    if name.startswith(".."):
        return []
    if any(c in name for c in "*?["):
        return sorted(folder.glob(name))
    path = folder / name
    return [path] if path.exists() else []


def _below(root: Path, path: object) -> Path:
    return root / os.path.normpath(str(path)).lstrip("/")
