"""What is noticed while one of Google's documents is read: faults by their field, and what is not kept."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tunesmith.errors import SpecError
from tunesmith.specs.faults import NOWHERE, Faults, Span

__all__ = ["Findings", "Losses", "Lost", "violations"]

_WHOLE = "the document"
_FIELD = re.compile(r"(.+?): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that one form says and the other does not.

    Attributes:
        field: Its place, such as ``studySpec.observationNoise``, or the key of a native file.
        why: What becomes of it, as a sentence without its beginning.
        missing: Whether the other form needs what this one does not say, so that a person has to.
    """

    field: str
    why: str
    missing: bool = False

    def __str__(self) -> str:
        return f"{'missing' if self.missing else 'not kept'}: {self.field}: {self.why}"


@dataclass(slots=True)
class Losses:
    """Takes what is not kept or missing, each once."""

    found: dict[Lost, None] = field(default_factory=dict)

    def add(self, path: str, why: str) -> None:
        """Take note that something at ``path`` is not kept."""
        self.found.setdefault(Lost(path, why))

    def need(self, path: str, why: str) -> None:
        """Take note that a person has to say what belongs at ``path``."""
        self.found.setdefault(Lost(path, why, missing=True))


@dataclass(slots=True)
class Findings:
    """Takes what a reader notices.

    Attributes:
        faults: All faults; the message of each begins with its field.
        lost: What has no meaning here.
        fields: The fields of the places that were handed to others, who name only places.
    """

    faults: Faults
    lost: Losses = field(default_factory=Losses)
    fields: dict[Span, str] = field(default_factory=dict)

    def fault(self, path: str, message: str, at: Span, *, code: str, hint: str = "") -> None:
        """Take note of a fault of the field ``path``."""
        self.faults.add(code, f"{path or _WHOLE}: {message}", at, hint=hint)

    def named(self, at: Span, path: str) -> Span:
        """Return the place, remembered as that of the field ``path``."""
        self.fields[at] = path
        return at

    def retell(self, elsewhere: Faults, path: str) -> None:
        """Take over faults that know only their places; ``path`` is the field of those without any."""
        if not elsewhere.count:
            return
        for problem in elsewhere.error().problems:
            at = Span(problem.line, problem.column, problem.width)
            where = at if at in self.fields else NOWHERE
            self.fault(
                self.fields.get(at, path),
                problem.message,
                where,
                code=problem.code,
                hint=problem.hint,
            )


def violations(error: SpecError) -> Iterator[tuple[str, str]]:
    """Yield the field and the description of each fault, as Google's errors list them.

    The field is ``""`` for a fault of the whole document.
    """
    for problem in error.problems:
        hint = f" ({problem.hint})" if problem.hint else ""
        match = _FIELD.fullmatch(problem.message)
        path, text = match.groups() if match else (_WHOLE, problem.message)
        yield "" if path == _WHOLE else path, text + hint
