"""Runs trials as calls of a Python function, in worker processes that serve one trial after another.

Workers are fresh interpreters, never forks: they share no threads, locks or GPU state with the
tuner, need no ``if __name__ == "__main__"``, and a crash in one ends one trial.
"""

import contextlib
import os
import pickle
import queue
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import Popen
from typing import cast

import cloudpickle

from tunesmith.errors import Problem, SpecError
from tunesmith.execution.base import Ended, Outcome, Reported
from tunesmith.execution.ending import explain_exit
from tunesmith.execution.guard import Guard
from tunesmith.execution.live import check_function
from tunesmith.execution.messages import Answer, Hello, Raised, Report, Returned, Run, Signalled
from tunesmith.execution.running import RunningTrials
from tunesmith.execution.slots import Slot, Slots
from tunesmith.model import Resources, StudySpec, Trial
from tunesmith.space import Space
from tunesmith.stopping import Verdict

__all__ = ["FunctionExecutor", "pack_function"]


_OUTCOMES = {
    "stopped": Outcome.STOPPED,
    "paused": Outcome.PAUSED,
    "infeasible": Outcome.INFEASIBLE,
}


@dataclass(slots=True)
class _Worker:
    """A worker process and the slot it was started for: a GPU once chosen stays with the process."""

    process: Popen[bytes]
    connection: Connection
    slot: Slot
    mark: Path
    idle: bool = True
    buried: bool = False
    answers: queue.SimpleQueue[Verdict] = field(default_factory=queue.SimpleQueue)


class FunctionExecutor:
    """Calls a function once for each trial.

    Args:
        function: What `pack_function` made of the function.
        study: The study's name.
        spec: The study.
        root: The folder below which trials have their directories.
        worker: The tuner's name.
        resources: What each trial needs and may take.

    Raises:
        SpecError: a trial needs more GPUs or CPUs than there are.
    """

    def __init__(
        self,
        function: bytes,
        *,
        study: str,
        spec: StudySpec,
        root: Path,
        worker: str,
        resources: Resources,
    ) -> None:
        self._hello = Hello(function, tuple(sys.path))
        self._objective = spec.objective.metric
        self._resources = resources
        self._slots = Slots(resources)
        self._trials = RunningTrials(self._slots, study=study, spec=spec, root=root, worker=worker)
        self._marks = (root / "workers" / f"{worker}-{i}" for i in count(1))
        self._workers: list[_Worker] = []
        self._serving: dict[int, _Worker] = {}

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
        """Return what happens next, or None after ``timeout_s`` seconds in which nothing did."""
        event = self._trials.wait(timeout_s)
        if isinstance(event, Ended) and event.number in self._serving:
            worker = self._serving.pop(event.number)
            worker.idle = True
            if worker.buried:
                self._dismiss(worker)
        return event

    def stop(self, number: int, outcome: Outcome, reason: str) -> None:
        """Ask a trial's processes to end (SIGTERM), then make them (SIGKILL); it ends as ``outcome``."""
        self._trials.stop(number, outcome, reason)

    def kill(self) -> None:
        """End all processes at once, without grace."""
        self._trials.kill()

    def close(self) -> None:
        """End what still runs and leave nothing behind."""
        self._trials.kill()
        for worker in self._serving.values():
            # It may wait for an answer, and nobody else gives one.
            worker.answers.put(Verdict("the tuner is ending"))
        while self._serving:
            self.wait(1.0)
        for worker in list(self._workers):
            self._end_worker(worker)
            self._dismiss(worker)
        self._trials.close()

    def _begin(self, trial: Trial, slot: Slot) -> None:
        worker = self._idle_worker(slot)
        guard = Guard([worker.process.pid], self._resources)
        run = Run(
            trial.number,
            dict(trial.values),
            str(self.directory(trial.number)),
            self._trials.variables(trial),
            trial.budget,
        )
        threading.Thread(target=self._serve, args=(worker, run, guard), daemon=True).start()
        worker.idle = False
        self._serving[trial.number] = worker
        self._trials.guard(trial.number, guard)

    def _idle_worker(self, slot: Slot) -> _Worker:
        for worker in [w for w in self._workers if w.idle]:
            if worker.process.poll() is not None:  # it was killed between two trials
                self._end_worker(worker)
                self._dismiss(worker)
            elif worker.slot == slot:
                return worker
        ours, theirs = socket.socketpair()
        mark = next(self._marks)
        with theirs:
            try:
                process = self._trials.nursery.start(
                    [sys.executable, "-m", "tunesmith.execution.worker", str(theirs.fileno())],
                    environment={**os.environ, **slot.variables()},
                    mark=mark,
                    files=[theirs.fileno()],
                )
            except OSError:
                ours.close()
                raise
        slot.pin(process.pid)
        worker = _Worker(process, Connection(ours.detach()), slot, mark)
        self._workers.append(worker)
        with contextlib.suppress(OSError):  # it has died already; `_serve` will find out why
            worker.connection.send(self._hello)
        return worker

    def _end_worker(self, worker: _Worker) -> int:
        """Kill a worker, if it lives, and all its processes; return its exit status."""
        worker.process.kill()
        self._trials.nursery.outlast(worker.process)
        worker.buried = True
        return self._trials.nursery.bury(worker.process)

    def _dismiss(self, worker: _Worker) -> None:
        worker.connection.close()
        self._workers.remove(worker)

    def _serve(self, worker: _Worker, run: Run, guard: Guard) -> None:
        """Have a worker run one trial, and pass on what it says; in a thread of its own."""
        try:
            worker.connection.send(run)
            while isinstance(message := worker.connection.recv(), Report):
                self._ask_tuner(worker, run.number, message)
            guard.release()
            ended = self._ended(run.number, message)
        except (EOFError, OSError):
            status = self._trials.outlast(worker.process, guard)
            ended = explain_exit(run.number, status, guard, Path(run.directory) / "stderr")
            worker.buried = True
            if ended.outcome is Outcome.SUCCEEDED:
                ended = Ended(run.number, Outcome.FAILED, "the function ended its own process")
        if guard.outcome is not None:
            # The signal to end may reach a worker late, in its next trial: so it gets none.
            if not worker.buried:
                self._end_worker(worker)
            self._trials.sweep(run.number, worker.mark)
            if ended.outcome is not Outcome.SUCCEEDED:
                ended = Ended(run.number, guard.outcome, guard.reason)
        self._trials.put(ended)

    def _ask_tuner(self, worker: _Worker, number: int, report: Report) -> None:
        answer = worker.answers.put
        self._trials.put(Reported(number, report.step, report.metrics, report.elapsed_s, answer))
        verdict = worker.answers.get()
        worker.connection.send(Answer(verdict.reason, verdict.pause))

    def _ended(self, number: int, message: object) -> Ended:
        match message:
            case Returned(metrics):
                named = {name or self._objective: value for name, value in metrics.items()}
                return Ended(number, Outcome.SUCCEEDED, metrics=named)
            case Signalled(kind, reason):
                return Ended(number, _OUTCOMES[kind], reason)
            case Raised(reason):
                return Ended(number, Outcome.FAILED, reason)
        raise AssertionError(message)


def pack_function(function: Callable[..., object], space: Space) -> bytes:
    """Return a function as worker processes take it.

    Args:
        function: Takes the trial, or the space's parameters by name; may be a closure or a lambda.
        space: The study's space.

    Raises:
        SpecError: the function can't be called so, or can't be sent to another process.
    """
    check_function(function, space)
    try:
        return cast("bytes", cloudpickle.dumps((function, frozenset(space))))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        message = (
            f"The function can't be sent to another process: {error}. Make what it needs inside of it,"
            " such as open files, locks, loggers and database connections."
        )
        raise SpecError([Problem("E121", message)]) from error
