"""What a tuner tells its observers, one value for each thing that happens."""

from dataclasses import dataclass

from tunesmith.model import Measurement, Trial

__all__ = ["BestChanged", "Event", "Note", "TrialEnded", "TrialMeasured", "TrialStarted"]


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A trial's program was started."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class TrialMeasured:
    """A running trial measured something."""

    trial: Trial
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial ended, or went back to the queue."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class BestChanged:
    """A trial beat all before it, or joined the front of several objectives."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know."""

    text: str


Event = TrialStarted | TrialMeasured | TrialEnded | BestChanged | Note
