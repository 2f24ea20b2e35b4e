"""Conditions on a study's best trial, such as ``accuracy>=0.9`` or ``best<0.1``."""

import re
from dataclasses import dataclass
from typing import Self

import click

from tunesmith.cli.where import COMPARE
from tunesmith.model import StudySummary

__all__ = ["Requirement"]

_FORM = re.compile(r"\s*(?P<metric>[^<>=\s]+)\s*(?P<sign>>=|<=|>|<)\s*(?P<bound>\S+)\s*")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A bound on a metric of the best trial; the metric ``best`` is the first objective."""

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
        """Whether the best trial so far meets it."""
        if summary.best is None:
            return False
        objective = summary.record.spec.objective.metric
        value = summary.best.metrics.get(objective if self.metric == "best" else self.metric)
        return value is not None and COMPARE[self.sign](value, self.bound)

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.bound:g}"
