"""Trials as CSV, JSON or JSON lines, for other programs to read.

Where a study goes by steps, ``steps`` has how many each trial has done, by its number.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence

from tunesmith.model import StudySpec, Trial
from tunesmith.reporting.documents import NO_STEPS, trial_document, trials_document
from tunesmith.reporting.trials import Trials

__all__ = ["json_text", "trials_csv", "trials_json", "trials_jsonl"]


def json_text(document: object) -> str:
    """Return strict JSON; names keep their alphabet."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def trials_csv(
    trials: Sequence[Trial], spec: StudySpec, steps: Mapping[int, int] = NO_STEPS
) -> str:
    """Return one line a trial under a line of column names."""
    rows = Trials(trials, spec, steps).records()
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(rows[0]) if rows else ["number", "state"], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def trials_json(trials: Iterable[Trial], steps: Mapping[int, int] = NO_STEPS) -> str:
    """Return one document with all trials."""
    return json_text(trials_document(trials, steps)) + "\n"


def trials_jsonl(trials: Iterable[Trial], steps: Mapping[int, int] = NO_STEPS) -> str:
    """Return one document a line."""
    return "".join(json_text(trial_document(t, steps.get(t.number))) + "\n" for t in trials)
