"""Doubles and integers."""

import math

import numpy as np
import pytest

from tunesmith.errors import SpaceError
from tunesmith.space import Double, Integer, Scale

INF = math.inf
NAN = math.nan


def test_a_double_holds_every_number_between_its_bounds_and_nothing_else() -> None:
    double = Double(0, 1)

    members = [0, 1, 0.0, 1.0, 0.5, 1e-300, np.float32(0.5), np.int8(1), -0.0]
    others = [-1e-300, math.nextafter(1, 2), NAN, INF, True, np.True_, "0.5", None, 10**400, [0.5]]
    assert all(double.contains(value) for value in members)
    assert not any(double.contains(value) for value in others)


def test_the_values_of_a_double_are_floats() -> None:
    double = Double(-1, 1)

    for given, expected in [(1, "1.0"), (np.float32(0.5), "0.5"), (-0.0, "0.0"), (np.int64(-1), "-1.0")]:  # fmt: skip
        value = double.canonical(given)

        assert type(value) is float
        assert str(value) == expected


def test_a_negative_zero_as_a_bound_is_zero() -> None:
    assert repr(Double(-0.0, 1)) == "Double(0.0, 1.0)"
    assert str(Double(-1, -0.0).from_unit(1.0)) == "0.0"


def test_a_stepped_double_holds_its_steps_and_takes_rounding_errors_for_them() -> None:
    double = Double(0, 1, step=0.1)

    assert double.size == 11
    assert double.contains(0.1 + 0.2)
    assert str(double.canonical(0.1 + 0.2)) == "0.3"
    assert double.contains(1)
    assert double.contains(0)
    assert not double.contains(0.25)
    assert not double.contains(1.1)


def test_a_number_read_as_a_single_float_is_not_on_a_step_of_doubles() -> None:
    assert not Double(0, 1, step=0.1).contains(np.float32(0.1))


def test_all_bounds_may_be_one_value() -> None:
    for one in (
        Double(2, 2),
        Double(2, 2, step=5),
        Double(2, 2, scale="log"),
        Integer(2, 2),
        Integer(2, 2, step=1),
    ):
        assert one.size == 1
        assert list(one.members()) == [2]
        assert one.from_unit(0.7) == 2
        assert one.to_unit(2) == 0.5
        assert not one.contains(2.5)


def test_an_integer_holds_whole_numbers_of_every_type_but_no_truth_values() -> None:
    integer = Integer(0, 10)

    members = [0, 10, 3.0, np.int64(3), np.float32(3.0), np.uint8(3)]
    others = [-1, 11, 2.5, True, False, np.True_, "3", NAN, INF, None, 10**400]
    assert all(integer.contains(value) for value in members)
    assert not any(integer.contains(value) for value in others)
    for value in members:
        assert type(integer.canonical(value)) is int


def test_a_stepped_integer_counts_from_low_and_may_stop_short_of_high() -> None:
    integer = Integer(1, 10, step=4)

    assert list(integer.members()) == [1, 5, 9]
    assert integer.size == 3
    assert [integer.contains(value) for value in (1, 4, 9, 10)] == [True, False, True, False]
    assert {integer.from_unit(u / 100) for u in range(101)} == {1, 5, 9}


def test_integers_have_cells_of_equal_width() -> None:
    integer = Integer(0, 3)

    drawn = [integer.from_unit((i + 0.5) / 4000) for i in range(4000)]

    assert [drawn.count(value) for value in range(4)] == [1000] * 4
    assert [integer.to_unit(value) for value in range(4)] == [0.125, 0.375, 0.625, 0.875]


def test_steps_of_a_double_have_cells_of_equal_width() -> None:
    double = Double(0, 1, step=0.3)

    drawn = [double.from_unit((i + 0.5) / 4000) for i in range(4000)]

    assert [drawn.count(value) for value in (0.0, 0.3, 0.6, 0.9)] == [1000] * 4


@pytest.mark.parametrize("scale", ["log", "reverse_log"])
def test_every_value_of_a_wide_log_integer_is_found_again(scale: Scale) -> None:
    integer = Integer(1, 10**9, scale=scale)
    values = [*range(1, 1000), *(round(10 ** (k / 100)) for k in range(300, 901)), 10**9 - 1, 10**9]

    assert [integer.from_unit(integer.to_unit(value)) for value in values] == values


@pytest.mark.parametrize("scale", ["linear", "log", "reverse_log"])
def test_integers_beyond_what_a_float_can_tell_apart_come_as_near_as_it_can(scale: Scale) -> None:
    high = 10**18
    integer = Integer(1, high, scale=scale)

    for value in (1, 2, 10**6, 10**12 + 7, high // 3, high - 1, high):
        again = integer.from_unit(integer.to_unit(value))

        # Places keep 2**-53 of the range; expm1 loses its logarithm, 42, times as much.
        assert isinstance(again, int)
        assert integer.contains(again)
        assert abs(again - value) <= high * 42 * 2**-53
    assert (integer.from_unit(0.0), integer.from_unit(1.0)) == (1, high)


def test_a_huge_stepped_integer_stays_on_its_steps() -> None:
    integer = Integer(0, 10**18, step=7)

    values = [integer.from_unit(u / 50) for u in range(51)]

    assert all(integer.contains(value) for value in values)


def test_a_few_integers_far_from_zero_are_told_apart_on_a_log_scale() -> None:
    integer = Integer(10**17, 10**17 + 3, scale="log")

    assert [integer.from_unit(integer.to_unit(v)) for v in integer.members()] == list(
        integer.members()
    )


def test_log_integers_are_drawn_more_often_when_small() -> None:
    integer = Integer(1, 100, scale="log")
    mirrored = Integer(1, 100, scale="reverse_log")

    drawn = [integer.from_unit((i + 0.5) / 1000) for i in range(1000)]
    reverse = [mirrored.from_unit((i + 0.5) / 1000) for i in range(1000)]

    # The cell of 1 reaches from 0.5 to 1.5, out of 0.5 to 100.5.
    expected = 1000 * math.log(3) / math.log(201)
    assert abs(drawn.count(1) - expected) <= 1
    assert abs(reverse.count(100) - expected) <= 1
    assert set(drawn) >= set(range(1, 20))


@pytest.mark.parametrize("scale", ["linear", "log", "reverse_log"])
def test_a_stepped_double_with_a_big_offset_is_found_again(scale: Scale) -> None:
    double = Double(1e9, 1e9 + 1, step=0.1, scale=scale)

    assert [double.from_unit(double.to_unit(v)) for v in double.members()] == list(double.members())
    assert [str(value) for value in double.members()][3] == "1000000000.3"


@pytest.mark.parametrize(
    ("parameter", "value", "text"),
    [
        (Double(0, 1), 1, "1.0"),
        (Double(0, 1), 0.5, "0.5"),
        (Double(0, 1), 1e-7, "1e-07"),
        (Integer(0, 10**20), 10**17, "100000000000000000"),
        (Integer(0, 10), 3.0, "3"),
    ],
)
def test_a_program_reads_doubles_with_a_point_and_integers_without(
    parameter: Double | Integer, value: float, text: str
) -> None:
    assert parameter.text(value) == text


@pytest.mark.parametrize(
    ("low", "high", "given", "message"),
    [
        (NAN, 1, {}, "Double needs a finite number for low, got low=nan."),
        (0, NAN, {}, "Double needs a finite number for high, got high=nan."),
        (0, INF, {}, "Double needs a finite number for high, got high=inf."),
        (-INF, 0, {}, "Double needs a finite number for low, got low=-inf."),
        (True, 2, {}, "Double needs a finite number for low, got low=True."),
        ("0", 2, {}, "Double needs a finite number for low, got low='0'."),
        (None, 2, {}, "Double needs a finite number for low, got low=None."),
        (0, 10**400, {}, "Double needs a finite number for high, got high=1000"),
        (2, 1, {}, "Double needs low <= high, got low=2, high=1. Swap them."),
        (-1.5e308, 1.5e308, {}, "Double can't reach from low=-1.5e+308 to high=1.5e+308"),
        (0, 1, {"scale": "log"}, 'Double(scale="log") needs low > 0, got low=0. Raise low, or drop'),
        (-1, 1, {"scale": "reverse_log"}, 'Double(scale="reverse_log") needs low > 0, got low=-1.'),
        (0, 1, {"scale": "lgo"}, "the scales linear, log, reverse_log; got scale='lgo'. Did you mean 'log'?"),
        (0, 1, {"scale": "LOG"}, "got scale='LOG'. Did you mean 'log'?"),
        (0, 1, {"scale": None}, "got scale=None."),
        (0, 1, {"step": 0}, "Double needs step > 0, got step=0."),
        (0, 1, {"step": -0.5}, "Double needs step > 0, got step=-0.5."),
        (0, 1, {"step": NAN}, "Double needs a finite number for step, got step=nan."),
        (0, 1, {"step": 1.5}, "Double needs a step within its range of 1, got step=1.5."),
        (0, 1, {"step": 1e-16}, "at least 1e-14, got step=1e-16. Without a step every float is a value."),
        (1e12, 1e12 + 1, {"step": 1e-5}, "Double needs steps that floats from 1000000000000 to"),
        (0, 1, {"default": 2}, "Double(default=2) is outside: 2 is not a number from 0 to 1."),
        (0, 1, {"default": NAN}, "Double(default=nan) is outside: nan is not a number from 0 to 1."),
        (0, 1, {"default": "x"}, "Double(default='x') is outside: 'x' is not a number from 0 to 1."),
        (0, 1, {"default": 0.25, "step": 0.1}, "0.25 is not a number from 0 to 1 in steps of 0.1."),
    ],
)  # fmt: skip
def test_a_double_that_makes_no_sense_is_refused_in_words(
    low: float, high: float, given: dict[str, object], message: str
) -> None:
    with pytest.raises(SpaceError) as refused:
        Double(low, high, **given)  # type: ignore[arg-type]

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("low", "high", "given", "message"),
    [
        (0.5, 3, {}, "Integer needs a whole number for low, got low=0.5. For fractions use Double."),
        (0, NAN, {}, "Integer needs a whole number for high, got high=nan."),
        (0, INF, {}, "Integer needs a whole number for high, got high=inf."),
        (0, "3", {}, "Integer needs a whole number for high, got high='3'."),
        (False, 3, {}, "Integer needs a whole number for low, got low=False."),
        (0, 10**400, {}, "Integer needs a whole number for high, got high=1000"),
        (16777217, 2, {}, "Integer needs low <= high, got low=16777217, high=2. Swap them."),
        (0, 8, {"scale": "log"}, 'Integer(scale="log") needs low > 0, got low=0.'),
        (0, 8, {"step": 0}, "Integer needs step > 0, got step=0."),
        (0, 8, {"step": -2}, "Integer needs step > 0, got step=-2."),
        (0, 8, {"step": 0.5}, "Integer needs a whole number for step, got step=0.5."),
        (0, 8, {"step": True}, "Integer needs a whole number for step, got step=True."),
        (0, 8, {"step": 9}, "Integer needs a step within its range of 8, got step=9."),
        (0, 8, {"default": 9}, "Integer(default=9) is outside: 9 is not a whole number from 0 to 8."),
        (0, 8, {"default": True}, "Integer(default=True) is outside: True is not a whole number"),
        (0, 8, {"default": 3, "step": 2}, "3 is not a whole number from 0 to 8 in steps of 2."),
    ],
)  # fmt: skip
def test_an_integer_that_makes_no_sense_is_refused_in_words(
    low: int, high: int, given: dict[str, object], message: str
) -> None:
    with pytest.raises(SpaceError) as refused:
        Integer(low, high, **given)  # type: ignore[arg-type]

    assert message in str(refused.value)


def test_bounds_and_defaults_take_their_final_form() -> None:
    double = Double(np.int64(0), 1, step=np.float64(0.1), default=np.float64(0.1) + 0.2)  # type: ignore[arg-type]
    integer = Integer(1.0, np.int64(9), default=3.0)  # type: ignore[arg-type]

    assert repr(double) == "Double(0.0, 1.0, step=0.1, default=0.3)"
    assert repr(integer) == "Integer(1, 9, default=3)"
