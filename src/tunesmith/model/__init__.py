"""Immutable values: what a study is, its trials, what they measured, and how they rank."""

from tunesmith.model.history import History
from tunesmith.model.program import MetricReading, Program, Resources, ValuesAs
from tunesmith.model.ranking import best_trial, loss, select_measurement
from tunesmith.model.spec import (
    Algorithm,
    Goal,
    Objective,
    Selection,
    Setting,
    StudySpec,
    check_metric_name,
    refuse_endless,
)
from tunesmith.model.study import StudyRecord, StudyState, StudySummary, check_study_name
from tunesmith.model.trial import FINAL, MOVES, NOTHING, Measurement, Suggestion, Trial, TrialState

__all__ = [
    "FINAL",
    "MOVES",
    "NOTHING",
    "Algorithm",
    "Goal",
    "History",
    "Measurement",
    "MetricReading",
    "Objective",
    "Program",
    "Resources",
    "Selection",
    "Setting",
    "StudyRecord",
    "StudySpec",
    "StudyState",
    "StudySummary",
    "Suggestion",
    "Trial",
    "TrialState",
    "ValuesAs",
    "best_trial",
    "check_metric_name",
    "check_study_name",
    "loss",
    "refuse_endless",
    "select_measurement",
]
