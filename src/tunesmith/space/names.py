"""Names of parameters: they become flags, placeholders and keys of files."""

from collections.abc import Iterable
from difflib import get_close_matches

from tunesmith.errors import SpaceError

__all__ = ["check_name", "did_you_mean"]

_RESERVED = "={}"
_SHOWN = 12


def check_name(name: object) -> None:
    """Raise `SpaceError` unless ``name`` can name a parameter."""
    if not isinstance(name, str) or not name:
        msg = f"A parameter needs a name, got {name!r}."
        raise SpaceError(msg)
    bad = next((c for c in name if c in _RESERVED or c.isspace() or not c.isprintable()), None)
    if bad is not None:
        msg = f"Parameter {name!r}: a name can't contain {bad!r}."
        raise SpaceError(msg)
    if name.startswith("-"):
        msg = f"Parameter {name!r}: a name can't begin with '-'; it becomes --{name.lstrip('-')} by itself."
        raise SpaceError(msg)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'lr'?`` for the name that comes nearest, or else what is known."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f" Did you mean {near[0]!r}?"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f" There are: {', '.join(names[:_SHOWN])}{more}."
