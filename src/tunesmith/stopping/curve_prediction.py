"""Ends trials whose learning curve will not end better than the best trial, as far as one can foresee."""

from tunesmith.model import By, History, Objective, StudySpec, Trial, TrialState, loss, violation
from tunesmith.search.settings import check_positive, check_whole
from tunesmith.stopping.peers import settled
from tunesmith.stopping.prediction import Foresight, horizon, teachers
from tunesmith.stopping.watch import Watch, place
from tunesmith.stopping.wording import brief

__all__ = ["CurvePrediction"]


class CurvePrediction:
    """Ends a trial that would hardly end better than the best that has ended.

    Its curve is extrapolated by a model that learns from the curves of trials that have ended how
    curves of this study run; see `tunesmith.stopping.forecast`. The best is the best of those that
    have ended and keep the study's constraints. Where a trial's best measurement counts, one that
    has measured better than the best already goes on.

    The rule judges by what it expects of the end, so a curve that is behind now but falls faster may go
    on, and one that is ahead but has levelled off may end.

    Args:
        probability: The trial ends if the probability that it gets better than the best is smaller.
        min_measurements: How often it has to have measured.
        min_trials: How many trials have to be completed.
        min_steps: Where a trial is first judged.
        every: How far it goes between judgements.
        max_steps: How far a whole trial goes; None for the study's own ``max_steps``, or where nobody
            says so, as far as its longest completed trial.
        by: ``"step"``, or ``"elapsed"``: then all steps are seconds.
        metric: The objective to judge by, where the study has several.

    Raises:
        SpecError: a setting makes no sense.
    """

    def __init__(
        self,
        *,
        probability: float = 0.05,
        min_measurements: int = 5,
        min_trials: int = 3,
        min_steps: float = 1,
        every: float = 1,
        max_steps: float | None = None,
        by: By = "step",
        metric: str = "",
    ) -> None:
        check_positive("curve", "probability", probability, most=0.5)
        check_whole("curve", "min_measurements", min_measurements, low=1)
        check_whole("curve", "min_trials", min_trials, low=1)
        if max_steps is not None:
            check_positive("curve", "max_steps", max_steps)
        self._probability = probability
        self._min_measurements = min_measurements
        self._min_trials = min_trials
        self._max_steps = max_steps
        self._watch = Watch("curve", metric, by, min_steps, every)
        self._foresight = Foresight()

    def check(self, spec: StudySpec) -> None:
        """Serve studies with one objective, or whose ``metric`` is named."""
        self._watch.objective(spec)

    def stop_reason(self, trial: Trial, history: History) -> str | None:
        """Return why the trial should end; see `StoppingRule.stop_reason`."""
        series = self._watch.series(trial, history)
        if series is None or len(series) < self._min_measurements:
            return None
        objective, by = self._watch.objective(history.spec), self._watch.by
        end = horizon(history, objective, by, self._max_steps)
        best = _best(trial, history, objective)
        if end is None or series.reach >= end or best is None:
            return None
        if _best_counts(history.spec, objective) and settled(series).best < best:
            return None
        peers = teachers(trial, history, objective, by)
        if _completed(peers.numbers.tolist(), history) < self._min_trials:
            return None
        forecast = self._foresight.of(series, peers, end)
        probability = forecast.below(best)
        if probability >= self._probability:
            return None
        chance = f"{100 * probability:.2g}%" if probability > 0.001 else "less than 0.1%"
        where = place(history.curve(trial.number), series.reach, by)
        return (
            f"{where} it is expected to end with {brief(objective.loss(forecast.mean))}"
            f" ± {forecast.deviation:.2g}, better than the best {brief(objective.loss(best))}"
            f" only with a probability of {chance}"
        )


def _best(trial: Trial, history: History, objective: Objective) -> float | None:
    """Return the least loss of the others that have ended and keep all constraints."""
    constraints = history.spec.constraints
    losses = (
        value
        for t in history.trials
        if t.is_final and t.number != trial.number
        if (value := loss(t, objective)) is not None and not violation(t.metrics, constraints)
    )
    return min(losses, default=None)


def _best_counts(spec: StudySpec, objective: Objective) -> bool:
    """Whether a trial's best measurement counts, not its last."""
    extreme = "minimum" if objective.goal == "minimize" else "maximum"
    return objective == spec.objective and spec.measurement in ("best", extreme)


def _completed(numbers: list[int], history: History) -> int:
    return sum(history.trials[n - 1].state is TrialState.COMPLETED for n in numbers)
