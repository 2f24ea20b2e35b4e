"""Which of a study's trials is the best so far, and how many ended after it."""

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field, replace
from typing import Self

from tunesmith.model.ranking import rank
from tunesmith.model.spec import StudySpec
from tunesmith.model.trial import Trial

__all__ = ["Place", "Standing"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a trial that counts stands: a smaller place is the better one, of equals the earlier.

    Attributes:
        violation: By how much it breaks the constraints.
        loss: Its first objective, turned so that smaller is better.
        finished: When it ended.
        number: Its number.
    """

    violation: float
    loss: float
    finished: float
    number: int


@dataclass(slots=True, eq=False)
class Standing:
    """How the trials of a study stand, kept up to date trial by trial: asking costs nothing that grows.

    Attributes:
        spec: The study.
        best: The place of the best trial; None while none counts.
    """

    spec: StudySpec
    best: Place | None = None
    _places: dict[int, Place] = field(default_factory=dict)
    _ends: list[tuple[float, int]] = field(default_factory=list)  # of those that count, sorted

    @property
    def since(self) -> int:
        """How many trials that count have ended after the best one; none was better."""
        if self.best is None:
            return 0
        return len(self._ends) - bisect_right(self._ends, (self.best.finished, self.best.number))

    def take(self, trial: Trial) -> None:
        """Take in a new or changed trial."""
        before, ranked = self._places.get(trial.number), rank(trial, self.spec)
        now = None if ranked is None else Place(*ranked[:2], trial.finished or 0.0, trial.number)
        if now == before:
            return
        if before is not None:
            del self._places[trial.number]
            del self._ends[bisect_left(self._ends, (before.finished, before.number))]
        if now is not None:
            self._places[trial.number] = now
            insort(self._ends, (now.finished, now.number))
        if before is not None and before == self.best:  # it is tried again
            self.best = min(self._places.values(), default=None)
        elif now is not None and (self.best is None or now < self.best):
            self.best = now

    def copy(self) -> Self:
        """Return a standing that goes its own way from here."""
        return replace(self, _places=self._places.copy(), _ends=self._ends.copy())
