"""Runs trials as commands, each in a process group of its own."""

import os
import threading
from pathlib import Path
from subprocess import Popen

from tunesmith.execution.argv import command_line, value_variables
from tunesmith.execution.base import Ended, Outcome, Reported
from tunesmith.execution.child import Nursery
from tunesmith.execution.ending import explain_exit, explain_start
from tunesmith.execution.guard import Guard
from tunesmith.execution.slots import Slot, Slots
from tunesmith.execution.tree import kill_marked
from tunesmith.execution.watch import Watch
from tunesmith.execution.workdir import (
    MissingCheckpointError,
    make_root,
    prepare,
    trial_directory,
    trial_environment,
)
from tunesmith.model import Program, StudySpec, Trial

__all__ = ["CommandExecutor"]


class CommandExecutor:
    """Runs a program's command once for each trial.

    Args:
        program: The command, how it gets its values, and its limits.
        study: The study's name.
        spec: The study.
        root: The folder below which trials have their directories.
        worker: The tuner's name.

    Raises:
        SpecError: a trial needs more GPUs or CPUs than there are.
    """

    def __init__(
        self, program: Program, *, study: str, spec: StudySpec, root: Path, worker: str
    ) -> None:
        self._program = program
        self._study = study
        self._spec = spec
        self._root = root
        self._worker = worker
        self._slots = Slots(program.resources)
        make_root(root, study)
        self._watch = Watch()
        self._nursery = Nursery(worker)
        self._taken: dict[int, Slot] = {}

    @property
    def slots(self) -> int | None:
        """How many trials it can run at once; None for as many as are wanted."""
        return self._slots.count

    def directory(self, number: int) -> Path:
        """Return the working directory of a trial."""
        return trial_directory(self._root, self._study, number)

    def start(self, trial: Trial) -> None:
        """Start a trial; its end comes from `wait`, also if the start fails."""
        directory = self.directory(trial.number)
        slot = self._taken[trial.number] = self._slots.take()
        try:
            prepare(directory, trial)
            process = self._launch(trial, directory, slot)
        except MissingCheckpointError as error:
            self._watch.put(Ended(trial.number, Outcome.FAILED, str(error)))
            return
        except OSError as error:
            self._watch.put(explain_start(trial.number, error))
            return
        slot.pin(process.pid)
        guard = Guard([process.pid], self._program.resources)
        self._watch.guard(trial.number, guard)
        threading.Thread(
            target=self._await_end, args=(trial.number, process, guard, directory), daemon=True
        ).start()

    def wait(self, timeout_s: float) -> Reported | Ended | None:
        """Return the next end of a trial, or None after ``timeout_s`` seconds without one."""
        event = self._watch.wait(timeout_s)
        if isinstance(event, Ended):
            self._slots.give_back(self._taken.pop(event.number))
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

    def _launch(self, trial: Trial, directory: Path, slot: Slot) -> Popen[bytes]:
        environment = {
            **os.environ,
            **trial_environment(directory, trial, self._study, self._spec, self._worker),
            **slot.variables(),
            **self._program.environment,
            **value_variables(self._program, trial, self._spec.space),
        }
        with (directory / "stdout").open("wb") as out, (directory / "stderr").open("wb") as err:
            return self._nursery.start(
                command_line(self._program, trial, self._spec.space, directory),
                environment=environment,
                mark=directory,
                directory=self._program.directory,
                stdout=out,
                stderr=err,
            )

    def _await_end(self, number: int, process: Popen[bytes], guard: Guard, directory: Path) -> None:
        self._nursery.outlast(process)
        guard.release()
        status = self._nursery.bury(process)
        if guard.outcome is not None:  # it may have fled from the signal into another group
            kill_marked(owner=self._worker, directories=[str(directory)])
        self._watch.put(explain_exit(number, status, guard, directory / "stderr"))
