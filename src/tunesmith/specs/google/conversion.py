"""A study in another form: native, of Cloud ML Engine, or of Vertex AI; with a list of what is lost."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import yaml

from tunesmith.model import Ending, StudySpec
from tunesmith.model.job import Job
from tunesmith.specs.google.findings import Losses, Lost
from tunesmith.specs.google.job_writing import IMAGE, custom_job_document, job_of, training_parts
from tunesmith.specs.google.jobs import GoogleJob, name_in
from tunesmith.specs.google.native_writing import native_text
from tunesmith.specs.google.space_writing import Document, cmle_parameters
from tunesmith.specs.google.study_writing import (
    algorithm_word,
    lose_common,
    stopping_of,
    study_spec_document,
)
from tunesmith.specs.google.times import duration_text
from tunesmith.specs.native import TuneFile
from tunesmith.specs.site import SECTION, SiteSection

__all__ = ["Converted", "Target", "convert"]

Target = Literal["native", "cmle", "vertex"]

_PER_PARAMETER = 10  # trials, where nobody says how many


@dataclass(frozen=True, slots=True)
class Converted:
    """A study in another form.

    Attributes:
        text: The file's text.
        lost: What the other form can't say.
    """

    text: str
    lost: tuple[Lost, ...]


def convert(
    source: TuneFile | GoogleJob,
    spec: StudySpec,
    to: Target,
    *,
    file: Path,
    folder: Path | None = None,
    as_json: bool = False,
) -> Converted:
    """Return a study in another form.

    Args:
        source: What the file says.
        spec: What it searches.
        to: The other form.
        file: Where the file is.
        folder: Where the other one will be; None for the same folder.
        as_json: Whether a document of Google's is written as JSON, not YAML.
    """
    before = source.lost if isinstance(source, GoogleJob) else ()
    lost = Losses(dict.fromkeys(before))
    if isinstance(source, GoogleJob) and source.site != SiteSection():
        lost.add(
            SECTION, "it is about this machine, and no part of the study; `--site FILE` reads it"
        )
    if isinstance(source, GoogleJob) and _is_unfinished(source.job):
        lost.need("imageUri", f"the file still says {IMAGE}: name the image that holds the program")
    if to == "native":
        text = native_text(source, spec, file, lost, folder=folder or file.parent)
        return Converted(text, tuple(lost.found))
    if isinstance(source, TuneFile):
        source = _as_job(source, lost)
    title = source.title or name_in("", file)
    job = source.job or job_of(None, spec, lost)
    if to == "vertex":
        document = _vertex(title, spec, job, source.names, lost)
    else:
        document = _cmle(title if as_json else "", spec, job, source, lost)
    return Converted(_text(document, as_json=as_json), tuple(lost.found))


def _is_unfinished(job: Job | None) -> bool:
    return job is not None and any(pool.image == IMAGE for pool in job.pools)


def _as_job(tune: TuneFile, lost: Losses) -> GoogleJob:
    if tune.seed_given:
        lost.add("seed", "searches draw at random there")
    return GoogleJob("vertex", tune.name, tune.spec, job_of(tune.program, tune.spec, lost))


def _text(document: Document, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return text


# Vertex AI


def _vertex(
    title: str, spec: StudySpec, job: Job, names: Mapping[str, str], lost: Losses
) -> Document:
    lose_common(spec, lost)
    document: Document = {
        "displayName": title,
        "studySpec": study_spec_document(spec, names, lost),
        "maxTrialCount": _trials(spec, "maxTrialCount", lost),
        "parallelTrialCount": spec.parallel_trials,
    }
    if (enough := _failures(spec)) is not None:
        document["maxFailedTrialCount"] = enough
    document["trialJobSpec"] = custom_job_document(job, lost)
    if job.labels:
        document["labels"] = dict(job.labels)
    return document


# Cloud ML Engine


def _cmle(title: str, spec: StudySpec, job: Job, source: GoogleJob, lost: Losses) -> Document:
    resumed = source.resumes
    lose_common(replace(spec, warm_start=()) if resumed else spec, lost)
    tuned: Document = {}
    if resumed is None:
        tuned = _searched(spec, lost)
    tuned["maxTrials"] = _trials(spec, "maxTrials", lost)
    tuned["maxParallelTrials"] = spec.parallel_trials
    if (enough := _failures(spec)) is not None:
        tuned["maxFailedTrials"] = enough
    rule = stopping_of(spec, lost)
    if rule is not None:
        tuned["enableTrialEarlyStopping"] = True
        if rule.name != "curve" or rule.settings:
            why = "the service chooses its rule and its settings"
            lost.add(f"stopping.{rule.name}", why)
    if resumed is not None:
        tuned["resumePreviousJobId"] = resumed.study
    else:
        tuned["params"] = cmle_parameters(spec.space, lost)
    training = training_parts(job, lost)
    training["hyperparameters"] = tuned
    if spec.ending.time_s is not None:
        training["scheduling"] = {"maxRunningTime": duration_text(spec.ending.time_s)}
    for name, flag in source.names.items():
        why = f"each parameter has a name of its own there; it was one of several called {flag}"
        lost.add(f"parameters.{name}", why)
    document: Document = {"jobId": re.sub(r"\W", "_", title, flags=re.ASCII)} if title else {}
    document["trainingInput"] = training
    if job.labels:
        document["labels"] = dict(job.labels)
    return document


def _searched(spec: StudySpec, lost: Losses) -> Document:
    """Return what is searched, but for the parameters."""
    for objective in spec.objectives[1:]:
        lost.add(objective.goal, f"a study has one metric there, and not {objective.metric}")
    for constraint in spec.constraints:
        lost.add("constraints", f"there are none there, and so not {constraint}")
    if spec.measurement != "last":
        lost.add("measurement", "the last one counts there")
    _lose_ending(spec.ending, lost)
    if spec.repeats:
        lost.add("algorithm", "repeat can't be set there")
    document: Document = {
        "goal": spec.objective.goal.upper(),
        "hyperparameterMetricTag": spec.objective.metric,
    }
    if word := algorithm_word(spec, lost):
        document["algorithm"] = word
    return document


def _lose_ending(ending: Ending, lost: Losses) -> None:
    """Take note of what ends a study here and not there, but for what no service knows."""
    for name, value in (
        ("no_improvement", ending.no_improvement),
        ("no_improvement_for", ending.no_improvement_for_s),
    ):
        if value is not None:
            lost.add(f"until.{name}", "a study has all its trials there")
    for name, least in (("min_trials", ending.min_trials), ("min_time", ending.min_time_s)):
        if least is not None:
            lost.add(f"until.{name}", "nothing holds back the end of a study there")
    if ending.stop_running is False and ending.time_s is not None:
        lost.add("until.stop_running", "trials that run end with the job there")


# Both


def _trials(spec: StudySpec, field: str, lost: Losses) -> int:
    if spec.max_trials is not None:
        return spec.max_trials
    advised = _PER_PARAMETER * len(spec.space)
    lost.need("max_trials", f"{field} is needed there; {advised} is written, ten a parameter")
    return advised


def _failures(spec: StudySpec) -> int | None:
    """Return how many failures are enough, where it is said how many may be."""
    if spec.max_failed_trials is None:
        return None
    return min(spec.max_failed_trials + 1, spec.max_trials or spec.max_failed_trials + 1)
