"""Scales and cells."""

import math

import pytest

from tunesmith.space.scale import SCALES, Axis, Cells, Scale


def test_the_middle_of_a_linear_axis_is_the_mean_and_of_a_log_axis_the_geometric_mean() -> None:
    assert Axis(1, 100, "linear").from_unit(0.5) == 50.5
    assert Axis(1, 100, "log").from_unit(0.5) == pytest.approx(10, rel=1e-15)
    assert Axis(1, 100, "reverse_log").from_unit(0.5) == pytest.approx(91, rel=1e-15)


def test_reverse_log_follows_the_formula_of_vizier() -> None:
    low, high, value = 0.5, 20.0, 17.0

    place = Axis(low, high, "reverse_log").to_unit(value)

    assert place == pytest.approx(
        1 - math.log((low + high - value) / low) / math.log(high / low), rel=1e-14
    )


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_an_axis_over_six_hundred_orders_of_magnitude_has_all_its_places(scale: Scale) -> None:
    axis = Axis(1e-300, 1e300, scale)

    places = [axis.to_unit(value) for value in (1e-300, 1.0, 1e300)]

    assert places == pytest.approx([0.0, 0.5 if scale == "log" else 0.0, 1.0], abs=1e-15)
    assert axis.from_unit(0.5) == pytest.approx(1.0 if scale == "log" else 5e299, rel=1e-12)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("low", "high"),
    [(3.0, math.nextafter(3.0, 4.0)), (2.0, 2.0), (5e-324, 1e-323), (1.0, 1.7e308)],
)
def test_the_narrowest_and_the_widest_axes_have_places(
    low: float, high: float, scale: Scale
) -> None:
    axis = Axis(low, high, scale)

    places = [axis.to_unit(value) for value in (low, high)]

    assert all(0.0 <= place <= 1.0 for place in places)
    assert places == sorted(places)
    assert all(low <= axis.from_unit(u) <= high for u in (0.0, 0.1, 0.5, 0.9, 1.0))


def test_linear_cells_are_equally_wide() -> None:
    cells = Cells(3, "linear", 1.0)

    drawn = [cells.from_unit((i + 0.5) / 3000) for i in range(3000)]

    assert [drawn.count(index) for index in range(3)] == [1000, 1000, 1000]
    assert [cells.to_unit(index) for index in range(3)] == pytest.approx([1 / 6, 1 / 2, 5 / 6])


def test_log_cells_reach_half_a_step_to_either_side() -> None:
    cells = Cells(9, "log", 1.0)  # 1 to 9, so the edges are 0.5, 1.5, …, 9.5
    edge = math.log(1.5 / 0.5) / math.log(9.5 / 0.5)

    assert cells.from_unit(edge - 1e-9) == 0
    assert cells.from_unit(edge + 1e-9) == 1


def test_log_cells_do_not_reach_zero() -> None:
    cells = Cells(2, "log", 0.1)  # 0.1 and 1.1, so the edges are 0.05, 0.6 and 1.6
    edge = math.log(0.6 / 0.05) / math.log(1.6 / 0.05)

    assert cells.from_unit(edge - 1e-9) == 0
    assert cells.from_unit(edge + 1e-9) == 1


@pytest.mark.parametrize("u", [i / 97 for i in range(98)])
def test_reverse_log_cells_mirror_log_cells(u: float) -> None:
    log, mirrored = Cells(20, "log", 3.0), Cells(20, "reverse_log", 3.0)

    assert mirrored.from_unit(u) == 19 - log.from_unit(1 - u)


@pytest.mark.parametrize("scale", ["log", "reverse_log"])
@pytest.mark.parametrize("first", [0.0, 5e-324, 1e-9, 1.0, 1e15, 1e18, 1e300])
@pytest.mark.parametrize("count", [1, 2, 11])
def test_cells_are_told_apart_however_near_or_far_zero_is(
    count: int, first: float, scale: Scale
) -> None:
    cells = Cells(count, scale, first)

    places = [cells.to_unit(index) for index in range(count)]

    assert [cells.from_unit(place) for place in places] == list(range(count))
    assert all(0.0 < place < 1.0 for place in places)
