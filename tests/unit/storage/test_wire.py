import json
import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tunesmith import errors
from tunesmith.errors import Problem, SpaceError, SpecError, TunesmithError
from tunesmith.model import (
    Algorithm,
    Constraint,
    Ending,
    Explanation,
    Feasibility,
    Front,
    Measurement,
    Objective,
    Prediction,
    Stopping,
    StudyRecord,
    StudySpec,
    StudyState,
    StudySummary,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.space import Categorical, Discrete, Double, Integer, Space
from tunesmith.storage import Changes, Claim, Measured, Reply, wire

QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
floats = st.floats(width=64)
whole = st.integers(0, 2**31 - 1)
steps = st.integers(0, 2**63 - 1)
times = st.floats(0, 1e11)
values = st.dictionaries(texts, st.one_of(st.booleans(), st.integers(), floats, texts), max_size=4)
metrics = st.dictionaries(texts, floats, max_size=3)

explanations = st.builds(
    Explanation,
    searcher=texts,
    predictions=st.dictionaries(texts, st.builds(Prediction, floats, floats), max_size=2),
    acquisition=texts,
    value=st.none() | floats,
    feasible=st.none() | floats,
    note=texts,
)
suggestions = st.builds(
    Suggestion, values, texts, st.none() | explanations, st.none() | steps, st.none() | whole
)
trials = st.builds(
    Trial,
    number=whole,
    values=values,
    state=st.sampled_from(TrialState),
    attempt=whole,
    origin=texts,
    explanation=st.none() | explanations,
    budget=st.none() | steps,
    parent=st.none() | whole,
    metrics=metrics,
    step=st.none() | steps,
    reason=texts,
    worker=texts,
    stop_requested=texts,
    pause_requested=texts,
    faults=whole,
    queued=times,
    started=st.none() | times,
    finished=st.none() | times,
    lease_until=st.none() | times,
    revision=whole,
)
measurements = st.builds(Measurement, steps, metrics, times, whole)
measured = st.builds(Measured, whole, whole, measurements)
endings = st.builds(
    Ending,
    target=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    time_s=st.none() | st.floats(1e-3, 1e9),
    no_improvement=st.none() | st.integers(1, 2**31 - 1),
    expected_gain=st.none() | st.floats(1e-9, 1e9),
    no_improvement_for_s=st.none() | st.floats(1e-3, 1e9),
    min_trials=st.none() | st.integers(1, 2**31 - 1),
    min_time_s=st.none() | st.just(1e-3),
    stop_running=st.none() | st.booleans(),
)
parts = st.dictionaries(
    texts.filter(lambda key: key != "name"),
    st.one_of(st.booleans(), st.integers(), floats, texts),
    max_size=3,
)
specs = st.builds(
    StudySpec,
    space=st.just(
        Space(
            {
                "学习率": Double(1e-5, 0.1, scale="log", default=0.01, prior=0.02),
                "units": Discrete([64, 128.5]),
                "kind": Categorical(["a b", "nan", "\"'\\", True, 1]),
                "depth": Integer(1, 9, step=2, when={"kind": [True, "nan"]}),
            }
        )
    ),
    objectives=st.just((Objective("val/точность", "maximize"), Objective("loss", "minimize", "e"))),
    algorithm=st.builds(Algorithm, texts, parts),
    seed=st.integers(0, 2**70),
    max_trials=st.none() | st.integers(1, 2**31 - 1),
    parallel_trials=st.integers(1, 99),
    max_failed_trials=st.none() | whole,
    measurement=st.sampled_from(["last", "best", "minimum", "maximum"]),
    initial=st.just(({"units": 64}, {"学习率": 0.003, "kind": True})),
    constraints=st.just((Constraint("ms", 20.0), Constraint("recall", 0.5, "at_least", 0.9))),
    warm_start=st.lists(texts, unique=True, max_size=2).map(tuple),
    stopping=st.lists(
        st.builds(Stopping, texts, parts), max_size=2, unique_by=lambda part: part.name
    ).map(tuple),
    max_steps=st.none() | st.integers(1, 2**31 - 1),
    ending=endings,
)
records = st.builds(
    StudyRecord,
    texts,
    specs,
    st.sampled_from(StudyState),
    texts,
    whole,
    whole,
    times,
    times,
    texts,
)
summaries = st.builds(
    StudySummary,
    records,
    st.dictionaries(st.sampled_from(TrialState), whole),
    st.none() | trials,
    st.none()
    | st.builds(Front, st.lists(trials, max_size=2).map(tuple), metrics, st.none() | floats),
    st.none() | st.builds(Feasibility, whole, st.lists(whole, max_size=2).map(tuple), whole),
    st.lists(trials, max_size=2).map(tuple),
)
changes = st.builds(
    Changes, records, st.lists(trials, max_size=3), st.lists(measured, max_size=3), times
)
claims = st.builds(Claim, texts, st.none() | st.floats(0, 1e9))
replies = st.builds(Reply, whole, texts, texts)

DOCUMENTS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Any], Callable[[Any], Any], Any]]
DOCUMENTS = {
    "spec": (specs, wire.spec_document, wire.spec_from, wire.SpecDocument),
    "record": (records, wire.record_document, wire.record_from, wire.RecordDocument),
    "summary": (summaries, wire.summary_document, wire.summary_from, wire.SummaryDocument),
    "suggestion": (
        suggestions,
        wire.suggestion_document,
        wire.suggestion_from,
        wire.SuggestionDocument,
    ),
    "trial": (trials, wire.trial_document, wire.trial_from, wire.TrialDocument),
    "claim": (claims, wire.claim_document, wire.claim_from, wire.ClaimDocument),
    "ending": (endings, wire.ending_document, wire.ending_from, wire.EndingDocument),
    "metrics": (metrics, wire.metrics_document, wire.metrics_from, dict[str, wire.Number]),
    "measurement": (
        measurements,
        wire.measurement_document,
        wire.measurement_from,
        wire.MeasurementDocument,
    ),
    "measured": (measured, wire.measured_document, wire.measured_from, wire.MeasuredDocument),
    "changes": (changes, wire.changes_document, wire.changes_from, wire.ChangesDocument),
    "reply": (replies, wire.reply_document, wire.reply_from, wire.ReplyDocument),
}


def strict(data: bytes) -> Any:
    def refuse(name: str) -> None:
        msg = f"{name} is no JSON"
        raise ValueError(msg)

    return json.loads(data, parse_constant=refuse)


@pytest.mark.parametrize("kind", DOCUMENTS)
@given(data=st.data())
@QUICK
def test_what_is_decoded_equals_what_was_encoded(kind: str, data: st.DataObject) -> None:
    values_, encode, decode, _ = DOCUMENTS[kind]
    value = data.draw(values_)

    read = decode(strict(wire.pack(encode(value))))

    assert repr(read) == repr(value)  # nan is not equal to itself; repr tells 1 from 1.0 and True


@pytest.mark.parametrize("kind", DOCUMENTS)
@given(data=st.data())
@QUICK
def test_documents_are_of_the_type_that_the_api_states(kind: str, data: st.DataObject) -> None:
    values_, encode, decode, of_type = DOCUMENTS[kind]
    value = data.draw(values_)
    if isinstance(value, Suggestion | Claim):  # a request says less than may be stored
        value = decode(encode(value))

    checked = TypeAdapter(of_type).validate_python(strict(wire.pack(encode(value))))

    assert repr(decode(checked)) == repr(value)


def test_half_a_surrogate_becomes_a_question_mark() -> None:
    packed = wire.pack({"reason": "bad \udcff byte"})

    assert strict(packed) == {"reason": "bad ? byte"}


def test_numbers_of_numpy_are_sent_as_numbers() -> None:
    float32 = cast("float", np.float32(0.5))

    found = wire.pack(wire.metrics_document({"a": float32, "b": np.float64("inf")}))

    assert strict(found) == {"a": 0.5, "b": "inf"}


def test_what_json_can_not_hold_is_not_sent() -> None:
    with pytest.raises(TypeError, match="object"):
        wire.pack({"x": object()})


def test_a_huge_integer_is_no_infinity() -> None:
    assert wire.metrics_document({"a": 10**400}) == {"a": 10**400}


@pytest.mark.parametrize(
    "document",
    [{}, {"space": []}, {"space": 7, "algorithm": 3}, {"algorithm": {"name": "x"}, "stopping": 1}],
)
def test_what_describes_no_study_is_refused(document: dict[str, object]) -> None:
    with pytest.raises((SpecError, SpaceError)):
        wire.spec_from(document)


def test_every_error_comes_back_as_itself() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__]
    raised = [
        kind("why: «so»")
        for kind in kinds
        if issubclass(kind, TunesmithError) and not issubclass(kind, SpecError)
    ]

    for error in raised:
        read = wire.error_from(strict(wire.pack(wire.error_document(error))))
        assert type(read) is type(error)
        assert str(read) == str(error)
    assert len(raised) > 15


def test_a_faulty_spec_comes_back_with_all_its_problems() -> None:
    problems = [
        Problem("E102", "no such key", "tune.yaml", 3, 5, "  maxx: 1", 4, "did you mean 'max'?"),
        Problem("E120", "nothing to minimize"),
    ]

    read = wire.error_from(strict(wire.pack(wire.error_document(SpecError(problems)))))

    assert isinstance(read, SpecError)
    assert list(read.problems) == problems


def test_an_error_of_a_newer_server_is_not_guessed() -> None:
    assert wire.error_from({"type": "TeapotError", "message": "I am one"}) is None


def test_the_same_spec_is_read_once() -> None:
    spec = StudySpec(Space({"x": Double(0, 1)}), (Objective("y", "minimize"),))
    document = wire.spec_document(spec)

    assert wire.spec_from(document) is wire.spec_from(json.loads(wire.pack(document)))


def test_a_number_that_is_not_finite_is_told_from_a_text() -> None:
    suggestion = Suggestion({"a": "nan", "b": math.nan, "c": "inf", "d": math.inf})

    document = wire.suggestion_document(suggestion)

    assert document["values"] == {"a": "nan", "b": {"number": "nan"}, "c": "inf", "d": {"number": "inf"}}  # fmt: skip
