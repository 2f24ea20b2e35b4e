"""What the replicas of one trial of a job find around them: arguments, variables, and where they write."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import StorageError
from tunesmith.execution.argv import job_arguments
from tunesmith.execution.buckets import Buckets, lay_link
from tunesmith.execution.cluster import Cluster, Replica
from tunesmith.execution.workdir import CHECKPOINTS
from tunesmith.model import Trial
from tunesmith.model.job import Job
from tunesmith.space import Space

__all__ = ["Identity", "Surroundings"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a job is called where it was submitted.

    Attributes:
        job: The job's name or number.
        project: The project's name or number.
        region: Where it claims to run.
        tuning: Whether trials have numbers for the program; a plain training job has one trial without.
    """

    job: str
    project: str = "local"
    region: str = "us-central1"
    tuning: bool = True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What surrounds one trial.

    Attributes:
        job: The job.
        identity: What it is called.
        buckets: Where buckets are.
        trial: The trial.
        directory: Its directory.
        cluster: Its replicas.
    """

    job: Job
    identity: Identity
    buckets: Buckets
    trial: Trial
    directory: Path
    cluster: Cluster

    @property
    def work(self) -> Path:
        """The folder in which programs run that have none of their own."""
        return self.directory / "work"

    @property
    def output(self) -> str:
        """Where the job says that this trial writes; ``""`` if it does not say."""
        if not self.job.output:
            return ""
        base = self.job.output.rstrip("/")
        return f"{base}/{self.trial.number}" if self.identity.tuning else base

    def lay_out(self) -> None:
        """Make the folder for programs, and the place where the trial writes a link to its checkpoints.

        Raises:
            StorageError: something else is in that place, or a folder can't be written.
        """
        try:
            self.work.mkdir(exist_ok=True)
        except OSError as error:
            msg = f"Can't write to the trial's folder {self.directory}: {error.strerror}."
            raise StorageError(msg) from error
        if self.output:
            place = self.buckets.path(self.output)
            if self.identity.tuning or not place.is_dir():
                lay_link(place, self.directory / CHECKPOINTS)

    def arguments(self, member: Replica, space: Space) -> list[str]:
        """Return what stands behind the program: the same for all replicas of a pool."""
        return job_arguments(
            self.job,
            member.pool,
            self.trial,
            space,
            directory=self.directory,
            buckets=self.buckets,
            output=self.output,
        )

    def variables(
        self, member: Replica, common: Mapping[str, str], around: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the variables of one replica, those of its pool last.

        Args:
            member: The replica.
            common: What it would find in a trial that is no job's.
            around: What is set before, to which those of the pool may refer.
        """
        found = self._of_service(member, common) | self.cluster.variables(member) | self._places()
        return found | member.pool.variables({**around, **found})

    def _of_service(self, member: Replica, common: Mapping[str, str]) -> dict[str, str]:
        """Return what is common to all trials as the job's service has it."""
        tuning = self.identity.tuning
        hidden = () if tuning else ("TRIAL_ID", "HP_METRIC_FILE", "HP_METRIC_TAG")
        left_out = {"AIP_CHECKPOINT_DIR", *(f"CLOUD_ML_{name}" for name in hidden)}
        found = {name: text for name, text in common.items() if name not in left_out}
        if tuning:
            found["CLOUD_ML_HP_METRIC_FILE"] = str(self._metric_file(member))
        found["CLOUD_ML_JOB_ID"] = self.identity.job
        found["CLOUD_ML_PROJECT_ID"] = self.identity.project
        if self.job.world == "vertex":
            found["CLOUD_ML_REGION"] = self.identity.region
        if self.job.document:
            found["CLOUD_ML_JOB"] = self.job.document
        if self.buckets.url:
            found["STORAGE_EMULATOR_HOST"] = self.buckets.url
        return found

    def _metric_file(self, member: Replica) -> Path:
        """Return where a replica's hypertune writes; only what the primary reports is the trial's."""
        folder = self.directory / ("hypertune" if member.primary else f"hypertune-{member.name}")
        folder.mkdir(exist_ok=True)
        return folder / "output.metrics"

    def _places(self) -> dict[str, str]:
        """Return the variables that say where a trial on Vertex AI writes."""
        if self.job.world != "vertex" or not self.output:
            return {}
        folders = {"MODEL": "model", "CHECKPOINT": "checkpoints", "TENSORBOARD_LOG": "logs"}
        return {
            f"AIP_{name}_DIR": self.buckets.told(f"{self.output}/{folder}/")
            for name, folder in folders.items()
        }
