"""Trials as a table: a row each, a column for each thing one asks for."""

from collections.abc import Mapping, Sequence

from tunesmith.cli.console import table
from tunesmith.cli.where import field_value
from tunesmith.model import StudySpec, Trial
from tunesmith.reporting import NO_STEPS, number, shown_metrics

__all__ = ["trials_table"]


def trials_table(
    trials: Sequence[Trial],
    spec: StudySpec,
    columns: list[str] | None = None,
    steps: Mapping[int, int] = NO_STEPS,
) -> str:
    """Return trials as a table: of ``columns``, or of all metrics that matter and all parameters.

    Args:
        trials: The trials.
        spec: Their study.
        columns: Which columns; None for those that have something to say.
        steps: How many steps each trial has done, where the study goes by steps.
    """
    names = columns or [
        "number",
        "state",
        *shown_metrics(spec),
        *(["steps"] if steps else []),
        *(["parent"] if any(t.parent for t in trials) else []),
        *spec.space,
        *(["reason"] if any(t.reason for t in trials) else []),
    ]
    rows = [[_cell(field_value(t, name, steps)) for name in names] for t in trials]
    head = ["#" if name == "number" else name for name in names]
    return table([head, *rows])


def _cell(value: object) -> str:
    text = "" if value is None else number(value)
    return text if len(text) <= 60 else text[:59] + "…"
