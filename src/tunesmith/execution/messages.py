"""What a tuner and a worker process say to each other when trials are Python functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tunesmith.space import Value

__all__ = ["Answer", "Hello", "Raised", "Report", "Returned", "Run", "Signalled"]


@dataclass(frozen=True, slots=True)
class Hello:
    """To the worker: the function, pickled by cloudpickle, and where its modules are found."""

    function: bytes
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """To the worker: run the function once."""

    number: int
    values: Mapping[str, Value]
    directory: str
    variables: Mapping[str, str]
    budget: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """To the tuner: the function measured something, and waits for an `Answer`."""

    step: int | None
    metrics: Mapping[str, float]
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """To the worker: why the trial should stop, or ``""``, and whether it only pauses."""

    stop: str
    pause: bool = False


@dataclass(frozen=True, slots=True)
class Returned:
    """To the tuner: the function returned these metrics; a bare number stands under ``""``."""

    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Signalled:
    """To the tuner: the function left by a signal of Tunesmith's."""

    kind: Literal["stopped", "paused", "infeasible"]
    reason: str


@dataclass(frozen=True, slots=True)
class Raised:
    """To the tuner: the function raised; the whole traceback is in the trial's stderr."""

    reason: str
