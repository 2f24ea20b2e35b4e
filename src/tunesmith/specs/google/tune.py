"""What one of Google's files comes to on this machine: a study with its job, or a job that runs once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import NotFoundError, Problem, SpecError
from tunesmith.model import Program, StudySpec
from tunesmith.model.job import Job
from tunesmith.specs.faults import Place, did_you_mean
from tunesmith.specs.google.jobs import GoogleJob, name_in
from tunesmith.specs.google.local import job_program, with_command
from tunesmith.specs.native import TuneFile
from tunesmith.specs.site import SiteSection

__all__ = ["SingleJob", "searched_spec", "single_job", "tune_file"]


@dataclass(frozen=True, slots=True)
class SingleJob:
    """A job that tunes nothing, and so runs once.

    Attributes:
        name: What it is called.
        program: Its limits.
        job: What it runs.
        site: What its file says of this machine.
    """

    name: str
    program: Program
    job: Job
    site: SiteSection


def tune_file(
    found: GoogleJob,
    file: Path,
    earlier: Callable[[str], StudySpec],
    command: Sequence[str] = (),
    known: Callable[[], Sequence[str]] = list,
) -> TuneFile:
    """Return what the file says, as if it were a native one with a job.

    Args:
        found: What it says.
        file: Where it is; it names a study that has no name.
        earlier: Returns an earlier study, which goes on.
        command: What runs in place of the job's own command; empty for nothing.
        known: Returns the names of the studies that there are.

    Raises:
        SpecError: it tunes nothing, or goes on with a study that is not there or has other parameters.
    """
    spec = searched_spec(found, earlier, known)
    name = name_in(found.title, file)
    if found.job is None:
        return TuneFile(name, spec, site=_site(found))
    job = with_command(found.job, command)
    return TuneFile(name, spec, job_program(job), job, site=_site(found))


def single_job(found: GoogleJob, file: Path, command: Sequence[str] = ()) -> SingleJob | None:
    """Return the job that a file has run once; None if the file tunes something.

    Args:
        found: What it says.
        file: Where it is; it names a job that has no name.
        command: What runs in place of the job's own command; empty for nothing.
    """
    if found.tunes or found.job is None:
        return None
    job = with_command(found.job, command)
    return SingleJob(name_in(found.title, file), job_program(job), job, _site(found))


def searched_spec(
    found: GoogleJob,
    earlier: Callable[[str], StudySpec],
    known: Callable[[], Sequence[str]] = list,
) -> StudySpec:
    """Return what a document searches: by itself, or as the earlier study that goes on; see `tune_file`."""
    if found.resumes is not None:
        try:
            before = earlier(found.resumes.study)
        except NotFoundError as error:
            text = f"there is no study {found.resumes.study!r} to go on from. `tunesmith ls` lists them."
            hint = did_you_mean(found.resumes.study, known())
            raise found.resumes.fault(text, hint=hint) from error
        return found.resumes.spec(before)
    if found.spec is None:
        where = "trainingInput.hyperparameters" if found.form == "cmle" else "studySpec"
        message = (
            f"{where}: there is nothing to tune: a job that tunes needs parameters and a metric"
        )
        raise SpecError([_problem(found.place, message)])
    return found.spec


def _problem(place: Place | None, message: str) -> Problem:
    hint = "`tunesmith run` runs such a job once"
    if place is None:
        return Problem("E103", message, hint=hint)
    return place.problem("E103", message, hint=hint)


def _site(found: GoogleJob) -> SiteSection:
    """Return what is said of this machine; what a document says of its service counts last."""
    return found.site.before(SiteSection(project=found.project, region=found.region))
