"""Programs that take virtual time: an executor whose trials are functions of their values and step."""

import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.execution import Ended, Outcome, Reported
from tunesmith.execution.workdir import earlier_directory
from tunesmith.model import StudySpec, Trial
from tunesmith.space import Value
from tunesmith.stopping import Verdict
from tunesmith.testing.faults.mishaps import Mishaps
from tunesmith.testing.faults.world import Killed, Process, World
from tunesmith.testing.seen import Run

__all__ = ["Disk", "Programs", "measures"]

_GRACE_S = 2.0
_NAP_S = 8.0
_LONGEST_NAP_S = 30.0


def measures(values: Mapping[str, Value], step: int) -> Mapping[str, float]:
    """Return what the program measures: exactly this, wherever and whenever it runs."""
    x = float(values["x"])
    loss = (x - 0.3) ** 2 + 1.0 / (step + 1)
    return {"loss": math.nan if 0.93 < x < 0.96 else loss, "size": x}


@dataclass
class Disk:
    """What outlives every process: the checkpoints of all trials, and the folders of their files.

    Attributes:
        folder: Where metrics are written to files; None where programs report by calls.
        keeps: Whether programs save checkpoints.
        steps: How far the checkpoint of each trial is.
        runs: Every program that ever ran.
    """

    folder: Path | None
    keeps: bool
    steps: dict[int, int] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    def clear(self, tuner: str, now: float) -> None:
        """End the programs of a tuner that is no more, as its reaper does."""
        for run in self.runs:
            if run.tuner == tuner and run.ended is None:
                run.ended = now


@dataclass
class _Program:
    """One that runs: what it does next, and when."""

    trial: Trial
    run: Run
    step: int
    end: int
    step_s: float
    due: float
    verdict: Verdict | None = None
    stopped: Ended | None = None
    waits: bool = False


class Programs:
    """An `Executor` in a world.

    Args:
        world: Where it runs.
        process: The tuner's.
        spec: The study.
        disk: What the programs share with those of other tuners.
        mishaps: What goes wrong.
        dice: Draws how long things take.
        pace: How many times as long as usual.
        slots: How many run at once.
    """

    def __init__(
        self,
        world: World,
        process: Process,
        spec: StudySpec,
        *,
        disk: Disk,
        mishaps: Mishaps,
        dice: random.Random,
        pace: float = 1.0,
        slots: int | None = None,
    ) -> None:
        self.slots = slots
        self._world = world
        self._process = process
        self._spec = spec
        self._disk = disk
        self._mishaps = mishaps
        self._dice = dice
        self._programs: dict[int, _Program] = {}
        self._pace = pace
        self._nap_s = pace * _NAP_S

    def directory(self, number: int) -> Path:
        """Return a trial's directory; there is none where programs report by calls."""
        return (self._disk.folder or Path("/nowhere")) / str(number)

    def start(self, trial: Trial) -> None:
        """Start a trial, from its checkpoint or its parent's."""
        now, disk = self._world.now, self._disk
        done = disk.steps.get(trial.number, 0)
        if not done and trial.parent is not None:
            done = disk.steps.get(trial.parent, 0)
        end = trial.budget or self._spec.max_steps or 1 + int(float(trial.values["x"]) * 3)
        run = Run(trial.number, trial.attempt, trial.values, self._process.name, now)
        disk.runs.append(run)
        step_s = self._pace * self._dice.uniform(0.5, 4.0)
        program = _Program(trial, run, done + 1, end, step_s, now + step_s)
        if self._mishaps.strikes("program broken", f"trial {trial.number}"):
            program.stopped = Ended(trial.number, Outcome.LOST, "it was killed")
        self._programs[trial.number] = program
        self._nap_s = self._pace * _NAP_S
        if disk.folder is not None:
            self._make_folder(trial)

    def wait(self, timeout_s: float) -> Reported | Ended | None:
        """Return what happens next; at times the machine is slow, and it is later than asked for."""
        program = min(
            (p for p in self._programs.values() if not p.waits),
            key=lambda p: (p.due, p.trial.number),
            default=None,
        )
        late = self._world.now + max(timeout_s, self._dice.uniform(0.1, self._nap_s))
        if program is None or program.due > late:
            self._world.sleep(late - self._world.now)
            idle = not self._programs  # who has nothing to do looks round ever less often
            nap_s = min(2 * self._nap_s, _LONGEST_NAP_S) if idle else self._pace * _NAP_S
            self._nap_s = nap_s
            return None
        self._world.sleep(program.due - self._world.now)
        return self._go_on(program)

    def stop(self, number: int, outcome: Outcome, reason: str) -> None:
        """Ask a trial to end."""
        program = self._programs.get(number)
        if program is not None and program.stopped is None:
            program.stopped = Ended(number, outcome, reason)
            program.waits = False
            program.due = self._world.now + self._dice.uniform(0.0, _GRACE_S)

    def kill(self) -> None:
        """End all at once."""
        if self._process.dead:
            raise Killed
        for program in self._programs.values():
            self.stop(program.trial.number, Outcome.INTERRUPTED, "it was killed")
            program.due = self._world.now

    def close(self) -> None:
        """End what runs."""
        for program in list(self._programs.values()):
            self._forget(program)

    # Inside

    def _go_on(self, program: _Program) -> Reported | Ended | None:
        number = program.trial.number
        if program.stopped is None and self._mishaps.strikes("preempted", f"trial {number}"):
            program.stopped = Ended(number, Outcome.PREEMPTED, "it was preempted")
        if program.stopped is not None:
            return self._end(program, program.stopped)
        if program.verdict is not None and program.verdict:
            outcome = Outcome.PAUSED if program.verdict.pause else Outcome.STOPPED
            return self._end(program, Ended(number, outcome, program.verdict.reason))
        x = float(program.trial.values["x"])
        if x > 0.96:
            return self._end(program, Ended(number, Outcome.FAILED, "it broke"))
        if 0.9 < x < 0.91:
            return self._end(program, Ended(number, Outcome.INFEASIBLE, "it can't be tried"))
        if program.step > program.end:
            return self._end(program, Ended(number, Outcome.SUCCEEDED))
        return self._measure(program)

    def _measure(self, program: _Program) -> Reported | None:
        step, number = program.step, program.trial.number
        metrics = measures(program.trial.values, step)
        elapsed_s = self._world.now - program.run.began
        program.due = self._world.now + program.step_s
        if self._disk.folder is not None:
            line = {"step": step, "elapsed_s": elapsed_s, "metrics": metrics}
            with (self._folder(program.run) / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            self._save(program)
            return None

        def answer(verdict: Verdict) -> None:
            program.waits = False
            program.verdict = verdict
            if verdict.budget is not None:
                program.end = verdict.budget
            if not verdict or verdict.pause:
                self._save(program)

        program.waits = True
        return Reported(number, step, metrics, elapsed_s, answer)

    def _save(self, program: _Program) -> None:
        if self._disk.keeps:
            self._disk.steps[program.trial.number] = program.step
        program.step += 1

    def _end(self, program: _Program, ended: Ended) -> Ended:
        self._forget(program)
        return ended

    def _forget(self, program: _Program) -> None:
        program.run.ended = self._world.now
        del self._programs[program.trial.number]

    def _folder(self, run: Run) -> Path:
        """Return where a program's files are by now: it may run on while a later attempt has begun."""
        directory = self.directory(run.number)
        latest = max(r.attempt for r in self._disk.runs if r.number == run.number)
        if run.attempt == latest:
            return directory
        earlier = earlier_directory(directory, run.attempt)
        earlier.mkdir(exist_ok=True)
        return earlier

    def _make_folder(self, trial: Trial) -> None:
        directory = self.directory(trial.number)
        if directory.exists():
            aside = earlier_directory(directory, trial.attempt - 1)
            if not aside.exists():
                directory.rename(aside)
        directory.mkdir(exist_ok=True)
