"""What one of Google's documents says: a study, what its trials run, or how an earlier study goes on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from tunesmith.model import Stopping, StudySpec
from tunesmith.model.job import Job
from tunesmith.specs.google.findings import Lost

__all__ = ["Continuation", "Form", "GoogleJob", "name_in", "study_name"]

_NAMELESS_STEMS = ("tune", "study", "tunesmith", "config", "job")

Form = Literal["cmle", "vertex", "vizier", "optimizer"]
"""Whose document it is: a job of Cloud ML Engine, one of Vertex AI, a study of Vizier, or one of the
older optimizer API."""


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
    """

    study: str
    max_trials: int = 1
    parallel_trials: int = 1
    max_failed_trials: int | None = None
    stopping: tuple[Stopping, ...] = ()
    time_s: float | None = None

    def spec(self, earlier: StudySpec) -> StudySpec:
        """Return the new study: parameters and metrics of the earlier one, from which it learns."""
        known = [name for name in earlier.warm_start if name != self.study]
        return replace(
            earlier,
            max_trials=self.max_trials,
            parallel_trials=self.parallel_trials,
            max_failed_trials=self.max_failed_trials,
            stopping=self.stopping,
            warm_start=(self.study, *known),
            ending=replace(earlier.ending, time_s=self.time_s),
        )


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
    """

    form: Form
    title: str = ""
    spec: StudySpec | None = None
    job: Job | None = None
    resumes: Continuation | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[Lost, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


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
