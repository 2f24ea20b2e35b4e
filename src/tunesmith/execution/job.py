"""Runs trials as jobs of several replicas, which start together, find each other and end together."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import Popen
from typing import BinaryIO

from tunesmith.errors import SpecError, StorageError
from tunesmith.execution.argv import job_arguments
from tunesmith.execution.base import Ended, Outcome, Reported
from tunesmith.execution.buckets import lay_link
from tunesmith.execution.child import Nursery
from tunesmith.execution.cluster import PORTS_BESIDE, Cluster, Replica, replicas
from tunesmith.execution.crew import Crew
from tunesmith.execution.ending import explain_exit, explain_start
from tunesmith.execution.guard import Guard
from tunesmith.execution.ports import HOST, Ports
from tunesmith.execution.shares import Shares
from tunesmith.execution.slots import Slot
from tunesmith.execution.stages import Command, Place, Site, Stage
from tunesmith.execution.staging import make_stages
from tunesmith.execution.tree import kill_marked, sweep
from tunesmith.execution.watch import Watch
from tunesmith.execution.workdir import (
    CHECKPOINTS,
    MissingCheckpointError,
    make_root,
    prepare,
    trial_directory,
    trial_environment,
)
from tunesmith.model import Resources, StudySpec, Trial
from tunesmith.model.job import Job

__all__ = ["Identity", "JobExecutor"]

_WORK = "work"


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


@dataclass(slots=True)
class _Run:
    """One trial that runs."""

    trial: Trial
    crew: Crew
    slot: Slot
    ports: Ports
    cluster: Cluster


class JobExecutor:
    """Runs a job once for each trial.

    Args:
        job: What runs.
        identity: What it is called.
        site: What this machine has for it.
        study: The study's name.
        spec: The study.
        root: The folder below which trials have their directories.
        worker: The tuner's name.
        resources: What one trial, with all its replicas, may take. Its own number of GPUs comes before
            what the job wishes for.
        stages: What the pools have become already; made here if None.

    Raises:
        SpecError: an image, a package or an address of the job is not to be had, or ``resources`` needs
            more than there is.
        StorageError: a folder can't be written.
    """

    def __init__(
        self,
        job: Job,
        identity: Identity,
        site: Site,
        *,
        study: str,
        spec: StudySpec,
        root: Path,
        worker: str,
        resources: Resources,
        stages: Mapping[int, Stage] | None = None,
    ) -> None:
        limit_s = job.time_limit_s if resources.time_limit_s is None else resources.time_limit_s
        self._resources = replace(resources, time_limit_s=limit_s)
        self._job = job
        self._identity = identity
        self._site = site
        self._study = study
        self._spec = spec
        self._root = root
        self._worker = worker
        self._members = replicas(job)
        self._shares = Shares(job, self._resources)
        self._stages = make_stages(job, site) if stages is None else stages
        make_root(root, study)
        self._watch = Watch()
        self._nursery = Nursery(worker)
        self._taken: dict[int, Slot] = {}

    @property
    def slots(self) -> int | None:
        """How many trials it can run at once; None for as many as are wanted."""
        return self._shares.count

    def directory(self, number: int) -> Path:
        """Return the working directory of a trial."""
        return trial_directory(self._root, self._study, number)

    def start(self, trial: Trial) -> None:
        """Start a trial with all its replicas, or with none; its end comes from `wait` in any case."""
        slot = self._taken[trial.number] = self._shares.take()
        try:
            self._clear(self.directory(trial.number))
            prepare(self.directory(trial.number), trial)
            self._lay_output(trial)
        except MissingCheckpointError as error:
            self._watch.put(Ended(trial.number, Outcome.FAILED, str(error)))
            return
        run = self._assembled(trial, slot)
        try:
            self._start_all(run)
        except BaseException:
            run.ports.close()
            raise

    def wait(self, timeout_s: float) -> Reported | Ended | None:
        """Return the next end of a trial, or None after ``timeout_s`` seconds without one."""
        event = self._watch.wait(timeout_s)
        if isinstance(event, Ended):
            self._shares.give_back(self._taken.pop(event.number))
        return event

    def stop(self, number: int, outcome: Outcome, reason: str) -> None:
        """Ask a trial's processes to end (SIGTERM), then make them (SIGKILL); it ends as ``outcome``."""
        self._watch.stop(number, outcome, reason)

    def kill(self) -> None:
        """End all processes at once, without grace."""
        self._watch.kill()

    def close(self) -> None:
        """End what still runs and leave nothing behind."""
        self._watch.kill()
        while self._watch.busy:
            self._watch.wait(1.0)
        self._nursery.close()
        for stage in self._stages.values():
            stage.close(self._worker)

    # Starting

    def _clear(self, directory: Path) -> None:
        if directory.exists():
            for stage in self._stages.values():
                stage.clear(directory)

    def _lay_output(self, trial: Trial) -> None:
        """Make the place where the job says that a trial writes a link to the trial's checkpoints."""
        directory = self.directory(trial.number)
        try:
            (directory / _WORK).mkdir(exist_ok=True)
        except OSError as error:
            msg = f"Can't write to the trial's folder {directory}: {error.strerror}."
            raise StorageError(msg) from error
        if self._job.output:
            place = self._site.buckets.path(self._output_address(trial))
            if self._identity.tuning or not place.is_dir():
                lay_link(place, directory / CHECKPOINTS)

    def _output_address(self, trial: Trial) -> str:
        """Return where the job says that this trial writes."""
        base = self._job.output.rstrip("/")
        return f"{base}/{trial.number}" if self._identity.tuning else base

    def _assembled(self, trial: Trial, slot: Slot) -> _Run:
        guard = Guard([], self._resources)
        crew = Crew(
            trial.number,
            self.directory(trial.number),
            guard,
            self._resources,
            self._job.restart,
        )
        ports = Ports(len(self._members) + PORTS_BESIDE)
        cluster = Cluster(
            self._job,
            self._members,
            HOST,
            ports.numbers,
            self._identity.job,
            str(trial.number) if self._identity.tuning else "",
        )
        return _Run(trial, crew, slot, ports, cluster)

    def _start_all(self, run: _Run) -> None:
        commands = [(member, self._command(run, member)) for member in self._members]
        for member in self._members:
            run.crew.begin(member)
        self._watch.guard(run.trial.number, run.crew.guard)
        for port in run.ports.numbers[len(self._members) :]:
            run.ports.open(port)
        started: list[tuple[Replica, Command, Popen[bytes]]] = []
        for member, command in commands:
            try:
                started.append((member, command, self._launch(run, member, command)))
            except OSError as error:
                run.crew.guard.kill()
                for begun in started:
                    self._outlast(run, *begun)
                self._over(run, explain_start(run.trial.number, error))
                return
        for begun in started:
            self._follow(run, *begun)

    def _launch(
        self, run: _Run, member: Replica, command: Command, *, again: bool = False
    ) -> Popen[bytes]:
        """Start one replica.

        Raises:
            OSError: it can't be started.
        """
        directory = run.crew.directory
        run.ports.open(run.ports.numbers[member.rank])
        with (
            _open(directory / _log("stdout", member), again=again) as out,
            _open(directory / _log("stderr", member), again=again) as err,
        ):
            process = self._nursery.start(
                command.words,
                environment=command.environment,
                mark=directory,
                directory=str(command.directory),
                stdout=out,
                stderr=err,
            )
        if not run.crew.guard.join(process.pid):
            sweep(process.pid)
        self._shares.of(member, run.slot).pin(process.pid)
        return process

    def _command(self, run: _Run, member: Replica) -> Command:
        """Return what is started for a replica."""
        number, directory = run.trial.number, run.crew.directory
        stage = self._stages[member.position]
        share = self._shares.of(member, run.slot)
        place = Place(
            f"tunesmith-{os.getpid()}-{number}-{run.trial.attempt}-{run.cluster.ports[0]}-{member.name}",
            directory,
            directory / _WORK,
            directory / "roots" / member.name,
            share,
            self._resources.memory_limit_mib,
        )
        return stage.command(
            place,
            self._variables(run, member, share, stage.around()),
            self._arguments(run.trial, member),
        )

    def _arguments(self, trial: Trial, member: Replica) -> list[str]:
        """Return what stands behind the program: the same for all replicas of a pool."""
        return job_arguments(
            self._job,
            member.pool,
            trial,
            self._spec.space,
            directory=self.directory(trial.number),
            buckets=self._site.buckets,
            output=self._output_address(trial) if self._job.output else "",
        )

    def _variables(
        self, run: _Run, member: Replica, share: Slot, around: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the variables of one replica, those of its pool last."""
        directory, identity = run.crew.directory, self._identity
        found = trial_environment(directory, run.trial, self._study, self._spec, self._worker)
        del found["AIP_CHECKPOINT_DIR"]
        if identity.tuning:
            found["CLOUD_ML_HP_METRIC_FILE"] = str(_metric_file(directory, member))
        else:
            for name in ("TRIAL_ID", "HP_METRIC_FILE", "HP_METRIC_TAG"):
                del found[f"CLOUD_ML_{name}"]
        found |= {
            "CLOUD_ML_JOB_ID": identity.job,
            "CLOUD_ML_PROJECT_ID": identity.project,
        }
        if self._job.world == "vertex":
            found["CLOUD_ML_REGION"] = identity.region
        if self._job.document:
            found["CLOUD_ML_JOB"] = self._job.document
        if self._site.buckets.url:
            found["STORAGE_EMULATOR_HOST"] = self._site.buckets.url
        if run.slot.gpus:  # also for a replica that has none of them
            found["CUDA_VISIBLE_DEVICES"] = ",".join(share.gpus)
        found |= share.variables() | run.cluster.variables(member) | self._places(run.trial)
        return found | member.pool.variables({**around, **found})

    def _places(self, trial: Trial) -> dict[str, str]:
        """Return the variables that say where a trial on Vertex AI writes."""
        if self._job.world != "vertex" or not self._job.output:
            return {}
        base = self._output_address(trial)
        told = self._site.buckets.told
        return {
            "AIP_MODEL_DIR": told(f"{base}/model/"),
            "AIP_CHECKPOINT_DIR": told(f"{base}/checkpoints/"),
            "AIP_TENSORBOARD_LOG_DIR": told(f"{base}/logs/"),
        }

    # Ending

    def _follow(self, run: _Run, member: Replica, command: Command, process: Popen[bytes]) -> None:
        threading.Thread(
            target=self._await_end, args=(run, member, command, process), daemon=True
        ).start()

    def _await_end(
        self, run: _Run, member: Replica, command: Command, process: Popen[bytes]
    ) -> None:
        ended = self._outlast(run, member, command, process)
        if run.crew.end(member, ended):
            self._start_again(run, member)
        if (end := run.crew.take_end()) is not None:
            self._over(run, end)

    def _start_again(self, run: _Run, member: Replica) -> None:
        try:
            command = self._command(run, member)
            process = self._launch(run, member, command, again=True)
        except (OSError, SpecError, StorageError) as error:
            run.crew.lost(member, Ended(run.trial.number, Outcome.LOST, str(error)))
            return
        self._follow(run, member, command, process)

    def _outlast(
        self, run: _Run, member: Replica, command: Command, process: Popen[bytes]
    ) -> Ended:
        """Wait for a replica's end and return what it says."""
        self._nursery.outlast(process)
        run.crew.guard.leave(process.pid)
        status = self._nursery.bury(process)
        remark = (
            self._stages[member.position].settle(command.container) if command.container else ""
        )
        if remark and run.crew.guard.outcome is None:
            return Ended(run.trial.number, Outcome.FAILED, remark)
        stderr = run.crew.directory / _log("stderr", member)
        return explain_exit(run.trial.number, status, run.crew.guard, stderr)

    def _over(self, run: _Run, ended: Ended) -> None:
        """Tell of a trial's end, when nothing is left of it."""
        run.crew.guard.release()
        if len(self._members) > 1 or ended.outcome is not Outcome.SUCCEEDED:
            # Something may have fled from a signal into another group.
            kill_marked(owner=self._worker, directories=[str(run.crew.directory)])
        run.ports.close()
        self._watch.put(ended)


def _log(name: str, member: Replica) -> str:
    return name if member.primary else f"{name}-{member.name}"


def _open(path: Path, *, again: bool) -> BinaryIO:
    return path.open("ab") if again else path.open("wb")


def _metric_file(directory: Path, member: Replica) -> Path:
    """Return where a replica's hypertune writes; only what the primary reports is the trial's."""
    folder = directory / ("hypertune" if member.primary else f"hypertune-{member.name}")
    folder.mkdir(exist_ok=True)
    return folder / "output.metrics"
