"""Finds the storage that a URL names."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from tunesmith.errors import NotFoundError, StorageError
from tunesmith.plugins import load_plugin, plugin_names
from tunesmith.storage.base import Storage

__all__ = ["HOME", "default_url", "files_root", "open_storage"]

HOME = Path(".tunesmith")
"""Where a working directory keeps its studies."""


def default_url() -> str:
    """Return ``TUNESMITH_STORAGE``, or the SQLite file in ``.tunesmith`` of the working directory."""
    return os.environ.get("TUNESMITH_STORAGE") or f"sqlite:///{HOME / 'tunesmith.db'}"


def open_storage(url: str | None = None, *, create: bool = True) -> Storage:
    """Open the storage at ``url`` (`default_url` if None), made on first use unless ``create`` is false.

    Raises:
        NotFoundError: it is not there yet, and ``create`` is false.
        StorageError: no storage speaks the URL's scheme, or it can't be opened.
    """
    url = url or default_url()
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme == url:
        msg = f"A storage is named by a URL such as sqlite:///studies.db, not {url!r}."
        raise StorageError(msg)
    try:
        factory = cast("Callable[..., Storage]", load_plugin("storages", scheme))
    except NotFoundError:
        known = ", ".join(f"{name}://" for name in plugin_names("storages"))
        msg = f"No storage speaks {scheme}:// ({url}). Installed: {known}."
        raise StorageError(msg) from None
    return factory(url, create=create)


def files_root(url: str) -> Path:
    """Return the folder for trials' files: beside a SQLite file, else in the working directory's home."""
    path = url.partition(":///")[2] if url.startswith("sqlite") else ""
    return Path(path).resolve().parent if path and path != ":memory:" else HOME.resolve()
