"""Trials as Vertex AI and Vizier tell of them."""

from collections.abc import Mapping, Sequence

from tunesmith.model import Measurement, StudySpec, Trial, TrialState
from tunesmith.service.fronts.google.documents import (
    Document,
    duration,
    metric_value,
    named,
    parameter_value,
    timestamp,
)
from tunesmith.service.fronts.google.papers import Paper
from tunesmith.storage import Changes, Measured

__all__ = [
    "client_of",
    "curves_of",
    "measurement_document",
    "state_word",
    "trial_document",
    "worker_of",
]

_CLIENT = "vizier "
_MOST_MEASUREMENTS = 1000  # of one trial; those at its end


def trial_document(
    paper: Paper, spec: StudySpec, trial: Trial, curve: Sequence[Measurement] = ()
) -> Document:
    """Return a trial.

    Args:
        paper: What it belongs to.
        spec: The study.
        trial: The trial.
        curve: What it measured.
    """
    values = named(trial.values, spec.space, paper.names)
    document: Document = {
        "name": f"{paper.name}/trials/{trial.number}",
        "id": str(trial.number),
        "state": state_word(trial),
        "parameters": [
            {"parameterId": name, "value": parameter_value(value)} for name, value in values.items()
        ],
    }
    if trial.started is not None:
        document["startTime"] = timestamp(trial.started)
    if trial.finished is not None:
        document["endTime"] = timestamp(trial.finished)
    if client := client_of(trial):
        document["clientId"] = client
    if curve:
        document["measurements"] = [measurement_document(m) for m in curve[-_MOST_MEASUREMENTS:]]
    if trial.counts:
        final = _final(trial, curve)
        document["finalMeasurement"] = measurement_document(final)
    elif trial.is_final:
        document["infeasibleReason"] = trial.reason or f"the trial {trial.state}"
    return document


def worker_of(client: str) -> str:
    """Return the name of the worker that a client is; no process of a machine has such a name."""
    return f"{_CLIENT}{client}"


def client_of(trial: Trial) -> str:
    """Return the client that runs a trial itself; ``""`` if the server does."""
    return trial.worker.removeprefix(_CLIENT) if trial.worker.startswith(_CLIENT) else ""


def measurement_document(measurement: Measurement) -> Document:
    """Return a measurement."""
    metrics = measurement.metrics.items()
    return {
        "elapsedDuration": duration(measurement.elapsed_s),
        "stepCount": str(measurement.step),
        "metrics": [{"metricId": name, "value": metric_value(value)} for name, value in metrics],
    }


def state_word(trial: Trial) -> str:
    """Return the state of a trial."""
    if trial.is_final:
        return "SUCCEEDED" if trial.counts else "INFEASIBLE"
    if trial.state is TrialState.QUEUED:
        return "REQUESTED"
    return "STOPPING" if trial.stop_requested else "ACTIVE"


def curves_of(changes: Changes) -> Mapping[int, Sequence[Measurement]]:
    """Return what each trial measured, by step; the last attempt counts for a step."""
    found: dict[int, dict[int, Measured]] = {}
    for measured in changes.measurements:
        steps = found.setdefault(measured.number, {})
        before = steps.get(measured.measurement.step)
        if before is None or before.attempt <= measured.attempt:
            steps[measured.measurement.step] = _joined(before, measured)
    return {
        number: [steps[step].measurement for step in sorted(steps)]
        for number, steps in found.items()
    }


def _joined(before: Measured | None, after: Measured) -> Measured:
    """Return what an attempt measured at one step, in several reports."""
    if before is None or before.attempt != after.attempt:
        return after
    one, other = before.measurement, after.measurement
    metrics = {**one.metrics, **other.metrics}
    elapsed_s = max(one.elapsed_s, other.elapsed_s)
    return Measured(after.number, after.attempt, Measurement(other.step, metrics, elapsed_s))


def _final(trial: Trial, curve: Sequence[Measurement]) -> Measurement:
    """Return the measurement that counts, with its step and time as far as they are known."""
    same = (m for m in reversed(curve) if m.step == trial.step)
    if trial.step is None:  # the client gave it at the end, and it was stored as one of the curve
        same = (m for m in reversed(curve) if dict(m.metrics) == dict(trial.metrics))
    at = next(same, None)
    if at is not None:
        return Measurement(at.step, trial.metrics, at.elapsed_s)
    began, ended = trial.started, trial.finished
    elapsed_s = 0.0 if began is None or ended is None else ended - began
    return Measurement(trial.step or 0, trial.metrics, elapsed_s)
