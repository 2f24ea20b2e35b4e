"""Ends trials that no longer improve."""

from tunesmith.model import By, History, StudySpec, Trial
from tunesmith.search.settings import check_positive
from tunesmith.stopping.peers import settled
from tunesmith.stopping.watch import Watch, check_number, place
from tunesmith.stopping.wording import brief

__all__ = ["Patience"]


class Patience:
    """Ends a trial whose best value of the last ``steps`` is no improvement on its best before them.

    It looks at the trial alone, as the callback of that name does in training libraries; and at windows
    of steps, not at numbers of measurements, so that a program that measures rarely is not ended sooner.

    Args:
        steps: How long a trial may go without improvement.
        min_delta: The least improvement that counts, in the metric's units; 0 for any at all.
        min_steps: Where a trial is first judged; sooner than after ``steps`` it never is.
        by: ``"step"``, or ``"elapsed"``: then both are seconds.
        metric: The objective to judge by, where the study has several.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(
        self,
        *,
        steps: float = 10,
        min_delta: float = 0.0,
        min_steps: float = 1,
        by: By = "step",
        metric: str = "",
    ) -> None:
        check_positive("patience", "steps", steps)
        check_number("patience", "min_delta", min_delta, low=0)
        self._steps = steps
        self._min_delta = min_delta
        self._watch = Watch("patience", metric, by, min_steps)

    def check(self, spec: StudySpec) -> None:
        """Serve studies with one objective, or whose ``metric`` is named."""
        self._watch.objective(spec)

    def stop_reason(self, trial: Trial, history: History) -> str | None:
        """Return why the trial should end; see `StoppingRule.stop_reason`."""
        curve = history.curve(trial.number)
        objective, by = self._watch.objective(history.spec), self._watch.by
        series = settled(curve.series(objective, by))
        before = series.until(series.reach - self._steps)
        if not len(before) or series.reach < self._watch.min_steps:
            return None
        old, new = before.best, float(series.losses[len(before) :].min())
        # Where both are infinite nothing has improved, and their difference is nan.
        if new < old and new <= old - self._min_delta:
            return None
        unit = "s" if by == "elapsed" else "steps"
        least = f" by {brief(self._min_delta)}" if self._min_delta else ""
        return (
            f"{objective.metric} has not improved{least} in {brief(self._steps)} {unit}: best"
            f" {brief(objective.loss(new))} {place(curve, series.reach, by)}, before"
            f" {brief(objective.loss(old))}"
        )
