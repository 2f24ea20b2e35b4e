"""What one of Google's documents says: a study, what its trials run, or how an earlier study goes on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from tunesmith.errors import Problem, SpecError
from tunesmith.model import Goal, Stopping, StudySpec
from tunesmith.model.job import Job
from tunesmith.space import Space
from tunesmith.specs.faults import Place
from tunesmith.specs.google.findings import Lost
from tunesmith.specs.site import SiteSection

__all__ = ["Continuation", "Form", "GoogleJob", "Stated", "name_in", "study_name"]

_RESUMES = "trainingInput.hyperparameters.resumePreviousJobId"
_NAMELESS_STEMS = ("tune", "study", "tunesmith", "config", "job")

Form = Literal["cmle", "vertex", "vizier", "optimizer"]
"""Whose document it is: a job of Cloud ML Engine, one of Vertex AI, a study of Vizier, or one of the
older optimizer API."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a job says of parameters and metric; what it leaves out is the earlier study's.

    Attributes:
        space: Its parameters; None if it names none.
        metric: Its metric; ``""`` if it names none.
        goal: Its goal; None if it names none.
    """

    space: Space | None = None
    metric: str = ""
    goal: Goal | None = None

    def in_place(self, spec: StudySpec) -> StudySpec:
        """Return a study with what is said here in place of its own."""
        metric, goal = self.metric or spec.objective.metric, self.goal or spec.objective.goal
        first = replace(spec.objective, metric=metric, goal=goal)
        objectives = (first, *spec.objectives[1:])
        return replace(spec, space=self.space or spec.space, objectives=objectives)


@dataclass(frozen=True, slots=True)
class Continuation:
    """How an earlier study goes on: only what such a job says itself.

    Attributes:
        study: The earlier study, by the job's id.
        max_trials: How many new trials there are.
        parallel_trials: How many of them run at once.
        max_failed_trials: The study fails when more than this have failed; None for no bound.
        stopping: What ends hopeless trials.
        time_s: Seconds after which it has enough; None for no limit.
        own: What the job says nevertheless of what it takes from the earlier one.
        place: Where a file names the earlier study; None in a request.
    """

    study: str
    max_trials: int = 1
    parallel_trials: int = 1
    max_failed_trials: int | None = None
    stopping: tuple[Stopping, ...] = ()
    time_s: float | None = None
    own: Stated = field(default_factory=Stated)
    place: Place | None = field(default=None, compare=False)

    def spec(self, earlier: StudySpec) -> StudySpec:
        """Return the new study: parameters and metrics of the earlier one, from which it learns.

        Raises:
            SpecError: the job says others itself.
        """
        if differences := earlier.differences(self.own.in_place(earlier)):
            text = f"the study {self.study!r} has other parameters or another metric than this job"
            hint = (
                "leave them out here, and the earlier ones are taken; to learn from it with these, leave"
                f" resumePreviousJobId out: tunesmith run --from {self.study}"
            )
            raise self.fault(f"{text}: {'; '.join(differences)}", hint=hint)
        known = [name for name in earlier.warm_start if name != self.study]
        return replace(
            earlier,
            max_trials=self.max_trials,
            parallel_trials=self.parallel_trials,
            max_failed_trials=self.max_failed_trials,
            stopping=self.stopping,
            warm_start=(self.study, *known),
            ending=replace(earlier.ending, time_s=self.time_s, min_time_s=None),
        )

    def fault(self, text: str, *, hint: str = "") -> SpecError:
        """Return the error that says what is wrong with the earlier study."""
        message = f"{_RESUMES}: {text}"
        if self.place is None:
            return SpecError([Problem("E120", message, hint=hint)])
        return SpecError([self.place.problem("E120", message, hint=hint)])


@dataclass(frozen=True, slots=True)
class GoogleJob:
    """What one of Google's documents says.

    Attributes:
        form: Whose document it is.
        title: The name in it: a job's id or display name; ``""`` if it has none.
        spec: What is searched, and how; None if that is an earlier study's, or nothing is.
        job: What trials run; None in a document that does not say.
        resumes: The earlier study that goes on; None for none.
        names: Names of the space that differ from those the program knows.
        lost: What the document says and Tunesmith does not keep.
        labels: Its labels.
        project: The project in its name; ``""`` if it has none.
        region: Where it wants to run; ``""`` if it does not say.
        site: What its file says of this machine.
        place: Where its file begins; None of a request.
    """

    form: Form
    title: str = ""
    spec: StudySpec | None = None
    job: Job | None = None
    resumes: Continuation | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[Lost, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    project: str = ""
    region: str = ""
    site: SiteSection = field(default_factory=SiteSection)
    place: Place | None = field(default=None, compare=False)

    @property
    def tunes(self) -> bool:
        """Whether there is anything to tune; or else its job runs once."""
        return self.spec is not None or self.resumes is not None


def name_in(title: str, file: Path) -> str:
    """Return the name of the study in a file: its title, else that of the file or of its folder."""
    stem = file.stem
    if stem.casefold() in _NAMELESS_STEMS:
        stem = file.absolute().parent.name or stem
    return study_name(title, study_name(stem, "study"))


def study_name(title: str, otherwise: str) -> str:
    """Return a study's name that is as near as possible to a title; ``otherwise`` if nothing is left."""
    plain = re.sub(r"[^\w.-]+", "-", title).strip("-.")
    return plain[:100] or otherwise
