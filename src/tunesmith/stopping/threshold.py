"""Ends trials whose metric leaves fixed bounds, or is no number any more."""

import math

from tunesmith.model import By, History, Objective, StudySpec, Trial
from tunesmith.search.settings import refuse
from tunesmith.stopping.watch import Watch, check_number, place
from tunesmith.stopping.wording import apart

__all__ = ["Threshold"]


class Threshold:
    """Ends a trial whose latest value lies beyond a bound, or is not finite.

    Args:
        upper: The greatest value that may go on; None for none.
        lower: The least value that may go on; None for none.
        nan: Whether a value that is nan or infinite ends the trial: a training that has diverged does
            not recover.
        min_steps: Where a trial is first judged.
        by: ``"step"``, or ``"elapsed"``: then that is in seconds.
        metric: Any metric of the program; ``""`` for the objective. With several objectives and no
            metric, bounds are refused, and ``nan`` looks at each of them.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(
        self,
        *,
        upper: float | None = None,
        lower: float | None = None,
        nan: bool = True,
        min_steps: float = 1,
        by: By = "step",
        metric: str = "",
    ) -> None:
        for name, bound in (("upper", upper), ("lower", lower)):
            if bound is not None:
                check_number("threshold", name, bound)
        if upper is not None and lower is not None and lower > upper:
            raise refuse(f"threshold needs lower <= upper; given lower={lower} and upper={upper}.")
        if not isinstance(nan, bool):
            raise refuse(f"threshold's setting 'nan' is true or false; given {nan!r}.")
        if upper is None and lower is None and not nan:
            raise refuse("threshold has nothing to do: give it upper, lower, or nan=true.")
        self._upper = math.inf if upper is None else upper
        self._lower = -math.inf if lower is None else lower
        self._bounded = upper is not None or lower is not None
        self._nan = nan
        self._watch = Watch("threshold", metric, by, min_steps)

    def check(self, spec: StudySpec) -> None:
        """Serve all studies; but with bounds and several objectives a ``metric`` has to be named."""
        if self._bounded and not self._watch.metric:
            self._watch.objective(spec)

    def stop_reason(self, trial: Trial, history: History) -> str | None:
        """Return why the trial should end; see `StoppingRule.stop_reason`."""
        metric = self._watch.metric
        metrics = [metric] if metric else [o.metric for o in history.spec.objectives]
        reasons = (self._reason(trial, history, name) for name in metrics)
        return next((reason for reason in reasons if reason), None)

    def _reason(self, trial: Trial, history: History, metric: str) -> str | None:
        curve = history.curve(trial.number)
        # Bounds are on values as they are: a goal to minimize turns nothing.
        series = curve.series(Objective(metric, "minimize"), self._watch.by)
        if not len(series) or series.reach < self._watch.min_steps:
            return None
        where = place(curve, series.reach, self._watch.by)
        value = series.last
        if not math.isfinite(value):
            return f"{metric} is not finite {where}" if self._nan else None
        for bound, beyond, word in (
            (self._upper, value > self._upper, "above"),
            (self._lower, value < self._lower, "below"),
        ):
            if beyond:
                shown, limit = apart(value, bound)
                return f"{metric} is {shown} {where}, {word} {limit}"
        return None
