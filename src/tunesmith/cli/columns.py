"""Trials as a table: a row each, a column for each thing one asks for."""

from collections.abc import Sequence

from tunesmith.cli.console import table
from tunesmith.cli.where import field_value
from tunesmith.model import StudySpec, Trial
from tunesmith.reporting import number, shown_metrics

__all__ = ["trials_table"]


def trials_table(trials: Sequence[Trial], spec: StudySpec, columns: list[str] | None = None) -> str:
    """Return trials as a table: of ``columns``, or of all metrics that matter and all parameters."""
    names = columns or [
        "number",
        "state",
        *shown_metrics(spec),
        *spec.space,
        "reason",
    ]
    if columns is None and not any(t.reason for t in trials):
        names.remove("reason")
    rows = [[_cell(field_value(t, name)) for name in names] for t in trials]
    head = ["#" if name == "number" else name for name in names]
    return table([head, *rows])


def _cell(value: object) -> str:
    text = "" if value is None else number(value)
    return text if len(text) <= 60 else text[:59] + "…"
