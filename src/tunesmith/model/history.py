"""What a study has tried so far: a searcher's whole state."""

from collections.abc import Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace

from tunesmith.model.curve import Curve
from tunesmith.model.spec import StudySpec
from tunesmith.model.standing import Standing
from tunesmith.model.trial import Measurement, Trial, TrialState

__all__ = ["Earlier", "History"]


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier study to learn from.

    Attributes:
        name: Its name.
        spec: What it was; its space may differ from that of the study that learns.
        trials: Those that had ended before the study that learns was made, in the order of their
            numbers; of a large study only the newest.
    """

    name: str
    spec: StudySpec
    trials: tuple[Trial, ...]


class History:
    """All trials of a study in the order of their numbers, kept up to date by whoever owns it.

    Searchers read it and change nothing. Reading costs nothing that grows with the study: what a
    searcher asks for is kept as trials arrive.

    Args:
        spec: What the study is.
        trials: Its trials, in the order of their numbers.
        earlier: The studies that `StudySpec.warm_start` names; gone through when they are first
            asked for, so whoever owns the history may read them only then.
    """

    def __init__(
        self, spec: StudySpec, trials: Iterable[Trial] = (), earlier: Iterable[Earlier] = ()
    ) -> None:
        self._spec = spec
        self._earlier = earlier
        self._trials: list[Trial] = []
        self._keys: dict[tuple[object, ...], int] = {}
        self._counts: dict[str, int] = {}
        self._curves: dict[int, Curve] = {}
        self._revision = 0
        self._open: dict[int, Trial] = {}
        self._standing = Standing(spec)
        self.update(trials)

    def update(self, trials: Iterable[Trial], spec: StudySpec | None = None) -> None:
        """Take in new and changed trials, new ones in the order of their numbers, and a changed budget."""
        if spec is not None:
            self._spec = spec
        for trial in trials:
            self._revision = max(self._revision, trial.revision)
            if trial.number <= len(self._trials):
                self._counts[self._trials[trial.number - 1].state] -= 1
                self._trials[trial.number - 1] = trial
            else:
                assert trial.number == len(self._trials) + 1, "numbers are dense"
                self._trials.append(trial)
                self._keys.setdefault(self._spec.space.key(trial.values), trial.number)
            self._counts[trial.state] = self._counts.get(trial.state, 0) + 1
            self._standing.take(trial)
            if trial.is_final:
                self._open.pop(trial.number, None)
            else:
                self._open[trial.number] = trial

    def measure(self, number: int, attempt: int, measurement: Measurement) -> None:
        """Take in what an attempt of a trial measured; the trial is known already."""
        curve = self._curves.get(number)
        if curve is None:
            parent = self._trials[number - 1].parent
            from_zero = parent is not None and self.curve(parent).from_zero
            curve = self._curves[number] = Curve(from_zero=from_zero)
        curve.add(attempt, measurement)
        self._revision = max(self._revision, measurement.revision)

    def forget_curve(self, number: int) -> None:
        """Drop what a trial measured, to be told all of it anew."""
        self._curves.pop(number, None)

    def curve(self, number: int) -> Curve:
        """Return what a trial measured; nothing in studies that don't judge trials by it."""
        return self._curves.get(number) or Curve()

    def as_of(self, revision: int) -> "History":
        """Return the history as it was known at an earlier revision of the study.

        Trials that have changed since are taken to have been running then.
        """
        if self._revision <= revision:
            return self
        past = copy(self)
        past._take_back(revision)  # noqa: SLF001 - its own
        return past

    def _take_back(self, revision: int) -> None:
        self._trials, self._counts = self._trials.copy(), self._counts.copy()
        self._open, self._standing = self._open.copy(), self._standing.copy()
        running = TrialState.RUNNING
        later = [t for t in self._trials if t.revision > revision]
        self.update(replace(t, state=running, metrics={}, revision=revision) for t in later)
        self._curves = {
            number: curve if curve.revision <= revision else curve.until(revision)
            for number, curve in self._curves.items()
        }
        self._revision = revision

    @property
    def spec(self) -> StudySpec:
        """What the study is, with the budget in force."""
        return self._spec

    @property
    def earlier(self) -> Sequence[Earlier]:
        """The studies that `StudySpec.warm_start` names, in its order."""
        if not isinstance(self._earlier, tuple):
            self._earlier = tuple(self._earlier)
        return self._earlier

    @property
    def trials(self) -> Sequence[Trial]:
        """Every trial; trial ``n`` stands at ``n - 1``."""
        return self._trials

    @property
    def open(self) -> Collection[Trial]:
        """The trials that have not ended."""
        return self._open.values()

    @property
    def standing(self) -> Standing:
        """Which trial is the best, and how many ended after it."""
        return self._standing

    @property
    def distinct(self) -> int:
        """How many different points have been suggested."""
        return len(self._keys)

    def count(self, *states: str) -> int:
        """Return how many trials are in any of ``states``."""
        return sum(self._counts.get(state, 0) for state in states)

    def tried(self, key: tuple[object, ...]) -> int | None:
        """Return the number of the first trial with this point (see `Space.key`), or None."""
        return self._keys.get(key)
