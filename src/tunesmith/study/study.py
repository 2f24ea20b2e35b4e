"""The live study: the one door through which trials begin, report and end."""

import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self, overload

from tunesmith.errors import (
    ConflictError,
    MetricError,
    NotFoundError,
    Problem,
    SpaceError,
    SpecError,
    StateError,
    TunesmithError,
)
from tunesmith.model import (
    Constraint,
    Curve,
    Ending,
    History,
    Measurement,
    Selection,
    Setting,
    StudyRecord,
    StudySpec,
    StudyState,
    Suggestion,
    Trial,
    TrialState,
    best_trial,
    check_study_name,
    pareto_front,
    select_measurement,
)
from tunesmith.reporting import (
    Importance,
    Training,
    Trials,
    steps_reached,
    study_card,
    study_text,
)
from tunesmith.space import Parameter, Space, Value
from tunesmith.stopping import GO_ON, Verdict
from tunesmith.storage import Claim, Storage
from tunesmith.study.advisor import Advisor
from tunesmith.study.asking import Asking
from tunesmith.study.checks import check_metrics, check_step
from tunesmith.study.earlier import NO_STORAGES, check_earlier, elsewhere, read_earlier
from tunesmith.study.ending import end_reason
from tunesmith.study.live import Live, Observer
from tunesmith.study.opening import StoppingLike, make_or_continue, objectives, opened
from tunesmith.study.opening import algorithm as read_algorithm
from tunesmith.study.opening import constraints as read_constraints
from tunesmith.study.opening import stopping as read_stopping
from tunesmith.study.worker import own_name

__all__ = ["Observer", "Study"]


class Study:
    """A study one asks for trials and tells what became of them.

    A study of that name in the storage is continued; otherwise it is made.

    Args:
        space: The parameters by name.
        minimize: The metric that should be small; a list for several.
        maximize: The metric that should be large; a list for several.
        name: The study's name; one is made up if None.
        storage: A storage or its URL; None keeps the study in memory only.
        algorithm: The searcher's name, or a mapping with its ``name`` and settings.
        seed: Seeds every random choice; None draws one, which the study keeps.
        max_trials: How many trials the study may have; a study that is continued with more than it
            had goes on up to them.
        parallel_trials: How many trials are run at once.
        max_failed_trials: The study fails when more trials than this have failed.
        measurement: Which of a trial's measurements counts, judged by the first objective.
        initial: Points to try first, each with values for some or all parameters.
        constraints: Bounds that the metrics of a good trial keep, such as ``{"latency_ms": "<= 20"}``.
        standard_error: The metric that holds the standard error of the objective, for programs that
            report theirs; with several objectives a mapping of theirs.
        warm_start: Earlier studies whose trials searchers may learn from: names of studies in the
            same storage, or studies; a study kept in memory may learn from one in any storage.
        stopping: What ends hopeless trials early: the name of a stopping rule or schedule, a mapping
            with its ``name`` and settings, or several in a list.
        max_steps: How many steps (epochs, mostly) a whole trial trains.
        ending: When the study has enough, beside its number of trials.
        worker: A name for who asks, unique among all; made up if None.
        lease_s: Seconds after which an asked trial that was neither reported, renewed nor told is
            given to others. None: when the asking process dies, noticed on the same machine
            (from a made-up name: with a ``worker`` of your own, set this).

    Raises:
        SpaceError: a fault in the space or an initial point.
        SpecError: a fault in the other arguments.
        NotFoundError: an earlier study is not there.
        MismatchError: the stored study of that name has another space, other objectives or
            constraints.
        StorageError: the storage can't be opened.
    """

    def __init__(
        self,
        space: Space | Mapping[str, Parameter],
        *,
        minimize: str | Sequence[str] = (),
        maximize: str | Sequence[str] = (),
        name: str | None = None,
        storage: Storage | str | None = None,
        algorithm: str | Mapping[str, Setting] = "default",
        seed: int | None = None,
        max_trials: int | None = None,
        parallel_trials: int = 1,
        max_failed_trials: int | None = None,
        measurement: Selection = "last",
        initial: Iterable[Mapping[str, Value]] = (),
        constraints: Mapping[str, str] | Iterable[Constraint] = (),
        standard_error: str | Mapping[str, str] = "",
        warm_start: Iterable["str | Study"] = (),
        stopping: StoppingLike | Sequence[StoppingLike] = (),
        max_steps: int | None = None,
        ending: Ending | None = None,
        worker: str | None = None,
        lease_s: float | None = None,
    ) -> None:
        sources = [warm_start] if isinstance(warm_start, str | Study) else list(warm_start)
        spec = StudySpec(
            space=space if isinstance(space, Space) else Space(space),
            objectives=objectives(minimize, maximize, standard_error),
            algorithm=read_algorithm(algorithm),
            seed=secrets.randbits(32) if seed is None else seed,
            max_trials=max_trials,
            parallel_trials=parallel_trials,
            max_failed_trials=max_failed_trials,
            measurement=measurement,
            initial=tuple(dict(point) for point in initial),
            constraints=read_constraints(constraints),
            warm_start=tuple(s if isinstance(s, str) else s.name for s in sources),
            stopping=read_stopping(stopping),
            max_steps=max_steps,
            ending=ending or Ending(),
        )
        storages = {s.name: s.storage for s in sources if isinstance(s, Study)}
        self._open(spec, name, storage, earlier_in=storages, worker=worker, lease_s=lease_s)

    @classmethod
    def from_spec(
        cls,
        spec: StudySpec,
        *,
        name: str | None = None,
        storage: Storage | str | None = None,
        command: str = "",
        earlier_in: Storage | None = None,
        lease_s: float | None = None,
    ) -> Self:
        """Make or continue the study that ``spec`` describes; arguments and errors as for `Study`.

        Args:
            spec: What the study is.
            name: Its name.
            storage: Where it is kept.
            command: What its trials run, for people to read.
            earlier_in: Where the studies are from which a study in memory learns.
            lease_s: As for `Study`.
        """
        study = cls.__new__(cls)
        storages = {} if earlier_in is None else dict.fromkeys(spec.warm_start, earlier_in)
        study._open(  # noqa: SLF001 - a constructor
            spec, name, storage, command=command, earlier_in=storages, lease_s=lease_s
        )
        return study

    @classmethod
    def load(cls, name: str, storage: Storage | str | None = None) -> Self:
        """Open a stored study; raise `NotFoundError` if there is none of that name.

        Args:
            name: The study's name.
            storage: A storage or its URL; None is the default storage of the working directory.
        """
        found = opened(storage, create=False)
        study = cls.__new__(cls)
        study._attach(found, found.study(name))  # noqa: SLF001 - a constructor
        return study

    def _open(
        self,
        spec: StudySpec,
        name: str | None,
        storage: Storage | str | None,
        *,
        command: str = "",
        earlier_in: Mapping[str, Storage] = NO_STORAGES,
        worker: str | None = None,
        lease_s: float | None = None,
    ) -> None:
        if name is not None:
            check_study_name(name)
        Advisor(spec)  # raises what is wrong before anything is made
        found = opened("sqlite://" if storage is None else storage)
        others = elsewhere(earlier_in, found, in_memory=storage is None)
        if spec.warm_start and (name is None or name not in found.study_names()):
            check_earlier(spec, name, found, others)
        record = make_or_continue(found, name, spec, command)
        self._attach(found, record, others, worker=worker, lease_s=lease_s)
        self._raise_budget(spec.max_trials)
        self._take_ending(spec.ending)

    def _attach(
        self,
        storage: Storage,
        record: StudyRecord,
        earlier_in: Mapping[str, Storage] = NO_STORAGES,
        *,
        worker: str | None = None,
        lease_s: float | None = None,
    ) -> None:
        self.storage = storage
        self._live = Live(record, storage, read_earlier(record, storage, earlier_in))
        self._claim = Claim(worker or own_name(), lease_s)
        self._asking = Asking(self._live)
        # What rules said last of each trial that runs: its attempt, and why it is to stop if it is.
        self._said: dict[int, tuple[int, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the storage's connections; trials that are out stay out."""
        self.storage.close()

    # What it is

    @property
    def name(self) -> str:
        """The study's name."""
        return self._live.record.name

    @property
    def spec(self) -> StudySpec:
        """What the study is, with the budget in force."""
        return self._live.record.spec

    @property
    def space(self) -> Space:
        """The parameters."""
        return self._live.record.spec.space

    @property
    def worker(self) -> str:
        """The name under which this object takes trials."""
        return self._claim.worker

    @property
    def observers(self) -> list[Observer]:
        """Who is told of every change of a trial that this object makes."""
        return self._live.observers

    @property
    def judges_trials(self) -> bool:
        """Whether rules or a schedule judge trials by what they measure on their way."""
        return self._live.advisor.reads_curves

    @property
    def limit(self) -> int | None:
        """How many trials it may have: as many as it says, or as its schedule or its space need; None for no bound."""
        bounds = (self._live.advisor.limit(self.spec), self.spec.size)
        return min((bound for bound in bounds if bound is not None), default=None)

    @property
    def ends_by_results(self) -> bool:
        """Whether what trials measure may end the study before it has all its trials."""
        return self.spec.ending.goes_by_results

    @property
    def is_exhausted(self) -> bool:
        """Whether it was found that there are no more points to try; once it is so, it stays so."""
        return self._live.exhausted

    @is_exhausted.setter
    def is_exhausted(self, found: bool) -> None:
        self._live.exhausted = found

    @property
    def record(self) -> StudyRecord:
        """The study's state, budget and reason as last read; `refresh` reads anew."""
        return self._live.record

    @property
    def history(self) -> History:
        """All trials as last read; `refresh` reads anew."""
        return self._live.history

    @property
    def now(self) -> float:
        """The time by the storage's clock, which the times of trials go by; this machine's may differ."""
        return self._live.now

    @property
    def trials(self) -> Trials:
        """All trials as they are now, in the order of their numbers."""
        self.refresh()
        history = self._live.history
        return Trials(history.trials, self.spec, steps_reached(history))

    @property
    def best_trial(self) -> Trial:
        """The trial that ranks first; raises `NotFoundError` before one counts.

        Trials that keep all constraints come first; if none does, it is the nearest to doing so.
        With several objectives it is the best in the first; `best_trials` has the front.
        """
        self.refresh()
        best = best_trial(self._live.history.trials, self.spec)
        if best is None:
            msg = f"No trial of study {self.name!r} has ended with {self.spec.objective.metric!r} yet."
            failed = [t for t in self._live.history.trials if t.state is TrialState.FAILED]
            if failed:
                msg += f" {len(failed)} failed, the last with: {failed[-1].reason}"
            raise NotFoundError(msg)
        return best

    @property
    def best_trials(self) -> Trials:
        """The Pareto front: trials that no other beats in every objective, the best in the first first.

        Only trials that keep all constraints; with one objective the best of them alone. Empty before
        there is one.
        """
        self.refresh()
        return Trials(pareto_front(self._live.history.trials, self.spec), self.spec)

    def importance(self, metric: str | None = None, top: float | None = None) -> Importance:
        """Return which parameters matter: each one's share of a metric's variance over the space.

        The shares are those of a model that is fitted to the trials; it takes seconds in a study of
        hundreds.

        Args:
            metric: Any metric that trials measured; the first objective by default.
            top: Look only at the better part of the space: 0.25 for the best quarter.

        Raises:
            NotFoundError: fewer than eight trials have a value of the metric.
            MetricError: no trial measured such a metric, or ``top`` is given for one of which no
                direction is better.
            SpecError: ``top`` is not between 0 and 1.
        """
        from tunesmith.search.importance import analyse  # noqa: PLC0415 - loads scipy

        self.refresh()
        return Importance.of(analyse(self._live.history, metric, top), self.space)

    def measurements(self, trial: Trial | int) -> Sequence[Measurement]:
        """Return what the trial's latest attempt measured, by step."""
        return self.storage.measurements(self.name, _number(trial))

    def refresh(self) -> Sequence[Trial]:
        """Read what changed since the last time; return the trials that did."""
        return self._live.refresh()

    def __repr__(self) -> str:
        self.refresh()
        return study_text(self.storage.summary(self.name), Training.of(self._live.history))

    def _repr_html_(self) -> str:
        self.refresh()
        ranked = self.storage.trials(self.name, order="best")
        training = Training.of(self._live.history)
        return study_card(self.storage.summary(self.name), ranked, training)

    # A trial's life

    @overload
    def ask(self) -> Trial: ...
    @overload
    def ask(self, count: int) -> list[Trial]: ...
    def ask(self, count: int | None = None) -> Trial | list[Trial]:
        """Return a trial to run, or a list of up to ``count``.

        Trials that wait in the queue come first, then trials whose worker died, then those that the
        schedule resumes, then new ones. A trial with a ``budget`` is to train so many steps, counted
        from its beginning.

        Raises:
            StudyWaiting: there is nothing to run until running trials report or end.
            StudyEnded: there is nothing more to run; the message says why.
        """
        taken = self.ask_for(self._claim, 1 if count is None else count)
        return taken[0] if count is None else taken

    def ask_for(self, claim: Claim, count: int) -> list[Trial]:
        """Ask on behalf of another worker; see `ask`."""
        taken: list[Trial] = []
        try:
            while len(taken) < count:
                taken.extend(self._asking.take(claim, count - len(taken)))
        except TunesmithError:  # what was taken is handed out; the next call meets the fault again
            if not taken:
                raise
        for trial in taken:
            self._live.tell_observers(trial)
        return taken

    def fill(self, count: int) -> None:
        """Have up to ``count`` trials wait in the queue, for whoever claims them; fewer if others were faster.

        Raises:
            StudyEnded: none waits, and there is nothing more for now.
        """
        self._asking.fill(count)

    def report(self, trial: Trial | int, step: int, /, **metrics: float) -> Verdict:
        """Store what a running trial measured at ``step``.

        Returns:
            Whether the trial goes on. A true verdict says that it should end here, be told, and why.

        Raises:
            MetricError: a value is no number, or ``step`` is no whole number from 0.
            LeaseLostError: the trial was given to another worker.
        """
        measurement = Measurement(check_step(step), check_metrics(metrics))
        return self.record_measurements(trial, [measurement])

    def record_measurements(
        self,
        trial: Trial | int,
        measurements: Sequence[Measurement],
        superseded: frozenset[str] = frozenset(),
        *,
        of_attempt: int | None = None,
        claim: Claim | None = None,
    ) -> Verdict:
        """Store measurements at once; see `report` and `Storage.report`.

        The lease begins anew for ``claim``, or for this object's own.
        """
        held = self._held(trial)
        if claim is None and self._claim.lease_s is not None:
            claim = self._claim
        reply = self.storage.report(
            self.name,
            held.number,
            held.attempt,
            measurements,
            superseded=superseded,
            of_attempt=of_attempt,
            claim=claim,
        )
        if reply.stop:
            return Verdict(reply.stop)
        if reply.pause:
            return Verdict(reply.pause, pause=True)
        if over := self.overrun():
            return Verdict(over)
        if not measurements or not self._live.advisor.reads_curves:
            return GO_ON
        verdict = self._judge(held, reply.revision)
        stops = bool(verdict) and not verdict.pause
        self._said[held.number] = (held.attempt, verdict.reason if stops else "")
        if verdict.budget is not None:
            self.storage.extend(self.name, held.number, held.attempt, verdict.budget)
            self.refresh()
        return verdict

    def overrun(self) -> str:
        """Return why even trials that run should end now: as a rule the target, or the time; ``""`` if not."""
        if not self.spec.ending.may_stop_running:
            return ""
        with self._live.lock:
            self.refresh()
            return end_reason(self._live.history, self._live.now, hard=True)

    def _judge(self, held: Trial, revision: int) -> Verdict:
        """Return the verdict on a trial by what was known when its report was stored."""
        with self._live.lock:
            self.refresh()
            past = self._live.history.as_of(revision)
            now = past.trials[held.number - 1]
            if now.attempt != held.attempt or now.state is not TrialState.RUNNING:
                return GO_ON
            return self._live.advisor.verdict(now, past)

    def _why_stopped(self, trial: Trial | int) -> str:
        """Return why a rule told a trial to stop; ``""`` if none did.

        What another process said, before this one took over, is found out again from the history.
        """
        held = self._held(trial)
        attempt, reason = self._said.pop(held.number, (0, ""))
        if attempt == held.attempt or not self.judges_trials:
            return reason if attempt == held.attempt else ""
        with self._live.lock:
            self.refresh()
            revision = self._live.history.curve(held.number).revision
            verdict = self._judge(held, revision) if revision else GO_ON
        return verdict.reason if verdict and not verdict.pause else ""

    def tell(
        self,
        trial: Trial | int,
        value: float | None = None,
        /,
        *,
        error: str | float | None = None,
        infeasible: str | None = None,
        **metrics: float,
    ) -> Trial:
        """Say how a trial ended: by its metrics, by what was reported before, or by an error.

        One that a rule told to stop, and that is told without metrics, is ``stopped``; one that has
        trained its budget but not its whole is ``paused``.

        Args:
            trial: The trial or its number.
            value: The first objective's value, for those who have just one.
            error: Why it failed. (A number is the value of a metric that is called ``error``.)
            infeasible: Why these values can't be tried.
            **metrics: The final measurement, one value per metric.

        Returns:
            The trial in its final state. A first objective that is not finite makes it ``failed``.

        Raises:
            MetricError: the first objective is missing, or a value is no number.
            LeaseLostError: the trial was given to another worker.
            StateError: the trial has ended otherwise.
        """
        if error is not None and not isinstance(error, str):
            metrics["error"], error = error, None
        if value is not None:
            metrics[self.spec.objective.metric] = value
        if error is not None:
            return self.fail(trial, error)
        if infeasible is not None:
            return self.end(trial, TrialState.INFEASIBLE, infeasible)
        return self.conclude(trial, check_metrics(metrics))

    def conclude(self, trial: Trial | int, metrics: Mapping[str, float]) -> Trial:
        """Say that a trial ended well, with these metrics or what was reported before; see `tell`."""
        if not metrics and (reason := self._why_stopped(trial)):
            return self.stopped(trial, reason, by_rule=True)
        wanted = self.spec.objective.metric
        if wanted not in metrics and (metrics or self._selected(self._held(trial)) is None):
            given = ", ".join(metrics) or "nothing"
            msg = f"Trial {_number(trial)} was told without its metric {wanted!r}; given: {given}."
            raise MetricError(msg)
        return self.complete(trial, metrics)

    def complete(
        self, trial: Trial | int, metrics: Mapping[str, float] | None = None, *, missing: str = ""
    ) -> Trial:
        """End a trial whose program ended well.

        Args:
            trial: The trial or its number.
            metrics: Its final measurement; by default the one that counts among those reported.
            missing: Why it fails if the first objective was never reported.
        """
        held = self._held(trial)
        if metrics and self._live.advisor.has_schedule and self._place(held, metrics):
            metrics = None
        final = Measurement(0, metrics) if metrics else self._selected(held)
        if final is None and self._live.advisor.has_schedule and held.parent is not None:
            return self._complete_copy(held, held.parent)
        metric = self.spec.objective.metric
        if final is None or metric not in final.metrics:
            return self.fail(held, missing or f"it never reported {metric!r}")
        if leg := self._end_of_leg(held):
            return leg
        if not math.isfinite(final.metrics[metric]):
            at = "" if metrics else f" at step {final.step}"
            return self.fail(held, f"{metric} was {final.metrics[metric]}{at}")
        step = None if metrics else final.step
        return self._live.end(held, TrialState.COMPLETED, metrics=final.metrics, step=step)

    def _place(self, held: Trial, metrics: Mapping[str, float]) -> bool:
        """Take what a trial ended with for what it measured at the end of its budget.

        False if it has reported so far already: then this is its last word.
        """
        with self._live.lock:
            self.refresh()
            curve = self._live.history.curve(held.number)
            if held.budget is None or curve.reach >= held.budget:
                return False
            step = held.budget - int(curve.from_zero)
            self.record_measurements(held, [Measurement(step, metrics)])
            return True

    def _complete_copy(self, held: Trial, parent: int) -> Trial:
        """End the leg of a copy whose parent had trained so far already that nothing was left to do.

        Until it trains on, it is what its parent was: so is its value.
        """
        curve = self.storage.measurements(self.name, parent)
        if not curve:
            return self.fail(
                held, f"it measured nothing, and neither had its parent, trial {parent}"
            )
        last = Measurement(curve[-1].step, curve[-1].metrics)
        verdict = self.record_measurements(held, [last])
        if verdict.pause:
            return self.pause_running(held, verdict.reason)
        if verdict:
            return self.stopped(held, verdict.reason, by_rule=True)
        if verdict.budget is not None:
            self.requeue(held, f"it goes on to {verdict.budget} steps")
            return self._live.history.trials[held.number - 1]
        return self.complete(held)

    def _end_of_leg(self, held: Trial) -> Trial | None:
        """Pause or requeue a trial whose program ended because it had trained what it was told to.

        None for one that has trained its whole, or ended of its own accord.
        """
        if not self._live.advisor.has_schedule or held.budget is None:
            return None
        with self._live.lock:
            self.refresh()
            now = self._live.history.trials[held.number - 1]
            reach = self._live.history.curve(held.number).reach
            whole = self.spec.max_steps
            assert now.budget is not None, "a budget is never taken back"
            if reach != held.budget or (whole is not None and reach >= whole):
                return None
            if now.budget == reach:
                return self.pause_running(held, f"it has trained its {reach} steps")
            self.requeue(held, f"it goes on to {now.budget} steps")  # allowed to by now
            return self._live.history.trials[held.number - 1]

    def pause_running(self, trial: Trial | int, reason: str) -> Trial:
        """Pause a running trial whose program has ended; what it measured so far stands."""
        held = self._held(trial)
        final = self._selected(held)
        paused = self.storage.pause(
            self.name,
            held.number,
            held.attempt,
            reason,
            metrics={} if final is None else final.metrics,
            step=None if final is None else final.step,
        )
        self._live.tell_observers(paused)
        return paused

    def stopped(self, trial: Trial | int, reason: str, *, by_rule: bool = False) -> Trial:
        """End a trial early: its measurement counts; without one it is cancelled.

        One that a rule ends because its objective is not finite has failed.
        """
        held = self._held(trial)
        final = self._selected(held)
        if final is None or not math.isfinite(final.metrics[self.spec.objective.metric]):
            ended = TrialState.FAILED if by_rule and final else TrialState.CANCELLED
            return self._live.end(held, ended, reason=reason)
        state = TrialState.STOPPED
        return self._live.end(held, state, metrics=final.metrics, step=final.step, reason=reason)

    def fail(self, trial: Trial | int, reason: str) -> Trial:
        """End a trial whose program broke."""
        return self.end(trial, TrialState.FAILED, reason)

    def end(self, trial: Trial | int, state: TrialState, reason: str) -> Trial:
        """End a trial without a measurement that counts."""
        return self._live.end(self._held(trial), state, reason=reason)

    def requeue(self, trial: Trial | int, reason: str, *, fault: bool = False) -> None:
        """Put a running trial back in the queue; ``fault`` counts it against the allowed retries."""
        held = self._held(trial)
        self.storage.requeue(self.name, held.number, held.attempt, reason, fault=fault)
        self.refresh()
        self._live.tell_observers(self._live.history.trials[held.number - 1])

    def resume_trial(self, trial: Trial | int, reason: str = "a person resumed it") -> Trial:
        """Put a paused trial back in the queue; it goes on from its checkpoint.

        Raises:
            StateError: it is not paused.
        """
        resumed = self.storage.resume(self.name, _number(trial), reason)
        self._live.reopen()
        return resumed

    def continue_trial(self, trial: Trial | int, steps: int) -> Trial:
        """Queue a new trial that goes on where an ended one left off, with the same values.

        The ended trial and its result stay as they are; the new one begins from its checkpoint.

        Args:
            trial: The trial or its number.
            steps: How many steps it is to train in all, those before included.

        Raises:
            StateError: the trial has not ended.
            SpecError: it has trained so many steps already.
            StudyEnded: the study has all its trials; raise ``max_trials`` first.
        """
        before = self.storage.trial(self.name, _number(trial))
        if not before.is_final:
            msg = f"Trial {before.number} is {before.state}. To let it go on, resume it."
            raise StateError(msg)
        curve = Curve(
            (m.attempt, m.measurement) for m in self.storage.measured(self.name, before.number)
        )
        if steps <= curve.reach:
            message = f"Trial {before.number} has trained {curve.reach} steps; continue it to more than that, not {steps}."
            raise SpecError([Problem("E120", message)])
        suggestion = Suggestion(before.values, "continued", budget=steps, parent=before.number)
        return self._add_to_queue(suggestion, repeat=True)

    def renew(self) -> None:
        """Begin anew the leases of all trials this object holds."""
        self.storage.renew(self.name, self._claim)

    # What a person may change

    def enqueue(self, values: Mapping[str, object], *, repeat: bool = False) -> Trial:
        """Queue a point of the user's own; missing parameters get their default or their middle.

        Args:
            values: Values for some or all active parameters.
            repeat: Whether a point that a trial has tried already may be tried again.

        Raises:
            SpaceError: a value is outside the space, or the point was tried already.
            StudyEnded: the study has all its trials; raise ``max_trials`` first.
        """
        point = self.space.complete(values)
        return self._add_to_queue(Suggestion(point, "user"), repeat=repeat)

    def _add_to_queue(self, suggestion: Suggestion, *, repeat: bool) -> Trial:
        while True:
            self.refresh()
            earlier = self._live.history.tried(self.space.key(suggestion.values))
            if earlier is not None and not repeat:
                msg = f"Trial {earlier} has these values already; to run them once more, say repeat=True (--repeat)."
                raise SpaceError(msg)
            after = len(self._live.history.trials)
            if suggestion.budget is None:
                budget = self._live.advisor.first_budget(after + 1, self.spec)
                suggestion = replace(suggestion, budget=budget)
            try:
                added = self.storage.add_trials(self.name, [suggestion], after=after)
            except ConflictError:
                continue
            self._live.reopen()
            return added[0]

    def retry(self, trial: Trial | int) -> Trial:
        """Put an ended trial back in the queue, with the same values; return it."""
        self.storage.retry(self.name, _number(trial))
        self._live.reopen()
        return self.storage.trial(self.name, _number(trial))

    def request_stop(self, trial: Trial | int, reason: str = "a person stopped it") -> Trial:
        """Cancel a trial that waits; ask the worker of one that runs to end it."""
        return self.storage.request_stop(self.name, _number(trial), reason)

    def request_pause(self, trial: Trial | int, reason: str = "a person paused it") -> Trial:
        """Hold a trial that waits; ask the worker of one that runs to pause it. See `resume_trial`.

        Raises:
            StateError: it has ended.
        """
        return self.storage.request_pause(self.name, _number(trial), reason)

    def pause(self, reason: str = "a person paused it") -> None:
        """Start no new trials until `resume`; those that run go on.

        Raises:
            StateError: the study has ended.
        """
        self._refuse_if_over("paused")
        self.storage.set_state(self.name, StudyState.PAUSED, reason)

    def stop(self, reason: str = "a person stopped it") -> None:
        """Start no new trials; those that run go on to their end.

        Raises:
            StateError: the study has finished or failed.
        """
        self._refuse_if_over("stopped")
        self.storage.set_state(self.name, StudyState.STOPPED, reason)

    def _refuse_if_over(self, wanted: str) -> None:
        self.refresh()
        if self._live.record.state in (StudyState.FINISHED, StudyState.FAILED):
            msg = f"Study {self.name!r} is {self._live.record.state}: {self._live.record.reason}. It can't be {wanted}."
            raise StateError(msg)

    def give_up(self, reason: str) -> None:
        """End the study as failed."""
        self._live.give_up(reason)

    def resume(self) -> None:
        """Let the study ask for trials again, up to its budget."""
        self.storage.set_state(self.name, StudyState.ACTIVE)
        self.refresh()
        self._live.settle()

    def continue_up_to(self, max_trials: int | None) -> None:
        """Let a study go on that is run again: up to ``max_trials`` where that is more than it had.

        A finished study stays finished unless there is more to do; a paused, stopped or failed one
        goes on.
        """
        self.refresh()
        self._raise_budget(max_trials)
        state = self._live.record.state
        ended = state is StudyState.FINISHED and not self._live.history.open
        if state is not StudyState.ACTIVE and not ended:
            self.resume()

    def set_budget(
        self, *, max_trials: int | None = None, parallel_trials: int | None = None
    ) -> None:
        """Change the budget; a study that had spent it goes on."""
        self.storage.set_budget(self.name, max_trials=max_trials, parallel_trials=parallel_trials)
        self._live.reopen()

    # Inside

    def _held(self, trial: Trial | int) -> Trial:
        """Return the trial with the attempt that the caller holds."""
        if isinstance(trial, Trial):
            return trial
        return self.storage.trial(self.name, trial)

    def _selected(self, trial: Trial) -> Measurement | None:
        stored = self.storage.measurements(self.name, trial.number)
        return select_measurement(stored, self.spec)

    def _raise_budget(self, max_trials: int | None) -> None:
        """Take a larger budget than the stored one; a smaller one may be an old file's."""
        limit = self.spec.max_trials
        if max_trials is not None and limit is not None and max_trials > limit:
            self.set_budget(max_trials=max_trials)

    def _take_ending(self, ending: Ending) -> None:
        """Take the conditions under which a continued study has enough from who continues it."""
        if ending != self.spec.ending:
            self.storage.set_budget(self.name, ending=ending)
            self._live.reopen()


def _number(trial: Trial | int) -> int:
    return trial.number if isinstance(trial, Trial) else trial
