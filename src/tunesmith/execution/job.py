"""Runs trials as jobs of several replicas, which start together, find each other and end together."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import Popen

from tunesmith.errors import SpecError, StorageError
from tunesmith.execution.base import Ended, Outcome, Reported
from tunesmith.execution.cluster import PORTS_BESIDE, Cluster, Replica, replicas
from tunesmith.execution.crew import Crew
from tunesmith.execution.ending import explain_exit
from tunesmith.execution.guard import Guard
from tunesmith.execution.ports import HOST, Ports
from tunesmith.execution.running import RunningTrials
from tunesmith.execution.shares import Shares
from tunesmith.execution.slots import Slot
from tunesmith.execution.stages import Command, Place, Site, Stage
from tunesmith.execution.staging import make_stages
from tunesmith.execution.surroundings import Identity, Surroundings
from tunesmith.execution.tree import sweep
from tunesmith.model import Resources, StudySpec, Trial
from tunesmith.model.job import Job

__all__ = ["Identity", "JobExecutor"]


@dataclass(frozen=True, slots=True)
class _Run:
    """One trial that runs."""

    trial: Trial
    slot: Slot
    ports: Ports
    crew: Crew
    surroundings: Surroundings


@dataclass(frozen=True, slots=True)
class _Started:
    """A replica that runs, and its container's name, if it is one."""

    member: Replica
    process: Popen[bytes]
    container: str


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
        self._buckets = site.buckets
        self._space = spec.space
        self._worker = worker
        self._members = replicas(job)
        self._shares = Shares(job, self._resources)
        self._stages = make_stages(job, site) if stages is None else stages
        self._trials = RunningTrials(
            self._shares.slots, study=study, spec=spec, root=root, worker=worker
        )

    @property
    def slots(self) -> int | None:
        """How many trials it can run at once; None for as many as are wanted."""
        return self._shares.slots.count

    def directory(self, number: int) -> Path:
        """Return the working directory of a trial."""
        return self._trials.directory(number)

    def start(self, trial: Trial) -> None:
        """Start a trial with all its replicas, or with none; its end comes from `wait` in any case."""
        directory = self.directory(trial.number)
        if directory.exists():
            for stage in self._stages.values():
                stage.clear(directory)
        self._trials.start(trial, self._begin)

    def wait(self, timeout_s: float) -> Reported | Ended | None:
        """Return the next end of a trial, or None after ``timeout_s`` seconds without one."""
        return self._trials.wait(timeout_s)

    def stop(self, number: int, outcome: Outcome, reason: str) -> None:
        """Ask a trial's processes to end (SIGTERM), then make them (SIGKILL); it ends as ``outcome``."""
        self._trials.stop(number, outcome, reason)

    def kill(self) -> None:
        """End all processes at once, without grace."""
        self._trials.kill()

    def close(self) -> None:
        """End what still runs and leave nothing behind."""
        self._trials.close()
        for stage in self._stages.values():
            stage.close(self._worker)

    # Starting

    def _begin(self, trial: Trial, slot: Slot) -> None:
        run = self._assembled(trial, slot)
        try:
            for replica in self._start_all(run):
                threading.Thread(target=self._follow, args=(run, replica), daemon=True).start()
        except BaseException:
            run.ports.close()
            raise
        self._trials.guard(trial.number, run.crew.guard)

    def _assembled(self, trial: Trial, slot: Slot) -> _Run:
        directory = self.directory(trial.number)
        ports = Ports(len(self._members) + PORTS_BESIDE)
        cluster = Cluster(
            self._job,
            self._members,
            HOST,
            ports.numbers,
            self._identity.job,
            str(trial.number) if self._identity.tuning else "",
        )
        guard = Guard([], self._resources)
        return _Run(
            trial,
            slot,
            ports,
            Crew(trial.number, guard, self._resources, self._job.restart),
            Surroundings(self._job, self._identity, self._buckets, trial, directory, cluster),
        )

    def _start_all(self, run: _Run) -> list[_Started]:
        """Start all replicas, or leave none."""
        started: list[_Started] = []
        try:
            run.surroundings.lay_out()
            commands = [self._command(run, member) for member in self._members]
            for port in run.ports.numbers[len(self._members) :]:
                run.ports.open(port)
            for member, command in zip(self._members, commands, strict=True):
                run.crew.begin(member)
                started.append(self._launch(run, member, command))
        except BaseException:
            run.crew.guard.kill()
            for replica in started:
                self._outlast(run, replica)
            self._trials.sweep(run.trial.number)
            raise
        return started

    def _command(self, run: _Run, member: Replica) -> Command:
        """Return what is started for a replica."""
        surroundings, number = run.surroundings, run.trial.number
        stage = self._stages[member.position]
        port = run.ports.numbers[0]
        place = Place(
            f"tunesmith-{os.getpid()}-{number}-{run.trial.attempt}-{port}-{member.name}",
            surroundings.directory,
            surroundings.work,
            surroundings.directory / "roots" / member.name,
            self._shares.of(member, run.slot),
            self._resources.memory_limit_mib,
        )
        common = self._trials.variables(run.trial) | self._shares.variables(member, run.slot)
        return stage.command(
            place,
            surroundings.variables(member, common, stage.around()),
            surroundings.arguments(member, self._space),
        )

    def _launch(
        self, run: _Run, member: Replica, command: Command, *, again: bool = False
    ) -> _Started:
        """Start one replica.

        Raises:
            OSError: it can't be started.
        """
        run.ports.open(run.ports.numbers[member.rank])
        process = self._trials.launch(
            run.trial.number,
            command.words,
            environment=command.environment,
            directory=str(command.directory),
            log=_log(member),
            again=again,
        )
        if not run.crew.guard.join(process.pid):  # the trial is to end already
            sweep(process.pid)
        return _Started(member, process, command.container)

    # Ending

    def _follow(self, run: _Run, replica: _Started) -> None:
        """Outlast a replica and those that are started in its place; tell the trial's end if they are the last."""
        following: _Started | None = replica
        while following is not None:
            following = self._replaced(run, following)
        if (ended := run.crew.take_end()) is not None:
            if len(self._members) > 1 or ended.outcome is not Outcome.SUCCEEDED:
                # Something may have fled from a signal into another group.
                self._trials.sweep(run.trial.number)
            run.ports.close()
            self._trials.put(ended)

    def _replaced(self, run: _Run, replica: _Started) -> _Started | None:
        """Outlast a replica; return what is started in its place, or None."""
        member = replica.member
        if not run.crew.end(member, self._outlast(run, replica)):
            return None
        try:
            return self._launch(run, member, self._command(run, member), again=True)
        except (OSError, SpecError, StorageError) as error:
            run.crew.lost(member, Ended(run.trial.number, Outcome.LOST, str(error)))
            return None

    def _outlast(self, run: _Run, replica: _Started) -> Ended:
        """Wait for a replica's end and return what it says."""
        number, guard = run.trial.number, run.crew.guard
        status = self._trials.outlast(replica.process, guard)
        if replica.container:
            remark = self._stages[replica.member.position].settle(replica.container)
            if remark and guard.outcome is None:
                return Ended(number, Outcome.FAILED, remark)
        stderr = self.directory(number) / f"stderr{_log(replica.member)}"
        return explain_exit(number, status, guard, stderr)


def _log(member: Replica) -> str:
    return "" if member.primary else f"-{member.name}"
