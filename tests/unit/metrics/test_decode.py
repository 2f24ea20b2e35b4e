import math

import pytest

from tunesmith.metrics.decode import json_object, number, whole


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (1, 1.0),
        (0.5, 0.5),
        ("0.5", 0.5),
        ("1e400", math.inf),
        (10**400, math.inf),
        (-(10**400), -math.inf),
        ("-inf", -math.inf),
    ],
)
def test_a_number_or_its_text_is_a_float(raw: object, value: float) -> None:
    assert number(raw) == value


def test_nan_may_be_written_as_a_text() -> None:
    value = number("nan")

    assert value is not None
    assert math.isnan(value)


@pytest.mark.parametrize("raw", [True, None, "", "fast", [1], {"a": 1}, 1j])
def test_what_is_no_number_is_none(raw: object) -> None:
    assert number(raw) is None


@pytest.mark.parametrize(("raw", "step"), [(0, 0), (7, 7), ("12", 12), (2**62, 2**62)])
def test_a_step_is_a_whole_number_from_zero(raw: object, step: int) -> None:
    assert whole(raw) == step


@pytest.mark.parametrize(
    "raw", [-1, 2**62 + 1, 3.0, 0.5, "3.5", "-1", "9" * 5000, "٣", True, None, "x"]
)
def test_what_is_no_step_is_none(raw: object) -> None:
    assert whole(raw) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "7", '{"a": ', "[" * 100_000, b'{"a": "\xff"}', '{"a": 1' + "0" * 9999]
)
def test_what_is_no_json_object_is_none(text: str | bytes) -> None:
    assert json_object(text) is None
