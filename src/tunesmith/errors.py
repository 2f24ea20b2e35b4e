"""Everything Tunesmith raises on purpose.

TunesmithError
├── SpaceError            a parameter or a point that makes no sense (also a ValueError)
├── SpecError             a study's description has faults, each with its place (also a ValueError)
├── MetricError           a metric is missing or is no number (also a ValueError)
├── StudyError
│   ├── NotFoundError     no study or trial of that name (also a LookupError)
│   ├── ConflictError     the study has moved on since it was read
│   ├── MismatchError     a study of that name exists with another space or metric
│   ├── LeaseLostError    the trial belongs to another attempt by now
│   ├── StateError        a move that the table of states does not allow
│   └── StudyEnded        nothing more to ask; says why
│       └── StudyWaiting  nothing to ask for until running trials report or end
├── StorageError          the storage can't be reached, read or written
├── MissingExtraError     an optional package is not installed; names the extra
└── TrialSignal           raised inside training code to leave it
    ├── TrialStopped      a rule or a person ended the trial; what it reported counts
    │   └── TrialPaused   the trial pauses here; save a checkpoint, it may be resumed from it
    └── TrialInfeasible   these values can't be tried
"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "ConflictError",
    "LeaseLostError",
    "MetricError",
    "MismatchError",
    "MissingExtraError",
    "NotFoundError",
    "Problem",
    "SpaceError",
    "SpecError",
    "StateError",
    "StorageError",
    "StudyEnded",
    "StudyError",
    "StudyWaiting",
    "TrialInfeasible",
    "TrialPaused",
    "TrialSignal",
    "TrialStopped",
    "TunesmithError",
]


class TunesmithError(Exception):
    """The root of everything Tunesmith raises on purpose."""


class SpaceError(TunesmithError, ValueError):
    """A parameter, a condition or a point of a space makes no sense; names the parameter."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a study's description.

    Attributes:
        code: A stable identifier such as ``"E102"``.
        message: What is wrong, what was given, what would be right.
        file: The file's name as the user gave it; ``""`` for a command line or a call.
        line: Line from 1; 0 where there is none.
        column: Column from 1; 0 where there is none.
        source: The text of that line, for the caret.
        width: How many characters the caret underlines.
        hint: A short continuation, such as ``"did you mean 'max'?"``.
    """

    code: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    source: str = ""
    width: int = 1
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.message}{hint}"


class SpecError(TunesmithError, ValueError):
    """A study's description has faults; ``problems`` lists them all, in reading order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MetricError(TunesmithError, ValueError):
    """A metric is missing, or what was given for it is no number."""


class StudyError(TunesmithError):
    """Something about one study."""


class NotFoundError(StudyError, LookupError):
    """No study or trial of that name."""


class ConflictError(StudyError):
    """The study has moved on since it was read: read again and decide again."""


class MismatchError(StudyError):
    """A study of that name exists with another space or other metrics."""


class LeaseLostError(StudyError):
    """The trial was given to another attempt; what this worker says no longer counts."""


class StateError(StudyError):
    """A trial can't move from its state to the wanted one."""


class StudyEnded(StudyError):  # noqa: N818 - an ordinary end, not a fault
    """There is nothing more to ask of this study; the message says why."""


class StudyWaiting(StudyEnded):
    """There is nothing to run until trials that run report or end; then ask again."""


class StorageError(TunesmithError):
    """The storage can't be reached, read or written; the message says what to do."""


class MissingExtraError(TunesmithError, ImportError):
    """An optional package is not installed; the message has the command that installs it."""


class TrialSignal(TunesmithError):  # noqa: N818 - leaves training code, as GeneratorExit leaves a generator
    """Raised inside training code to leave it."""


class TrialStopped(TrialSignal):
    """A rule or a person ended this trial; what it has reported counts."""


class TrialPaused(TrialStopped):
    """The trial pauses here. What is in its checkpoint directory is there when it is resumed."""


class TrialInfeasible(TrialSignal):
    """Raise it when a trial's values can't be tried; the study remembers and goes on."""
