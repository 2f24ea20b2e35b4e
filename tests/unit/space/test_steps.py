"""Steps that print as people wrote them."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.space.steps import Steps, finest_step


def _all(steps: Steps) -> list[float]:
    return [steps.at(index) for index in range(steps.count)]


@pytest.mark.parametrize(
    ("low", "high", "step", "expected"),
    [
        (0.0, 1.0, 0.1, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (-0.3, 0.3, 0.1, [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]),
        (1.1, 1.2, 0.1, [1.1, 1.2]),
        (0.0, 1.0, 1 / 3, [0.0, 1 / 3, 2 / 3, 1.0]),
        (0.0, 1.0, 0.3, [0.0, 0.3, 0.6, 0.9]),
        (0.0, 1.0, 0.6, [0.0, 0.6]),
        (0.0, 5e-7, 1e-7, [0.0, 1e-7, 2e-7, 3e-7, 4e-7, 5e-7]),
        (1e9, 1e9 + 0.3, 0.1, [1e9, 1000000000.1, 1000000000.2, 1000000000.3]),
        (1e-300, 4e-300, 1e-300, [1e-300, 2e-300, 3e-300, 4e-300]),
        (0.0, 1.5e308, 0.5e308, [0.0, 5e307, 1e308, 1.5e308]),
    ],
)
def test_steps_are_clean_decimal_fractions_within_the_bounds(
    low: float, high: float, step: float, expected: list[float]
) -> None:
    assert _all(Steps(low, high, step)) == expected


def test_zero_on_the_way_is_no_negative_zero() -> None:
    assert [str(value) for value in _all(Steps(-0.1, 0.1, 0.1))] == ["-0.1", "0.0", "0.1"]


def test_ten_million_steps_are_all_there_and_told_apart() -> None:
    steps = Steps(0.0, 1.0, 1e-7)

    assert steps.count == 10_000_001
    assert steps.at(1234567) == 0.1234567
    assert 0.1234567 in steps
    assert 0.12345671 not in steps
    assert 0.12345670001 not in steps


def test_a_sum_that_lost_its_last_digit_is_on_its_step() -> None:
    steps = Steps(0.0, 1.0, 0.1)

    assert 0.1 + 0.2 in steps
    assert 0.3 - 1e-9 not in steps
    assert steps.at(steps.nearest(0.1 + 0.2)) == 0.3


def test_steps_survive_pickling() -> None:
    steps = pickle.loads(pickle.dumps(Steps(0.0, 1.0, 0.1)))

    assert steps.at(3) == 0.3
    assert steps.count == 11


@settings(deadline=None, derandomize=True)
@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 1), st.floats(0, 1))
def test_even_the_finest_steps_are_distinct_and_each_is_found(
    low: float, width: float, coarseness: float, u: float
) -> None:
    finest = finest_step(low, low + width)
    width = max(width, 3 * finest)
    steps = Steps(low, low + width, finest ** (1 - coarseness) * width**coarseness)
    index = int(u * (steps.count - 1))

    here = [steps.at(i) for i in range(index, min(index + 3, steps.count))]

    assert here == sorted(set(here))
    assert all(value in steps for value in here)
    assert [steps.nearest(value) - index for value in here] == list(range(len(here)))
    assert low <= here[0]
    assert here[-1] <= low + width
