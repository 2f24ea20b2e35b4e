"""One of Google's jobs as a native file, and what of it that can't say."""

from pathlib import Path

from tunesmith.model import Program, Resources, StudySpec
from tunesmith.model.job import Job
from tunesmith.specs.google.findings import Losses
from tunesmith.specs.google.jobs import GoogleJob, name_in
from tunesmith.specs.google.local import command_of
from tunesmith.specs.native import TuneFile
from tunesmith.specs.write import study_yaml

__all__ = ["native_text"]


def native_text(
    source: TuneFile | GoogleJob, spec: StudySpec, file: Path, lost: Losses, *, folder: Path
) -> str:
    """Return the text of a native file in ``folder``; what it can't say is added to ``lost``."""
    if isinstance(source, TuneFile):
        return study_yaml(source, folder=folder.absolute())
    program = None
    if source.job is not None:
        program = _program(source.job, file.parent, lost)
    for name, flag in source.names.items():
        why = f"it reaches the program as --{name}; it was one of several called {flag}"
        lost.add(f"parameters.{name}", why)
    if source.labels:
        lost.add("labels", "a study has none")
    tune = TuneFile(name_in(source.title, file), spec, program)
    return study_yaml(tune, folder=folder.absolute())


def _program(job: Job, folder: Path, lost: Losses) -> Program | None:
    pool = job.primary
    if job.replicas > 1:
        why = f"a command is one process; of {job.replicas} only the first is kept"
        lost.add("pools", why)
    if pool.machine.accelerator:
        count = pool.machine.accelerators
        why = f"{count} {pool.machine.accelerator} were wished for: `resources: {{gpus: {count}}}` sets some aside"
        lost.add("machine", why)
    words = command_of(job)
    if not words:
        what = f"what the image {pool.image} runs" if pool.image else "what to run"
        lost.need("command", f"the file does not say {what}: write it")
        return None
    if pool.image and pool.command:
        lost.add("image", f"the command runs as it stands, and not in {pool.image}")
    elif pool.package is not None and pool.package.uris:
        lost.add("packageUris", "the module runs where its source is, or is installed")
    elif pool.image:
        lost.add("image", f"nothing runs in {pool.image}")
    if job.output:
        lost.add("output", f"trials have folders of their own, not {job.output}")
    return Program(
        words,
        directory=str(folder.absolute()),
        environment=pool.variables({}),
        resources=Resources(time_limit_s=job.time_limit_s),
        retries=0 if job.restart == "never" else Program(("",)).retries,
    )
