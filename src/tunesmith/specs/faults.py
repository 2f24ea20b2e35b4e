"""Faults of a text, each with its code and its place, collected so that all are told at once.

E100  not a readable text: no such file, not UTF-8, not YAML
E101  something of the wrong kind, such as a list where a mapping belongs
E102  an unknown key
E103  a missing key
E104  a key given twice
E110  a parameter that makes no sense
E111  a condition of a parameter
E112  a point to try first, or one to enqueue
E120  a setting of the study
E121  the command, and how it gets its values
E122  a limit, a resource or another setting of the program
E130  where metrics are read from
E140  a training script that can't be read
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from tunesmith.errors import Problem, SpecError

__all__ = ["NOWHERE", "Faults", "Place", "Span", "closest", "did_you_mean"]


@dataclass(frozen=True, slots=True)
class Span:
    """Where something stands in a text: line and column from 1, and its width on that line."""

    line: int
    column: int
    width: int = 1


NOWHERE = Span(0, 0)
"""The place of a fault that no place can be given for."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, with its text: enough to tell a fault that is found later.

    Attributes:
        file: The file's name; ``""`` for a command line.
        line: Its line from 1; 0 for a command line.
        source: The text of that line.
        at: Where on it.
    """

    file: str
    line: int
    source: str
    at: Span

    def problem(self, code: str, message: str, *, hint: str = "") -> Problem:
        """Return the problem of what stands here."""
        at = self.at
        return Problem(code, message, self.file, self.line, at.column, self.source, at.width, hint)


class Faults:
    """The faults found so far in one text.

    Args:
        lines: The text's lines. Without a file these are arguments of a command line, each a line
            of its own; their problems have a column and no line number.
        file: The file's name as the user gave it; ``""`` for a command line.
    """

    def __init__(self, lines: Sequence[str], *, file: str = "") -> None:
        self._file = file
        self._lines = lines
        self._found: dict[Problem, Span] = {}

    def add(self, code: str, message: str, at: Span = NOWHERE, *, hint: str = "") -> None:
        """Take note of a fault; a second one with the same words at the same place is dropped."""
        self._found.setdefault(self.place(at).problem(code, message, hint=hint), at)

    @property
    def count(self) -> int:
        """How many faults there are so far."""
        return len(self._found)

    def place(self, at: Span) -> Place:
        """Return where ``at`` is, for a fault that is found when this text has been read."""
        return Place(self._file, at.line if self._file else 0, self.source(at), at)

    def source(self, at: Span) -> str:
        """Return the line on which ``at`` begins; ``""`` where there is none."""
        return self._lines[at.line - 1] if 0 < at.line <= len(self._lines) else ""

    def within(self, at: Span, part: str) -> Span:
        """Return where ``part`` stands behind the beginning of ``at``, or ``at`` if not on its line."""
        start = self.source(at).find(part, max(at.column - 1, 0))
        return Span(at.line, start + 1, len(part)) if start >= 0 else at

    def check(self) -> None:
        """Raise `SpecError` with all faults, in reading order, if there are any."""
        if self._found:
            raise self.error()

    def error(self) -> SpecError:
        """Return the error that tells all faults, in reading order."""
        return SpecError(sorted(self._found, key=self._place))

    def _place(self, problem: Problem) -> tuple[int, int]:
        at = self._found[problem]
        return at.line, at.column


def closest(word: str, known: Iterable[str]) -> str:
    """Return the known word that ``word`` most likely stands for; ``""`` if none is near."""
    folded = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'max'?"``, or ``""`` if no known word is near."""
    near = closest(word, known)
    return f"did you mean {near!r}?" if near else ""
