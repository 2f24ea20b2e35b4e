"""When a study has enough, although it may have more trials: each answer is a sentence, with its figures."""

import math

from tunesmith.model import History, Prediction, rank
from tunesmith.reporting import duration

__all__ = ["end_reason", "expected_gain", "with_expected_gain"]

_LATEST = 3  # suggestions in a row that must promise little: the model's views of losses take turns


def end_reason(history: History, now: float, *, hard: bool = False) -> str:
    """Return why the study needs no more trials; ``""`` while it does.

    Args:
        history: All trials.
        now: The time, in seconds since the epoch.
        hard: Whether to ask only for reasons for which trials that run should end too.
    """
    ending = history.spec.ending
    if ending.target is not None and (reason := _target(history, ending.target)):
        return reason
    if ending.time_s is not None and history.trials:
        spent = now - history.trials[0].queued
        if spent >= ending.time_s:
            return f"its time of {duration(ending.time_s)} is spent"
    if hard:
        return ""
    if ending.no_improvement is not None and (
        reason := _stagnation(history, ending.no_improvement)
    ):
        return reason
    if ending.expected_gain is not None:
        gain = expected_gain(history)
        if gain is not None and gain < ending.expected_gain:
            metric = history.spec.objective.metric
            return f"one more trial is expected to gain {gain:.3g} in {metric}, less than {ending.expected_gain:g}"
    return ""


def _target(history: History, target: float) -> str:
    objective = history.spec.objective
    wanted = objective.loss(target)
    for trial in history.trials:
        place = rank(trial, history.spec)
        if place is not None and place[0] == 0 and place[1] <= wanted:
            value = trial.metrics[objective.metric]
            return f"trial {trial.number} has reached the target {target:g} with {objective.metric} {value:.6g}"
    return ""


def _stagnation(history: History, patience: int) -> str:
    ranked = [
        (t.finished or 0.0, place) for t in history.trials if (place := rank(t, history.spec))
    ]
    ranked.sort(key=lambda pair: (pair[0], pair[1][2]))
    best, since, at = None, 0, 0
    for _, place in ranked:
        if best is None or place[:2] < best[:2]:
            best, since, at = place, 0, place[2]
        else:
            since += 1
    if since < patience:
        return ""
    return f"{since} trials in a row were no better than trial {at}"


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
    best = min(
        (place for t in history.trials if (place := rank(t, history.spec)) is not None),
        default=None,
    )
    if len(predictions) < _LATEST or best is None or best[0] > 0:
        return None
    return max(_improvement(objective.loss(p.mean), p.sd, best[1]) for p in predictions)


def _improvement(mean: float, sd: float, best: float) -> float:
    """Return E max(best - y, 0) for a normal y (Jones et al. 1998, equation 15)."""
    if not sd > 0:
        return max(best - mean, 0.0)
    z = (best - mean) / sd
    density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    below = 0.5 * math.erfc(-z / math.sqrt(2))
    return max((best - mean) * below + sd * density, 0.0)
