"""A user's regular expression for lines of standard output."""

import re
from collections.abc import Iterator

from tunesmith.metrics.decode import number, whole

__all__ = ["LinePattern", "check_pattern"]

_EXAMPLE = r"(?P<name>\w+) is (?P<value>\S+)"
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_BRACKET_OR_REPEAT = re.compile(r"\(\?>|\(|\)|(?:[*+]|\{\d*,\})(\+?)")


def check_pattern(pattern: str) -> None:
    """Raise `ValueError` unless ``pattern`` can find metrics in a line.

    It needs the named groups ``name`` and ``value``, and may have ``step``; or two plain groups,
    name and value; or only the value, which then is the first objective's. ``""`` is none.
    """
    if not pattern:
        return
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        msg = f"The pattern {pattern!r} is not a regular expression: {error}."
        raise ValueError(msg) from error
    if "value" not in compiled.groupindex and (
        compiled.groupindex or compiled.groups not in (1, 2)
    ):
        given = ", ".join(compiled.groupindex) or f"{compiled.groups} plain groups"
        raise ValueError(
            f"The pattern {pattern!r} needs the groups 'name' and 'value'; it has {given}. "
            f"Write it like {_EXAMPLE!r}."
        )
    if _nests_repeats(pattern):
        raise ValueError(
            f"The pattern {pattern!r} repeats what is itself repeated, which can take hours on "
            r"one line. Repeat only once, or make the inner repeat possessive: '(\w++ )+'."
        )


def _nests_repeats(pattern: str) -> bool:
    r"""Whether an endless repeat that gives back stands inside another one, as in ``(\w+)+``."""
    plain = _ATOM.sub(lambda atom: "x" * len(atom[0]), pattern)
    repeats = [False]  # for each open bracket: whether such a repeat stands in it
    atomic: list[bool] = []
    closed_at, closed_repeats = -1, False
    for token in _BRACKET_OR_REPEAT.finditer(plain):
        if token[0].startswith("("):
            repeats.append(False)
            atomic.append(token[0] == "(?>")
        elif token[0] == ")" and atomic:
            gives_back = not atomic.pop()
            closed_at, closed_repeats = token.end(), repeats.pop() and gives_back
            repeats[-1] |= closed_repeats
        elif not token[1]:
            if token.start() == closed_at and closed_repeats:
                return True
            repeats[-1] = True
    return False


class LinePattern:
    """Finds what a checked pattern matches.

    Args:
        pattern: The regular expression.
        default: The metric whose value it is where the pattern has no group for the name.

    Raises:
        ValueError: see `check_pattern`.
    """

    def __init__(self, pattern: str, default: str) -> None:
        check_pattern(pattern)
        self._pattern = re.compile(pattern)
        self._default = default
        names = self._pattern.groupindex
        plain_pair = not names and self._pattern.groups == 2
        self._name = names.get("name", 1 if plain_pair else 0)
        self._value = names.get("value", 2 if plain_pair else 1)
        self._step = names.get("step", 0)

    def find(self, line: str) -> Iterator[tuple[int | None, dict[str, float]]]:
        """Yield the step, or None, and the one metric of every match in ``line``."""
        for match in self._pattern.finditer(line):
            value = number((match[self._value] or "").strip().removesuffix("%"))
            name = match[self._name] if self._name else self._default
            if name and value is not None:
                yield whole(match[self._step]) if self._step else None, {name: value}
