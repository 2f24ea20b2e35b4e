"""Tunesmith tunes the training code you already have.

Names are loaded when they are first used: a training program that imports this module to report a
metric, and ``tunesmith --help``, wait for nothing they do not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.errors import (
        StudyEnded,
        StudyWaiting,
        TrialInfeasible,
        TrialPaused,
        TrialStopped,
        TunesmithError,
    )
    from tunesmith.execution import LiveTrial, infeasible, report
    from tunesmith.model import Ending, Measurement, Trial, TrialState
    from tunesmith.space import Categorical, Discrete, Double, Integer, Prior, Space
    from tunesmith.study import Study
    from tunesmith.tuner import tune

    __version__: str

__all__ = [
    "Categorical",
    "Discrete",
    "Double",
    "Ending",
    "Integer",
    "LiveTrial",
    "Measurement",
    "Prior",
    "Space",
    "Study",
    "StudyEnded",
    "StudyWaiting",
    "Trial",
    "TrialInfeasible",
    "TrialPaused",
    "TrialState",
    "TrialStopped",
    "TunesmithError",
    "infeasible",
    "report",
    "tune",
]

_HOMES = {
    "errors": (
        "StudyEnded",
        "StudyWaiting",
        "TrialInfeasible",
        "TrialPaused",
        "TrialStopped",
        "TunesmithError",
    ),
    "execution": ("LiveTrial", "infeasible", "report"),
    "model": ("Ending", "Measurement", "Trial", "TrialState"),
    "space": ("Categorical", "Discrete", "Double", "Integer", "Prior", "Space"),
    "study": ("Study",),
    "tuner": ("tune",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"tunesmith.{home}"), name)
            return value
    if name == "__version__":
        return import_module("importlib.metadata").version("tunesmith")
    msg = f"module 'tunesmith' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
