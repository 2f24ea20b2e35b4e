"""Where trials run: the role of an executor, and what it tells the tuner."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from tunesmith.model import Trial
from tunesmith.stopping import Verdict

__all__ = ["Ended", "Executor", "Outcome", "Reported"]


class Outcome(Enum):
    """How a trial's program ended."""

    SUCCEEDED = auto()
    FAILED = auto()  # the program broke, or went past a limit
    INFEASIBLE = auto()  # the program said that these values can't be tried
    STOPPED = auto()  # it was asked to stop: by a rule, a person, or its own report
    PAUSED = auto()  # it was asked to pause, and may be resumed from its checkpoint
    PREEMPTED = auto()  # SIGTERM from outside: somebody needs the machine; the trial will go on
    INTERRUPTED = auto()  # the tuner is ending; the trial will start again
    LOST = auto()  # something outside the program broke


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial's program and all its processes are gone.

    Attributes:
        number: The trial.
        outcome: How it ended.
        reason: Why, as a sentence; ``""`` where it ended well.
        metrics: The final measurement it returned, if it did so in words.
    """

    number: int
    outcome: Outcome
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reported:
    """Training code calls ``trial.report`` and waits for an answer.

    Attributes:
        number: The trial.
        step: The step it names; None for the next one.
        metrics: One value per metric.
        elapsed_s: Seconds since the attempt began.
        answer: To be called once with the verdict on the trial.
    """

    number: int
    step: int | None
    metrics: Mapping[str, float]
    elapsed_s: float
    answer: Callable[[Verdict], None]


class Executor(Protocol):
    """Runs trials, each in processes of its own; used by one thread."""

    @property
    def slots(self) -> int | None:
        """How many trials it can run at once; None for as many as are wanted."""
        ...

    def directory(self, number: int) -> Path:
        """Return the working directory of a trial."""
        ...

    def start(self, trial: Trial) -> None:
        """Start a trial; its end comes from `wait`, also if the start fails."""
        ...

    def wait(self, timeout_s: float) -> Reported | Ended | None:
        """Return what happens next, or None after ``timeout_s`` seconds in which nothing did."""
        ...

    def stop(self, number: int, outcome: Outcome, reason: str) -> None:
        """Ask a trial's processes to end (SIGTERM), then make them (SIGKILL); it ends as ``outcome``."""
        ...

    def kill(self) -> None:
        """End all processes at once, without grace."""
        ...

    def close(self) -> None:
        """End what still runs and leave nothing behind."""
        ...
