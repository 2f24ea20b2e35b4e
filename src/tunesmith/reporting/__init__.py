"""Studies and trials for people and programs: figures, cards, documents, exports."""

from tunesmith.reporting.card import assignments, counts_text, goal_text, study_card, study_text
from tunesmith.reporting.documents import (
    NO_STEPS,
    early_document,
    front_document,
    measurement_document,
    study_document,
    trial_document,
    trial_record,
    trials_document,
)
from tunesmith.reporting.early import (
    ending_text,
    part_text,
    step_text,
    stopped_text,
    stopping_text,
)
from tunesmith.reporting.explanations import (
    choice_text,
    explanation_lines,
    outcome_document,
    outcomes,
)
from tunesmith.reporting.export import json_text, trials_csv, trials_json, trials_jsonl
from tunesmith.reporting.figures import duration, iso_time, number, plain
from tunesmith.reporting.importance import Effect, Importance, Interaction, importance_document
from tunesmith.reporting.outlook import Outlook, outlook_document, outlook_lines, rung_rows
from tunesmith.reporting.reached import (
    constraint_lines,
    front_text,
    metrics_text,
    nearest_text,
    new_best_text,
    reached_text,
    shown_metrics,
)
from tunesmith.reporting.training import Training, saved_text, seconds_per_step, steps_reached
from tunesmith.reporting.trials import Trials

__all__ = [
    "NO_STEPS",
    "Effect",
    "Importance",
    "Interaction",
    "Outlook",
    "Training",
    "Trials",
    "assignments",
    "choice_text",
    "constraint_lines",
    "counts_text",
    "duration",
    "early_document",
    "ending_text",
    "explanation_lines",
    "front_document",
    "front_text",
    "goal_text",
    "importance_document",
    "iso_time",
    "json_text",
    "measurement_document",
    "metrics_text",
    "nearest_text",
    "new_best_text",
    "number",
    "outcome_document",
    "outcomes",
    "outlook_document",
    "outlook_lines",
    "part_text",
    "plain",
    "reached_text",
    "rung_rows",
    "saved_text",
    "seconds_per_step",
    "shown_metrics",
    "step_text",
    "steps_reached",
    "stopped_text",
    "stopping_text",
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
