"""Studies and trials for people and programs: figures, cards, documents, exports."""

from tunesmith.reporting.card import assignments, counts_text, goal_text, study_card, study_text
from tunesmith.reporting.documents import (
    measurement_document,
    study_document,
    trial_document,
    trial_record,
    trials_document,
)
from tunesmith.reporting.export import json_text, trials_csv, trials_json, trials_jsonl
from tunesmith.reporting.figures import duration, iso_time, number, plain
from tunesmith.reporting.trials import Trials

__all__ = [
    "Trials",
    "assignments",
    "counts_text",
    "duration",
    "goal_text",
    "iso_time",
    "json_text",
    "measurement_document",
    "number",
    "plain",
    "study_card",
    "study_document",
    "study_text",
    "trial_document",
    "trial_record",
    "trials_csv",
    "trials_document",
    "trials_json",
    "trials_jsonl",
]
