"""Finds, before a command runs, that the script it calls is not there."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from tunesmith.errors import Problem

__all__ = ["missing_script"]

_INTERPRETER = re.compile(r"(?:python|pypy|bash|sh|zsh|Rscript|julia|perl|node)[0-9.]*")
_SCRIPTS = (".py", ".sh", ".R", ".jl", ".pl", ".js")
_WITHOUT_SCRIPT = ("-m", "-c", "-e", "-")  # what these options name is run instead
_WITH_VALUE = ("-W", "-X")


def missing_script(command: Sequence[str], where: Path) -> Problem | None:
    """Return that a command calls an interpreter for a script that is not there; None if it does not."""
    if not _INTERPRETER.fullmatch(Path(command[0]).name):
        return None
    words = iter(command[1:])
    for word in words:
        if word in _WITHOUT_SCRIPT:
            return None
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            break
    else:
        return None
    suffix = Path(word).suffix
    if suffix not in _SCRIPTS or "{" in word or (where / word).exists():
        return None
    others = [path.name for path in (where / word).parent.glob(f"*{suffix}")]
    near = get_close_matches(Path(word).name, others, n=1)
    hint = f"did you mean {near[0]!r}?" if near else ""
    return Problem("E121", f"The command's script {word!r} does not exist in {where}.", hint=hint)
