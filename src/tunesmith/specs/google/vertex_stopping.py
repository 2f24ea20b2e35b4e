"""When trials of a StudySpec stop early, and when the study has enough."""

from collections.abc import Sequence
from dataclasses import replace

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
    """Return when a study has enough, and how many trials it may have; None for no bound.

    There, ``minNumTrials`` and ``minimumRuntimeConstraint`` keep all other rules from being asked, also
    ``maxNumTrials``; so the greater of two numbers of trials is the bound.
    """
    inner = message.inner("studyStoppingConfig")
    if inner is None:
        return Ending(), None
    least_s = _runtime(inner, "minimumRuntimeConstraint", now, past_is_met=True)
    time_s = _runtime(inner, "maximumRuntimeConstraint", now)
    least = inner.count("minNumTrials") or None
    max_trials = inner.count("maxNumTrials", low=1)
    idle = inner.count("maxNumTrialsNoProgress", low=1)
    idle_s = inner.duration("maxDurationNoProgress")
    if idle_s == 0:
        inner.fault("maxDurationNoProgress", "more than 0s is needed")
        idle_s = None
    for field in ("maxNumTrialsNoProgress", "maxDurationNoProgress"):
        if inner.has(field) and len(objectives) > 1:
            inner.fault(field, "only a study with one objective can end so")
    asap = inner.flag("shouldStopAsap")
    inner.done()
    if max_trials is not None and least_s is not None:
        why = "it is a bound here, which a least time does not hold back"
        inner.lose("maxNumTrials", why)
    if asap and time_s is None and idle is None and idle_s is None:
        inner.lose("shouldStopAsap", "the trials that a study may have run to their end")
        asap = False
    ending = Ending(
        # There what is least holds back all else, and goes before it where both are given.
        time_s=time_s if time_s is None or least_s is None else max(time_s, least_s),
        no_improvement=idle,
        no_improvement_for_s=idle_s,
        min_trials=least,
        min_time_s=least_s,
    )
    # Left out, it is no: here the time ends trials that run unless something else is said.
    usual = ending.may_stop_running
    only_time = ending.time_s is not None and not ending.goes_by_results
    if asap != usual or (usual and not only_time):
        ending = replace(ending, stop_running=asap)
    return ending, None if max_trials is None else max(max_trials, least or 1)


def _runtime(message: Message, name: str, now: float, *, past_is_met: bool = False) -> float | None:
    """Return the seconds of a time constraint, from now if it goes by the clock.

    None if there is none, or if it is over already and that does no harm.
    """
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
    if seconds <= 0 and end is not None and past_is_met:
        return None
    if seconds <= 0:
        inner.fault(given, "it is over" if end is not None else "more than 0s is needed")
        return None
    return seconds
