"""What this machine has for jobs of Google's: images, buckets and sources, as options and files say."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, cast, get_args

import click

from tunesmith.execution.argv import job_arguments
from tunesmith.execution.buckets import Buckets
from tunesmith.execution.cluster import replicas
from tunesmith.execution.engine import EngineName
from tunesmith.execution.images import ImageEntry, image_entry
from tunesmith.execution.job import Identity, JobExecutor
from tunesmith.execution.stages import Site, Stage
from tunesmith.execution.staging import make_stages
from tunesmith.model import Program, StudySpec, Trial
from tunesmith.model.job import Job
from tunesmith.specs.site import SiteSection, read_section

if TYPE_CHECKING:
    from tunesmith.service.storage_server import StorageServer

__all__ = ["JobSite", "SiteChoice", "open_site", "site_options"]

_Command = TypeVar("_Command", bound=Callable[..., object])
_NOWHERE = Identity("")  # what programs are told where nobody says more


def site_options(command: _Command) -> _Command:
    """Add what says where images and buckets of a job are; the command gets it all as ``choice``."""

    @wraps(command)
    def gathered(
        *args: object,
        images: tuple[str, ...],
        buckets: Path | None,
        engine: str | None,
        gs: bool,
        project: str,
        region: str,
        site: Path | None,
        **others: object,
    ) -> object:
        choice = SiteChoice(images, buckets, engine, gs, project, region, site)
        return command(*args, choice=choice, **others)

    found = cast("_Command", gathered)
    for option in reversed((
        click.option(
            "--image", "images", multiple=True, metavar="IMAGE=PLACE",
            help="For a job's file: what runs in place of a container image; a folder with its"
            " Dockerfile, or a command. TUNESMITH_IMAGES has several, separated by ';'.",
        ),
        click.option(
            "--buckets", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
            help="For a job's file: the folder in which gs://NAME is the folder NAME; buckets in"
            " .tunesmith, or TUNESMITH_BUCKETS, by default.",
        ),
        click.option(
            "--engine", type=click.Choice(get_args(EngineName)),
            help="For a job's file: what runs containers; TUNESMITH_ENGINE, or docker or podman, which is"
            " there, by default.",
        ),
        click.option(
            "--gs", is_flag=True,
            help="For a job's file: tell its programs gs:// addresses and serve them, not paths.",
        ),
        click.option(
            "--project", default="", metavar="NAME",
            help="For a job's file: what its programs take for their project, CLOUD_ML_PROJECT_ID; the one"
            " in the file, or 'local', by default.",
        ),
        click.option(
            "--region", default="", metavar="NAME",
            help="For a job's file: the region, likewise; us-central1 by default.",
        ),
        click.option(
            "--site", type=click.Path(path_type=Path), metavar="FILE",
            help="For a job's file: a file with the section 'tunesmith', which has all of these.",
        ),
    )):  # fmt: skip
        found = option(found)
    return found


@dataclass(frozen=True, slots=True)
class SiteChoice:
    """What the options say."""

    images: tuple[str, ...] = ()
    buckets: Path | None = None
    engine: str | None = None
    gs: bool = False
    project: str = ""
    region: str = ""
    file: Path | None = None

    def before(self, section: SiteSection) -> SiteSection:
        """Return what all say: options first, then the file that one names, the environment, a section.

        Raises:
            click.UsageError: an image is not of the form IMAGE=PLACE, or an engine is none.
            SpecError: what is meant by an image is neither a folder nor a command; or the file has faults.
        """
        options = SiteSection(
            tuple(_entry("--image", text) for text in self.images),
            None if self.buckets is None else self.buckets.absolute(),
            self.gs or None,
            cast("EngineName | None", self.engine),
            self.project,
            self.region,
        )
        named = SiteSection() if self.file is None else read_section(self.file)
        return options.before(named).before(_around()).before(section)


def _around() -> SiteSection:
    """Return what the environment says."""
    images = map(str.strip, os.environ.get("TUNESMITH_IMAGES", "").split(";"))
    buckets = os.environ.get("TUNESMITH_BUCKETS", "")
    engine = os.environ.get("TUNESMITH_ENGINE", "")
    if engine and engine not in get_args(EngineName):
        known = ", ".join(get_args(EngineName))
        msg = f"TUNESMITH_ENGINE is one of {known}; given {engine!r}."
        raise click.UsageError(msg)
    return SiteSection(
        tuple(_entry("TUNESMITH_IMAGES", text) for text in images if text),
        Path(buckets).expanduser().absolute() if buckets else None,
        engine=cast("EngineName", engine) if engine else None,
    )


def _entry(where: str, text: str) -> ImageEntry:
    pattern, mark, meant = text.partition("=")
    if not (pattern and mark and meant):
        msg = (
            f"{where}: an image and what runs in its place look like"
            f" gcr.io/my-project/train=./train; given {text!r}."
        )
        raise click.UsageError(msg)
    entry = image_entry(pattern, meant)
    # A command is meant as it stands here; a trial's own folder has nothing of the program.
    return entry if entry.folder is not None else replace(entry, folder=Path.cwd())


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What a pool would run.

    Attributes:
        role: What it is called where its service shows it, such as ``worker``.
        replicas: How many there are in each trial.
        runs: The command of each, and where it runs.
    """

    role: str
    replicas: int
    runs: str


@dataclass(frozen=True, slots=True)
class JobSite:
    """A job that can be run here, since all that it needs is there.

    Attributes:
        job: The job.
        program: The limits of its trials.
        site: What this machine has.
        stages: What its pools have become.
        project: What its programs take for their project.
        region: Where they take themselves to be.
    """

    job: Job
    program: Program
    site: Site
    stages: Mapping[int, Stage]
    project: str = _NOWHERE.project
    region: str = _NOWHERE.region

    def executor(
        self, *, study: str, spec: StudySpec, root: Path, worker: str, tuning: bool = True
    ) -> JobExecutor:
        """Return what runs the job as trials of a study; or, without ``tuning``, once and by itself."""
        return JobExecutor(
            self.job,
            Identity(study, self.project, self.region, tuning),
            self.site,
            study=study,
            spec=spec,
            root=root,
            worker=worker,
            resources=self.program.resources,
            stages=self.stages,
        )

    def pools(
        self, trial: Trial, spec: StudySpec, directory: Path, *, tuning: bool = True
    ) -> list[PoolPlan]:
        """Return what a trial's pools would run; ``directory`` is the trial's. See `executor`."""
        job = self.job
        place = f"/{trial.number}" if tuning else ""
        output = job.output.rstrip("/") + place if job.output else ""
        found = []
        for member in replicas(job):
            if member.index == 0:
                words = job_arguments(
                    job,
                    member.pool,
                    trial,
                    spec.space,
                    directory=directory,
                    buckets=self.site.buckets,
                    output=output,
                )
                role = member.name.removesuffix("-0").removesuffix("-replica")
                runs = self.stages[member.position].text(words)
                found.append(PoolPlan(role, member.pool.replicas, runs))
        return found

    def writing_to(self, folder: Path) -> Self:
        """Return the same with another folder in place of the one that the job writes to, if any."""
        output = str(folder) if self.job.output else ""
        return replace(self, job=replace(self.job, output=output))


@contextmanager
def open_site(
    job: Job,
    program: Program,
    section: SiteSection,
    *,
    root: Path,
    environments: Path,
    folders: tuple[Path, ...],
) -> Iterator[JobSite]:
    """Find all that a job needs; its buckets are served meanwhile, if programs want that.

    Args:
        job: The job.
        program: The limits of its trials.
        section: What is said of this machine.
        root: The folder for trials' files.
        environments: The folder for environments with jobs' packages.
        folders: Where sources are, the nearest first.

    Raises:
        SpecError: images, packages or addresses of the job are not to be had.
    """
    buckets = section.buckets or root / "buckets"
    wants_addresses = job.labels.get("tunesmith_addresses") == "gs"
    if section.gs is not None:
        wants_addresses = section.gs
    with _served(buckets) if wants_addresses else nullcontext() as server:
        site = Site(
            Buckets(buckets, "" if server is None else server.url),
            environments,
            section.images,
            section.engine or "auto",
            folders=tuple(dict.fromkeys(folder.absolute() for folder in folders)),
        )
        stages = make_stages(job, site)
        project, region = section.project or _NOWHERE.project, section.region or _NOWHERE.region
        yield JobSite(job, program, site, stages, project, region)


def _served(buckets: Path) -> "StorageServer":
    from tunesmith.service.storage_server import StorageServer  # noqa: PLC0415 - loads FastAPI

    return StorageServer(buckets)
