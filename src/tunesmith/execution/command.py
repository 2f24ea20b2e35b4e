"""Runs trials as commands, each in a process group of its own."""

import os
import threading
from pathlib import Path
from subprocess import Popen

from tunesmith.execution.argv import command_line, value_variables
from tunesmith.execution.base import Ended, Outcome, Reported
from tunesmith.execution.ending import explain_exit
from tunesmith.execution.guard import Guard
from tunesmith.execution.running import RunningTrials
from tunesmith.execution.slots import Slot, Slots
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
        self._space = spec.space
        self._slots = Slots(program.resources)
        self._trials = RunningTrials(self._slots, study=study, spec=spec, root=root, worker=worker)

    @property
    def slots(self) -> int | None:
        """How many trials it can run at once; None for as many as are wanted."""
        return self._slots.count

    def directory(self, number: int) -> Path:
        """Return the working directory of a trial."""
        return self._trials.directory(number)

    def start(self, trial: Trial) -> None:
        """Start a trial; its end comes from `wait`, also if the start fails."""
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

    def _begin(self, trial: Trial, slot: Slot) -> None:
        space, directory = self._space, self.directory(trial.number)
        process = self._trials.launch(
            trial.number,
            command_line(self._program, trial, space, directory),
            environment={
                **os.environ,
                **self._trials.variables(trial),
                **slot.variables(),
                **self._program.environment,
                **value_variables(self._program, trial, space),
            },
            directory=self._program.directory,
        )
        guard = Guard([process.pid], self._program.resources)
        threading.Thread(
            target=self._await_end, args=(trial.number, process, guard), daemon=True
        ).start()
        self._trials.guard(trial.number, guard)

    def _await_end(self, number: int, process: Popen[bytes], guard: Guard) -> None:
        status = self._trials.outlast(process, guard)
        ended = explain_exit(number, status, guard, self.directory(number) / "stderr")
        if guard.outcome is not None:  # it may have fled from the signal into another group
            self._trials.sweep(number)
        self._trials.put(ended)
