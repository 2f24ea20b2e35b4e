"""Closed forms: Saltelli et al. (2008), "Global sensitivity analysis", for Ishigami's and Sobol's."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.search.sensitivity import Axis, Sensitivity, decompose

Array = NDArray[np.float64]


def _ishigami(x: Array) -> Array:
    z = np.pi * (2.0 * x - 1.0)
    value = np.sin(z[:, 0]) + 7.0 * np.sin(z[:, 1]) ** 2 + 0.1 * z[:, 2] ** 4 * np.sin(z[:, 0])
    return np.asarray(value[None])


def _shares(of: Sensitivity) -> tuple[list[float], list[float], dict[tuple[int, int], float]]:
    pairs = {pair: float(share[0]) for pair, share in of.pairs.items()}
    return of.main[0].tolist(), of.total[0].tolist(), pairs


@pytest.mark.parametrize("seed", [0, 7])
def test_ishigamis_function_has_its_shares_within_half_a_percent(seed: int) -> None:
    first, second, third = 0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49 / 8, 0.01 * np.pi**8 * 8 / 225
    whole = first + second + third

    main, total, pairs = _shares(decompose(_ishigami, [Axis()] * 3, seed))

    np.testing.assert_allclose(main, [first / whole, second / whole, 0.0], atol=0.005)
    expected = np.array([first + third, second, third]) / whole
    np.testing.assert_allclose(total, expected, atol=0.005)
    assert pairs == {
        (0, 1): pytest.approx(0.0, abs=0.005),
        (0, 2): pytest.approx(third / whole, abs=0.005),
        (1, 2): pytest.approx(0.0, abs=0.005),
    }


@pytest.mark.parametrize("idle", [2, 14])
def test_sobols_g_function_has_its_shares_within_one_percent(idle: int) -> None:
    # Every factor has a kink in its middle, which polynomials meet least well.
    a = np.array([0.0, 1.0, 4.5, 9.0, *[99.0] * idle])

    def g(x: Array) -> Array:
        return np.asarray(np.prod((np.abs(4.0 * x - 2.0) + a) / (1.0 + a), axis=1)[None])

    main, total, pairs = _shares(decompose(g, [Axis()] * len(a)))

    alone = 1.0 / (3.0 * (1.0 + a) ** 2)
    whole = np.prod(1.0 + alone) - 1.0
    np.testing.assert_allclose(main, alone / whole, atol=0.005)
    np.testing.assert_allclose(total, alone * (whole + 1.0) / (1.0 + alone) / whole, atol=0.01)
    for (i, j), share in pairs.items():
        assert share == pytest.approx(alone[i] * alone[j] / whole, abs=0.005)


def test_an_additive_function_has_no_interactions_and_equal_main_and_total_shares() -> None:
    slopes = np.array([3.0, 2.0, 1.0, 0.0])

    main, total, pairs = _shares(decompose(lambda x: (x @ slopes)[None], [Axis()] * 4))

    expected = slopes**2 / (slopes @ slopes)
    np.testing.assert_allclose(main, expected, atol=1e-6)
    np.testing.assert_allclose(total, expected, atol=1e-6)
    np.testing.assert_allclose(list(pairs.values()), 0.0, atol=1e-6)


def test_a_parameter_that_acts_only_for_one_value_of_another_has_the_shares_worked_by_hand() -> (
    None
):
    # f = m where the choice is its first value, else 0. V = 1/6 - 1/16 = 5/48; E(f | choice) is 1/2
    # or 0, hence 1/16 of V; E(f | m) = m/2, hence 1/48; V(f | choice) is 1/12 or 0, V(f | m) = m²/4.
    def f(x: Array) -> Array:
        return np.asarray(np.where(x[:, 0] < 0.5, x[:, 1], 0.0)[None])

    axes = [Axis(np.array([0.5]), ordered=False), Axis()]
    main, total, pairs = _shares(decompose(f, axes))

    np.testing.assert_allclose(main, [0.6, 0.2], atol=0.005)
    np.testing.assert_allclose(total, [0.8, 0.4], atol=0.01)
    assert pairs[0, 1] == pytest.approx(0.2, abs=0.005)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_better_part_is_what_a_fine_grid_says(share: float) -> None:
    u = (np.arange(1000) + 0.5) / 1000
    values = u[:, None] + 2.0 * u
    values = np.minimum(values, np.quantile(values, share))
    first, second = values.mean(1).var() / values.var(), values.mean(0).var() / values.var()

    main, total, pairs = _shares(
        decompose(lambda x: (x[:, 0] + 2.0 * x[:, 1])[None], [Axis()] * 2, share=share)
    )

    np.testing.assert_allclose(main, [first, second], atol=0.01)
    np.testing.assert_allclose(total, [1.0 - second, 1.0 - first], atol=0.02)
    assert pairs[0, 1] == pytest.approx(1.0 - first - second, abs=0.06)  # the kink is not smooth


@pytest.mark.parametrize("edges", [[0.5], [0.1, 0.4, 0.9], [0.25, 0.5, 0.75]])
def test_the_functions_of_a_list_are_orthonormal_and_orthogonal_to_a_constant(
    edges: Sequence[float],
) -> None:
    u = (np.arange(4000) + 0.5) / 4000

    basis = Axis(np.array(edges), ordered=False).basis(u)

    columns = np.column_stack([np.ones(len(u)), basis])
    np.testing.assert_allclose(columns.T @ columns / len(u), np.eye(len(edges) + 1), atol=1e-9)


def test_a_curve_is_the_mean_over_all_other_coordinates() -> None:
    axis = Axis()
    found = decompose(_ishigami, [axis] * 3)

    z = np.pi * (2.0 * axis.grid - 1.0)
    expected = np.sin(z) * (1 + 0.1 * np.pi**4 / 5) + 3.5
    np.testing.assert_allclose(found.curves[0][0], expected, atol=0.05)
    np.testing.assert_allclose(found.curves[2][0], 3.5, atol=0.05)


def test_several_functions_are_decomposed_each_on_its_own() -> None:
    def both(x: Array) -> Array:
        return np.stack([x[:, 0], x[:, 0] * x[:, 1]])

    found = decompose(both, [Axis(), Axis()])

    np.testing.assert_allclose(found.total[0], [1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(found.total[1], [4 / 7, 4 / 7], atol=0.005)
    np.testing.assert_allclose(found.pairs[0, 1], [0.0, 1 / 7], atol=0.005)


def test_a_constant_has_no_shares_and_one_coordinate_all_of_them() -> None:
    constant = decompose(lambda x: np.full((1, len(x)), 5.0), [Axis(), Axis(np.array([0.5]))])
    alone = decompose(lambda x: x.T, [Axis()])

    assert constant.main.tolist() == constant.total.tolist() == [[0.0, 0.0]]
    np.testing.assert_allclose([alone.main[0, 0], alone.total[0, 0]], 1.0, atol=1e-6)
    assert not alone.pairs


def test_a_list_of_one_value_does_nothing() -> None:
    axes = [Axis(np.array([]), ordered=False), Axis()]

    found = decompose(lambda x: x[:, 1][None], axes)

    assert found.total[0, 0] == found.main[0, 0] == 0.0
    assert found.curves[0].shape == (1, 1)
