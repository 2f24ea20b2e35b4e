"""Tunesmith tunes the training code you already have."""

from importlib.metadata import version as _version

from tunesmith.errors import (
    StudyEnded,
    TrialInfeasible,
    TrialStopped,
    TunesmithError,
)
from tunesmith.execution import LiveTrial, infeasible, report
from tunesmith.model import Measurement, Trial, TrialState
from tunesmith.space import Categorical, Discrete, Double, Integer, Space
from tunesmith.study import Study
from tunesmith.tuner import tune

__all__ = [
    "Categorical",
    "Discrete",
    "Double",
    "Integer",
    "LiveTrial",
    "Measurement",
    "Space",
    "Study",
    "StudyEnded",
    "Trial",
    "TrialInfeasible",
    "TrialState",
    "TrialStopped",
    "TunesmithError",
    "infeasible",
    "report",
    "tune",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        return _version("tunesmith")
    msg = f"module 'tunesmith' has no attribute {name!r}"
    raise AttributeError(msg)
