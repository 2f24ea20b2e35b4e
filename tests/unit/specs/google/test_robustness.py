"""Whatever a request holds, it is read, or refused with its fields; nothing else ever comes out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.errors import SpecError
from tunesmith.specs.google import Document, GoogleJob, parse_google, read_request, violations

WIRE = Path(__file__).parents[3] / "wire" / "google"
CMLE = {
    "jobId": "j",
    "trainingInput": {
        "scaleTier": "CUSTOM",
        "masterType": "standard",
        "masterConfig": {"acceleratorConfig": {"count": 1, "type": "K80"}},
        "workerType": "standard",
        "workerCount": "2",
        "pythonModule": "t",
        "packageUris": ["p"],
        "runtimeVersion": "2.1",
        "scheduling": {"maxRunningTime": "60s"},
        "hyperparameters": {
            "maxTrials": 3,
            "params": [
                {"parameterName": "a", "type": "DOUBLE", "minValue": 1, "maxValue": 2},
                {"parameterName": "b", "type": "DISCRETE", "discreteValues": [1, 2]},
                {"parameterName": "c", "type": "CATEGORICAL", "categoricalValues": ["x"]},
            ],
        },
    },
}
BODIES: list[tuple[Document, Any]] = [
    ("training job", CMLE),
    ("tuning job", json.loads((WIRE / "vertex-conditional.json").read_text(encoding="utf-8"))),
    ("study", json.loads((WIRE / "vizier-study-snake.json").read_text(encoding="utf-8"))),
]
OPTIMIZER = {
    "study_config": {
        "metrics": [{"metric": "a", "goal": 2}],
        "parameters": [
            {
                "parameter": "n",
                "type": "INTEGER",
                "integer_value_spec": {"min_value": "1", "max_value": "4"},
                "child_parameter_specs": [
                    {
                        "parameter": "c",
                        "parent_int_values": {"values": ["2"]},
                        "categorical_value_spec": {"values": ["x", "y"]},
                    }
                ],
            }
        ],
        "automated_stopping_config": {"decay_curve_stopping_config": {}},
    }
}
BODIES.append(("optimizer study", OPTIMIZER))
NUMBERS = st.floats() | st.integers() | st.just(10**400) | st.just(-(2**63))
TEXTS = st.text(max_size=5) | st.sampled_from(
    ["NaN", "1e400", "9" * 30, "MAXIMIZE", "\ud800", "\0"]
)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(TEXTS, LEAVES, max_size=2)


def places(body: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value in a body."""
    inner = (
        body.items()
        if isinstance(body, dict)
        else enumerate(body)
        if isinstance(body, list)
        else ()
    )
    return [way] * bool(way) + [
        found for key, value in inner for found in places(value, (*way, key))
    ]


def changed(body: Any, way: tuple[Any, ...], value: object) -> Any:
    copy = json.loads(json.dumps(body))
    at = copy
    for key in way[:-1]:
        at = at[key]
    at[way[-1]] = value
    return copy


def outcome(read: Callable[[], GoogleJob | None]) -> GoogleJob | SpecError | None:
    try:
        return read()
    except SpecError as error:
        return error


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_a_body_with_anything_in_place_of_a_value_is_read_or_refused(data: st.DataObject) -> None:
    document, body = data.draw(st.sampled_from(BODIES))
    for _ in range(data.draw(st.integers(1, 2))):
        way = data.draw(st.sampled_from(places(body)))
        body = changed(body, way, data.draw(VALUES))

    found = outcome(lambda: read_request(document, body, now=0.0))

    assert found is not None
    told = list(violations(found)) if isinstance(found, SpecError) else []
    assert all(field and description for field, description in told)


@pytest.mark.parametrize("name", [path.name for path in sorted(WIRE.glob("*.[jy]*"))])
def test_a_file_that_breaks_off_anywhere_is_read_or_refused(name: str) -> None:
    text = (WIRE / name).read_text(encoding="utf-8")

    for end in range(0, len(text), max(1, len(text) // 25)):
        found = outcome(lambda end=end: parse_google(text[:end], Path(name), now=0.0))  # type: ignore[misc]

        assert not isinstance(found, SpecError) or found.problems
