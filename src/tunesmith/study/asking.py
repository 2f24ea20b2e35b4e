"""How a study finds the next trials to run: those that wait, those whose worker died, the schedule's, new ones."""

import time
from collections.abc import Sequence, Set
from dataclasses import replace

from tunesmith.errors import (
    ConflictError,
    LeaseLostError,
    StateError,
    StudyEnded,
    StudyWaiting,
)
from tunesmith.model import StudyState, Suggestion, Trial, TrialState
from tunesmith.stopping import Begin, Halt, Move, Resume
from tunesmith.storage import Claim
from tunesmith.study.ending import end_reason
from tunesmith.study.live import Live
from tunesmith.study.worker import is_dead

__all__ = ["Asking"]

_LOOK_FOR_DEAD_S = 0.5  # finding out reads a file for each worker


class Asking:
    """Takes trials for one worker, or has them wait for whoever claims them.

    Args:
        live: The study.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._look_for_dead_at = 0.0

    def take(self, claim: Claim, count: int) -> Sequence[Trial]:
        """Claim one waiting trial or add up to ``count`` new ones; nothing if others were faster."""
        with self._live.lock, self._live.storage.asking(self._live.name):
            self._look({claim.worker})
            if self._waiting():
                waiting = self._live.storage.claim(self._live.name, claim)
                if waiting is not None:
                    return [waiting]
            return self._decide(count, claim)

    def fill(self, count: int) -> None:
        """Have up to ``count`` trials wait to be claimed; fewer if others were faster."""
        with self._live.lock, self._live.storage.asking(self._live.name):
            self._look(frozenset())
            # Start points come one at a time, for one.
            while (waiting := self._waiting()) < count:
                try:
                    self._decide(count - waiting, None)
                except StudyEnded:  # those that wait are enough for some
                    if not waiting:
                        raise
                    return
                if self._waiting() <= waiting:  # others were faster
                    return

    def _look(self, asking: Set[str]) -> None:
        """Find out how the study stands; raise `StudyEnded` if it wants no trials now."""
        self._live.refresh()
        self._free_trials_of_the_dead(asking)
        if self._live.record.state is not StudyState.ACTIVE:
            msg = f"Study {self._live.name!r} is {self._live.record.state}: {self._live.record.reason}."
            raise StudyEnded(msg)

    def _decide(self, count: int, claim: Claim | None) -> Sequence[Trial]:
        """Add new trials, running for ``claim`` or else queued; raise `StudyEnded` if there are none."""
        if enough := end_reason(self._live.history, self._live.now):
            self._live.settle()
            msg = f"Study {self._live.name!r} has enough: {enough}."
            raise StudyEnded(msg)
        room = self._live.room()
        if moves := self._live.advisor.moves(self._live.history, count, room):
            return self._carry_out(moves, claim)
        # Nothing is out, and the schedule wants nothing more: it has run its course.
        self._live.exhausted = self._live.exhausted or (room > 0 and not self._live.history.open)
        self._live.settle()
        raise self._why_nothing(room)

    def _carry_out(self, moves: Sequence[Move], claim: Claim | None) -> Sequence[Trial]:
        """Do what was decided; return the trials that were added or run now."""
        begins = [move for move in moves if isinstance(move, Begin)]
        resumes = 0
        try:
            for move in moves:
                match move:
                    case Halt(number, reason):
                        self._live.halt(self._live.history.trials[number - 1], reason)
                    case Resume(number, budget, reason):
                        self._live.storage.resume(self._live.name, number, reason, budget=budget)
                        resumes += 1
            taken = list(self._begin(begins, claim)) if begins else []
        except (ConflictError, StateError, LeaseLostError):  # others were faster: think again
            return ()
        while claim and resumes and (waiting := self._live.storage.claim(self._live.name, claim)):
            taken.append(waiting)
            resumes -= 1
        return taken

    def _begin(self, begins: Sequence[Begin], claim: Claim | None) -> Sequence[Trial]:
        """Add new trials with the schedule's values, or else the searcher's; none once the space is exhausted."""
        wanted = sum(begin.suggestion is None for begin in begins)
        found = iter(self._live.advisor.suggest(self._live.history, wanted) if wanted else ())
        suggestions: list[Suggestion] = []
        for begin in begins:
            suggestion = begin.suggestion or next(found, None)
            if suggestion is None:
                self._live.exhausted = not suggestions
                break
            suggestions.append(replace(suggestion, budget=begin.budget))
        if not suggestions:
            return ()
        added = self._live.storage.add_trials(
            self._live.name, suggestions, after=len(self._live.history.trials), claim=claim
        )
        self._live.history.update(added)
        self._live.follow_choices(added)
        return added

    def _why_nothing(self, room: int) -> StudyEnded:
        """Return why there is no trial to hand out now."""
        paused = [t for t in self._live.history.open if t.state is TrialState.PAUSED]
        held = [t.number for t in paused if t.pause_requested]
        going = [t for t in self._live.history.open if t.state is not TrialState.PAUSED]
        if going and (room or len(paused) > len(held)):
            return StudyWaiting(
                f"Study {self._live.name!r} has no trial to run until one of {len(going)} that run reports or ends."
            )
        if held and not going:
            numbers = ", ".join(map(str, held))
            return StudyEnded(
                f"Study {self._live.name!r} waits for paused trials: {numbers}. Let one go on: tunesmith resume {self._live.name}/{held[0]}"
            )
        if self._live.exhausted:
            msg = f"Study {self._live.name!r} is exhausted: {self._live.nothing_new()}."
            return StudyEnded(msg)
        return StudyEnded(
            f"Study {self._live.name!r} has its {self._live.advisor.limit(self._live.spec)} trials (max_trials)."
        )

    def _waiting(self) -> int:
        """Return how many trials wait to be claimed, as far as is known."""
        # A lease read long ago may have been renewed since; the storage knows, so ask it.
        now = self._live.now
        expired = sum(
            t.lease_until is not None and t.lease_until < now for t in self._live.history.open
        )
        return self._live.history.count(TrialState.QUEUED) + expired

    def _free_trials_of_the_dead(self, asking: Set[str]) -> None:
        """Put back the trials whose worker died on this machine, without waiting for their leases."""
        if time.monotonic() < self._look_for_dead_at and not self._live.nothing_new():
            return
        self._look_for_dead_at = time.monotonic() + _LOOK_FOR_DEAD_S
        workers = {t.worker for t in self._live.history.open if t.state is TrialState.RUNNING}
        dead = {worker for worker in workers - asking if is_dead(worker)}
        if not dead:
            return
        for trial in [t for t in self._live.history.open if t.worker in dead]:
            try:
                self._live.storage.requeue(
                    self._live.name, trial.number, trial.attempt, "its worker died"
                )
            except (LeaseLostError, StateError):  # another worker was faster
                continue
        self._live.refresh()
