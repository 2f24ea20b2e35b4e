"""Immutable values: what a study is, its trials, what they measured, and how they rank."""

from tunesmith.model.curve import By, Curve, Series, joined
from tunesmith.model.front import Front
from tunesmith.model.history import Earlier, History
from tunesmith.model.hypervolume import hypervolume
from tunesmith.model.objectives import (
    Constraint,
    Goal,
    Objective,
    check_metric_name,
    with_standard_errors,
)
from tunesmith.model.program import MetricReading, Program, Resources, ValuesAs
from tunesmith.model.ranking import (
    best_trial,
    is_feasible,
    leaders,
    loss,
    pareto_front,
    rank,
    select_measurement,
    violation,
)
from tunesmith.model.spec import (
    Algorithm,
    Ending,
    Selection,
    Setting,
    Stopping,
    StudySpec,
)
from tunesmith.model.study import (
    Feasibility,
    StudyRecord,
    StudyState,
    StudySummary,
    check_study_name,
)
from tunesmith.model.trial import (
    FINAL,
    MOVES,
    NOTHING,
    Explanation,
    Measurement,
    Prediction,
    Suggestion,
    Trial,
    TrialState,
)

__all__ = [
    "FINAL",
    "MOVES",
    "NOTHING",
    "Algorithm",
    "By",
    "Constraint",
    "Curve",
    "Earlier",
    "Ending",
    "Explanation",
    "Feasibility",
    "Front",
    "Goal",
    "History",
    "Measurement",
    "MetricReading",
    "Objective",
    "Prediction",
    "Program",
    "Resources",
    "Selection",
    "Series",
    "Setting",
    "Stopping",
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
    "hypervolume",
    "is_feasible",
    "joined",
    "leaders",
    "loss",
    "pareto_front",
    "rank",
    "select_measurement",
    "violation",
    "with_standard_errors",
]
