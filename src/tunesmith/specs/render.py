"""Faults as a person reads them: the message, the place, the line itself and a caret beneath.

error[E102]: unknown key 'maxx'
  tune.yaml:10:31
   10 |   units: {type: int, min: 16, maxx: 256}
      |                               ^^^^ did you mean 'max'?
"""

from collections.abc import Sequence
from unicodedata import category, east_asian_width

from tunesmith.errors import Problem

__all__ = ["render_problem", "render_problems"]

_TAB = "    "
_BEFORE, _AFTER = 80, 60  # characters of an overlong line that are shown around the fault


def render_problem(problem: Problem) -> str:
    """Return the fault as lines of text, without a line break at the end."""
    lines = [f"error[{problem.code}]: {_printable(problem.message)}"]
    if problem.file:
        place = f":{problem.line}:{problem.column}" if problem.line else ""
        lines.append(f"  {problem.file}{place}")
    if problem.source and problem.column:
        lines += _excerpt(problem)
    elif problem.hint:
        lines.append(f"  {problem.hint}")
    return "\n".join(lines)


def render_problems(problems: Sequence[Problem]) -> str:
    """Return all faults and a last line that counts them."""
    count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
    return "\n".join([*map(render_problem, problems), f"{count}. Nothing was started."])


def _excerpt(problem: Problem) -> list[str]:
    start = problem.column - 1
    stop = start + max(problem.width, 1)
    before, marked, after = (
        problem.source[:start],
        problem.source[start:stop],
        problem.source[stop:],
    )
    if len(before) > _BEFORE:
        before = "…" + before[-_BEFORE:]
    if len(marked) > _AFTER:
        marked, after = marked[:_AFTER], "…"
    if len(after) > _AFTER:
        after = after[:_AFTER] + "…"

    before, marked, after = map(_printable, (before, marked, after))
    caret = " " * _cells(before) + "^" * max(_cells(marked), 1)
    # A command-line argument is one line without a number, and needs no ruler beside it.
    number, ruler = (f"{problem.line:>5} | ", "      | ") if problem.line else ("  ", "  ")
    return [
        f"{number}{before}{marked}{after}".rstrip(),
        f"{ruler}{caret} {problem.hint}".rstrip(),
    ]


def _printable(text: str) -> str:
    # A control character in a faulty file must not reach the terminal.
    shown = text.replace("\t", _TAB)
    return "".join(c if c.isprintable() or category(c) == "Cf" else "�" for c in shown)


def _cells(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
