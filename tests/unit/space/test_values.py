"""What is a value, and when two are the same."""

import enum
from fractions import Fraction

import numpy as np
import pytest

from tunesmith.space.values import integral, plain, real, show, typed


class _Colour(enum.StrEnum):
    RED = "red"


class _Old(str, enum.Enum):  # noqa: UP042 - the elder way, whose str() is another
    RED = "red"


class _Size(enum.IntEnum):
    BIG = 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (True, True),
        (np.True_, True),
        (np.int8(3), 3),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.str_("a"), "a"),
        (_Colour.RED, "red"),
        (_Old.RED, "red"),
        (_Size.BIG, 3),
    ],
)
def test_numpy_scalars_and_enumerations_become_plain_python(
    given: object, expected: object
) -> None:
    value = plain(given)

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    "given",
    [None, b"a", 1j, [1], np.array(1), np.array([1]), np.datetime64(1, "s"), Fraction(1), object()],
)
def test_what_is_no_bool_number_or_text_is_no_value(given: object) -> None:
    assert plain(given) is None
    assert real(given) is None
    assert integral(given) is None


@pytest.mark.parametrize("given", [True, np.False_, "1", "0.5"])
def test_truth_values_and_texts_are_no_numbers(given: object) -> None:
    assert real(given) is None
    assert integral(given) is None


def test_there_is_one_zero() -> None:
    assert str(plain(-0.0)) == "0.0"
    assert str(plain(np.float64(-0.0))) == "0.0"


@pytest.mark.parametrize("given", [3, 3.0, np.int64(3), np.float32(3), _Size.BIG])
def test_3_is_a_whole_number_however_it_is_written(given: object) -> None:
    number = integral(given)

    assert number == 3
    assert type(number) is int


@pytest.mark.parametrize("given", [0.5, float("nan"), float("inf")])
def test_fractions_are_no_whole_numbers(given: object) -> None:
    assert integral(given) is None


def test_true_1_and_the_text_1_differ_while_1_and_1_0_do_not() -> None:
    keys = [typed(True), typed(1), typed("1"), typed(None)]

    assert len(set(keys)) == 4
    assert typed(1) == typed(1.0)
    assert hash(typed(1)) == hash(typed(1.0))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (1e-5, "1e-05"), (0.1, "0.1"), (1e6, "1000000"), (16777217, "16777217"), (-2.5, "-2.5")],
)  # fmt: skip
def test_a_number_is_shown_with_all_its_digits(number: float, text: str) -> None:
    assert show(number) == text
