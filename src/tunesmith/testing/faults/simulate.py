"""One schedule of faults: a study run by tuners in a world where things go wrong, and what was seen of it."""

import hashlib
import logging
import math
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.errors import StorageError, TunesmithError
from tunesmith.model import MetricReading
from tunesmith.storage.sql import SqlStorage
from tunesmith.study import Study
from tunesmith.testing.faults.lines import Book, Lines, Ways
from tunesmith.testing.faults.mishaps import Mishaps, dice_of
from tunesmith.testing.faults.people import let_go, step_in
from tunesmith.testing.faults.programs import Disk, Programs, measures
from tunesmith.testing.faults.scenario import Scenario, draw
from tunesmith.testing.faults.standins import installed
from tunesmith.testing.faults.world import Machine, Process, World
from tunesmith.testing.invariants import check
from tunesmith.testing.seen import Call, Seen, Told, look
from tunesmith.tuner import LEASE_S, Haste, Tuner

__all__ = ["OpenStorage", "Outcome", "simulate"]

OpenStorage = Callable[[Callable[[], float]], SqlStorage]
"""Makes the storage, on the clock that it is to read."""

_NAME = "s"
_RESTART_S = 40.0  # after at most so long somebody starts again what has died
_TICK_S = 5.0  # between two moments at which a disaster may happen
_STORM_S = 240.0  # then nothing goes wrong any more, and people let go what they hold
_HORIZON_S = 12 * 3600.0
_HOUR_S = 3600.0


@dataclass
class Outcome:
    """What came of a schedule.

    Attributes:
        seed: The schedule's seed.
        scenario: What it was about.
        mishaps: What went wrong, in order.
        problems: What was broken by it; empty if all held.
        calls: Every call of the storage.
        turns: How often another thread went on.
        seen: What was seen of the study.
    """

    seed: int
    scenario: Scenario
    mishaps: list[str]
    problems: list[str]
    calls: list[Call] = field(repr=False)
    turns: int
    seen: Seen = field(repr=False)

    @property
    def story(self) -> Iterator[str]:
        """All that happened, a line for each call."""
        began = self.calls[0].time if self.calls else 0.0
        for call in self.calls:
            given = ", ".join(f"{k}={v!r}" for k, v in call.arguments.items() if k != "study")
            came = (
                f"{type(call.error).__name__}: {call.error}" if call.error else f"{call.answer!r}"
            )
            lost = "" if call.heard else "  (nobody heard)"
            yield f"{call.time - began:10.3f} {call.caller:12} {call.verb}({given}) -> {came}{lost}"

    @property
    def digest(self) -> str:
        """A short text that is the same for the same story."""
        return hashlib.sha256("\n".join(self.story).encode()).hexdigest()[:16]


def simulate(
    seed: int,
    *,
    limit: int | None = None,
    scenario: Scenario | None = None,
    served: bool = False,
    open_storage: OpenStorage | None = None,
    most_turns: int = 20_000,
) -> Outcome:
    """Run the schedule of a seed and judge it.

    Args:
        seed: Draws everything.
        limit: How many mishaps may happen; None for as many as are drawn.
        scenario: What it is about; drawn from the seed if None.
        served: Whether tuners reach the storage over a server.
        open_storage: Makes the storage; SQLite in memory by default.
        most_turns: After so many turns of threads it is taken to have no end.
    """
    scenario = scenario or draw(dice_of(seed, "scenario"))
    with tempfile.TemporaryDirectory(prefix="tunesmith-") as folder:
        disk = Disk(Path(folder) if scenario.files else None, scenario.keeps)
        schedule = _Schedule(seed, scenario, disk, limit, open_storage or _in_memory, served=served)
        schedule.most_turns = most_turns
        chance = dice_of(seed, "chance")
        with _quiet(), installed(schedule.world, chance, schedule.is_dead):
            return schedule.run()


@contextmanager
def _quiet() -> Iterator[None]:
    """Log nothing: of what goes wrong there would be thousands of lines."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


def _in_memory(clock: Callable[[], float]) -> SqlStorage:
    return SqlStorage("sqlite://", clock=clock)


def _ways(world: World, book: Book, mishaps: Mishaps, *, served: bool) -> Ways:
    if not served:
        return Lines(world, book, mishaps)
    from tunesmith.testing.faults.served import Wires  # noqa: PLC0415 - loads the server

    return Wires(world, book, mishaps)


class _Schedule:
    """A study that is run, by whom, and what goes wrong."""

    def __init__(
        self,
        seed: int,
        scenario: Scenario,
        disk: Disk,
        limit: int | None,
        open_storage: OpenStorage,
        *,
        served: bool,
    ) -> None:
        self.world = World()
        self.most_turns = 0
        self._seed = seed
        self._scenario = scenario
        self._disk = disk
        self._mishaps = Mishaps(dice_of(seed, "mishaps"), dict(scenario.rates), limit)
        self._book = Book(self.world, open_storage, self._mishaps)
        self._ways = _ways(self.world, self._book, self._mishaps, served=served)
        self._machines = [Machine(f"machine-{i}") for i in range(1, scenario.machines + 1)]
        self._processes: dict[str, Process] = {}
        self._tuners: dict[Process, Tuner] = {}
        self._readers: dict[str, Study] = {}  # who has followed the study to the end
        self._disasters = dice_of(seed, "disasters")
        self._busy = 0  # tuners that have not come to their end, and people
        self._told: list[Told] = []
        self._problems: list[str] = []

    def is_dead(self, worker: str) -> bool:
        """Whether a worker is known to be dead on the machine whose turn it is."""
        process, here = self._processes.get(worker), self.world.process
        return (
            process is not None
            and here is not None
            and process.machine is here.machine
            and process.dead
        )

    def run(self) -> Outcome:
        """Run it to its end."""
        scenario = self._scenario
        self._book.storage.create_study(_NAME, scenario.spec)
        for i in range(scenario.tuners):
            self._employ(f"tuner-{i + 1}", self._machine(i), self._tune)
        for i in range(scenario.clients if self._ways.think else 0):
            self._employ(f"client-{i + 1}", self._machine(i), self._ask_and_tell)
        if scenario.acts:
            self._employ("person", self._machine(0), self._step_in)
        self.world.after(_TICK_S, self._tick)
        try:
            self.world.run(
                lambda: (
                    not self._busy
                    or self._broken
                    or self._too_long
                    or self.world.age_s > self._storm_s
                )
            )
            self._mishaps.cease()
            with suppress(_NoEndError):
                self._finish()
            seen = self._look()
            self._problems += check(seen)
        finally:
            self.world.end()
            self._ways.close()
            self._book.storage.close()
        return Outcome(
            self._seed,
            scenario,
            self._mishaps.happened,
            self._problems,
            self._book.calls,
            self.world.turns,
            seen,
        )

    # Going on

    def _go_on(self) -> None:
        self.world.run(lambda: not self._busy or self._broken or self._too_long)
        if self._too_long:
            self._problems.append(f"it did not come to an end in {self.world.age_s:.0f} s")
        if self._broken:
            raise _NoEndError

    @property
    def _storm_s(self) -> float:
        return _STORM_S * math.sqrt(self._scenario.pace)

    @property
    def _broken(self) -> bool:
        return bool(self._problems)

    @property
    def _too_long(self) -> bool:
        return self.world.age_s > _HORIZON_S or self.world.turns > self.most_turns

    def _finish(self) -> None:
        """Let one more tuner, with which nothing goes wrong, finish what is left."""
        self._employ("last-person", self._machine(0), self._let_go)
        self._go_on()
        self._employ("last-tuner", self._machine(0), self._tune)
        self._go_on()

    def _machine(self, place: int) -> Machine:
        return self._machines[place % len(self._machines)]

    def _look(self) -> Seen:
        self._book.closed = True
        self._readers["a new reader"] = Study.load(_NAME, self._book.storage)
        for name, study in list(self._readers.items()):
            try:
                study.refresh()
            except Exception as error:  # what was read before contradicts what is read now
                self._problems.append(f"{name} broke: {error!r}")
                del self._readers[name]
        return look(
            self._book.storage,
            _NAME,
            program=measures,
            changes=[c.changes for c in self._book.calls if c.changes is not None],
            calls=self._book.calls,
            runs=self._disk.runs,
            told=self._told,
            readers={name: study.history for name, study in self._readers.items()},
            slots=self._scenario.slots,
        )

    # Who takes part

    def _employ(
        self, name: str, machine: Machine, work: Callable[[Process], bool], life: int = 1
    ) -> None:
        """Start a process, and again whenever it ends before its work is done."""
        process = Process(f"{name}.{life}", machine)
        self._processes[process.name] = process
        self._busy += 1

        def again() -> None:
            self._busy -= 1
            self._employ(name, machine, work, life + 1)

        self.world.start(process, lambda: self._live(process, work, again))

    def _live(
        self, process: Process, work: Callable[[Process], bool], again: Callable[[], None]
    ) -> None:
        done = False
        try:
            done = work(process)
        except StorageError:  # it says so and ends; somebody starts it again
            pass
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)[-4:]
            where = " > ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)
            self._problems.append(f"{process.name} broke: {error!r} at {where}")
        finally:
            self._disk.clear(process.name, self.world.now)
            if done:
                self._busy -= 1
            else:
                pause_s = dice_of(self._seed, f"{process.name} again").uniform(0.5, _RESTART_S)
                self.world.after(pause_s, again)

    def _tune(self, process: Process) -> bool:
        """Tune as ``tunesmith run`` does; return whether it came to the study's end."""
        spec, world = self._scenario.spec, self.world
        dice = dice_of(self._seed, process.name)
        storage = self._ways.storage(process, dice)
        study = Study(
            spec.space,
            minimize=spec.objective.metric,
            name=_NAME,
            storage=storage,
            algorithm=spec.algorithm.name,
            seed=spec.seed,
            max_trials=spec.max_trials,
            parallel_trials=spec.parallel_trials,
            max_failed_trials=spec.max_failed_trials,
            stopping=spec.stopping,
            max_steps=spec.max_steps,
            ending=spec.ending,
            worker=process.name,
            lease_s=LEASE_S,
        )
        storage.touch(_NAME)
        executor = Programs(
            world,
            process,
            spec,
            disk=self._disk,
            mishaps=self._mishaps,
            dice=dice,
            pace=self._scenario.pace,
            slots=self._scenario.slots,
        )
        tuner = self._tuners[process] = Tuner(
            study,
            executor,
            reading=MetricReading(sources=("report",)),
            observe=lambda event: self._told.append(Told(process.name, event)),
        )
        tuner.work()
        self._readers[process.name] = study
        return tuner.haste is Haste.NONE

    def _ask_and_tell(self, process: Process) -> bool:
        """Tune as a program does that speaks HTTP."""
        dice = dice_of(self._seed, process.name)
        self._ways.ask_and_tell(process, dice, _NAME, self._disk)
        return True

    # Disasters

    def _tick(self) -> None:
        """Perhaps let something befall somebody; and again later."""
        dice, mishaps = self._disasters, self._mishaps
        alive = [p for p in self._tuners if not p.dead]
        whom = dice.choice(alive) if alive else None
        span_s = dice.choice([0.2, 1.3, 1.3]) * dice.uniform(LEASE_S, 2 * LEASE_S)
        sign = dice.choice([-1, 1, 1])
        if whom is not None and mishaps.strikes("killed", whom.name):
            self.world.kill(whom)
        if whom is not None and mishaps.strikes("interrupted", whom.name):
            self._tuners[whom].hurry(Haste.DRAIN if sign > 0 else Haste.STOP)
        if whom is not None and mishaps.strikes("frozen", whom.name):
            whom.frozen_until = self.world.now + span_s
        if whom is not None and mishaps.strikes("clock jumps", whom.machine.name):
            whom.machine.ahead_s += sign * _HOUR_S
        if mishaps.strikes("database's clock jumps"):
            self._book.machine.ahead_s += sign * _HOUR_S
        self.world.after(dice.expovariate(1 / _TICK_S), self._tick)

    # People

    def _step_in(self, process: Process) -> bool:
        dice = dice_of(self._seed, process.name)
        study = Study.load(_NAME, self._ways.storage(process, dice))
        self._readers[process.name] = study
        for _ in range(self._scenario.acts):
            self.world.sleep(dice.expovariate(1 / 6.0))
            with suppress(TunesmithError):
                step_in(study, dice)
        return True

    def _let_go(self, process: Process) -> bool:
        let_go(Study.load(_NAME, self._ways.storage(process, dice_of(self._seed, process.name))))
        return True


class _NoEndError(Exception):
    """The schedule goes on and on."""
