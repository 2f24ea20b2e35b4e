"""What is known of a study as a whole: its state, its budget, its counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tunesmith.errors import Problem, SpecError
from tunesmith.model.front import Front
from tunesmith.model.spec import StudySpec
from tunesmith.model.trial import FINAL, Trial, TrialState

__all__ = ["Feasibility", "StudyRecord", "StudyState", "StudySummary", "check_study_name"]


class StudyState(StrEnum):
    """Whether a study asks for more trials."""

    ACTIVE = "active"
    PAUSED = "paused"  # a person wants no new trials for now
    FINISHED = "finished"  # the budget is spent or the space exhausted
    STOPPED = "stopped"  # a person ended it
    FAILED = "failed"  # too many of its trials failed


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as it is stored, without its trials.

    Attributes:
        name: Its name, unique in the storage.
        spec: What it is; ``max_trials`` and ``parallel_trials`` are those in force now.
        state: Whether it asks for more trials.
        reason: Why it is in that state, as a sentence; ``""`` while it is active.
        size: How many trials it has; their numbers are 1 to ``size``.
        revision: Rises with every change of the study or one of its trials.
        created: When it was made, in seconds since the epoch.
        used: When it was last run.
        command: What its trials run, for people to read; ``""`` if no command does.
    """

    name: str
    spec: StudySpec
    state: StudyState = StudyState.ACTIVE
    reason: str = ""
    size: int = 0
    revision: int = 0
    created: float = 0.0
    used: float = 0.0
    command: str = ""


@dataclass(frozen=True, slots=True)
class Feasibility:
    """How many trials keep a study's constraints.

    Attributes:
        counted: How many trials count, whether or not they keep any.
        kept: How many of these keep each constraint, in the spec's order.
        feasible: How many of these keep all.
    """

    counted: int
    kept: tuple[int, ...]
    feasible: int


@dataclass(frozen=True, slots=True)
class StudySummary:
    """A study with what its trials add up to.

    Attributes:
        record: The study.
        counts: How many trials are in each state; states without trials are left out.
        best: The trial that ranks first (see `best_trial`); None before one counts.
        front: What a study with several objectives has reached; None with one objective.
        feasibility: How its constraints are kept; None without constraints.
        choices: Where the algorithm chooses among searchers, the trials with which one took over,
            up to the latest twenty; empty where it does not.
    """

    record: StudyRecord
    counts: Mapping[TrialState, int]
    best: Trial | None
    front: Front | None = None
    feasibility: Feasibility | None = None
    choices: tuple[Trial, ...] = ()

    @property
    def done(self) -> int:
        """How many trials have ended and count against the budget."""
        return sum(n for state, n in self.counts.items() if state in FINAL - {TrialState.CANCELLED})


def check_study_name(name: str) -> None:
    """Raise `SpecError` unless ``name`` can name a study: it stands in paths, URLs and commands."""
    bad = [c for c in name if c in "/\\:" or c.isspace() or not c.isprintable()]
    if not name or bad or name[0] in "-@." or len(name) > 100:
        message = (
            f"A study can't be called {name!r}. Use up to 100 letters, digits, '_', '-' and '.',"
            " beginning with a letter or digit."
        )
        raise SpecError([Problem("E120", message)])
