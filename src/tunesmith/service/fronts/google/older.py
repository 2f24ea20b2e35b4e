"""Trials and measurements in the words of the older optimizer API, in which CloudTuner speaks."""

from collections.abc import Mapping, Sequence

from tunesmith.model import StudySpec, Trial
from tunesmith.service.fronts.google.documents import Document
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.service.fronts.google.trials import trial_document

__all__ = ["older_trial_document"]


def older_trial_document(
    paper: Paper, spec: StudySpec, trial: Trial, curve: Sequence[object] = ()
) -> Document:
    """Return a trial; arguments as for `trial_document`."""
    document = trial_document(paper, spec, trial, curve)  # type: ignore[arg-type]  # as it came
    state = document["state"]
    document["state"] = "COMPLETED" if state in ("SUCCEEDED", "INFEASIBLE") else state
    if state == "INFEASIBLE":
        document["trialInfeasible"] = True
    document["parameters"] = [_parameter(p) for p in document["parameters"]]  # type: ignore[attr-defined]
    for key in ("finalMeasurement",):
        if key in document:
            document[key] = _measurement(document[key])  # type: ignore[arg-type]
    if "measurements" in document:
        document["measurements"] = [_measurement(m) for m in document["measurements"]]  # type: ignore[attr-defined]
    return document


def _parameter(given: Mapping[str, object]) -> Document:
    value = given["value"]
    if isinstance(value, str):
        return {"parameter": given["parameterId"], "stringValue": value}
    if isinstance(value, int):
        return {"parameter": given["parameterId"], "intValue": str(value)}
    return {"parameter": given["parameterId"], "floatValue": value}


def _measurement(given: Mapping[str, object]) -> Document:
    metrics: Sequence[Mapping[str, object]] = given["metrics"]  # type: ignore[assignment]
    return {
        "elapsedTime": given["elapsedDuration"],
        "stepCount": given["stepCount"],
        "metrics": [{"metric": m["metricId"], "value": m["value"]} for m in metrics],
    }
