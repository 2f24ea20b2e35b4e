"""Finds the storage that a URL names."""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

from tunesmith.errors import NotFoundError, StorageError
from tunesmith.plugins import load_plugin, plugin_names
from tunesmith.storage.base import Storage

__all__ = [
    "HOME",
    "default_url",
    "files_root",
    "is_remote",
    "make_files_root",
    "open_storage",
    "shown",
]

HOME = Path(".tunesmith")
"""Where a working directory keeps its studies."""
_FILE = "tunesmith.db"


def default_url() -> str:
    """Return ``TUNESMITH_STORAGE``, or the SQLite file in ``.tunesmith`` of the working directory."""
    return os.environ.get("TUNESMITH_STORAGE") or f"sqlite:///{HOME / _FILE}"


def open_storage(url: str | None = None, *, create: bool = True) -> Storage:
    """Open the storage at ``url`` (`default_url` if None), made on first use unless ``create`` is false.

    Raises:
        NotFoundError: it is not there yet, and ``create`` is false.
        StorageError: no storage speaks the URL's scheme, or it can't be opened.
    """
    url = url or default_url()
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme == url:
        msg = f"A storage is named by a URL such as sqlite:///studies.db, not {shown(url)!r}."
        raise StorageError(msg)
    try:
        factory = cast("Callable[..., Storage]", load_plugin("storages", scheme))
    except NotFoundError:
        known = ", ".join(f"{name}://" for name in plugin_names("storages"))
        msg = f"No storage speaks {scheme}:// ({shown(url)}). Installed: {known}."
        raise StorageError(msg) from None
    return factory(url, create=create)


def is_remote(url: str) -> bool:
    """Whether a URL names a server, whose studies many machines share."""
    return url.startswith(("http://", "https://"))


def make_files_root(url: str) -> Path:
    """Return `files_root`; where that lies in the working directory's home, git is told to pass it by."""
    root = files_root(url)
    try:
        root.mkdir(parents=True, exist_ok=True)
        if root.is_relative_to(home := HOME.resolve()) and not (home / ".gitignore").exists():
            (home / ".gitignore").write_text("*\n")
    except OSError as error:
        msg = f"Can't make the folder {root}: {error.strerror}."
        raise StorageError(msg) from error
    return root


def files_root(url: str) -> Path:
    """Return the folder for trials' files; no two storages have the same.

    That is the folder of ``tunesmith.db``, or ``NAME.files`` beside a SQLite file of another name.
    For what is on a server it is a folder in the working directory's home, one for each server and
    project: every machine keeps the files of the trials that it runs. Or else it is that home itself.
    """
    if is_remote(url):
        return HOME.resolve() / "servers" / _folder_name(url)
    path = url.partition(":///")[2].partition("?")[0] if url.startswith("sqlite") else ""
    if not path or path == ":memory:":
        return HOME.resolve()
    file = Path(path).resolve()
    return file.parent if file.name == _FILE else file.with_name(f"{file.name}.files")


def shown(url: str) -> str:
    """Return a URL as messages may show it: without its password."""
    if is_remote(url):  # there, what stands before the @ is a token
        return re.sub(r"(://)[^/?#]*@", r"\1***@", url)
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


def _folder_name(url: str) -> str:
    """Return a name that people know the server by, and that no other URL has."""
    place = re.sub(r"//[^/?#]*@", "//", url).partition("patience_s=")[0].rstrip("?&/")
    words = re.sub(r"[^A-Za-z0-9.]+", "-", place.partition("://")[2].replace("project=", ""))
    return f"{words[:60].strip('-.')}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"
