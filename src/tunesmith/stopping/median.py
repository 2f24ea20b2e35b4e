"""The median rule of Vizier: ends trials that never were as good as the others on average.

Golovin et al., "Google Vizier: A service for black-box optimization" (KDD 2017), section 3.2.2.
"""

from tunesmith.model import By, History, StudySpec, Trial
from tunesmith.stopping.averages import Averages
from tunesmith.stopping.watch import Watch

__all__ = ["Median"]


class Median:
    """Ends a trial whose best value so far is worse than the median of the running averages of others.

    A running average is the mean of what a trial measured up to where the judged trial has come. It
    lags behind the best value, which makes the rule lenient with curves that improve. Where the averages
    are even in number, the median lies midway between the two in the middle.

    Args:
        among: Whose averages: those of ``"completed"`` trials, as in the paper; or of ``"all"``, so
            also of trials that run, wait or were stopped, if they came as far. With ``"completed"``
            the first judgement waits for trials to end, and the bar rises as only good ones do.
        min_trials: Nothing is said with fewer averages. Of three, one strange trial is never the
            median.
        min_steps: Where a trial is first judged. At its first step a best value has nothing ahead of an
            average, and half of all trials would end.
        every: How far it goes between judgements.
        by: ``"step"``, or ``"elapsed"``: then all of these are seconds.
        metric: The objective to judge by, where the study has several.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(
        self,
        *,
        among: str = "completed",
        min_trials: int = 3,
        min_steps: float = 4,
        every: float = 1,
        by: By = "step",
        metric: str = "",
    ) -> None:
        watch = Watch("median", metric, by, min_steps, every)
        self._averages = Averages(watch, 50.0, "median", among, min_trials)

    def check(self, spec: StudySpec) -> None:
        """Serve studies with one objective, or whose ``metric`` is named."""
        self._averages.check(spec)

    def stop_reason(self, trial: Trial, history: History) -> str | None:
        """Return why the trial should end; see `StoppingRule.stop_reason`."""
        return self._averages.stop_reason(trial, history)
