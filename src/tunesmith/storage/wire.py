"""Values of the storage protocol as JSON documents of the HTTP API, and back: what is decoded equals what was encoded.

The documents are strict JSON. A number that is not finite stands by its name (``"nan"``, ``"inf"``,
``"-inf"``) where only a number can be, and as ``{"number": "inf"}`` where a text could be meant.
Their types serve both sides: the server checks what it is sent against them.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Annotated, Any, Literal, NotRequired, cast

from annotated_types import Ge, Le, MaxLen, Predicate
from typing_extensions import TypedDict

from tunesmith.errors import Problem, SpaceError, SpecError, TunesmithError
from tunesmith.model import (
    Ending,
    Explanation,
    Feasibility,
    Front,
    Measurement,
    Prediction,
    StudyRecord,
    StudySpec,
    StudyState,
    StudySummary,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.space import Value
from tunesmith.storage.base import Changes, Claim, Measured, Reply

__all__ = [
    "ChangesDocument",
    "ClaimDocument",
    "EndingDocument",
    "ErrorDocument",
    "ExplanationDocument",
    "FeasibilityDocument",
    "FrontDocument",
    "MeasuredDocument",
    "MeasurementDocument",
    "Name",
    "Number",
    "OddNumber",
    "PredictionDocument",
    "ProblemDocument",
    "RecordDocument",
    "ReplyDocument",
    "SpecDocument",
    "SuggestionDocument",
    "SummaryDocument",
    "Text",
    "TrialDocument",
    "ValueDocument",
    "changes_document",
    "changes_from",
    "claim_document",
    "claim_from",
    "ending_document",
    "ending_from",
    "error_document",
    "error_from",
    "measured_document",
    "measured_from",
    "measurement_document",
    "measurement_from",
    "metrics_document",
    "metrics_from",
    "pack",
    "record_document",
    "record_from",
    "reply_document",
    "reply_from",
    "spec_document",
    "spec_from",
    "suggestion_document",
    "suggestion_from",
    "summary_document",
    "summary_from",
    "trial_document",
    "trial_from",
]


def _is_storable(text: str) -> bool:
    return "\0" not in text


Number = float | Literal["nan", "inf", "-inf"]
Text = Annotated[str, Predicate(_is_storable)]
Name = Annotated[Text, MaxLen(200)]
Origin = Annotated[Text, MaxLen(40)]
Long = Annotated[int, Ge(0), Le(2**63 - 1)]
Whole = Annotated[int, Ge(0), Le(2**31 - 1)]


class OddNumber(TypedDict):
    """A number that is not finite, where a text could stand too."""

    number: Literal["nan", "inf", "-inf"]


ValueDocument = bool | int | float | str | OddNumber
SpecDocument = dict[str, object]
"""What `StudySpec.to_json` gives, with settings as `ValueDocument`."""


class EndingDocument(TypedDict):
    """When a study has enough."""

    target: NotRequired[float | None]
    time_s: NotRequired[float | None]
    no_improvement: NotRequired[Whole | None]
    expected_gain: NotRequired[float | None]
    no_improvement_for_s: NotRequired[float | None]
    min_trials: NotRequired[Whole | None]
    min_time_s: NotRequired[float | None]
    stop_running: NotRequired[bool | None]


class PredictionDocument(TypedDict):
    """What a model expected of a metric."""

    mean: Number
    sd: Number


class ExplanationDocument(TypedDict):
    """Why a point was suggested."""

    searcher: NotRequired[Name]
    predictions: NotRequired[dict[str, PredictionDocument]]
    acquisition: NotRequired[str]
    value: NotRequired[Number | None]
    feasible: NotRequired[Number | None]
    note: NotRequired[str]


class SuggestionDocument(TypedDict):
    """Values to try."""

    values: dict[str, ValueDocument]
    origin: NotRequired[Origin]
    explanation: NotRequired[ExplanationDocument | None]
    budget: NotRequired[Long | None]
    parent: NotRequired[Whole | None]


class ClaimDocument(TypedDict):
    """Who takes a trial, and for how many seconds; null for ever."""

    worker: Name
    lease_s: NotRequired[Annotated[float, Ge(0), Le(1e9)] | None]


class MeasurementDocument(TypedDict):
    """What was measured at one step."""

    step: Long
    metrics: dict[Name, Number]
    elapsed_s: NotRequired[float]
    revision: NotRequired[Whole]


class MeasuredDocument(MeasurementDocument):
    """What an attempt of a trial measured at one step."""

    number: Whole
    attempt: Whole


class TrialDocument(TypedDict):
    """One point of the space and what became of it."""

    number: Whole
    values: dict[str, ValueDocument]
    state: TrialState
    attempt: Whole
    origin: Origin
    explanation: ExplanationDocument | None
    budget: Long | None
    parent: Whole | None
    metrics: dict[str, Number]
    step: Long | None
    reason: Text
    worker: Name
    stop_requested: Text
    pause_requested: Text
    faults: Whole
    queued: float
    started: float | None
    finished: float | None
    lease_until: float | None
    revision: Whole


class RecordDocument(TypedDict):
    """A study without its trials."""

    name: str
    spec: SpecDocument
    state: StudyState
    reason: Text
    size: Whole
    revision: Whole
    created: float
    used: float
    command: Text


class FrontDocument(TypedDict):
    """A Pareto front, and how much it dominates."""

    trials: list[TrialDocument]
    reference: dict[str, Number]
    hypervolume: Number | None


class FeasibilityDocument(TypedDict):
    """How many trials keep the constraints."""

    counted: int
    kept: list[int]
    feasible: int


class SummaryDocument(TypedDict):
    """A study with what its trials add up to."""

    record: RecordDocument
    counts: dict[TrialState, int]
    best: TrialDocument | None
    front: FrontDocument | None
    feasibility: FeasibilityDocument | None
    choices: list[TrialDocument]


class ChangesDocument(TypedDict):
    """What changed in a study since a revision."""

    record: RecordDocument
    trials: list[TrialDocument]
    measurements: list[MeasuredDocument]
    now: float


class ReplyDocument(TypedDict):
    """The answer to a report."""

    revision: int
    stop: str
    pause: str


class ProblemDocument(TypedDict):
    """One fault in a study's description."""

    code: str
    message: str
    file: NotRequired[str]
    line: NotRequired[int]
    column: NotRequired[int]
    source: NotRequired[str]
    width: NotRequired[int]
    hint: NotRequired[str]


class ErrorDocument(TypedDict):
    """What went wrong: the error's type by its name in `tunesmith.errors`, and its message."""

    type: str
    message: str
    problems: NotRequired[list[ProblemDocument]]


_LARGE = 2**18


def pack(document: object) -> bytes:
    """Return a document as compact JSON in UTF-8; half surrogates, which it can't hold, become ``?``."""
    text = json.dumps(
        document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
    )
    return text.encode("utf-8", "replace")


def _plain(value: object) -> object:
    """Return a number of numpy's as one of Python's."""
    try:
        return cast("Any", value).item()
    except AttributeError:
        msg = f"{value!r} is nothing that JSON can hold."
        raise TypeError(msg) from None


# Numbers and values


def _number(value: float) -> Number:
    # Huge integers are finite, but break math.isfinite.
    if value != value:  # noqa: PLR0124 - nan
        return "nan"
    if value in (math.inf, -math.inf):
        return "inf" if value > 0 else "-inf"
    return value


def _number_from(number: Number) -> float:
    return float(number) if type(number) is str else cast("float", number)


def _optional(value: float | None) -> Number | None:
    return None if value is None else _number(value)


def _optional_from(number: Number | None) -> float | None:
    return None if number is None else _number_from(number)


def _values(values: Mapping[str, Value]) -> dict[str, ValueDocument]:
    return {
        name: {"number": cast("Any", _number(value))}
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in values.items()
    }


def _values_from(document: Mapping[str, ValueDocument]) -> dict[str, Value]:
    return {
        name: float(value["number"]) if isinstance(value, dict) else value
        for name, value in document.items()
    }


def metrics_document(metrics: Mapping[str, float]) -> dict[str, Number]:
    """Return metrics as a document."""
    return {metric: _number(value) for metric, value in metrics.items()}


def metrics_from(document: Mapping[str, Number]) -> dict[str, float]:
    """Return the metrics of a document."""
    return {metric: _number_from(number) for metric, number in document.items()}


# What a study is


def spec_document(spec: StudySpec) -> SpecDocument:
    """Return a spec as a document."""
    document = spec.to_json()
    algorithm = cast("Mapping[str, Value]", document["algorithm"])
    stopping = cast("Sequence[Mapping[str, Value]]", document["stopping"])
    return document | {"algorithm": _values(algorithm), "stopping": [_values(s) for s in stopping]}


def spec_from(document: SpecDocument) -> StudySpec:
    """Return the spec of a document; raise `SpecError` or `SpaceError` if it is none."""
    text = json.dumps(document)
    # What is this large may be somebody's attempt to fill the memory.
    return _spec_from_text(text) if len(text) < _LARGE else _spec_from_text.__wrapped__(text)


@lru_cache(maxsize=64)  # every record has one, and it changes hardly ever
def _spec_from_text(text: str) -> StudySpec:
    document: Any = json.loads(text)
    try:
        algorithm = _values_from(document["algorithm"])
        stopping = [_values_from(part) for part in document["stopping"]]
        return StudySpec.from_json(document | {"algorithm": algorithm, "stopping": stopping})
    except (SpecError, SpaceError):
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        what = f"{type(error).__name__}: {error}"
        message = f"That is no description of a study as StudySpec.to_json gives it ({what})."
        raise SpecError([Problem("E120", message)]) from error


def ending_document(ending: Ending) -> EndingDocument:
    """Return an ending as a document."""
    return cast("EndingDocument", asdict(ending))


def ending_from(document: EndingDocument) -> Ending:
    """Return the ending of a document."""
    return Ending(**document)


def record_document(record: StudyRecord) -> RecordDocument:
    """Return a record as a document."""
    return {
        "name": record.name,
        "spec": spec_document(record.spec),
        "state": record.state,
        "reason": record.reason,
        "size": record.size,
        "revision": record.revision,
        "created": record.created,
        "used": record.used,
        "command": record.command,
    }


def record_from(document: RecordDocument) -> StudyRecord:
    """Return the record of a document."""
    return StudyRecord(
        name=document["name"],
        spec=spec_from(document["spec"]),
        state=StudyState(document["state"]),
        reason=document["reason"],
        size=document["size"],
        revision=document["revision"],
        created=document["created"],
        used=document["used"],
        command=document["command"],
    )


def summary_document(summary: StudySummary) -> SummaryDocument:
    """Return a summary as a document."""
    front, feasibility = summary.front, summary.feasibility
    return {
        "record": record_document(summary.record),
        "counts": dict(summary.counts),
        "best": None if summary.best is None else trial_document(summary.best),
        "front": None
        if front is None
        else {
            "trials": [trial_document(trial) for trial in front.trials],
            "reference": metrics_document(front.reference),
            "hypervolume": _optional(front.hypervolume),
        },
        "feasibility": None
        if feasibility is None
        else {
            "counted": feasibility.counted,
            "kept": list(feasibility.kept),
            "feasible": feasibility.feasible,
        },
        "choices": [trial_document(trial) for trial in summary.choices],
    }


def summary_from(document: SummaryDocument) -> StudySummary:
    """Return the summary of a document."""
    best, front, kept = document["best"], document["front"], document["feasibility"]
    return StudySummary(
        record_from(document["record"]),
        {TrialState(state): count for state, count in document["counts"].items()},
        None if best is None else trial_from(best),
        None
        if front is None
        else Front(
            tuple(map(trial_from, front["trials"])),
            metrics_from(front["reference"]),
            _optional_from(front["hypervolume"]),
        ),
        None
        if kept is None
        else Feasibility(kept["counted"], tuple(kept["kept"]), kept["feasible"]),
        tuple(map(trial_from, document["choices"])),
    )


# What its trials are


def _explanation_document(explanation: Explanation) -> ExplanationDocument:
    return {
        "searcher": explanation.searcher,
        "predictions": {
            metric: {"mean": _number(p.mean), "sd": _number(p.sd)}
            for metric, p in explanation.predictions.items()
        },
        "acquisition": explanation.acquisition,
        "value": _optional(explanation.value),
        "feasible": _optional(explanation.feasible),
        "note": explanation.note,
    }


def _explanation_from(document: ExplanationDocument) -> Explanation:
    return Explanation(
        searcher=document.get("searcher", ""),
        predictions={
            metric: Prediction(_number_from(p["mean"]), _number_from(p["sd"]))
            for metric, p in document.get("predictions", {}).items()
        },
        acquisition=document.get("acquisition", ""),
        value=_optional_from(document.get("value")),
        feasible=_optional_from(document.get("feasible")),
        note=document.get("note", ""),
    )


def suggestion_document(suggestion: Suggestion) -> SuggestionDocument:
    """Return a suggestion as a document."""
    why = suggestion.explanation
    return {
        "values": _values(suggestion.values),
        "origin": suggestion.origin,
        "explanation": None if why is None else _explanation_document(why),
        "budget": suggestion.budget,
        "parent": suggestion.parent,
    }


def suggestion_from(document: SuggestionDocument) -> Suggestion:
    """Return the suggestion of a document."""
    why = document.get("explanation")
    return Suggestion(
        values=_values_from(document["values"]),
        origin=document.get("origin", ""),
        explanation=None if why is None else _explanation_from(why),
        budget=document.get("budget"),
        parent=document.get("parent"),
    )


def claim_document(claim: Claim) -> ClaimDocument:
    """Return a claim as a document."""
    return {"worker": claim.worker, "lease_s": claim.lease_s}


def claim_from(document: ClaimDocument) -> Claim:
    """Return the claim of a document."""
    return Claim(document["worker"], document.get("lease_s"))


def trial_document(trial: Trial) -> TrialDocument:
    """Return a trial as a document."""
    why = trial.explanation
    return {
        "number": trial.number,
        "values": _values(trial.values),
        "state": trial.state,
        "attempt": trial.attempt,
        "origin": trial.origin,
        "explanation": None if why is None else _explanation_document(why),
        "budget": trial.budget,
        "parent": trial.parent,
        "metrics": metrics_document(trial.metrics),
        "step": trial.step,
        "reason": trial.reason,
        "worker": trial.worker,
        "stop_requested": trial.stop_requested,
        "pause_requested": trial.pause_requested,
        "faults": trial.faults,
        "queued": trial.queued,
        "started": trial.started,
        "finished": trial.finished,
        "lease_until": trial.lease_until,
        "revision": trial.revision,
    }


def trial_from(document: TrialDocument) -> Trial:
    """Return the trial of a document."""
    why = document["explanation"]
    return Trial(
        number=document["number"],
        values=_values_from(document["values"]),
        state=_STATES[document["state"]],
        attempt=document["attempt"],
        origin=document["origin"],
        explanation=None if why is None else _explanation_from(why),
        budget=document["budget"],
        parent=document["parent"],
        metrics=metrics_from(document["metrics"]),
        step=document["step"],
        reason=document["reason"],
        worker=document["worker"],
        stop_requested=document["stop_requested"],
        pause_requested=document["pause_requested"],
        faults=document["faults"],
        queued=document["queued"],
        started=document["started"],
        finished=document["finished"],
        lease_until=document["lease_until"],
        revision=document["revision"],
    )


_STATES: Mapping[str, TrialState] = {state.value: state for state in TrialState}


# What they measured, and what changed


def measurement_document(measurement: Measurement) -> MeasurementDocument:
    """Return a measurement as a document."""
    return {
        "step": measurement.step,
        "metrics": metrics_document(measurement.metrics),
        "elapsed_s": measurement.elapsed_s,
        "revision": measurement.revision,
    }


def measurement_from(document: MeasurementDocument) -> Measurement:
    """Return the measurement of a document."""
    return Measurement(
        document["step"],
        metrics_from(document["metrics"]),
        document.get("elapsed_s", 0.0),
        document.get("revision", 0),
    )


def measured_document(measured: Measured) -> MeasuredDocument:
    """Return what an attempt measured as a document."""
    return {
        "number": measured.number,
        "attempt": measured.attempt,
        **measurement_document(measured.measurement),
    }


def measured_from(document: MeasuredDocument) -> Measured:
    """Return what an attempt measured, of a document."""
    return Measured(document["number"], document["attempt"], measurement_from(document))


def changes_document(changes: Changes) -> ChangesDocument:
    """Return changes as a document."""
    return {
        "record": record_document(changes.record),
        "trials": [trial_document(trial) for trial in changes.trials],
        "measurements": [measured_document(m) for m in changes.measurements],
        "now": changes.now,
    }


def changes_from(document: ChangesDocument) -> Changes:
    """Return the changes of a document."""
    return Changes(
        record_from(document["record"]),
        [trial_from(trial) for trial in document["trials"]],
        [measured_from(m) for m in document["measurements"]],
        document["now"],
    )


def reply_document(reply: Reply) -> ReplyDocument:
    """Return a reply as a document."""
    return {"revision": reply.revision, "stop": reply.stop, "pause": reply.pause}


def reply_from(document: ReplyDocument) -> Reply:
    """Return the reply of a document."""
    return Reply(document["revision"], document["stop"], document["pause"])


# Errors


def error_document(error: TunesmithError) -> ErrorDocument:
    """Return an error as a document, with all that it carries."""
    document: ErrorDocument = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, SpecError):
        document["problems"] = [cast("ProblemDocument", asdict(p)) for p in error.problems]
    return document


def error_from(document: ErrorDocument) -> TunesmithError | None:
    """Return the error of a document; None if it is none of `tunesmith.errors`."""
    kind = _ERRORS.get(document["type"])
    if kind is None:
        return None
    if issubclass(kind, SpecError):
        return SpecError([_problem(p) for p in document.get("problems", [])])
    return kind(document["message"])


def _problem(document: ProblemDocument) -> Problem:
    return Problem(**{key: value for key, value in document.items() if key in _PROBLEM})  # type: ignore[arg-type]


def _known_errors(kind: type[TunesmithError]) -> Iterable[tuple[str, type[TunesmithError]]]:
    yield kind.__name__, kind
    for below in kind.__subclasses__():
        if below.__module__ == kind.__module__:  # those of others are not known on the other side
            yield from _known_errors(below)


_ERRORS: Mapping[str, type[TunesmithError]] = dict(_known_errors(TunesmithError))
_PROBLEM = frozenset(field.name for field in fields(Problem))
