"""Races trials over folds, seeds or problem instances: ends one that is surely worse than the best.

The pairing and the test are those of Optuna's ``WilcoxonPruner``.
"""

import numpy as np

from tunesmith.model import History, Objective, Series, StudySpec, Trial, TrialState
from tunesmith.search.settings import check_positive, check_whole
from tunesmith.stopping.peers import Array, Peers, settled
from tunesmith.stopping.signed_rank import signed_rank_p
from tunesmith.stopping.watch import Watch
from tunesmith.stopping.wording import apart, brief

__all__ = ["Wilcoxon"]


class Wilcoxon:
    """Ends a trial that is worse than the best one on the instances both measured, by Wilcoxon's test.

    Here steps are instances, such as folds: what a trial measured at step 3 is compared with what the best
    trial measured at step 3, in whatever order they came. Whether instances are easy or hard then plays
    no part. The best trial is the completed one with the best mean over its instances. No trial is ended
    whose mean over the instances they share is as good, whatever the test says.

    Args:
        p_threshold: Below which p-value, one-sided, chance is ruled out; above 0, up to 1.
        n_startup: How many instances they have to share at least.
        metric: The metric that is measured at each instance, if it isn't the objective itself: say, if
            the program reports each ``fold_accuracy`` and in the end their mean as ``accuracy``. One
            that is no objective is better in the direction of the first.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(self, *, p_threshold: float = 0.1, n_startup: int = 2, metric: str = "") -> None:
        check_positive("wilcoxon", "p_threshold", p_threshold, most=1.0)
        check_whole("wilcoxon", "n_startup", n_startup, low=1)
        self._p_threshold = p_threshold
        self._n_startup = n_startup
        self._watch = Watch("wilcoxon", metric)

    def check(self, spec: StudySpec) -> None:
        """Serve studies with one objective, or whose ``metric`` is named."""
        self._objective(spec)

    def stop_reason(self, trial: Trial, history: History) -> str | None:
        """Return why the trial should end; see `StoppingRule.stop_reason`."""
        objective = self._objective(history.spec)
        own = _instances(trial, history, objective)
        best = self._best(trial, history, objective)
        if best is None:
            return None
        rival = _instances(best, history, objective)
        _, mine, theirs = np.intersect1d(own.at, rival.at, return_indices=True)
        n = len(mine)
        if n < self._n_startup:
            return None
        losses, rivals = own.losses[mine], rival.losses[theirs]
        mean, bar = _mean(losses), _mean(rivals)
        if mean <= bar:
            return None
        both = np.isinf(losses) & np.isinf(rivals)  # inf - inf is nan; they are equally bad
        with np.errstate(over="ignore"):
            p = signed_rank_p(np.where(both, 0.0, losses) - np.where(both, 0.0, rivals))
        if p >= self._p_threshold:
            return None
        value, limit = apart(objective.loss(mean), objective.loss(bar))
        return (
            f"mean {objective.metric} {value} is worse than {limit} of trial {best.number} on the"
            f" {n} instances both measured (p = {brief(p)})"
        )

    def _objective(self, spec: StudySpec) -> Objective:
        metric = self._watch.metric
        if metric and metric not in [o.metric for o in spec.objectives]:
            return Objective(metric, spec.objective.goal)
        return self._watch.objective(spec)

    def _best(self, trial: Trial, history: History, objective: Objective) -> Trial | None:
        completed = [
            t
            for t in history.trials
            if t.state is TrialState.COMPLETED and t.number != trial.number
        ]
        peers = Peers.of(completed, history, objective)
        means = peers.means
        if not np.isfinite(means).any():
            return None
        return history.trials[int(peers.numbers[np.argmin(means)]) - 1]


def _instances(trial: Trial, history: History, objective: Objective) -> Series:
    """Return what a trial measured at each instance, under the program's own numbers."""
    curve = history.curve(trial.number)
    series = settled(curve.series(objective))
    # A trial that has not come to instance 0 yet is taken to count from 1, and would be paired wrongly.
    return Series(series.at - int(curve.from_zero), series.losses)


def _mean(losses: Array) -> float:
    """Return the mean; infinite if there is none. Divides first, lest the sum of large losses overflow."""
    return float((losses / len(losses)).sum()) if len(losses) else np.inf
