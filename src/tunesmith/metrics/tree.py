"""Finds files by their names in a tree of folders, again and again, at little cost."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Tree"]

_SETTLED_NS = 2 * 10**9  # coarser than the time stamps of any file system in use
_NEVER = -1


@dataclass(frozen=True, slots=True)
class _Folder:
    modified_ns: int
    folders: tuple[Path, ...]
    files: tuple[Path, ...]


class Tree:
    """All files below ``root`` whose names contain ``word``.

    A folder is listed anew only when its time of modification has changed, so a tree of thousands
    of checkpoints costs one call of the system for each folder. Links to folders are not followed:
    they may lead in circles, or out to a whole data set.
    """

    def __init__(self, root: Path, word: str) -> None:
        self._root = root
        self._word = word
        self._known: dict[Path, _Folder] = {}

    def files(self) -> list[Path]:
        """Return the files there are now, sorted."""
        files: list[Path] = []
        known: dict[Path, _Folder] = {}
        waiting = [self._root]
        while waiting:
            path = waiting.pop()
            try:
                folder = self._folder(path)
            except OSError:  # deleted meanwhile, or not ours to read
                continue
            known[path] = folder
            files += folder.files
            waiting += folder.folders
        self._known = known
        return sorted(files)

    def _folder(self, path: Path) -> _Folder:
        modified_ns = path.stat().st_mtime_ns
        known = self._known.get(path)
        if known is not None and known.modified_ns == modified_ns:
            return known

        # A file that appears right after the listing may not change the time stamp once more.
        settled = time.time_ns() - modified_ns > _SETTLED_NS
        folders: list[Path] = []
        files: list[Path] = []
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path / entry.name)
                elif self._word in entry.name and entry.is_file():
                    files.append(path / entry.name)
        return _Folder(modified_ns if settled else _NEVER, tuple(folders), tuple(files))
