"""Rows of the tables and the values they stand for."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Row

from tunesmith.model import (
    NOTHING,
    Explanation,
    Measurement,
    Prediction,
    StudyRecord,
    StudySpec,
    StudyState,
    Trial,
    TrialState,
    loss,
    violation,
)
from tunesmith.storage.base import Measured

__all__ = [
    "TrialRow",
    "dump",
    "explanation_columns",
    "measured_from_rows",
    "measurement_rows",
    "rank_columns",
    "record_from_row",
    "spec_from_text",
    "storable",
    "trial_columns",
    "trial_from_row",
]

_STATES = {state.value: state for state in TrialState}


def dump(data: object) -> str:
    """Return compact JSON; names keep their alphabet, nan and inf stand by name."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def storable(text: str) -> str:
    """Return ``text`` without what no database takes: half surrogates and NUL become ``?``."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def record_from_row(row: Row[Any]) -> StudyRecord:
    """Return the study that a whole row of ``study`` holds; the live budget wins over the stored spec's."""
    return StudyRecord(
        name=row.name,
        spec=_spec(row.spec, row.max_trials, row.parallel_trials),
        state=StudyState(row.state),
        reason=row.reason,
        size=row.size,
        revision=row.revision,
        created=row.created,
        used=row.used,
        command=row.command,
    )


@lru_cache(maxsize=64)  # read at every end of a trial, changed never
def spec_from_text(text: str) -> StudySpec:
    """Return the spec that was stored, with the budget as it was then."""
    return StudySpec.from_json(json.loads(text))


@lru_cache(maxsize=64)  # read at every poll, changed hardly ever
def _spec(text: str, max_trials: int | None, parallel_trials: int) -> StudySpec:
    budget = {"max_trials": max_trials, "parallel_trials": parallel_trials}
    return StudySpec.from_json(json.loads(text) | budget)


class TrialRow(NamedTuple):
    """A whole row of ``trial``, its columns in the table's order."""

    study_id: int
    number: int
    params: str
    origin: str
    state: str
    attempt: int
    faults: int
    worker: str
    lease_until: float | None
    stop_requested: str
    metrics: str
    step: int | None
    loss: float | None
    reason: str
    queued: float
    started: float | None
    finished: float | None
    revision: int
    violation: float | None
    searcher: str | None
    explanation: str | None
    budget: int | None
    parent: int | None
    pause_requested: str | None


def trial_from_row(row: Iterable[Any]) -> Trial:
    """Return the trial that a whole row of ``trial`` holds, its columns in the table's order."""
    (_, number, params, origin, state, attempt, faults, worker, lease_until, stop_requested,
     metrics, step, _, reason, queued, started, finished, revision,
     _, searcher, explanation, budget, parent, pause_requested) = row  # fmt: skip
    return Trial(
        number=number,
        values=json.loads(params),
        state=_STATES[state],
        attempt=attempt,
        origin=origin,
        explanation=None if explanation is None else _explanation(searcher, explanation),
        budget=budget,
        parent=parent,
        metrics=json.loads(metrics) if metrics != "{}" else NOTHING,
        step=step,
        reason=reason,
        worker=worker,
        stop_requested=stop_requested,
        pause_requested=pause_requested or "",
        faults=faults,
        queued=queued,
        started=started,
        finished=finished,
        lease_until=lease_until,
        revision=revision,
    )


def trial_columns(sid: int, t: Trial) -> dict[str, object]:
    """Return the row of a trial in study ``sid``, unranked."""
    return {
        "study_id": sid,
        "number": t.number,
        "params": dump(dict(t.values)),
        "origin": t.origin,
        "state": t.state,
        "attempt": t.attempt,
        "faults": t.faults,
        "worker": t.worker,
        "lease_until": t.lease_until,
        "stop_requested": t.stop_requested,
        "metrics": dump(dict(t.metrics)),
        "step": t.step,
        "loss": None,
        "reason": t.reason,
        "queued": t.queued,
        "started": t.started,
        "finished": t.finished,
        "revision": t.revision,
        "violation": None,
        "budget": t.budget,
        "parent": t.parent,
        "pause_requested": t.pause_requested,
        **explanation_columns(t.explanation),
    }


def rank_columns(
    state: TrialState, metrics: Mapping[str, float], spec: StudySpec
) -> Mapping[str, float | None]:
    """Return the columns by which a trial that ends like this is ranked; NULL if it does not count."""
    value = loss(Trial(0, {}, state, metrics=metrics), spec.objective)
    if value is None:
        return {"loss": None, "violation": None}
    broken = violation(metrics, spec.constraints)
    # What was not measured lies infinitely far off, for which a database has no number.
    return {"loss": value, "violation": min(broken, sys.float_info.max)}


def explanation_columns(explanation: Explanation | None) -> Mapping[str, str | None]:
    """Return the columns that hold an explanation; what says nothing is left out."""
    if explanation is None:
        return {"searcher": None, "explanation": None}
    said = {
        "predictions": {
            m: [float(p.mean), float(p.sd)] for m, p in explanation.predictions.items()
        },
        "acquisition": explanation.acquisition,
        "value": _number(explanation.value),
        "feasible": _number(explanation.feasible),
        "note": storable(explanation.note),
    }
    text = dump({name: part for name, part in said.items() if part not in ("", None, {})})
    return {"searcher": storable(explanation.searcher) or None, "explanation": text}


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)  # numpy's are not all JSON's


def _explanation(searcher: str | None, text: str) -> Explanation:
    said = json.loads(text)
    if "predictions" in said:
        said["predictions"] = {m: Prediction(*pair) for m, pair in said["predictions"].items()}
    return Explanation(searcher or "", **said)


def measurement_rows(
    key: Mapping[str, int], measurements: Iterable[Measurement], known: Iterable[tuple[str, int]]
) -> Sequence[Mapping[str, object]]:
    """Return one row for each metric and step that is not yet ``known``; the first of equals stays."""
    rows: dict[tuple[str, int], Mapping[str, object]] = {}
    known = set(known)
    for m in measurements:
        for metric, value in m.metrics.items():
            if (metric, m.step) in known or (metric, m.step) in rows:
                continue
            finite = math.isfinite(value)
            rows[metric, m.step] = {
                **key,
                "metric": metric,
                "step": m.step,
                "value": value if finite else None,
                "nonfinite": None if finite else repr(float(value)),
                "elapsed_s": m.elapsed_s,
            }
    return list(rows.values())


def measured_from_rows(rows: Iterable[Row[Any]]) -> list[Measured]:
    """Join rows into what was measured in one go, in the order in which it was stored."""
    found: dict[tuple[int, int, int, int], tuple[dict[str, float], float]] = {}
    for row in rows:
        value = row.value if row.nonfinite is None else float(row.nonfinite)
        key = (row.revision, row.number, row.attempt, row.step)
        metrics, elapsed_s = found.get(key, ({}, 0.0))
        metrics[row.metric] = value
        found[key] = (metrics, max(elapsed_s, row.elapsed_s))
    return [
        Measured(number, attempt, Measurement(step, metrics, elapsed_s, revision))
        for (revision, number, attempt, step), (metrics, elapsed_s) in sorted(
            found.items(), key=lambda pair: pair[0]
        )
    ]
