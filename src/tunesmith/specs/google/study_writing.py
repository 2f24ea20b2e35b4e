"""A study as the StudySpec of Vertex AI, and what of it that can't say."""

from collections.abc import Mapping

from tunesmith.model import Setting, Stopping, StudySpec
from tunesmith.specs.google.findings import Losses
from tunesmith.specs.google.space_writing import Document, vertex_parameters
from tunesmith.specs.google.times import duration_text

__all__ = ["algorithm_word", "lose_common", "stopping_of", "study_spec_document"]

_CONVEX = {
    "max_steps": "maxStepCount",
    "min_steps": "minStepCount",
    "min_measurements": "minMeasurementCount",
}
_BEST = {"minimize": ("best", "minimum"), "maximize": ("best", "maximum")}
_WORDS = {"default": "", "bayesian": "", "grid": "GRID_SEARCH", "random": "RANDOM_SEARCH"}


def study_spec_document(spec: StudySpec, names: Mapping[str, str], lost: Losses) -> Document:
    """Return the StudySpec; what it can't say is added to ``lost``.

    Args:
        spec: The study.
        names: Names of its space under which no program knows the values, with those it knows.
        lost: Takes what is not kept.
    """
    document: Document = {"metrics": _metrics(spec, lost)}
    document["parameters"] = vertex_parameters(spec.space, names, lost)
    if word := algorithm_word(spec, lost):
        document["algorithm"] = word
    if spec.repeats:
        document["observationNoise"] = "HIGH"
    if spec.measurement in _BEST[spec.objective.goal]:
        document["measurementSelectionType"] = "BEST_MEASUREMENT"
    elif spec.measurement != "last":
        lost.add("measurement", "only the last or the best one can count there")
    rule = stopping_of(spec, lost)
    if rule is not None:
        document |= _stopping(rule, spec, lost)
    if config := _ending(spec, lost):
        document["studyStoppingConfig"] = config
    return document


def algorithm_word(spec: StudySpec, lost: Losses) -> str:
    """Return the name that an algorithm has at Google's; ``""`` for the default one.

    Whether it may repeat points is left to the caller.
    """
    name, settings = spec.algorithm.name, list(spec.algorithm.settings)
    if name not in _WORDS:
        lost.add("algorithm", f"there is no {name} there; the default one is taken")
    elif name == "grid" and spec.space.size is None:
        why = "the grid has no doubles there; the default algorithm is taken"
        lost.add("algorithm", why)
        return ""
    elif settings := [key for key in settings if key != "repeat"]:
        lost.add("algorithm", f"{', '.join(settings)} can't be set there")
    return _WORDS.get(name, "")


def stopping_of(spec: StudySpec, lost: Losses) -> Stopping | None:
    """Return the rule among a study's that Google's services know; None if there is none."""
    known = [rule for rule in spec.stopping if rule.name in ("median", "curve")]
    for rule in spec.stopping:
        if rule not in known[:1]:
            why = (
                "one rule can stop trials there" if rule in known else "there is no such rule there"
            )
            lost.add(f"stopping.{rule.name}", why)
    return known[0] if known else None


def lose_common(spec: StudySpec, lost: Losses) -> None:
    """Take note of what no service of Google's can be told about a study."""
    for objective in spec.objectives:
        if objective.standard_error:
            lost.add("standard_error", "noise is estimated there")
    if spec.initial:
        lost.add("initial", "no points can be tried first there")
    if spec.warm_start:
        names = ", ".join(spec.warm_start)
        lost.add("warm_start", f"{names}: those studies are not there")
    if spec.max_steps is not None:
        lost.add("max_steps", "no program is told there how far to train")
    for name, why in (
        ("target", "no value of the metric ends a study there"),
        ("expected_gain", "nobody asks there what one more trial would gain"),
    ):
        if getattr(spec.ending, name) is not None:
            lost.add(f"until.{name}", why)


def _metrics(spec: StudySpec, lost: Losses) -> list[Document]:
    metrics: list[Document] = [
        {"metricId": objective.metric, "goal": objective.goal.upper()}
        for objective in spec.objectives
    ]
    known = [objective.metric for objective in spec.objectives]
    for constraint in spec.constraints:
        if constraint.metric in known:
            why = f"{constraint.metric} is an objective, and can't be a safety metric as well"
            lost.add("constraints", why)
            continue
        goal = "MINIMIZE" if constraint.side == "at_most" else "MAXIMIZE"
        safety = {"safetyThreshold": constraint.bound}
        if constraint.safe_fraction:
            safety["desiredMinSafeTrialsFraction"] = constraint.safe_fraction
        metrics.append({"metricId": constraint.metric, "goal": goal, "safetyConfig": safety})
    return metrics


def _stopping(rule: Stopping, spec: StudySpec, lost: Losses) -> Document:
    settings: dict[str, Setting] = dict(rule.settings)
    elapsed: Document = (
        {"useElapsedDuration": True} if settings.pop("by", "step") == "elapsed" else {}
    )
    metric = settings.pop("metric", spec.objective.metric)
    if metric != spec.objective.metric:
        lost.add(f"stopping.{rule.name}", "trials are judged by the first metric there")
    convex: Document = {}
    if rule.name == "curve":
        convex = _convex(settings, spec)
    for name in settings:
        lost.add(f"stopping.{rule.name}", f"{name} can't be set there")
    if rule.name == "median":
        return {"medianAutomatedStoppingSpec": elapsed}
    if convex:
        return {"convexAutomatedStoppingSpec": convex | elapsed}
    return {"decayCurveStoppingSpec": elapsed}


def _convex(settings: dict[str, Setting], spec: StudySpec) -> Document:
    """Return the numbers of a convex stopping spec, taken out of the rule's settings."""
    numbers = {
        field: int(value)
        for name, field in _CONVEX.items()
        if (value := settings.get(name)) is not None and float(value) == int(value)
    }
    for name, field in _CONVEX.items():
        if field in numbers:
            del settings[name]
    if spec.max_steps is not None:
        numbers.setdefault("maxStepCount", spec.max_steps)
    if "maxStepCount" in numbers:
        numbers.setdefault("minStepCount", 1)  # else it would be a tenth of all steps
    return dict(numbers)


def _ending(spec: StudySpec, lost: Losses) -> Document:
    ending, config = spec.ending, Document()
    if ending.min_time_s is not None:
        config["minimumRuntimeConstraint"] = {"maxDuration": duration_text(ending.min_time_s)}
    if ending.time_s is not None:
        config["maximumRuntimeConstraint"] = {"maxDuration": duration_text(ending.time_s)}
    if ending.min_trials is not None:
        config["minNumTrials"] = ending.min_trials
    several = len(spec.objectives) > 1
    for name, field, value in (
        ("no_improvement", "maxNumTrialsNoProgress", ending.no_improvement),
        (
            "no_improvement_for",
            "maxDurationNoProgress",
            None if (idle_s := ending.no_improvement_for_s) is None else duration_text(idle_s),
        ),
    ):
        if value is not None and several:
            lost.add(f"until.{name}", "only studies with one objective can end so there")
        elif value is not None:
            config[field] = value
    idle = not config.keys().isdisjoint(("maxNumTrialsNoProgress", "maxDurationNoProgress"))
    timed = ending.time_s is not None
    stops = ending.stop_running
    if stops is None and timed and idle:
        why = "without more said, the time ends trials that run here, but lets them go on there"
        lost.add("until.stop_running", why)
    if (timed and not idle) if stops is None else (stops and (timed or idle)):
        config["shouldStopAsap"] = True
    return config
