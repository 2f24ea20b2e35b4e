"""The median rule with another quantile: lets only so many percent of the best go on."""

from tunesmith.model import By, History, StudySpec, Trial
from tunesmith.stopping.averages import Averages
from tunesmith.stopping.watch import Watch, check_number

__all__ = ["Percentile"]


class Percentile:
    """Ends a trial whose best value so far is not among the best percentile of others' running averages.

    With ``percentile=50`` it is `Median`, with 25 it ends what is worse than the best quarter. Between two
    averages the percentile is interpolated.

    Args:
        percentile: How many percent of the averages lie on the good side of the bar, from 0 to 100.
        among: See `Median`, likewise the others.
        min_trials: Nothing is said with fewer averages; four are needed for a quarter to be one.
        min_steps: Where a trial is first judged.
        every: How far it goes between judgements.
        by: ``"step"``, or ``"elapsed"``: then both are seconds.
        metric: The objective to judge by, where the study has several.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(
        self,
        *,
        percentile: float = 25.0,
        among: str = "completed",
        min_trials: int = 4,
        min_steps: float = 4,
        every: float = 1,
        by: By = "step",
        metric: str = "",
    ) -> None:
        check_number("percentile", "percentile", percentile, low=0, high=100)
        watch = Watch("percentile", metric, by, min_steps, every)
        name = f"{percentile:g}% quantile"
        self._averages = Averages(watch, percentile, name, among, min_trials)

    def check(self, spec: StudySpec) -> None:
        """Serve studies with one objective, or whose ``metric`` is named."""
        self._averages.check(spec)

    def stop_reason(self, trial: Trial, history: History) -> str | None:
        """Return why the trial should end; see `StoppingRule.stop_reason`."""
        return self._averages.stop_reason(trial, history)
