"""What was seen of a study while it was run: the evidence that `invariants` judges.

A simulation sees all: every call of the storage in its order, and what each of them changed. A test
with real processes sees less: what was stored in the end, perhaps what a reader saw on the way. What
was not seen is empty, and the invariants that need it have nothing to say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tunesmith.errors import TunesmithError
from tunesmith.model import History, Measurement, StudyRecord, Trial
from tunesmith.space import Value
from tunesmith.storage import Changes, Claim, Measured, Storage

__all__ = ["Call", "Program", "Run", "Seen", "Told", "look"]

Program = Callable[[Mapping[str, Value], int], Mapping[str, float]]
"""What a trial with these values measures at a step, whoever runs it."""


@dataclass(slots=True)
class Call:
    """One verb of the storage, asked by somebody.

    Attributes:
        caller: The process that asked.
        verb: The verb's name.
        arguments: What was given, by name.
        time: The storage's clock.
        key: What the request was marked with, if several with the same key are one.
        delivery: Which delivery of a request it belongs to; 0 where there are no requests.
        known: The revision that the caller had read last.
        answer: What came back.
        error: What was raised instead.
        heard: Whether the caller got the answer.
        changes: What is different since the call before; None if nothing is.
    """

    caller: str
    verb: str
    arguments: Mapping[str, object]
    time: float
    key: str = ""
    delivery: int = 0
    known: int = -1
    answer: object = None
    error: TunesmithError | None = None
    heard: bool = False
    changes: Changes | None = None

    @property
    def number(self) -> int:
        """The trial it is about."""
        number = self.arguments["number"]
        assert isinstance(number, int)
        return number

    @property
    def attempt(self) -> int:
        """The attempt that asks."""
        attempt = self.arguments["attempt"]
        assert isinstance(attempt, int)
        return attempt

    @property
    def claim(self) -> Claim | None:
        """Who takes the trial."""
        claim = self.arguments.get("claim")
        assert claim is None or isinstance(claim, Claim)
        return claim

    @property
    def taken(self) -> Sequence[Trial]:
        """The trials that it handed out."""
        if self.error is not None or self.claim is None:
            return ()
        if self.verb == "claim":
            return () if self.answer is None else (_trial(self.answer),)
        if self.verb == "add_trials":
            assert isinstance(self.answer, Sequence)
            return tuple(map(_trial, self.answer))
        return ()

    @property
    def happened(self) -> bool:
        """Whether it did what it was asked for: also where the caller was told of a fault on the way back."""
        if self.error is None:
            return True
        return self.changes is not None and bool(self.changes.trials or self.changes.measurements)

    @property
    def reported(self) -> Sequence[Measurement]:
        """The measurements it gives."""
        given = self.arguments["measurements"]
        assert isinstance(given, Sequence)
        return given


@dataclass(slots=True)
class Run:
    """A trial's program, from its start to its end.

    Attributes:
        number: The trial.
        attempt: Which start of it.
        values: What the program was given.
        tuner: The process that ran it.
        began: When it started, on the world's clock.
        ended: When all of it was gone; None while it runs.
    """

    number: int
    attempt: int
    values: Mapping[str, Value]
    tuner: str
    began: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a tuner told its observers."""

    tuner: str
    event: object


@dataclass(slots=True)
class Seen:
    """A study, and all that was seen of it.

    Attributes:
        record: What is stored of it in the end.
        trials: Its trials in the end.
        measured: What they measured, as it is stored in the end.
        program: What they should have measured.
        changes: What a reader saw, from revision 0 on, each since the last.
        calls: Every call of the storage in its order; their `changes` are then every change there was.
        runs: The programs that ran.
        told: What tuners told their observers.
        readers: What processes knew that read for the last time after the last change.
        slots: How many trials each tuner may run at once.
    """

    record: StudyRecord
    trials: Sequence[Trial]
    measured: Sequence[Measured]
    program: Program | None = None
    changes: Sequence[Changes] = ()
    calls: Sequence[Call] = ()
    runs: Sequence[Run] = ()
    told: Sequence[Told] = ()
    readers: Mapping[str, History] = field(default_factory=dict)
    slots: int | None = None


def look(storage: Storage, study: str, **seen: object) -> Seen:
    """Return what is stored of a study now, with what else was ``seen`` of it."""
    trials = storage.trials(study)
    measured = [m for t in trials for m in storage.measured(study, t.number)]
    return Seen(storage.study(study), trials, measured, **seen)  # type: ignore[arg-type]


def _trial(given: object) -> Trial:
    assert isinstance(given, Trial)
    return given
