"""What one of Google's files comes to on this machine: a study and the job that its trials run."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tunesmith.model import StudySpec
from tunesmith.specs.google.jobs import GoogleJob, name_in
from tunesmith.specs.google.local import job_program, with_command
from tunesmith.specs.native import TuneFile

__all__ = ["searched_spec", "tune_file"]


def tune_file(
    found: GoogleJob, file: Path, earlier: Callable[[str], StudySpec], command: Sequence[str] = ()
) -> TuneFile:
    """Return what the file says, as if it were a native one with a job.

    Args:
        found: What it says.
        file: Where it is; it names a study that has no name.
        earlier: Returns an earlier study, which goes on.
        command: What runs in place of the job's own command; empty for nothing.

    Raises:
        NotFoundError: there is no such earlier study.
    """
    spec = searched_spec(found, earlier)
    name = name_in(found.title, file)
    if found.job is None:
        return TuneFile(name, spec)
    job = with_command(found.job, command)
    return TuneFile(name, spec, job_program(job), job)


def searched_spec(found: GoogleJob, earlier: Callable[[str], StudySpec]) -> StudySpec:
    """Return what a document searches: by itself, or as the earlier study that goes on."""
    if found.resumes is not None:
        return found.resumes.spec(earlier(found.resumes.study))
    assert found.spec is not None, "a document that is read from a file tunes something"
    return found.spec
