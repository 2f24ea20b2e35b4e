"""When trials of a StudySpec stop early, and when the study has enough."""

from collections.abc import Sequence

from tunesmith.model import Ending, Objective, Setting, Stopping
from tunesmith.specs.google.message import Message

__all__ = ["read_ending", "read_stopping"]

_SPECS = (
    "decayCurveStoppingSpec",
    "medianAutomatedStoppingSpec",
    "convexAutomatedStoppingSpec",
    "convexStopConfig",
)


def read_stopping(message: Message, objectives: Sequence[Objective]) -> tuple[Stopping, ...]:
    """Return the rule that a StudySpec's automated stopping means; an empty spec means it, too."""
    given = message.one_of(*_SPECS)
    if given is None:
        return ()
    key, inner = given
    settings: dict[str, Setting] = {}
    if key in ("decayCurveStoppingSpec", "medianAutomatedStoppingSpec"):
        elapsed = inner.flag("useElapsedDuration")
    else:
        elapsed = inner.flag("useSeconds" if key == "convexStopConfig" else "useElapsedDuration")
        settings = _convex(inner, beta=key == "convexStopConfig")
    inner.done()
    if elapsed:
        settings["by"] = "elapsed"
    if len(objectives) > 1:
        settings["metric"] = objectives[0].metric
    name = "median" if key == "medianAutomatedStoppingSpec" else "curve"
    return (Stopping(name, settings),)


def _convex(message: Message, *, beta: bool) -> dict[str, Setting]:
    """Return the settings of the rule ``curve`` that a convex stopping spec means."""
    most = message.count("maxNumSteps" if beta else "maxStepCount")
    least = message.count("minNumSteps" if beta else "minStepCount")
    settings: dict[str, Setting] = {}
    if most:
        settings["max_steps"] = most
    if least is not None or most:
        settings["min_steps"] = max(1, -(-(most or 0) // 10) if least is None else least)
    if beta:
        message.unused("the order of the model is chosen by itself", "autoregressiveOrder")
    elif (count := message.count("minMeasurementCount")) is not None:
        settings["min_measurements"] = max(1, count)
    message.unused("curves are compared without it", "learningRateParameterName")
    if not beta and message.flag("updateAllStoppedTrials"):
        message.lose("updateAllStoppedTrials", "a stopped trial keeps what it measured last")
    return settings


def read_ending(
    message: Message, objectives: Sequence[Objective], now: float
) -> tuple[Ending, int | None]:
    """Return when a study has enough, and how many trials it may have; None for no bound."""
    inner = message.inner("studyStoppingConfig")
    if inner is None:
        return Ending(), None
    time_s = _runtime(inner, "maximumRuntimeConstraint", now)
    max_trials = inner.count("maxNumTrials", low=1)
    idle = inner.count("maxNumTrialsNoProgress", low=1)
    if idle is not None and len(objectives) > 1:
        inner.fault("maxNumTrialsNoProgress", "only a study with one objective can end so")
    if inner.flag("shouldStopAsap"):
        inner.lose("shouldStopAsap", "trials that run when the study ends run to their end")
    first = "nothing keeps a study from ending before that"
    if _runtime(inner, "minimumRuntimeConstraint", now) is not None:
        inner.lose("minimumRuntimeConstraint", first)
    if inner.count("minNumTrials"):
        inner.lose("minNumTrials", first)
    if inner.duration("maxDurationNoProgress") is not None:
        why = "progress is counted in trials: see maxNumTrialsNoProgress"
        inner.lose("maxDurationNoProgress", why)
    inner.done()
    return Ending(time_s=time_s, no_improvement=idle), max_trials


def _runtime(message: Message, name: str, now: float) -> float | None:
    """Return the seconds of a time constraint, from now if it goes by the clock."""
    inner = message.inner(name)
    if inner is None:
        return None
    duration, end = inner.duration("maxDuration"), inner.timestamp("endTime")
    given = "endTime" if inner.has("endTime") else "maxDuration"
    inner.done()
    if inner.has("maxDuration") and inner.has("endTime"):
        inner.fault("endTime", "only one of maxDuration and endTime can be given")
        return None
    seconds = duration if end is None else end - now
    if seconds is None:
        if not inner.has(given):
            inner.missing("maxDuration", "give a maxDuration or an endTime")
        return None
    if seconds <= 0:
        inner.fault(given, "it is over" if end is not None else "more than 0s is needed")
        return None
    return seconds
