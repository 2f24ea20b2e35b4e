"""Names of files that clients give, checked so that none leads out of its place."""

from tunesmith.service.refusals import PathError

__all__ = ["check_path"]

_MOST_CHARACTERS = 500
_MOST_BYTES = 255  # of one part; what file systems take


def check_path(path: str) -> str:
    """Return ``path``; raise `PathError` unless it is a plain path below the folder it belongs to."""
    parts = path.split("/")
    why = ""
    if len(path) > _MOST_CHARACTERS:
        why = f"it has more than {_MOST_CHARACTERS} characters"
    elif any(not c.isprintable() or c == "\\" for c in path):
        why = "it has a backslash or a character that can't be printed"
    elif any(part in ("", ".", "..") for part in parts):
        why = "a part of it is empty, '.' or '..'"
    elif any(len(part.encode()) > _MOST_BYTES for part in parts):
        why = f"a part of it has more than {_MOST_BYTES} bytes"
    if why:
        msg = f"{path[:100]!r} can't name a file here: {why}. Use a plain path, such as checkpoints/model.pt."
        raise PathError(msg)
    return path
