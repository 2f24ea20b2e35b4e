"""A trial, the states of its life and the moves between them, and what it measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from tunesmith.space import Value

__all__ = [
    "FINAL",
    "MOVES",
    "NOTHING",
    "Explanation",
    "Measurement",
    "Prediction",
    "Suggestion",
    "Trial",
    "TrialState",
]

NOTHING: Mapping[str, float] = MappingProxyType({})
NO_PREDICTIONS: "Mapping[str, Prediction]" = MappingProxyType({})


class TrialState(StrEnum):
    """Where a trial is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    STOPPED = "stopped"  # ended early by a rule or a person; its measurement counts
    FAILED = "failed"  # the program broke
    INFEASIBLE = "infeasible"  # the program said that these values can't be tried
    CANCELLED = "cancelled"  # ended by a person before it measured anything


_S = TrialState

FINAL = frozenset({_S.COMPLETED, _S.STOPPED, _S.FAILED, _S.INFEASIBLE, _S.CANCELLED})
"""States in which a trial rests; it leaves them only when a person asks for a retry."""

MOVES: Mapping[TrialState, frozenset[TrialState]] = MappingProxyType(
    {
        _S.QUEUED: frozenset({_S.RUNNING, _S.PAUSED, _S.CANCELLED}),
        _S.RUNNING: FINAL | {_S.QUEUED, _S.PAUSED},  # back to the queue: its worker was lost
        _S.PAUSED: frozenset({_S.QUEUED, _S.STOPPED, _S.FAILED, _S.CANCELLED}),
        _S.COMPLETED: frozenset(),
        # These four go back to the queue only when a person says `retry`.
        _S.STOPPED: frozenset({_S.QUEUED}),
        _S.FAILED: frozenset({_S.QUEUED}),
        _S.INFEASIBLE: frozenset({_S.QUEUED}),
        _S.CANCELLED: frozenset({_S.QUEUED}),
    }
)
"""Every allowed move. Whatever changes a trial's state asks this table."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model expects a metric to be, in the metric's own units.

    Attributes:
        mean: The expected value.
        sd: The standard deviation of what will be measured, noise included.
    """

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a searcher suggested a point.

    Attributes:
        searcher: Who suggested it, where the study's algorithm chooses among several.
        predictions: What the model expected of each metric; empty where no model was asked.
        acquisition: The name of the score by which the point was chosen; ``""`` without one.
        value: The point's score.
        feasible: The probability that the trial runs and keeps the study's constraints.
        note: A sentence for people; ``""`` where the rest says enough.
    """

    searcher: str = ""
    predictions: Mapping[str, Prediction] = field(default_factory=lambda: NO_PREDICTIONS)
    acquisition: str = ""
    value: float | None = None
    feasible: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Values to try.

    Attributes:
        values: One value for each active parameter.
        origin: Where they came from: ``"user"``, ``"default"``, ``"prior"`` (the priors' centers), a
            start design (``"sobol"``, or ``"prior draw"``: drawn from the priors), a searcher's name,
            ``"model"`` or ``"exploration"``.
        explanation: Why; None where the origin says all.
        budget: How many steps to train at first; None for as many as the program does.
        parent: The number of the trial from whose checkpoint it begins; None for none.
    """

    values: Mapping[str, Value]
    origin: str = ""
    explanation: Explanation | None = None
    budget: int | None = None
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a trial measured at one step.

    Attributes:
        step: How far the training was; a whole number from 0.
        metrics: One value per metric; may be nan or infinite.
        elapsed_s: Seconds since the attempt began.
        revision: The study's revision that stored it; 0 for one that is not stored.
    """

    step: int
    metrics: Mapping[str, float]
    elapsed_s: float = 0.0
    revision: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the space and what became of it.

    Attributes:
        number: Its place in the study, from 1.
        values: One value for each active parameter.
        state: Where it is in its life.
        attempt: How often it has been started; the fencing token of its lease.
        origin: Where its values came from.
        explanation: Why they were suggested; None where the origin says all.
        budget: How many steps it is to train for now, counted from its beginning; None for as many
            as the program does.
        parent: The trial from whose checkpoint it began; None for none.
        metrics: The measurement that counts, one value per metric; empty until it is final.
        step: The step of that measurement.
        reason: Why it is in its state, as a sentence; ``""`` where the state says enough.
        worker: Who runs or ran it; ``""`` before it started.
        stop_requested: Why a person wants it stopped; ``""`` while nobody does.
        pause_requested: Why a person wants it paused, or keeps it so; ``""`` while nobody does.
        faults: How often infrastructure broke under it; counted against the allowed retries.
        queued: When it was suggested, in seconds since the epoch; likewise the next two.
        started: When its latest attempt began.
        finished: When it became final.
        lease_until: When its worker's claim runs out; None for a claim that does not.
        revision: The study's revision that last changed it.
    """

    number: int
    values: Mapping[str, Value]
    state: TrialState = TrialState.QUEUED
    attempt: int = 0
    origin: str = ""
    explanation: Explanation | None = None
    budget: int | None = None
    parent: int | None = None
    metrics: Mapping[str, float] = field(default_factory=lambda: NOTHING)
    step: int | None = None
    reason: str = ""
    worker: str = ""
    stop_requested: str = ""
    pause_requested: str = ""
    faults: int = 0
    queued: float = 0.0
    started: float | None = None
    finished: float | None = None
    lease_until: float | None = None
    revision: int = 0

    @property
    def is_final(self) -> bool:
        """Whether the trial rests."""
        return self.state in FINAL

    @property
    def counts(self) -> bool:
        """Whether the trial ended with a measurement that counts."""
        return self.state in (TrialState.COMPLETED, TrialState.STOPPED) and bool(self.metrics)
