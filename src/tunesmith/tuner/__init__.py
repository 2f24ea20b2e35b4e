"""A study driven on an executor."""

from tunesmith.tuner.events import BestChanged, Event, Note, TrialEnded, TrialMeasured, TrialStarted
from tunesmith.tuner.tune import tune
from tunesmith.tuner.tuner import LEASE_S, Haste, Tuner

__all__ = [
    "LEASE_S",
    "BestChanged",
    "Event",
    "Haste",
    "Note",
    "TrialEnded",
    "TrialMeasured",
    "TrialStarted",
    "Tuner",
    "tune",
]
