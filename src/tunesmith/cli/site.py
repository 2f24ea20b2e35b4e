"""What this machine has for jobs of Google's: images, buckets and sources, as options say."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
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

if TYPE_CHECKING:
    from tunesmith.service.storage_server import StorageServer

__all__ = ["JobSite", "SiteChoice", "open_site", "site_options"]

_Command = TypeVar("_Command", bound=Callable[..., object])


def site_options(command: _Command) -> _Command:
    """Add what says where images and buckets of a job are."""
    for option in reversed((
        click.option(
            "--image", "images", multiple=True, metavar="IMAGE=PLACE",
            help="For a job's file: what runs in place of a container image; a folder with its"
            " Dockerfile, or a command. TUNESMITH_IMAGES has several, separated by ';'.",
        ),
        click.option(
            "--buckets", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
            envvar="TUNESMITH_BUCKETS",
            help="For a job's file: the folder in which gs://NAME is the folder NAME; buckets in"
            " .tunesmith, or TUNESMITH_BUCKETS, by default.",
        ),
        click.option(
            "--engine", type=click.Choice(get_args(EngineName)), default="auto",
            envvar="TUNESMITH_ENGINE",
            help="For a job's file: what runs containers; docker or podman, which is there, by default.",
        ),
        click.option(
            "--gs", is_flag=True,
            help="For a job's file: tell its programs gs:// addresses and serve them, not paths.",
        ),
    )):  # fmt: skip
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class SiteChoice:
    """What the options say."""

    images: tuple[str, ...] = ()
    buckets: Path | None = None
    engine: str = "auto"
    gs: bool = False

    def entries(self) -> tuple[ImageEntry, ...]:
        """Return what runs in place of images: as options say, and then the environment.

        Raises:
            click.UsageError: one is not of the form IMAGE=PLACE.
            SpecError: what is meant is neither a folder nor a command.
        """
        named = [("--image", text) for text in self.images]
        around = os.environ.get("TUNESMITH_IMAGES", "").split(";")
        named += [("TUNESMITH_IMAGES", text) for text in map(str.strip, around) if text]
        return tuple(_entry(where, text) for where, text in named)


def _entry(where: str, text: str) -> ImageEntry:
    pattern, mark, meant = text.partition("=")
    if not (pattern and mark and meant):
        msg = (
            f"{where}: an image and what runs in its place look like"
            f" gcr.io/my-project/train=./train; given {text!r}."
        )
        raise click.UsageError(msg)
    return image_entry(pattern, meant)


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
    """

    job: Job
    program: Program
    site: Site
    stages: Mapping[int, Stage]

    def executor(self, *, study: str, spec: StudySpec, root: Path, worker: str) -> JobExecutor:
        """Return what runs the job as trials of a study."""
        return JobExecutor(
            self.job,
            Identity(study),
            self.site,
            study=study,
            spec=spec,
            root=root,
            worker=worker,
            resources=self.program.resources,
            stages=self.stages,
        )

    def pools(self, trial: Trial, spec: StudySpec, directory: Path) -> list[PoolPlan]:
        """Return what a trial's pools would run; ``directory`` is the trial's."""
        job = self.job
        output = f"{job.output.rstrip('/')}/{trial.number}" if job.output else ""
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
    choice: SiteChoice,
    *,
    root: Path,
    environments: Path,
    folders: tuple[Path, ...],
) -> Iterator[JobSite]:
    """Find all that a job needs; its buckets are served meanwhile, if programs want that.

    Args:
        job: The job.
        program: The limits of its trials.
        choice: What the options say.
        root: The folder for trials' files.
        environments: The folder for environments with jobs' packages.
        folders: Where sources are, the nearest first.

    Raises:
        SpecError: images, packages or addresses of the job are not to be had.
    """
    buckets = choice.buckets.absolute() if choice.buckets else root / "buckets"
    images = choice.entries()
    with _served(buckets) if _wants_addresses(job, choice) else nullcontext() as server:
        site = Site(
            Buckets(buckets, "" if server is None else server.url),
            environments,
            images,
            cast("EngineName", choice.engine),
            folders=tuple(dict.fromkeys(folder.absolute() for folder in folders)),
        )
        yield JobSite(job, program, site, make_stages(job, site))


def _wants_addresses(job: Job, choice: SiteChoice) -> bool:
    return choice.gs or job.labels.get("tunesmith_addresses") == "gs"


def _served(buckets: Path) -> "StorageServer":
    from tunesmith.service.storage_server import StorageServer  # noqa: PLC0415 - loads FastAPI

    return StorageServer(buckets)
