"""Tokens that ``tunesmith login`` keeps for the user, one for each server, in a file only the user can read."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import StorageError
from tunesmith.storage.address import Address

__all__ = ["Found", "find_token", "forget_token", "keep_token", "tokens_path"]

_VARIABLE = "TUNESMITH_TOKEN"


@dataclass(frozen=True, slots=True, repr=False)
class Found:
    """A token, and where it was found, for messages; nothing else shows it.

    Attributes:
        token: The token; ``""`` if there is none.
        source: Where it was found, such as ``"TUNESMITH_TOKEN"``; ``""`` without one.
    """

    token: str = ""
    source: str = ""


def find_token(address: Address) -> Found:
    """Return the token for a server: of the environment, else the one kept for it, else its URL's."""
    if token := os.environ.get(_VARIABLE, "").strip():
        return Found(token, _VARIABLE)
    if token := _read().get(address.base, ""):
        return Found(token, str(tokens_path()))
    return Found(address.token, "the URL") if address.token else Found()


def keep_token(address: Address, token: str) -> Path:
    """Keep a token for a server; return the file."""
    return _write({**_read(), address.base: token})


def forget_token(address: Address) -> bool:
    """Forget the token kept for a server; return whether there was one."""
    kept = dict(_read())
    if kept.pop(address.base, None) is None:
        return False
    _write(kept)
    return True


def tokens_path() -> Path:
    """Return the file of the kept tokens; raise `StorageError` for who has no home directory."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    try:
        return Path(home).expanduser() / "tunesmith" / "tokens.json"
    except RuntimeError as error:
        msg = f"There is no home directory to keep a token in. Set {_VARIABLE} to the token."
        raise StorageError(msg) from error


def _read() -> Mapping[str, str]:
    try:
        path = tokens_path()
    except StorageError:  # who has no home has kept nothing there
        return {}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _fault(path, error) from error
    if not isinstance(kept, dict) or not all(isinstance(token, str) for token in kept.values()):
        raise _fault(path, "it is no mapping of servers to tokens")
    return kept


def _write(kept: Mapping[str, str]) -> Path:
    path = tokens_path()
    with _faults(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Beside the file, then over it: a reader sees the old tokens or the new ones.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:  # mkstemp makes it 0600
                json.dump(kept, file, indent=1)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    return path


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _fault(path, error) from error


def _fault(path: Path, why: object) -> StorageError:
    return StorageError(f"Can't read or write the kept tokens in {path}: {why}")
