import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.search.bayesian.cube import Cube
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.gp import GaussianProcess, Seen
from tunesmith.search.bayesian.kernels import KERNELS
from tunesmith.search.bayesian.paths import Paths, draw_paths
from tunesmith.space import Categorical, Double, Space

Array = NDArray[np.float64]

_KERNELS = sorted(KERNELS)
_COUNT = 4000


def _wave(vectors: Array) -> Array:
    return np.asarray(np.sin(5.0 * vectors[:, 0]) + vectors[:, 1] ** 2)


def _process(
    kernel: str = "matern52", noise: float = 1e-2, amplitude: float = 1.5, n: int = 12
) -> GaussianProcess:
    vectors = np.random.default_rng(1).random((n, 2))
    plain = np.ones(2, dtype=np.bool_)
    seen = Seen(np.arange(2), plain, vectors, _wave(vectors), np.zeros(n), np.ones(n))
    return GaussianProcess(np.log([0.4, 0.9, 0.3, amplitude, noise]), seen, kernel)


def _places(m: int) -> Array:
    return np.random.default_rng(2).random((m, 2))


@pytest.mark.parametrize("kernel", _KERNELS)
def test_many_paths_have_the_mean_and_the_deviation_of_the_posterior(kernel: str) -> None:
    process, places = _process(kernel), _places(40)

    values = draw_paths(process, _COUNT, np.random.default_rng(3), features=4096)(places)

    mean, sd = process.posterior(places)
    # Four standard errors of a mean of 4000 draws; of a deviation, plus what the features miss.
    np.testing.assert_array_less(np.abs(values.mean(0) - mean), 4.0 * sd / np.sqrt(_COUNT) + 1e-12)
    np.testing.assert_allclose(values.std(0), sd, rtol=4.0 / np.sqrt(2 * _COUNT) + 0.08)


@pytest.mark.parametrize("kernel", _KERNELS)
def test_without_noise_every_path_goes_through_every_value(kernel: str) -> None:
    process = _process(kernel, noise=1e-12)
    vectors = np.random.default_rng(1).random((12, 2))

    values = draw_paths(process, 50, np.random.default_rng(0))(vectors)

    # The jitter on the diagonal is 1e-8 of the amplitude: a deviation of 1e-4.
    np.testing.assert_allclose(values, np.tile(_wave(vectors), (50, 1)), atol=1e-3)


@pytest.mark.parametrize("kernel", _KERNELS)
def test_the_features_amount_to_the_kernel(kernel: str) -> None:
    places = 3.0 * _places(60)
    r2 = ((places[:, None] - places) ** 2).sum(2)
    process = _process(kernel, amplitude=1.0)
    paths = draw_paths(process, 1, np.random.default_rng(5), features=4096)

    angles = places @ paths.frequencies
    implied = np.cos(angles[:, None] - angles).mean(2)

    # A mean of 2048 cosines has a standard error of at most 1/√(2·2048) = 0.016 at each pair.
    error = implied - KERNELS[kernel](r2)[0]
    assert np.sqrt((error**2).mean()) < 0.016
    assert np.abs(error).max() < 5 * 0.016


def test_the_gradient_is_that_of_each_path() -> None:
    paths, places, step = draw_paths(_process(), 3, np.random.default_rng(0)), _places(5), 1e-6

    values, gradient = paths.slopes(places)

    np.testing.assert_allclose(values, paths(places), atol=1e-9)
    for column in range(2):
        moved = np.zeros(2)
        moved[column] = step
        difference = (paths(places + moved) - paths(places - moved)) / (2 * step)
        np.testing.assert_allclose(gradient[:, :, column], difference, atol=2e-6)


def test_a_path_is_one_function_however_it_is_asked() -> None:
    paths, places = draw_paths(_process(), 4, np.random.default_rng(0)), _places(2500)

    whole = paths(places)

    singly = np.concatenate([paths(places[:7]), paths(places[7:])], axis=1)
    np.testing.assert_allclose(whole, singly, atol=1e-9)


def test_points_without_a_value_change_no_path() -> None:
    plain = _process()
    waiting = plain.with_pending(np.array([[0.5, 0.5], [0.1, 0.9]]))

    first, second = (draw_paths(p, 5, np.random.default_rng(0)) for p in (plain, waiting))

    np.testing.assert_allclose(first(_places(9)), second(_places(9)), atol=1e-8)


def test_paths_know_categories_and_conditions_by_their_vectors() -> None:
    space = Space(
        {
            "kind": Categorical(["a", "b", "c"]),
            "size": Double(0.0, 1.0, when={"kind": ["a"]}),
        }
    )
    cube = Cube(space)
    features = Features(cube)
    places = cube.snap(np.random.default_rng(0).random((30, 2)))
    vectors = features(places, cube.active(places))
    y = (places[:, 0] < 1 / 3) * (1.0 + places[:, 1])
    seen = Seen(features.owner, features.plain, vectors, y, np.zeros(30), np.ones(30))
    process = GaussianProcess(np.log([1.0, 0.5, 0.1, 1.0, 1e-4]), seen, "matern52")

    paths: Paths = draw_paths(process, 8, np.random.default_rng(0))

    b = cube.snap(np.array([[0.5, 0.1], [0.5, 0.9]]))
    values = paths(features(b, cube.active(b)))
    np.testing.assert_array_equal(values[:, 0], values[:, 1])  # size is not active there
