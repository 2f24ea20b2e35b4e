"""What running trials of a study will come to in the end, by their learning curves so far."""

from tunesmith.model import By, History, Objective, Prediction, Series, Trial, TrialState
from tunesmith.stopping.forecast import Forecast, Known, forecast, guess, learn
from tunesmith.stopping.peers import Peers

__all__ = ["Foresight", "horizon", "predict_final", "teachers"]

_MOST = {TrialState.COMPLETED: 24, TrialState.STOPPED: 16}  # the newest that teach, of each


def horizon(
    history: History, objective: Objective, by: By = "step", max_steps: float | None = None
) -> float | None:
    """Return where curves end: as told, as the study says, or where its longest completed trial did."""
    if max_steps is not None:
        return max_steps
    if by == "step" and history.spec.max_steps is not None:
        return history.spec.max_steps
    done = (t.number for t in history.trials if t.state is TrialState.COMPLETED)
    reach = max((history.curve(n).series(objective, by).reach for n in done), default=0.0)
    return reach if reach > 0.0 else None


def teachers(trial: Trial, history: History, objective: Objective, by: By = "step") -> Peers:
    """Return the trials whose curves teach what ``trial`` may come to: the newest that have ended."""
    found: list[Trial] = []
    left = dict(_MOST)
    for other in reversed(history.trials):
        if other.number == trial.number or not left.get(other.state):
            continue
        if len(history.curve(other.number).series(objective, by)) > 1:
            found.append(other)
            left[other.state] -= 1
        if not any(left.values()):
            break
    return Peers.of(reversed(found), history, objective, by)


class Foresight:
    """Forecasts the ends of curves; remembers what it has learnt as long as its teachers are the same."""

    def __init__(self) -> None:
        self._learnt: tuple[object, Known] | None = None

    def of(self, series: Series, peers: Peers, end: float) -> Forecast:
        """Return what the loss will be at ``end``.

        Args:
            series: What the trial has measured, something at least.
            peers: Those that teach; without any, the forecast is little more than the trial's range.
            end: How far a whole trial goes.
        """
        if not len(peers):
            return forecast(series, guess(Peers.alone(series), end))
        # By what was measured, not by who measured it: one rule may serve several studies.
        key = (end, *(a.tobytes() for a in (peers.starts, peers.at, peers.losses)))
        if self._learnt is None or self._learnt[0] != key:
            self._learnt = key, learn(peers, end)
        return forecast(series, self._learnt[1])


def predict_final(
    trial: Trial,
    history: History,
    objective: Objective | None = None,
    by: By = "step",
    max_steps: float | None = None,
) -> Prediction | None:
    """Return what ``trial`` will measure at the end of its training.

    Args:
        trial: One that has measured something; it need not run any more.
        history: The study.
        objective: Which metric; the study's first objective if not said.
        by: Whether its way is counted in steps or in seconds.
        max_steps: How long a whole trial trains; see `horizon` if not said.

    Returns:
        Mean and standard deviation in the metric's own units; None while nobody knows how long a trial
        trains, or it has measured nothing finite.
    """
    objective = objective or history.spec.objective
    series = history.curve(trial.number).series(objective, by)
    end = horizon(history, objective, by, max_steps)
    if end is None or not (abs(series.losses) < float("inf")).any():
        return None
    found = Foresight().of(series, teachers(trial, history, objective, by), end)
    return Prediction(objective.loss(found.mean), found.deviation)
