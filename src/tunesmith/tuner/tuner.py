"""Drives a study on an executor: keeps the slots busy, stores what is measured, ends what must end."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from tunesmith.errors import LeaseLostError, StateError, StudyEnded, TunesmithError
from tunesmith.execution import Ended, Executor, Outcome, Reported, earlier_directory
from tunesmith.metrics import Collector, MetricRequest
from tunesmith.model import (
    FINAL,
    Measurement,
    MetricReading,
    StudyState,
    Trial,
    TrialState,
    leaders,
)
from tunesmith.stopping import GO_ON, Verdict
from tunesmith.study import Study
from tunesmith.tuner.events import BestChanged, Event, Note, TrialEnded, TrialMeasured, TrialStarted

__all__ = ["LEASE_S", "Haste", "Tuner"]

LEASE_S = 60.0
"""How long a tuner may be silent before others take its trials."""

_RENEW_S = LEASE_S / 4
_READ_S = 0.2  # how often metrics are read, and at most the storage is asked for news
_JUDGE_S = 0.05  # the same where few trials run that may have to end at any step
_FEW = 8
_SHARE = 200  # how much longer than a look at the storage is the time to the next: a server has many tuners
_RARELY_S = 2.0
_UNASKED = 5  # so many looks without news pass before it is asked for trials again
_HEART_S = 5.0  # longer than a heart beats, unless its server is away
_PREEMPTIONS = 20  # in a row without a measurement, after which they count as faults
_HOPELESS = 5  # if the first ones all fail, the program is broken, not the values


class Haste(IntEnum):
    """How quickly a tuner should end."""

    NONE = 0  # when the study ends
    DRAIN = 1  # when the running trials end; no new ones
    STOP = 2  # now: the running trials are asked to end and start again another time
    KILL = 3  # now, by force


@dataclass(slots=True)
class _Running:
    """A trial that this tuner runs."""

    trial: Trial
    collector: Collector
    last_step: int = -1
    lost: bool = False
    verdict: Verdict = GO_ON
    seen: set[str] = field(default_factory=set)


class Tuner:
    """Runs a study's trials until the study ends or somebody is in haste.

    Args:
        study: The study; opened with a lease of `LEASE_S`.
        executor: Runs the trials; the tuner closes it.
        parallel_trials: How many at once; the study's own number if None.
        retries: How often a trial starts again after a fault that is not its program's.
        reading: Where metrics are read from.
        observe: Is told what happens, in the tuner's thread.
        first_decides: Whether the study fails at once when its first trial does.
    """

    def __init__(
        self,
        study: Study,
        executor: Executor,
        *,
        parallel_trials: int | None = None,
        retries: int = 2,
        reading: MetricReading,
        observe: Callable[[Event], None] = lambda _: None,
        first_decides: bool = False,
    ) -> None:
        self._study = study
        self._executor = executor
        self._parallel = parallel_trials
        self._retries = retries
        self._reading = reading
        self._observe = observe
        self._first_decides = first_decides
        self._running: dict[int, _Running] = {}
        self._haste = Haste.NONE
        self._acted = Haste.NONE
        self._ending: set[int] = set()  # the trial whose end is being stored
        self._read: set[tuple[int, int]] = set()  # attempts whose files it has read to their end
        self._preempted: dict[int, int] = {}  # how often a trial was, without getting further
        self._ended = ""  # why there are no new trials; "" while there may be
        self._leaders: list[Trial] = []
        self._read_at = 0.0
        self._look_at = 0.0
        self._looks_s: deque[float] = deque(maxlen=8)  # how long the latest looks took
        self._asked_at, self._asked_revision = 0.0, -1
        self._has_asked = False  # since the last time that something happened
        self._renewed = time.time()

    @property
    def running(self) -> Sequence[Trial]:
        """The trials that run now."""
        return [r.trial for r in self._running.values()]

    @property
    def haste(self) -> Haste:
        """How quickly it was asked to end."""
        return self._haste

    def hurry(self, haste: Haste) -> None:
        """Ask it to end; from any thread or a signal handler."""
        self._haste = max(self._haste, haste)

    def work(self) -> str:
        """Run trials until there are no more, or until `hurry`.

        Returns:
            Why it ended, as a sentence.

        Raises:
            StorageError: the storage or the trials' folder failed; what ran will start again.
        """
        self._study.refresh()
        self._leaders = leaders(self._study.history.trials, self._study.spec)
        self._study.observers.append(self._notice)
        heart = _Heart(self._study)
        try:
            while True:
                self._fill()
                if self._finished():
                    break
                self._handle(self._executor.wait(self._pause_s()))
                if time.monotonic() >= self._read_at:
                    few = self._study.judges_trials and len(self._running) <= _FEW
                    self._read_at = time.monotonic() + (_JUDGE_S if few else _READ_S)
                    self._look_around()
        except BaseException:
            self._abandon()
            raise
        finally:
            self._study.observers.remove(self._notice)
            heart.stop()
            self._executor.close()
        return self._ended

    # Starting

    def _fill(self) -> None:
        self._has_asked = False
        while self._haste is Haste.NONE and len(self._running) < self._capacity():
            self._renew_after_sleep()
            if self._ended and not self._may_ask():
                return
            self._has_asked = True
            try:
                trial = self._study.ask()
            except StudyEnded as end:
                self._ended = str(end)
                self._asked_at = time.monotonic()
                self._asked_revision = self._study.record.revision
                return
            self._ended = ""
            self._start(trial)

    def _may_ask(self) -> bool:
        """Whether there may be trials again: something changed in the study, or a while has passed."""
        again_at = self._asked_at + _UNASKED * self._pace_s()
        return self._study.record.revision != self._asked_revision or time.monotonic() >= again_at

    def _renew_after_sleep(self) -> None:
        """Keep `ask` from handing out a trial that runs here, whose lease ran out unnoticed.

        The heart sleeps with the machine, and does not see its clock jump.
        """
        now = time.time()
        if self._running and not 0 <= now - self._renewed < _RENEW_S:
            self._study.renew()
            self._renewed = now

    def _capacity(self) -> int:
        wanted = self._parallel or self._study.spec.parallel_trials
        slots = self._executor.slots
        return wanted if slots is None else min(wanted, slots)

    def _start(self, trial: Trial) -> None:
        if (run := self._running.get(trial.number)) is not None:
            # Its lease ran out by the storage's clock, unnoticed, and it came back to this tuner: its
            # program has never stopped, and goes on as the new attempt.
            run.trial, run.lost = trial, False
            return
        directory = self._executor.directory(trial.number)
        collector = self._collector(directory, started=time.time())
        run = self._running[trial.number] = _Running(trial, collector)
        # Now, where it still lies, since a tuner that is killed once the next attempt has begun leaves
        # two that nobody has read; and then, what was written until the start.
        self._salvage(run, directory)
        self._executor.start(trial)
        self._observe(TrialStarted(trial))
        verdict = self._salvage(run, earlier_directory(directory, trial.attempt - 1))
        if verdict is not None:
            self._heed_at_once(run, verdict)

    def _collector(self, directory: Path, started: float) -> Collector:
        spec = self._study.spec
        request = MetricRequest(
            metrics=spec.metrics,
            parameters=frozenset(spec.space),
            pattern=self._reading.pattern,
            started=started,
        )
        return Collector(directory, request, self._reading.sources)

    def _salvage(self, run: _Running, directory: Path) -> Verdict | None:
        """Store what the attempt before had measured when its tuner died, which nobody may have read."""
        before = run.trial.attempt - 1
        if before < 1 or (run.trial.number, before) in self._read or not directory.is_dir():
            return None
        batch = self._collector(directory, started=time.time()).read(final=True)
        return (
            self._store(run, batch.measurements, of_attempt=before) if batch.measurements else None
        )

    # Following

    def _pace_s(self) -> float:
        """Return how long to wait between looks at the storage: the longer a look takes, the longer."""
        # The quickest of the latest: the others were slow for reasons of their own.
        quickest_s = min(self._looks_s, default=0.0)
        return min(max(_READ_S, _SHARE * quickest_s), _RARELY_S)

    def _pause_s(self) -> float:
        return max(0.0, min(_READ_S, self._read_at - time.monotonic()))

    def _handle(self, event: Reported | Ended | None) -> None:
        match event:
            case Reported():
                event.answer(self._take_report(event))
            case Ended():
                self._end(self._running[event.number], event)

    def _take_report(self, event: Reported) -> Verdict:
        run = self._running[event.number]
        step = run.last_step + 1 if event.step is None else event.step
        run.last_step = step
        return self._store(run, [Measurement(step, event.metrics, event.elapsed_s)])

    def _look_around(self) -> None:
        """Read what trials wrote, and what others changed in the study."""
        for run in list(self._running.values()):
            self._collect(run)
        if self._haste > self._acted:
            self._act_on_haste()
        if time.monotonic() < self._look_at:
            return
        began = time.monotonic()
        self._study.refresh()
        self._looks_s.append(time.monotonic() - began)
        self._look_at = time.monotonic() + self._pace_s()
        for run in self._running.values():
            now = self._study.history.trials[run.trial.number - 1]
            if now.attempt != run.trial.attempt or now.state is not TrialState.RUNNING:
                run.lost = True
                self._stop(run, Outcome.INTERRUPTED, "another tuner has it by now")
            elif now.stop_requested:
                self._stop(run, Outcome.STOPPED, now.stop_requested)
            elif now.pause_requested:
                self._stop(run, Outcome.PAUSED, now.pause_requested)
        if self._running and (over := self._study.overrun()):
            for run in self._running.values():
                self._stop(run, Outcome.STOPPED, over)

    def _act_on_haste(self) -> None:
        self._acted = self._haste
        self._ended = "interrupted"
        if self._haste >= Haste.STOP:
            for run in self._running.values():
                self._stop(run, Outcome.INTERRUPTED, "the tuner was interrupted")
        if self._haste is Haste.KILL:
            self._executor.kill()

    def _stop(self, run: _Running, outcome: Outcome, reason: str) -> None:
        self._executor.stop(run.trial.number, outcome, reason)

    def _collect(self, run: _Running, *, final: bool = False) -> str:
        """Store what is new; return why the program says that its values can't be tried, or ``""``."""
        batch = run.collector.read(final=final)
        if batch.measurements or batch.superseded:
            verdict = self._store(run, batch.measurements, batch.superseded)
            if not final:
                self._heed_at_once(run, verdict)
        for note in run.collector.notes:
            if note not in run.seen:
                run.seen.add(note)
                self._observe(Note(f"trial {run.trial.number}: {note}"))
        return batch.infeasible

    def _heed_at_once(self, run: _Running, verdict: Verdict) -> None:
        if verdict:
            outcome = Outcome.PAUSED if verdict.pause else Outcome.STOPPED
            self._stop(run, outcome, verdict.reason)

    def _store(
        self,
        run: _Running,
        measurements: Sequence[Measurement],
        superseded: frozenset[str] = frozenset(),
        *,
        of_attempt: int | None = None,
    ) -> Verdict:
        try:
            verdict = self._study.record_measurements(
                run.trial, measurements, superseded, of_attempt=of_attempt
            )
        except (LeaseLostError, StateError) as error:
            run.lost = True
            return Verdict(str(error))
        self._preempted.pop(run.trial.number, None)
        run.verdict = verdict or run.verdict
        for measurement in measurements:
            self._observe(TrialMeasured(run.trial, measurement))
        return verdict

    # Ending

    def _end(self, run: _Running, ended: Ended) -> None:
        ended = self._understood(run, ended)
        infeasible = self._collect(run, final=True)
        self._read.add((run.trial.number, run.trial.attempt))
        del self._running[run.trial.number]
        if run.lost:
            return
        self._ending = {run.trial.number}
        try:
            self._settle(run, ended, infeasible)
        except (LeaseLostError, StateError):  # it went to another tuner, whose word counts
            return
        finally:
            self._ending = set()
        self._study.refresh()
        trial = self._study.history.trials[run.trial.number - 1]
        self._observe(TrialEnded(trial))
        self._compare_with_best(trial)
        self._give_up_if_hopeless(trial)

    def _settle(self, run: _Running, ended: Ended, infeasible: str) -> None:
        trial, study = run.trial, self._study
        if infeasible and ended.outcome in (Outcome.SUCCEEDED, Outcome.FAILED):
            study.end(trial, TrialState.INFEASIBLE, infeasible)
            return
        match ended.outcome:
            case Outcome.SUCCEEDED:
                missing = run.collector.missing_sentence()
                study.complete(trial, self._final(trial, ended), missing=missing)
            case Outcome.STOPPED | Outcome.PAUSED:
                self._heed(trial, ended.reason, pause=ended.outcome is Outcome.PAUSED)
            case Outcome.INFEASIBLE:
                study.end(trial, TrialState.INFEASIBLE, ended.reason)
            case Outcome.FAILED:
                study.fail(trial, ended.reason)
            case Outcome.INTERRUPTED | Outcome.PREEMPTED:
                study.requeue(trial, ended.reason)
            case Outcome.LOST if trial.faults < self._retries:
                study.requeue(trial, ended.reason, fault=True)
            case Outcome.LOST:
                times = f" ({trial.faults + 1} times)" if trial.faults else ""
                study.fail(trial, ended.reason + times)

    def _heed(self, trial: Trial, reason: str, *, pause: bool) -> None:
        """Pause or stop a trial whose program has ended because it was asked to."""
        if pause:
            self._study.pause_running(trial, reason)
            return
        self._study.refresh()
        now = self._study.history.trials[trial.number - 1]
        self._study.stopped(trial, reason, by_rule=not now.stop_requested)

    def _understood(self, run: _Running, ended: Ended) -> Ended:
        """Return the end as what it means for the trial."""
        if ended.outcome is Outcome.SUCCEEDED and run.verdict:  # it heard, saved and left
            outcome = Outcome.PAUSED if run.verdict.pause else Outcome.STOPPED
            return Ended(ended.number, outcome, run.verdict.reason)
        if ended.outcome is Outcome.PREEMPTED:  # any number of times, if it gets on in between
            times = self._preempted[ended.number] = self._preempted.get(ended.number, 0) + 1
            if times > _PREEMPTIONS:
                return Ended(ended.number, Outcome.LOST, ended.reason)
        return ended

    def _final(self, trial: Trial, ended: Ended) -> dict[str, float] | None:
        """Return the metrics a function returned, joined with the others it had reported last."""
        objective = self._study.spec.objective.metric
        if objective not in ended.metrics:
            if ended.metrics:  # by name, but not this one: count it as one more report
                next_step = max((m.step for m in self._study.measurements(trial)), default=-1) + 1
                self._study.record_measurements(trial, [Measurement(next_step, ended.metrics)])
            return None
        reported: dict[str, float] = {}
        for measurement in self._study.measurements(trial):
            reported |= measurement.metrics
        return reported | dict(ended.metrics)

    def _notice(self, trial: Trial) -> None:
        """Tell of a trial that ended while it was paused; of those that run, `_end` tells."""
        if (
            trial.is_final
            and trial.number not in self._running
            and trial.number not in self._ending
        ):
            self._observe(TrialEnded(trial))
            self._compare_with_best(trial)

    def _compare_with_best(self, trial: Trial) -> None:
        if not trial.counts:
            return
        self._leaders = leaders([*self._leaders, trial], self._study.spec)
        if any(leader is trial for leader in self._leaders):
            self._observe(BestChanged(trial))

    def _give_up_if_hopeless(self, trial: Trial) -> None:
        if self._first_decides and trial.number == 1 and trial.state is TrialState.FAILED:
            reason = f"the first trial failed, and so the job does: {trial.reason}"
            self._study.give_up(reason)
            for run in self._running.values():
                self._stop(run, Outcome.STOPPED, "the first trial failed")
            return
        history = self._study.history
        if trial.state is not TrialState.FAILED or self._study.spec.max_failed_trials is not None:
            return
        failed = history.count(TrialState.FAILED)
        if failed < max(_HOPELESS, self._capacity()) or failed != history.count(*FINAL):
            return
        # Values that fail at once overtake those that train for hours: while a trial has run
        # longer than any that failed, it may be the one that works.
        longest = max(_duration_s(t) for t in history.trials if t.state is TrialState.FAILED)
        now = self._study.now
        if all(now - (t.started or now) <= longest for t in history.open):
            self._study.give_up(
                f"the first {failed} trials all failed, the last with: {trial.reason.rstrip('.')}"
            )

    def _finished(self) -> bool:
        """Whether there is nothing more to do, as just asked: since the last look it may go on again."""
        if self._running:
            return False
        if self._haste:
            self._ended = self._ended or "interrupted"
            return True
        if not self._seems_finished():
            return False
        self._asked_revision = -1  # ask at once
        return self._has_asked

    def _seems_finished(self) -> bool:
        state = self._study.record.state
        if state is StudyState.ACTIVE:
            # Others may still run trials of this study: wait, in case they die.
            rest = (t for t in self._study.history.open if not _is_held(t))
            return bool(self._ended) and not any(rest)
        if state is StudyState.PAUSED:
            return False
        self._ended = self._study.record.reason
        return True

    def _abandon(self) -> None:
        """Put back what runs, as far as the storage still answers: the reason to end may be its fault."""
        self._executor.kill()
        for run in self._running.values():
            try:
                self._study.requeue(run.trial, "the tuner broke down")
            except TunesmithError:
                continue


def _is_held(trial: Trial) -> bool:
    """Whether a person keeps the trial paused."""
    return trial.state is TrialState.PAUSED and bool(trial.pause_requested)


def _duration_s(trial: Trial) -> float:
    return (trial.finished or 0.0) - (trial.started or 0.0)


class _Heart:
    """Renews the study's leases in a thread of its own, so that a slow suggestion costs none."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="tunesmith-heart")
        self._thread.start()

    def stop(self) -> None:
        """Stop beating."""
        self._stop.set()
        self._thread.join(_HEART_S)

    def _beat(self) -> None:
        while not self._stop.wait(_RENEW_S):
            try:
                self._study.renew()
            except TunesmithError:  # the main loop meets the same fault and says so
                continue
