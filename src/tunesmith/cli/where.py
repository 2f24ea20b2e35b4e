"""Filters on trials, such as ``state=completed and lr<1e-3 'Eval Accuracy'>=0.9``."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import click

from tunesmith.model import Trial
from tunesmith.reporting import NO_STEPS

__all__ = ["COLUMNS", "COMPARE", "Filter", "field_value"]

COMPARE: dict[str, Callable[[object, object], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,  # type: ignore[dict-item]  # both sides are checked to be numbers
    "<=": operator.le,  # type: ignore[dict-item]
    ">": operator.gt,  # type: ignore[dict-item]
    "<": operator.lt,  # type: ignore[dict-item]
}
_TERM = re.compile(
    r"""\s*("[^"]*"|'[^']*'|[^\s<>=!]+)\s*(>=|<=|!=|==|=|>|<)\s*("[^"]*"|'[^']*'|\S+)\s*"""
)


COLUMNS = (
    "number", "state", "attempt", "origin", "reason", "step", "steps", "budget", "parent",
)  # fmt: skip
"""What a trial has beside its parameters and metrics."""


def field_value(trial: Trial, name: str, steps: Mapping[int, int] = NO_STEPS) -> object:
    """Return a column, a parameter or a metric of a trial; None if it has none of that name.

    Args:
        trial: The trial.
        name: What is asked for.
        steps: How many steps each trial has done, where the study goes by steps.
    """
    columns: dict[str, object] = {
        "number": trial.number,
        "state": trial.state.value,
        "attempt": trial.attempt,
        "origin": trial.origin,
        "reason": trial.reason,
        "step": trial.step,
        "steps": steps.get(trial.number),
        "budget": trial.budget,
        "parent": trial.parent,
    }
    for place in (trial.metrics, trial.values, columns):
        if name in place:
            return place[name]
    return None


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that must all hold."""

    terms: tuple[tuple[str, str, str], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read conditions, joined by ``and`` or blanks; raise `click.UsageError` where that fails."""
        terms: list[tuple[str, str, str]] = []
        rest = text.strip()
        while rest:
            match = _TERM.match(rest)
            if match is None:
                msg = f"Can't read {rest!r}. Conditions look like: state=completed and lr<1e-3"
                raise click.UsageError(msg)
            terms.append((match[1].strip("\"'"), match[2], match[3].strip("\"'")))
            rest = re.sub(r"^and\b\s*", "", rest[match.end() :])
        return cls(tuple(terms))

    def matches(self, trial: Trial, steps: Mapping[int, int] = NO_STEPS) -> bool:
        """Whether all conditions hold; one on something that the trial lacks does not."""
        return all(
            _holds(field_value(trial, name, steps), sign, given) for name, sign, given in self.terms
        )


def _holds(value: object, sign: str, given: str) -> bool:
    if value is None:
        return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return COMPARE[sign](value, float(given))
        except ValueError:
            return False
    return sign in ("=", "==", "!=") and COMPARE[sign](str(value), given)
