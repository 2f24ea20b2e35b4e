"""Conditions on a study's best trial, such as ``accuracy>=0.9`` or ``best<0.1``."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Self

import click

from tunesmith.cli.where import COMPARE
from tunesmith.model import StudySummary, is_feasible

__all__ = ["Requirement"]

_FORM = re.compile(
    r"\s*(?P<metric>[^<>=\s](?:[^<>=]*[^<>=\s])?)\s*(?P<sign>>=|<=|>|<)\s*(?P<bound>\S+)\s*"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A bound on a metric of the best trial, which keeps all constraints, or of one of the front.

    The metric ``best`` is the first objective.
    """

    metric: str
    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a condition; raise `click.UsageError` if it is none."""
        match = _FORM.fullmatch(text)
        try:
            if match is None:
                raise ValueError
            return cls(match["metric"], match["sign"], float(match["bound"]))
        except ValueError:
            msg = f"A condition looks like accuracy>=0.9 or best<0.1; given: {text!r}."
            raise click.UsageError(msg) from None

    def holds(self, summary: StudySummary) -> bool:
        """Whether the best trial so far meets it, or one of the front."""
        spec, best = summary.record.spec, summary.best
        if best is None or not is_feasible(best, spec):
            return False
        metric = spec.objective.metric if self.metric == "best" else self.metric
        values = (
            t.metrics.get(metric) for t in (summary.front.trials if summary.front else [best])
        )
        return any(value is not None and COMPARE[self.sign](value, self.bound) for value in values)

    def doubt(self, summary: StudySummary) -> str:
        """Return why the metric may never be there, as a sentence; ``""`` if the study knows it."""
        known = summary.record.spec.metrics
        measured = summary.best.metrics if summary.best is not None else ()
        if self.metric == "best" or self.metric in known or self.metric in measured:
            return ""
        near = get_close_matches(self.metric, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return (
            f"--require asks about {self.metric!r}, which the study does not name; it names"
            f" {', '.join(known)}.{hint}"
        )

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.bound:g}"
