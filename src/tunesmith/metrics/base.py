"""What a metric source is: it looks into a trial's working directory and says what is new there."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

__all__ = ["MetricRequest", "MetricSource", "Reading", "Remarks", "SourceFactory"]

_MOST_REMARKS = 50


@dataclass(frozen=True, slots=True)
class MetricRequest:
    """What is wanted of one attempt of a trial.

    Attributes:
        metrics: The names of the metrics that the study needs, the first objective first; at least one.
        parameters: Names of parameters; a number of that name is never taken for a metric.
        pattern: The regular expression for lines of standard output; see `check_pattern`.
        started: When the attempt began, in seconds since the epoch.
        now: The clock that `started` was read from.
    """

    metrics: tuple[str, ...]
    parameters: frozenset[str] = frozenset()
    pattern: str = ""
    started: float = 0.0
    now: Callable[[], float] = time.time

    def elapsed_s(self, at: float | None = None) -> float:
        """Return the seconds from the attempt's beginning to ``at``, or to now; never negative."""
        return max(0.0, (self.now() if at is None else at) - self.started)


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one metric.

    Attributes:
        metric: Its name, as the program wrote it.
        step: A whole number from 0.
        value: May be nan or infinite.
        elapsed_s: Seconds since the attempt began.
        rank: Tells apart two places of one source that hold the same metric: the readings of the
            lowest rank count, those of any other rank do not.
    """

    metric: str
    step: int
    value: float
    elapsed_s: float
    rank: int = 0


@dataclass(slots=True)
class Remarks:
    """What a source noticed besides readings; there to explain a trial that lacks its metric.

    Attributes:
        seen: Names of numbers that were seen but not taken for metrics, the first fifty.
        notes: Sentences for the user, each once.
        infeasible: Why the program says that its values can't be tried; ``""`` if it does not.
    """

    seen: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    infeasible: str = ""

    @property
    def full(self) -> bool:
        """Whether there is no room for another name."""
        return len(self.seen) >= _MOST_REMARKS

    def saw(self, name: str) -> None:
        """Remember the name of a number that was not taken."""
        if not self.full and name not in self.seen:
            self.seen.append(name)

    def note(self, sentence: str) -> None:
        """Remember a sentence."""
        if len(self.notes) < _MOST_REMARKS and sentence not in self.notes:
            self.notes.append(sentence)


class MetricSource(Protocol):
    """Reads one kind of trace that a program leaves in its working directory."""

    @property
    def remarks(self) -> Remarks:
        """What it noticed besides readings, so far."""
        ...

    def read(self, *, final: bool = False) -> list[Reading]:
        """Return what is new since the last call, in the order in which it was written.

        Called a few times a second while the program runs, so it returns soon and leaves a
        half-written end for the next call. ``final`` says that the program has ended: all that is
        left is read. Data that makes no sense is passed over, never raised; an `OSError` may be.
        """
        ...


SourceFactory = Callable[[Path, MetricRequest], MetricSource]
"""What the entry points in ``tunesmith.metric_sources`` name: builds a source for one attempt."""
