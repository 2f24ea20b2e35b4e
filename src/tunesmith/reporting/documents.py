"""Studies and trials as plain data: what ``--json``, exports and events carry.

Every document names its ``schema``; within a schema's number, fields are only ever added.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from tunesmith.model import (
    Front,
    Measurement,
    StudySpec,
    StudySummary,
    Trial,
    TrialState,
    is_feasible,
)
from tunesmith.reporting.explanations import explanation_document
from tunesmith.reporting.figures import iso_time, plain
from tunesmith.reporting.reached import shown_metrics
from tunesmith.reporting.training import Training

__all__ = [
    "NO_STEPS",
    "early_document",
    "front_document",
    "measurement_document",
    "study_document",
    "trial_document",
    "trial_record",
    "trials_document",
]

Document = dict[str, object]
NO_STEPS: Mapping[int, int] = MappingProxyType({})


def trial_document(trial: Trial, steps: int | None = None) -> Document:
    """Return one trial.

    Args:
        trial: The trial.
        steps: How many steps it has done; None leaves that out, for studies that don't go by steps.
    """
    done: Document = {} if steps is None else {"steps": steps}
    return {
        "number": trial.number,
        "state": trial.state.value,
        "attempt": trial.attempt,
        "values": dict(trial.values),
        "metrics": {name: plain(value) for name, value in trial.metrics.items()},
        "step": trial.step,
        **done,
        "budget": trial.budget,
        "parent": trial.parent,
        "reason": trial.reason,
        "origin": trial.origin,
        "explanation": (
            None if trial.explanation is None else explanation_document(trial.explanation)
        ),
        "worker": trial.worker,
        "queued": iso_time(trial.queued),
        "started": iso_time(trial.started),
        "finished": iso_time(trial.finished),
    }


def trials_document(trials: Iterable[Trial], steps: Mapping[int, int] = NO_STEPS) -> Document:
    """Return a list of trials; ``steps`` has how many each has done, where that matters."""
    documents = [trial_document(t, steps.get(t.number)) for t in trials]
    return {"schema": "tunesmith.trials/1", "trials": documents}


def measurement_document(measurement: Measurement) -> Document:
    """Return one measurement."""
    return {
        "step": measurement.step,
        "elapsed_s": round(measurement.elapsed_s, 3),
        "metrics": {name: plain(value) for name, value in measurement.metrics.items()},
    }


def study_document(summary: StudySummary, training: Training | None = None) -> Document:
    """Return a study with its counts, its best trial or its front, and how constraints are kept.

    Args:
        summary: The study.
        training: How long its trials have trained, where that is known.
    """
    record, spec, best = summary.record, summary.record.spec, summary.best
    return {
        "schema": "tunesmith.study/1",
        "name": record.name,
        "state": record.state.value,
        "reason": record.reason,
        "counts": {state.value: summary.counts.get(state, 0) for state in TrialState},
        "trials": record.size,
        "best_trial": trial_document(best) if best else None,
        "best_is_feasible": is_feasible(best, spec) if best else None,
        "front": front_document(summary.front) if summary.front else None,
        "searchers": [
            {
                "since": t.number,
                "searcher": t.explanation.searcher,
                "note": t.explanation.note,
            }
            for t in summary.choices
            if t.explanation
        ],
        **_spec_document(spec),
        "constraints": _constraints_document(summary),
        "training": None if training is None else {**asdict(training), "saved": training.saved},
        "command": record.command,
        "created": iso_time(record.created),
        "used": iso_time(record.used),
        "revision": record.revision,
    }


def front_document(front: Front) -> Document:
    """Return the trials of a front, and its hypervolume with the reference it is measured from."""
    return {
        "trials": [trial_document(t) for t in front.trials],
        "hypervolume": plain(front.hypervolume),
        "reference": {name: plain(value) for name, value in front.reference.items()},
    }


def early_document(spec: StudySpec) -> Document:
    """Return what ends trials early, and when the study has enough."""
    return {
        "stopping": [{"name": s.name, **s.settings} for s in spec.stopping],
        "max_steps": spec.max_steps,
        "ending": asdict(spec.ending),
    }


def trial_record(trial: Trial, spec: StudySpec, steps: int | None = None) -> Document:
    """Return one trial as one flat row: parameters and metrics beside number and state.

    A parameter that is called like a column gets ``parameter.`` in front, and a metric that is
    called like a column or a parameter gets ``metric.``. What a model predicted of a metric stands
    in ``predicted.`` and ``predicted_sd.`` in front of its name.

    Args:
        trial: The trial.
        spec: Its study.
        steps: How many steps it has done; None leaves that out, for studies that don't go by steps.
    """
    duration = None
    if trial.started is not None and trial.finished is not None:
        duration = trial.finished - trial.started
    first = {"number": trial.number, "state": trial.state.value}
    more = {"attempt": trial.attempt, "reason": trial.reason, "origin": trial.origin}
    length = {"budget": trial.budget, "parent": trial.parent}
    if steps is not None:
        length["steps"] = steps
    times = {"started": iso_time(trial.started), "finished": iso_time(trial.finished)}
    last = {**more, **length, **times, "duration_s": duration}
    columns = {*first, *last}
    row: Document = dict(first)
    for name in spec.space:
        row[name if name not in columns else f"parameter.{name}"] = trial.values.get(name)
    for metric in _metric_names(trial.metrics, spec):
        free = metric not in columns and metric not in spec.space
        row[metric if free else f"metric.{metric}"] = trial.metrics.get(metric)
    return row | last | _predictions(trial)


def _metric_names(metrics: Mapping[str, float], spec: StudySpec) -> Sequence[str]:
    return list(dict.fromkeys([*shown_metrics(spec), *metrics]))


def _predictions(trial: Trial) -> Document:
    predictions = trial.explanation.predictions if trial.explanation else {}
    row: Document = {}
    for metric, predicted in predictions.items():
        row[f"predicted.{metric}"] = predicted.mean
        row[f"predicted_sd.{metric}"] = predicted.sd
    return row


def _constraints_document(summary: StudySummary) -> list[Document]:
    """Return each constraint with how many of the trials that count keep it."""
    known = summary.feasibility
    if known is None:
        return []
    return [
        {**asdict(c), "kept": kept, "of": known.counted}
        for c, kept in zip(summary.record.spec.constraints, known.kept, strict=True)
    ]


def _spec_document(spec: StudySpec) -> Document:
    return {
        "objectives": [
            {"metric": o.metric, "goal": o.goal, "standard_error": o.standard_error or None}
            for o in spec.objectives
        ],
        "measurement": spec.measurement,
        "algorithm": {"name": spec.algorithm.name, **spec.algorithm.settings},
        "seed": spec.seed,
        "max_trials": spec.max_trials,
        "parallel_trials": spec.parallel_trials,
        "max_failed_trials": spec.max_failed_trials,
        "warm_start": list(spec.warm_start),
        **early_document(spec),
        "parameters": spec.space.to_json(),
    }
