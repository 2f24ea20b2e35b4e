"""Trials as CSV, JSON or JSON lines, for other programs to read."""

import csv
import io
import json
from collections.abc import Iterable, Sequence

from tunesmith.model import StudySpec, Trial
from tunesmith.reporting.documents import trial_document, trials_document
from tunesmith.reporting.trials import Trials

__all__ = ["json_text", "trials_csv", "trials_json", "trials_jsonl"]


def json_text(document: object) -> str:
    """Return strict JSON; names keep their alphabet."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def trials_csv(trials: Sequence[Trial], spec: StudySpec) -> str:
    """Return one line a trial under a line of column names."""
    rows = Trials(trials, spec).records()
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(rows[0]) if rows else ["number", "state"], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def trials_json(trials: Iterable[Trial]) -> str:
    """Return one document with all trials."""
    return json_text(trials_document(trials)) + "\n"


def trials_jsonl(trials: Iterable[Trial]) -> str:
    """Return one document a line."""
    return "".join(json_text(trial_document(trial)) + "\n" for trial in trials)
