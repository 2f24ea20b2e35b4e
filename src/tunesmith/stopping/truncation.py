"""Cuts off the worst part of the trials, again and again: the truncation selection policy of Azure."""

import numpy as np

from tunesmith.model import By, History, StudySpec, Trial
from tunesmith.search.settings import check_choice, refuse
from tunesmith.stopping.peers import Peers, others, settled
from tunesmith.stopping.watch import Watch, check_number, place
from tunesmith.stopping.wording import brief

__all__ = ["Truncation"]

_AMONG = ("all", "open")


class Truncation:
    """Ends a trial whose value is in the worst part of those that others had at the same place.

    Of n trials that came as far, itself included, the worst ``⌊n · percent / 100⌋`` end; with 20 percent
    it takes five trials before one does. Trials are compared as they arrive: who comes first is not held
    against who comes later before it is judged again.

    Args:
        percent: How many percent are cut off at each judgement, above 0 and below 100.
        among: Of which trials: of ``"all"``, or of those that are ``"open"``, so run or wait. The latter
            takes many workers: with 20 percent, four at once never end.
        min_steps: Where a trial is first judged; the first steps say little of the last.
        every: How far it goes between judgements.
        by: ``"step"``, or ``"elapsed"``: then both are seconds.
        metric: The objective to judge by, where the study has several.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(
        self,
        *,
        percent: float = 20.0,
        among: str = "all",
        min_steps: float = 4,
        every: float = 1,
        by: By = "step",
        metric: str = "",
    ) -> None:
        check_number("truncation", "percent", percent, low=0, high=100)
        if not 0.0 < percent < 100.0:
            raise refuse(
                f"truncation's setting 'percent' is above 0 and below 100; given {percent!r}."
            )
        check_choice("truncation", "among", among, _AMONG)
        self._percent = percent
        self._among = among
        self._watch = Watch("truncation", metric, by, min_steps, every)

    def check(self, spec: StudySpec) -> None:
        """Serve studies with one objective, or whose ``metric`` is named."""
        self._watch.objective(spec)

    def stop_reason(self, trial: Trial, history: History) -> str | None:
        """Return why the trial should end; see `StoppingRule.stop_reason`."""
        series = self._watch.series(trial, history)
        if series is None:
            return None
        objective, by = self._watch.objective(history.spec), self._watch.by
        rivals = others(trial, history)
        if self._among == "open":
            rivals = [t for t in rivals if not t.is_final]
        peers = Peers.of(rivals, history, objective, by)
        peers = peers.chosen(peers.reaches >= series.reach).until(series.reach)
        n = len(peers) + 1
        cut = int(n * self._percent / 100.0 + 1e-9)  # 30 percent of 10 are 3
        loss = settled(series).last
        better = int(np.count_nonzero(peers.lasts < loss))
        if better < n - cut:
            return None
        where = place(history.curve(trial.number), series.reach, by)
        return (
            f"{brief(objective.loss(loss))} {where} is among the worst {cut} of {n} trials"
            f" ({brief(self._percent)}%)"
        )
