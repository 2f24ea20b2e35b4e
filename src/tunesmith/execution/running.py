"""The trials that an executor runs on this machine: each has a slot, a folder, a guard, and one end.

Every executor holds one of these, and adds to it what the processes of its trials are.
"""

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import Popen
from typing import Literal

from tunesmith.execution.base import Ended, Outcome, Reported
from tunesmith.execution.child import Nursery
from tunesmith.execution.ending import explain_start
from tunesmith.execution.guard import Guard
from tunesmith.execution.slots import Slot, Slots
from tunesmith.execution.tree import kill_marked
from tunesmith.execution.workdir import (
    MissingCheckpointError,
    make_root,
    prepare,
    trial_directory,
    trial_environment,
)
from tunesmith.model import StudySpec, Trial

__all__ = ["RunningTrials"]


class RunningTrials:
    """Begins trials, waits for what happens next to them, keeps their limits meanwhile, and ends them.

    One thread calls it. Only `launch`, `outlast`, `sweep` and `put` may be called from others, which follow
    the trials' processes.

    Args:
        slots: What trials have for themselves.
        study: The study's name.
        spec: The study.
        root: The folder below which trials have their directories.
        worker: The tuner's name.

    Attributes:
        nursery: Starts processes.
    """

    def __init__(
        self, slots: Slots, *, study: str, spec: StudySpec, root: Path, worker: str
    ) -> None:
        self._slots = slots
        self._study = study
        self._spec = spec
        self._root = root
        self._worker = worker
        make_root(root, study)
        self.nursery = Nursery(worker)
        self._events: queue.SimpleQueue[Ended | Reported] = queue.SimpleQueue()
        self._taken: dict[int, Slot] = {}
        self._guards: dict[int, Guard] = {}

    def directory(self, number: int) -> Path:
        """Return the working directory of a trial."""
        return trial_directory(self._root, self._study, number)

    def variables(self, trial: Trial) -> dict[str, str]:
        """Return the variables that all processes of a trial find."""
        directory = self.directory(trial.number)
        return trial_environment(directory, trial, self._study, self._spec, self._worker)

    # Starting

    def start(self, trial: Trial, begin: Callable[[Trial, Slot], None]) -> None:
        """Give a trial its slot and its folder, and have its processes started; its end comes from `wait`.

        Args:
            trial: The trial.
            begin: Starts them, and leaves none where one can't be started (`OSError`): that is the
                trial's end. After any other error, which would meet every trial, it is as if this one
                had never begun.
        """
        slot = self._taken[trial.number] = self._slots.take()
        try:
            prepare(self.directory(trial.number), trial)
            begin(trial, slot)
        except MissingCheckpointError as error:
            self.put(Ended(trial.number, Outcome.FAILED, str(error)))
        except OSError as error:
            self.put(explain_start(trial.number, error))
        except BaseException:
            self._slots.give_back(self._taken.pop(trial.number))
            raise

    def launch(
        self,
        number: int,
        words: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: str,
        log: str = "",
        again: bool = False,
    ) -> Popen[bytes]:
        """Start a process of a trial, on the trial's CPUs; what it prints goes to the trial's folder.

        Args:
            number: The trial.
            words: The program and its arguments.
            environment: All its variables.
            directory: Where it runs.
            log: What its files ``stdout`` and ``stderr`` have behind their names.
            again: Whether it is started once more, and goes on with these files.

        Raises:
            OSError: it can't be started.
        """
        own = self.directory(number)
        mode: Literal["ab", "wb"] = "ab" if again else "wb"
        with (own / f"stdout{log}").open(mode) as out, (own / f"stderr{log}").open(mode) as err:
            process = self.nursery.start(
                words,
                environment=environment,
                mark=own,
                directory=directory,
                stdout=out,
                stderr=err,
            )
        self._taken[number].pin(process.pid)
        return process

    def guard(self, number: int, guard: Guard) -> None:
        """Keep a trial's limits from now on, until its end is taken out.

        Its end must be on its way: `close` waits for it.
        """
        self._guards[number] = guard

    # Waiting and ending

    def wait(self, timeout_s: float) -> Reported | Ended | None:
        """Return what happens next, or None after ``timeout_s`` seconds in which nothing did."""
        deadline = time.monotonic() + timeout_s
        while True:
            for guard in self._guards.values():
                guard.check()
            left = deadline - time.monotonic()
            pause = min([left, *(guard.due_in_s() for guard in self._guards.values())])
            try:
                event = self._events.get(timeout=max(0.0, pause))
            except queue.Empty:
                if left <= 0:
                    return None
                continue
            if isinstance(event, Ended):
                self._guards.pop(event.number, None)
                self._slots.give_back(self._taken.pop(event.number))
            return event

    def stop(self, number: int, outcome: Outcome, reason: str) -> None:
        """Ask a trial's processes to end; nothing if they have ended."""
        if number in self._guards:
            self._guards[number].stop(outcome, reason)

    def kill(self) -> None:
        """End all processes at once."""
        for guard in self._guards.values():
            guard.kill()

    def close(self) -> None:
        """End what still runs and leave nothing behind."""
        self.kill()
        while self._guards:
            self.wait(1.0)
        self.nursery.close()

    # What happens to processes

    def outlast(self, process: Popen[bytes], guard: Guard) -> int:
        """Wait until a process has ended, with what is left of its group; return its exit status."""
        self.nursery.outlast(process)
        guard.leave(process.pid)
        return self.nursery.bury(process)

    def sweep(self, number: int, *marks: Path) -> None:
        """Kill processes of a trial that fled from a signal into another group.

        Args:
            number: The trial.
            marks: Further directories by whose mark its processes are known.
        """
        directories = [str(path) for path in (self.directory(number), *marks)]
        kill_marked(owner=self._worker, directories=directories)

    def put(self, event: Ended | Reported) -> None:
        """Tell of an event; `wait` returns it."""
        self._events.put(event)
