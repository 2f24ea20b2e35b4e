"""A study as this process last read it: its record, its history, and whether it has come to its end."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from tunesmith.errors import ConflictError, LeaseLostError, NotFoundError, StateError
from tunesmith.model import (
    Earlier,
    History,
    StudyRecord,
    StudySpec,
    StudyState,
    Trial,
    TrialState,
)
from tunesmith.reporting import choice_text
from tunesmith.stopping import resting
from tunesmith.storage import Storage
from tunesmith.study.advisor import Advisor
from tunesmith.study.choice import Choices
from tunesmith.study.curves import take_in
from tunesmith.study.ending import end_reason, with_expected_gain

__all__ = ["Live", "Observer"]

Observer = Callable[[Trial], None]
"""Is told of every change of a trial that this process makes; controls nothing."""

_LOG = logging.getLogger("tunesmith")
_ENDLESS = 1_000_000


class Live:
    """What is known of a stored study, brought up to date by `refresh`.

    Args:
        record: The study.
        storage: Where it is.
        earlier: The studies that it learns from.
    """

    def __init__(self, record: StudyRecord, storage: Storage, earlier: Iterable[Earlier]) -> None:
        self.storage = storage
        self.record = record
        self.history = History(record.spec, earlier=earlier)
        self.advisor = Advisor(record.spec)
        self.observers: list[Observer] = []
        self.lock = threading.RLock()
        self.exhausted = False  # once true it stays so: points are never given back
        self._revision = -1
        self._now, self._now_at = 0.0, 0.0
        self._choices = Choices()

    @property
    def name(self) -> str:
        """The study's name."""
        return self.record.name

    @property
    def spec(self) -> StudySpec:
        """What the study is, with the budget in force."""
        return self.record.spec

    @property
    def now(self) -> float:
        """The time by the storage's clock, which the times of trials go by; this machine's may differ."""
        return self._now + (time.monotonic() - self._now_at)

    def refresh(self) -> Sequence[Trial]:
        """Read what changed since the last time; return the trials that did."""
        with self.lock:
            reads = self.advisor.reads_curves
            changes = self.storage.changes(self.name, self._revision, curves=reads)
            if changes.record.created != self.record.created:
                msg = f"Study {self.name!r} was deleted, and another of that name was made. Open it anew."
                raise NotFoundError(msg)
            is_news = self._revision >= 0  # what the study did before it was opened is none
            self.record = changes.record
            self._revision = changes.record.revision
            self._now, self._now_at = changes.now, time.monotonic()
            self.history.update(changes.trials, self.record.spec)
            if reads:
                take_in(changes, self.history, self.storage)
            self.follow_choices(changes.trials, is_news=is_news)
            return changes.trials

    def follow_choices(self, trials: Iterable[Trial], *, is_news: bool = True) -> None:
        """Log which searcher takes over with any of these trials."""
        for trial in trials:
            if self._choices.takes_over(trial) and is_news:
                _LOG.info("study %s: %s", self.name, choice_text(trial, self.spec.algorithm.name))

    def tell_observers(self, trial: Trial) -> None:
        """Tell every observer of a trial that this process has changed."""
        for observer in self.observers:
            observer(trial)

    # How a trial ends

    def end(
        self,
        trial: Trial,
        state: TrialState,
        *,
        metrics: Mapping[str, float] = {},
        step: int | None = None,
        reason: str = "",
    ) -> Trial:
        """Move a trial to a final state, and the study to its end if that was the last."""
        ended = self.storage.finish(
            self.name,
            trial.number,
            trial.attempt,
            state,
            metrics=metrics,
            step=step,
            reason=reason,
        )
        self.tell_observers(ended)
        if trial.state is TrialState.PAUSED:  # whoever ends a paused trial goes on deciding
            return ended
        if state is TrialState.FAILED or self.nothing_new():
            with self.lock:
                self.refresh()
                if state is TrialState.FAILED:
                    self._give_up_after_failures()
                self.settle()
        return ended

    def halt(self, trial: Trial, reason: str) -> None:
        """End a paused trial; without a value that counts it has failed."""
        value = trial.metrics.get(self.spec.objective.metric, math.nan)
        if math.isfinite(value):
            state = TrialState.STOPPED
            self.end(trial, state, metrics=trial.metrics, step=trial.step, reason=reason)
        else:
            metric = self.spec.objective.metric
            self.end(trial, TrialState.FAILED, reason=f"{reason}; its {metric} was {value}")

    # How the study ends

    def nothing_new(self) -> str:
        """Return why the study has no new points to try; ``""`` while it may have some."""
        if enough := end_reason(self.history, self.now):
            return enough
        if not self.exhausted:
            limit = self.advisor.limit(self.spec)
            return "" if self.room() else f"all {limit} trials have ended"
        size = self.spec.size
        if self.advisor.has_schedule and self.history.distinct != size:
            return f"{self.advisor.schedule_name} has run its course"
        if size is None:
            return f"{self.spec.algorithm.name} has no more points to try"
        return f"all {size} points of the space have been tried"

    def room(self) -> int:
        """Return how many new trials the study may still have."""
        if self.exhausted:
            return 0
        limit = self.advisor.limit(self.spec)
        counted = len(self.history.trials) - self.history.count(TrialState.CANCELLED)
        return _ENDLESS if limit is None else max(0, limit - counted)

    def settle(self) -> None:
        """Mark the study as finished once everything it may try has ended."""
        while self.record.state is StudyState.ACTIVE and (reason := self.nothing_new()):
            rest = resting(self.history)
            if len(rest) < len(self.history.open):
                return  # some run or wait, or a person holds them
            if rest and not end_reason(self.history, self.now):
                return  # the schedule says what becomes of them
            spec = self.spec
            try:
                for trial in rest:
                    self.halt(trial, f"the study has ended: {reason}")
                if rest:
                    self.refresh()
                    if self.history.open or self.spec != spec:
                        continue  # somebody has queued a trial, or raised the budget: look again
                    # One of them may be better than all others. It is over nevertheless.
                why = with_expected_gain(reason, self.history)
                at = self.record.revision
                self.storage.set_state(self.name, StudyState.FINISHED, why, at=at)
            except (ConflictError, StateError, LeaseLostError):
                pass  # likewise
            self.refresh()

    def reopen(self) -> None:
        """Let a study that had finished or failed go on, now that there is more to do."""
        self.refresh()
        if self.record.state in (StudyState.FINISHED, StudyState.FAILED):
            self.storage.set_state(self.name, StudyState.ACTIVE)
            self.refresh()
            self.settle()

    def give_up(self, reason: str) -> None:
        """End the study as failed."""
        self.storage.set_state(self.name, StudyState.FAILED, reason)
        self.refresh()

    def _give_up_after_failures(self) -> None:
        failed, bound = self.history.count(TrialState.FAILED), self.spec.max_failed_trials
        if self.record.state is StudyState.ACTIVE and bound is not None and failed > bound:
            self.give_up(f"{failed} trials failed, more than max_failed_trials ({bound})")
