from math import exp, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.search.bayesian.cube import Cube
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.kernels import KERNELS
from tunesmith.search.bayesian.trend import Trend
from tunesmith.space import Categorical, Discrete, Double, Integer, Space

Array = NDArray[np.float64]

_KERNELS = sorted(KERNELS)

NESTED = Space(
    {
        "model": Categorical(["net", "trees", "line"]),
        "layers": Integer(1, 6, when={"model": ["net"]}),
        "drop": Categorical(["no", "yes"], when={"layers": [2, 3, 4, 5, 6]}),
        "rate": Double(1e-5, 1e-1, scale="log", when={"model": ["net", "trees"]}),
        "share": Double(0.0, 1.0),
        "batch": Discrete([16, 32, 64]),
    }
)


def _nested_vectors(n: int) -> tuple[Features, Array]:
    cube = Cube(NESTED)
    features = Features(cube)
    points = cube.snap(np.random.default_rng(0).random((n, cube.d)))
    return features, features(points, cube.active(points))


def test_matern52_at_a_distance_of_two_is_what_a_pocket_calculator_says() -> None:
    k, _ = KERNELS["matern52"](np.array([4.0]))

    # (1 + √5·2 + 5/3·4) exp(-√5·2) = (1 + 4.472136 + 6.666667) · 0.01142289
    assert k[0] == pytest.approx(0.138_660, abs=1e-6)


def test_matern32_at_a_distance_of_two_is_what_a_pocket_calculator_says() -> None:
    k, _ = KERNELS["matern32"](np.array([4.0]))

    assert k[0] == pytest.approx((1.0 + 2.0 * sqrt(3.0)) * exp(-2.0 * sqrt(3.0)), rel=1e-14)
    assert k[0] == pytest.approx(0.139_73, abs=1e-5)


def test_the_squared_exponential_at_a_distance_of_two_is_e_to_the_minus_two() -> None:
    k, _ = KERNELS["se"](np.array([4.0]))

    assert k[0] == pytest.approx(exp(-2.0), rel=1e-14)


@pytest.mark.parametrize("name", _KERNELS)
def test_a_point_is_wholly_alike_itself_and_not_at_all_like_one_far_away(name: str) -> None:
    k, slope = KERNELS[name](np.array([0.0, 1e6]))

    assert k.tolist() == [1.0, 0.0]
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", _KERNELS)
def test_the_second_value_is_the_derivative_by_the_squared_distance(name: str) -> None:
    r2 = np.array([1e-3, 0.1, 1.0, 7.0, 60.0])
    step = 1e-6 * r2

    above, below = KERNELS[name](r2 + step)[0], KERNELS[name](r2 - step)[0]

    np.testing.assert_allclose(KERNELS[name](r2)[1], (above - below) / (2 * step), rtol=1e-6)


@pytest.mark.parametrize("name", _KERNELS)
def test_the_kernel_leaves_what_it_is_given_as_it_was(name: str) -> None:
    r2 = np.array([0.5, 2.0])

    KERNELS[name](r2)

    assert r2.tolist() == [0.5, 2.0]


@pytest.mark.parametrize("name", _KERNELS)
def test_the_covariance_of_points_with_conditions_is_positive_definite(name: str) -> None:
    features, vectors = _nested_vectors(120)
    scales = np.exp(np.random.default_rng(1).normal(-0.5, 1.0, len(NESTED)))
    at = vectors / scales[features.owner]
    r2 = ((at[:, None] - at) ** 2).sum(axis=2)

    spectrum = np.linalg.eigvalsh(KERNELS[name](r2)[0])

    assert spectrum.min() > -1e-12 * spectrum.max()


def test_a_point_that_is_closer_is_more_alike() -> None:
    r2 = np.linspace(0.0, 30.0, 400)

    for kernel in KERNELS.values():
        assert (np.diff(kernel(r2)[0]) < 0.0).all()


def test_the_trend_consists_of_falling_waves_and_of_what_has_no_order() -> None:
    plain = np.array([True, False])
    vectors = np.array([[0.25, 3.0], [0.75, 5.0]])

    columns = Trend(plain, vectors)(vectors)

    waves = [np.cos(k * np.pi * np.array([0.25, 0.75])) / k for k in range(1, 7)]
    expected = np.stack([*waves, np.array([3.0, 5.0])], axis=1)
    np.testing.assert_allclose(columns, expected - expected.mean(axis=0), atol=1e-12)


def test_the_trend_hands_gradients_back_to_the_vectors() -> None:
    features, vectors = _nested_vectors(9)
    trend = Trend(features.plain, vectors)
    by = np.random.default_rng(0).standard_normal(trend(vectors).shape)

    gradient = trend.back(vectors, by)

    step = 1e-6
    for column in range(vectors.shape[1]):
        moved = np.zeros(vectors.shape[1])
        moved[column] = step
        difference = (trend(vectors + moved) - trend(vectors - moved)) / (2 * step)
        expected = (difference * by).sum(axis=1)
        np.testing.assert_allclose(gradient[:, column], expected, atol=1e-7)
