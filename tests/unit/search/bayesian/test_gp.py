from dataclasses import replace

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import cho_solve

from tunesmith.search.bayesian.cube import Cube
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.gp import GaussianProcess, Prior, Seen, fit, negative_log_posterior
from tunesmith.search.bayesian.kernels import KERNELS
from tunesmith.search.bayesian.trend import Trend
from tunesmith.space import Categorical, Double, Integer, Space

Array = NDArray[np.float64]

each_kernel = pytest.mark.parametrize("kernel", sorted(KERNELS))

SPACES = {
    "continuous": Space({f"x{i}": Double(0.0, 1.0) for i in range(3)}),
    "mixed": Space(
        {
            "rate": Double(1e-5, 1.0, scale="log"),
            "kind": Categorical(["a", "b", "c"]),
            "units": Integer(1, 20),
        }
    ),
    "conditional": Space(
        {
            "kind": Categorical(["a", "b", "c"]),
            "size": Double(0.0, 1.0, when={"kind": ["a", "b"]}),
            "shape": Categorical(["u", "v"], when={"kind": ["b"]}),
            "depth": Integer(1, 9, when={"shape": ["v"]}),
            "width": Double(0.0, 1.0),
        }
    ),
}
each_space = pytest.mark.parametrize("space", [pytest.param(s, id=n) for n, s in SPACES.items()])


def _vectors(space: Space, n: int, seed: int) -> tuple[Features, Array]:
    cube = Cube(space)
    features = Features(cube)
    points = cube.snap(np.random.default_rng(seed).random((n, cube.d)))
    return features, features(points, cube.active(points))


def _seen(space: Space, n: int = 25, seed: int = 0) -> Seen:
    """Return values with errors of their own, of which some are means of several."""
    rng = np.random.default_rng(seed)
    features, vectors = _vectors(space, n, seed)
    y = np.sin(3.0 * vectors).sum(axis=1) + 0.1 * rng.standard_normal(n)
    extra = np.where(rng.random(n) < 0.3, 0.05, 0.0)
    share = 1.0 / rng.integers(1, 4, n)
    return Seen(features.owner, features.plain, vectors, y, extra, share)


def _theta(space: Space, seed: int = 3) -> Array:
    scales = np.random.default_rng(seed).normal(-0.3, 0.5, len(space))
    return np.concatenate([scales, np.log([0.2, 1.3, 0.01])])


def _prior(space: Space) -> Prior:
    cube = Cube(space)
    return Prior(Features(cube).ordered, cube.dims)


def _process(space: Space, kernel: str = "matern52") -> GaussianProcess:
    return GaussianProcess(_theta(space), _seen(space), kernel)


def _dense(
    theta: Array, seen: Seen, kernel: str, places: Array, trend: Trend
) -> tuple[float, Array, Array]:
    """Return m, means and deviations by the formulas, with an explicit inverse."""
    tau, amplitude, noise = np.exp(theta[-3:])
    scale = np.exp(theta[:-3])[seen.owner]

    def covariance(a: Array, b: Array) -> Array:
        r2 = (((a[:, None] - b) / scale) ** 2).sum(axis=2)
        return np.asarray(amplitude * KERNELS[kernel](r2)[0] + tau * trend(a) @ trend(b).T)

    k = covariance(seen.vectors, seen.vectors)
    inverse = np.linalg.inv(k + np.diag(noise * seen.share + seen.extra + 1e-8 * amplitude))
    m = float(inverse.sum(axis=0) @ seen.y / inverse.sum())
    cross = covariance(places, seen.vectors)
    mean = m + cross @ inverse @ (seen.y - m)
    variance = np.diag(covariance(places, places) - cross @ inverse @ cross.T)
    return m, mean, np.sqrt(variance)


@each_kernel
@each_space
def test_the_posterior_is_that_of_the_formulas(space: Space, kernel: str) -> None:
    _, places = _vectors(space, 40, seed=9)
    process = _process(space, kernel)

    mean, sd = process.posterior(places)

    m, expected_mean, expected_sd = _dense(
        _theta(space), _seen(space), kernel, places, process.trend
    )
    assert process.mean == pytest.approx(m, rel=1e-9)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-9)
    np.testing.assert_allclose(sd, expected_sd, rtol=1e-6)


def test_the_posterior_of_points_that_nearly_coincide_agrees_with_fifty_digits() -> None:
    # Spaces of 1e-3 at a length of 1 and nearly no noise: the covariance's condition is about 1e8.
    x = np.array([0.5, 0.501, 0.502, 0.503, 0.9])
    y = np.array([0.1, 0.2, 0.15, 0.3, -1.0])
    plain = np.zeros(1, dtype=np.bool_)  # the trend is x itself then
    seen = Seen(np.zeros(1, dtype=np.intp), plain, x[:, None], y, np.zeros(5), np.ones(5))
    theta = np.log([1.0, 0.2, 1.5, 1e-6])
    places = np.array([0.0, 0.4, 0.5015, 0.503, 1.0])

    mean, sd = GaussianProcess(theta, seen, "se").posterior(places[:, None])

    with mpmath.workdps(50):
        tau, amplitude, noise = (mpmath.exp(mpmath.mpf(float(t))) for t in theta[1:])
        centre = mpmath.mpf(float(x.mean()))

        def k(a: float, b: float) -> mpmath.mpf:
            p, q = mpmath.mpf(float(a)), mpmath.mpf(float(b))
            return amplitude * mpmath.exp(-((p - q) ** 2) / 2) + tau * (p - centre) * (q - centre)

        own = noise + mpmath.mpf("1e-8") * amplitude
        matrix = mpmath.matrix(5, 5)
        for i in range(5):
            for j in range(5):
                matrix[i, j] = k(x[i], x[j]) + (own if i == j else 0)
        inverse = matrix**-1
        values = mpmath.matrix([mpmath.mpf(float(v)) for v in y])
        ones = mpmath.matrix([1] * 5)
        m = (ones.T * inverse * values)[0] / (ones.T * inverse * ones)[0]
        for place, found_mean, found_sd in zip(places, mean, sd, strict=True):
            cross = mpmath.matrix([k(place, xi) for xi in x])
            exact_mean = m + (cross.T * inverse * (values - m * ones))[0]
            exact_variance = k(place, place) - (cross.T * inverse * cross)[0]
            # Of sixteen digits, eight are lost to the condition.
            assert found_mean == pytest.approx(float(exact_mean), abs=1e-6)
            assert found_sd == pytest.approx(float(mpmath.sqrt(exact_variance)), rel=1e-5)


@each_kernel
@each_space
def test_the_fit_goes_by_the_true_gradient(space: Space, kernel: str) -> None:
    density = negative_log_posterior(_prior(space), _seen(space), kernel)
    theta = _theta(space)

    _, gradient = density(theta)

    step = 1e-5
    for i in range(len(theta)):
        moved = np.zeros(len(theta))
        moved[i] = step
        difference = (density(theta + moved)[0] - density(theta - moved)[0]) / (2 * step)
        assert gradient[i] == pytest.approx(difference, rel=1e-5, abs=1e-6)


@each_space
def test_the_fit_s_objective_is_the_density_of_the_values_times_the_prior(space: Space) -> None:
    seen, prior, theta = _seen(space), _prior(space), _theta(space)
    tau, amplitude, noise = np.exp(theta[-3:])
    scale = np.exp(theta[:-3])[seen.owner]
    waves = Trend(seen.plain, seen.vectors)(seen.vectors)
    r2 = (((seen.vectors[:, None] - seen.vectors) / scale) ** 2).sum(axis=2)
    k = amplitude * KERNELS["matern52"](r2)[0] + tau * waves @ waves.T
    k += np.diag(noise * seen.share + seen.extra + 1e-8 * amplitude)
    root = np.linalg.cholesky(k)
    ones = cho_solve((root, True), np.ones(len(seen.y)))
    rest = seen.y - ones @ seen.y / ones.sum()
    expected = 0.5 * rest @ np.linalg.solve(k, rest) + 0.5 * np.linalg.slogdet(k)[1]

    value, _ = negative_log_posterior(prior, seen, "matern52")(theta)

    assert value == pytest.approx(expected + prior.penalty(theta)[0], rel=1e-9)


def test_the_prior_of_a_length_grows_with_the_root_of_the_dimensions() -> None:
    def mode(dims: float) -> float:
        prior = Prior(np.array([True]), dims)
        theta = np.array([0.0, *prior.start()[1:]])
        logs = np.linspace(-4.0, 6.0, 20_001)
        found = [prior.penalty(np.array([at, *theta[1:]]))[0] for at in logs]
        return float(np.exp(logs[int(np.argmin(found))]))

    # A log-normal with location √2 + ½ log d and scale √3 has its mode at exp(location - 3).
    assert mode(1.0) == pytest.approx(np.exp(np.sqrt(2.0) - 3.0), rel=1e-3)
    assert mode(16.0) == pytest.approx(4.0 * mode(1.0), rel=1e-3)


def test_the_penalty_has_its_gradient() -> None:
    prior = Prior(np.array([True, False, True]), 3.0)
    theta, step = np.array([0.3, -0.2, 1.0, -1.0, 0.4, -3.0]), 1e-6

    _, gradient = prior.penalty(theta)

    for i in range(6):
        moved = np.zeros(6)
        moved[i] = step
        difference = (prior.penalty(theta + moved)[0] - prior.penalty(theta - moved)[0]) / 2e-6
        assert gradient[i] == pytest.approx(difference, abs=1e-6)


def test_a_fit_finds_which_parameter_matters_and_how_noisy_values_are() -> None:
    space = SPACES["continuous"]
    features, vectors = _vectors(space, 80, seed=1)
    noise = 0.1 * np.random.default_rng(0).standard_normal(80)
    y = np.sin(9.0 * vectors[:, 0]) + noise
    seen = Seen(features.owner, features.plain, vectors, y, np.zeros(80), np.ones(80))

    theta = fit(_prior(space), seen, "matern52")

    lengths = np.exp(theta[:3])
    assert lengths[0] < 0.2 * lengths[1:].min()
    assert np.sqrt(np.exp(theta[-1])) == pytest.approx(0.1, rel=0.35)


def test_a_fit_is_no_worse_than_where_it_began_and_stays_in_its_bounds() -> None:
    for space in SPACES.values():
        prior, seen = _prior(space), _seen(space)
        density = negative_log_posterior(prior, seen, "matern52")

        theta = fit(prior, seen, "matern52")

        assert density(theta)[0] < density(prior.start())[0]
        low, high = np.array(prior.bounds()).T
        assert ((low <= theta) & (theta <= high)).all()


@each_kernel
@each_space
def test_slopes_are_the_gradients_of_mean_and_deviation(space: Space, kernel: str) -> None:
    process = _process(space, kernel)
    _, places = _vectors(space, 6, seed=4)

    mean, sd, d_mean, d_sd = process.slopes(places)

    expected_mean, expected_sd = process.posterior(places)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-12)
    np.testing.assert_allclose(sd, expected_sd, rtol=1e-12)
    step = 1e-5
    for column in range(places.shape[1]):
        moved = np.zeros(places.shape[1])
        moved[column] = step
        up, down = process.posterior(places + moved), process.posterior(places - moved)
        np.testing.assert_allclose(d_mean[:, column], (up[0] - down[0]) / (2 * step), atol=1e-6)
        np.testing.assert_allclose(d_sd[:, column], (up[1] - down[1]) / (2 * step), atol=1e-6)


@each_space
def test_points_being_tried_narrow_deviations_and_leave_means(space: Space) -> None:
    process = _process(space)
    _, pending = _vectors(space, 5, seed=7)
    _, places = _vectors(space, 30, seed=8)

    after = process.with_pending(pending)

    (mean, sd), (mean_after, sd_after) = process.posterior(places), after.posterior(places)
    np.testing.assert_allclose(mean_after, mean, atol=1e-10)
    assert (sd_after <= sd + 1e-12).all()
    assert after.posterior(pending)[1].max() < 0.5 * sd.max()


@each_space
def test_points_being_tried_are_as_if_they_had_brought_what_was_expected(space: Space) -> None:
    process, seen, theta = _process(space), _seen(space), _theta(space)
    _, pending = _vectors(space, 4, seed=7)
    _, places = _vectors(space, 30, seed=8)

    after = process.with_pending(pending)

    told = replace(
        seen,
        vectors=np.concatenate([seen.vectors, pending]),
        y=np.concatenate([seen.y, process.posterior(pending)[0]]),
        extra=np.concatenate([seen.extra, np.zeros(4)]),
        share=np.concatenate([seen.share, np.ones(4)]),
    )
    m, mean, sd = _dense(theta, told, "matern52", places, process.trend)
    assert after.mean == pytest.approx(m, rel=1e-9)
    np.testing.assert_allclose(after.posterior(places)[0], mean, atol=1e-9)
    np.testing.assert_allclose(after.posterior(places)[1], sd, rtol=1e-6)


@each_space
def test_pending_points_one_by_one_are_the_same_as_all_at_once(space: Space) -> None:
    process = _process(space)
    _, pending = _vectors(space, 4, seed=7)
    _, places = _vectors(space, 10, seed=8)

    singly = process
    for vector in pending:
        singly = singly.with_pending(vector[None])

    at_once = process.with_pending(pending)
    np.testing.assert_allclose(singly.posterior(places)[1], at_once.posterior(places)[1], rtol=1e-8)
    for one, all_of_it in zip(singly.slopes(places), at_once.slopes(places), strict=True):
        np.testing.assert_allclose(one, all_of_it, atol=1e-7)


def test_a_process_with_nothing_pending_is_itself() -> None:
    process = _process(SPACES["mixed"])

    assert process.with_pending(np.empty((0, 5))) is process


@each_space
def test_leaving_one_out_is_what_really_leaving_it_out_gives(space: Space) -> None:
    seen, theta = _seen(space), _theta(space)
    process = GaussianProcess(theta, seen, "matern52")

    mean, variance = process.leave_one_out()

    # The formulas keep m and the trend's centre, which a process without the value would move.
    trend, keep = process.trend, np.arange(len(seen.y))
    waves = trend(seen.vectors)
    tau, amplitude, noise = np.exp(theta[-3:])
    scale = np.exp(theta[:-3])[seen.owner]
    r2 = (((seen.vectors[:, None] - seen.vectors) / scale) ** 2).sum(axis=2)
    k = amplitude * KERNELS["matern52"](r2)[0] + tau * waves @ waves.T
    k += np.diag(noise * seen.share + seen.extra + 1e-8 * amplitude)
    for i in range(len(seen.y)):
        others = keep != i
        weights = np.linalg.solve(k[np.ix_(others, others)], k[others, i])
        assert mean[i] == pytest.approx(
            process.mean + weights @ (seen.y[others] - process.mean), abs=1e-9
        )
        assert variance[i] == pytest.approx(k[i, i] - weights @ k[others, i], rel=1e-7)


def test_the_mean_weighs_values_by_what_is_known_of_their_errors() -> None:
    # Far apart and without a trend: m is the mean with weights 1 / (σ² + error²).
    vectors = np.array([[0.0], [50.0], [100.0]])
    plain = np.zeros(1, dtype=np.bool_)
    y, extra = np.array([1.0, 2.0, 6.0]), np.array([0.0, 1.0, 8.0])
    seen = Seen(np.zeros(1, dtype=np.intp), plain, vectors, y, extra, np.ones(3))

    process = GaussianProcess(np.log([0.1, 1e-15, 1.0, 1e-12]), seen, "se")

    weights = 1.0 / (1.0 + extra)
    assert process.mean == pytest.approx(float(weights @ y / weights.sum()), rel=1e-6)


def test_a_value_with_a_large_error_moves_the_mean_little() -> None:
    space = SPACES["continuous"]
    seen, theta = _seen(space), _theta(space)
    place = seen.vectors[:1]
    off = replace(seen, y=np.where(np.arange(25) == 0, 40.0, seen.y))
    unsure = replace(off, extra=np.where(np.arange(25) == 0, 1e4, seen.extra))

    believed = GaussianProcess(theta, off, "matern52").posterior(place)[0][0]
    doubted = GaussianProcess(theta, unsure, "matern52").posterior(place)[0][0]

    assert believed > 10.0
    assert doubted < 3.0


def test_points_seen_twice_without_noise_have_a_posterior() -> None:
    space = SPACES["continuous"]
    features, vectors = _vectors(space, 8, seed=0)
    twice = np.concatenate([vectors, vectors, vectors])
    y = np.tile(vectors.sum(axis=1), 3)
    none = np.zeros(24)
    seen = Seen(features.owner, features.plain, twice, y, none, none)  # not even estimated noise

    process = GaussianProcess(np.concatenate([np.zeros(3), [-9.0, 0.0, -14.0]]), seen, "se")

    mean, sd = process.posterior(vectors)
    np.testing.assert_allclose(mean, vectors.sum(axis=1), atol=1e-3)
    assert (sd < 1e-2).all()
    with_pending = process.with_pending(np.repeat(vectors[:1], 3, axis=0))
    assert np.isfinite(with_pending.posterior(vectors)[1]).all()


def test_a_covariance_that_is_not_finite_is_refused() -> None:
    seen = _seen(SPACES["continuous"])

    with pytest.raises(FloatingPointError, match="not finite"):
        GaussianProcess(np.full(6, np.nan), seen, "matern52")
