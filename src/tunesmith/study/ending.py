"""When a study has enough, although it may have more trials: each answer is a sentence, with its figures."""

import math

from tunesmith.model import FINAL, History, Prediction, TrialState, rank
from tunesmith.reporting import duration

__all__ = ["end_reason", "expected_gain", "with_expected_gain"]

_LATEST = 3  # suggestions in a row that must promise little: the model's views of losses take turns


def end_reason(history: History, now: float, *, hard: bool = False) -> str:
    """Return why the study needs no more trials; ``""`` while it does.

    Nothing ends it before the least number of trials and the least time, if there are any.

    Args:
        history: All trials.
        now: The time, in seconds since the epoch.
        hard: Whether to ask only for reasons for which trials that run should end too.
    """
    ending = history.spec.ending
    if not history.trials or _is_early(history, now) or (hard and ending.stop_running is False):
        return ""
    if ending.target is not None and (reason := _target(history, ending.target)):
        return reason
    if ending.time_s is not None and now - history.trials[0].queued >= ending.time_s:
        return f"its time of {duration(ending.time_s)} is spent"
    if hard and not ending.stop_running:
        return ""
    return _stagnation(history, now) or _small_gain(history)


def _is_early(history: History, now: float) -> bool:
    """Whether the study has to go on, whatever else it has reached."""
    ending = history.spec.ending
    if ending.min_time_s is not None and now - history.trials[0].queued < ending.min_time_s:
        return True
    ended = history.count(*FINAL - {TrialState.CANCELLED})
    return ending.min_trials is not None and ended < ending.min_trials


def _target(history: History, target: float) -> str:
    objective, best = history.spec.objective, history.standing.best
    wanted = objective.loss(target)
    if best is None or best.violation > 0 or best.loss > wanted:
        return ""
    first = next(
        t
        for t in history.trials
        if (place := rank(t, history.spec)) and place[0] == 0 and place[1] <= wanted
    )
    value = first.metrics[objective.metric]
    return f"trial {first.number} has reached the target {target:g} with {objective.metric} {value:.6g}"


def _stagnation(history: History, now: float) -> str:
    """Return for how many trials, or how long, none was better; ``""`` while that is not too much."""
    ending, best, since = history.spec.ending, history.standing.best, history.standing.since
    if ending.no_improvement is not None and best and since >= ending.no_improvement:
        row = "1 trial was" if since == 1 else f"{since} trials in a row were"
        return f"{row} no better than trial {best.number}"
    patience_s = ending.no_improvement_for_s
    moment = best.finished if best else history.trials[0].queued
    if patience_s is None or now - moment < patience_s:
        return ""
    what = f"was better than trial {best.number}" if best else "has counted"
    return f"for {duration(patience_s)} no trial {what}"


def _small_gain(history: History) -> str:
    wanted = history.spec.ending.expected_gain
    gain = None if wanted is None else expected_gain(history)
    if wanted is None or gain is None or gain >= wanted:
        return ""
    metric = history.spec.objective.metric
    return f"one more trial is expected to gain {gain:.3g} in {metric}, less than {wanted:g}"


def with_expected_gain(reason: str, history: History) -> str:
    """Return why a study has ended, with what one more trial might gain where a model knows."""
    gain = expected_gain(history)
    if gain is None or history.spec.ending.expected_gain is not None:
        return reason
    return f"{reason}; one more is expected to gain {gain:.2g}"


def expected_gain(history: History) -> float | None:
    """Return how much the next trial may be expected to gain in the first objective, in its units.

    The expected improvement of what the model suggested last, by its own predictions; the greatest of
    the last three such suggestions. None where no model made suggestions, nothing counts yet, or there
    are several objectives, of which the first alone says little.
    """
    if len(history.spec.objectives) > 1:
        return None
    objective = history.spec.objective
    predictions: list[Prediction] = []
    for trial in reversed(history.trials):
        if trial.origin == "model" and trial.explanation is not None:
            prediction = trial.explanation.predictions.get(objective.metric)
            if prediction is not None:
                predictions.append(prediction)
        if len(predictions) == _LATEST:
            break
    best = history.standing.best
    if len(predictions) < _LATEST or best is None or best.violation > 0:
        return None
    return max(_improvement(objective.loss(p.mean), p.sd, best.loss) for p in predictions)


def _improvement(mean: float, sd: float, best: float) -> float:
    """Return E max(best - y, 0) for a normal y (Jones et al. 1998, equation 15)."""
    if not sd > 0:
        return max(best - mean, 0.0)
    z = (best - mean) / sd
    density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    below = 0.5 * math.erfc(-z / math.sqrt(2))
    return max((best - mean) * below + sd * density, 0.0)
