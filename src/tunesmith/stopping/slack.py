"""Ends trials that fall too far behind the best one: the bandit policy of Azure."""

from tunesmith.model import By, History, StudySpec, Trial
from tunesmith.search.settings import refuse
from tunesmith.stopping.peers import Peers, others, settled
from tunesmith.stopping.watch import Watch, check_number, place
from tunesmith.stopping.wording import apart, brief

__all__ = ["Bandit"]


class Bandit:
    """Ends a trial whose best value so far is not within some slack of the best that others had by then.

    With B the best value of any other trial up to the same place, a trial may go on whose own best v keeps

    ================  ======================  ======================
    slack             to maximize             to minimize
    ================  ======================  ======================
    amount a          v >= B - a              v <= B + a
    factor s, B > 0   v >= B / (1 + s)        v <= B (1 + s)
    factor s, B < 0   v >= B (1 + s)          v <= B / (1 + s)
    ================  ======================  ======================

    The row for B > 0 is Azure's. The row for B < 0 is its mirror image, without which the best trial
    itself would end; turning a metric's sign and its goal changes no decision. Where B is near 0, a factor
    leaves no slack: use an amount.

    Args:
        slack_factor: s, above 0.
        slack_amount: a, above 0, in the metric's units; instead of the factor.
        min_steps: Where a trial is first judged; the first steps say little of the last.
        every: How far it goes between judgements.
        by: ``"step"``, or ``"elapsed"``: then both are seconds.
        metric: The objective to judge by, where the study has several.

    Raises:
        SpecError: a setting makes no sense, or not just one slack is given.
    """

    def __init__(
        self,
        *,
        slack_factor: float = 0.0,
        slack_amount: float = 0.0,
        min_steps: float = 4,
        every: float = 1,
        by: By = "step",
        metric: str = "",
    ) -> None:
        check_number("bandit", "slack_factor", slack_factor, low=0)
        check_number("bandit", "slack_amount", slack_amount, low=0)
        if (slack_factor > 0) == (slack_amount > 0):
            raise refuse(
                "bandit needs one slack: slack_factor (0.1 for a tenth of the best value) or"
                f" slack_amount (in the metric's units), above 0; given {slack_factor!r} and"
                f" {slack_amount!r}."
            )
        self._factor = 1.0 + slack_factor
        self._amount = slack_amount
        self._slack = (
            f"slack of {brief(slack_amount)}"
            if slack_amount
            else f"slack factor of {brief(slack_factor)}"
        )
        self._watch = Watch("bandit", metric, by, min_steps, every)

    def check(self, spec: StudySpec) -> None:
        """Serve studies with one objective, or whose ``metric`` is named."""
        self._watch.objective(spec)

    def stop_reason(self, trial: Trial, history: History) -> str | None:
        """Return why the trial should end; see `StoppingRule.stop_reason`."""
        series = self._watch.series(trial, history)
        if series is None:
            return None
        objective, by = self._watch.objective(history.spec), self._watch.by
        peers = Peers.of(others(trial, history), history, objective, by).until(series.reach)
        if not len(peers):
            return None
        own, best = settled(series).best, float(peers.bests.min())
        bar = self._bar(best)
        if own <= bar:
            return None
        value, limit = apart(objective.loss(own), objective.loss(bar))
        where = place(history.curve(trial.number), series.reach, by)
        return (
            f"best {value} {where} is worse than {limit}, which is the best value"
            f" {brief(objective.loss(best))} with a {self._slack}"
        )

    def _bar(self, best: float) -> float:
        """Return the worst loss that may go on."""
        if self._amount:
            return best + self._amount
        return best * self._factor if best > 0 else best / self._factor
