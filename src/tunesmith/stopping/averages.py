"""Judges a trial's best loss by the running averages of others; see `Median` and `Percentile`."""

import math
from dataclasses import dataclass

import numpy as np

from tunesmith.model import History, Objective, StudySpec, Trial, TrialState
from tunesmith.search.settings import check_choice, check_whole
from tunesmith.stopping.peers import Array, Peers, others, settled
from tunesmith.stopping.watch import Watch, place
from tunesmith.stopping.wording import apart

__all__ = ["Averages", "quantile"]

_AMONG = ("completed", "all")
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Averages:
    """Which averages a trial is held against.

    Attributes:
        watch: Where it is judged.
        percent: How many percent of the averages the bar leaves below it, the better ones.
        name: What the bar is called.
        among: Whose averages: ``"completed"`` trials, or ``"all"`` that came as far as well.
        min_trials: With fewer averages nothing is said.
    """

    watch: Watch
    percent: float
    name: str
    among: str
    min_trials: int

    def __post_init__(self) -> None:
        check_choice(self.watch.rule, "among", self.among, _AMONG)
        check_whole(self.watch.rule, "min_trials", self.min_trials, low=1)

    def check(self, spec: StudySpec) -> None:
        """Raise `SpecError` if the study has no such objective."""
        self.watch.objective(spec)

    def stop_reason(self, trial: Trial, history: History) -> str | None:
        """Return why the trial should end; None if it is good enough."""
        series = self.watch.series(trial, history)
        if series is None:
            return None
        objective = self.watch.objective(history.spec)
        means = self._means(trial, history, objective, series.reach)
        if len(means) < self.min_trials:
            return None
        best, bar = settled(series).best, quantile(means, self.percent / 100.0)
        # Averages of equal losses differ in their last digits.
        if best <= bar or math.isclose(best, bar, rel_tol=_ROUNDING):
            return None
        value, limit = apart(objective.loss(best), objective.loss(bar))
        where = place(history.curve(trial.number), series.reach, self.watch.by)
        return f"best {value} {where} is worse than the {self.name} {limit} of {len(means)} trials"

    def _means(self, trial: Trial, history: History, objective: Objective, reach: float) -> Array:
        rivals = others(trial, history)
        done = {t.number for t in rivals if t.state is TrialState.COMPLETED}
        if self.among == "completed":
            rivals = [t for t in rivals if t.number in done]
        peers = Peers.of(rivals, history, objective, self.watch.by)
        if self.among == "all":
            whole = np.isin(peers.numbers, list(done))
            peers = peers.chosen(whole | (peers.reaches >= reach))
        return peers.until(reach).means


def quantile(values: Array, share: float) -> float:
    """Return the quantile by linear interpolation; infinite as soon as one beside it is."""
    ordered = np.sort(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    low, high = float(ordered[below]), float(ordered[math.ceil(position)])
    # Not low + t (high - low): that is nan between two infinite losses, and the difference of large
    # ones overflows.
    t = position - below
    return low if t == 0.0 or low == high else (1.0 - t) * low + t * high
