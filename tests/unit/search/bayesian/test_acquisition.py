import mpmath
import numpy as np
import pytest

from tunesmith.search.bayesian.acquisition import (
    confidence_bound,
    expected_improvement,
    log_h,
    probability_of_improvement,
)


def _exact_log_h(z: float) -> float:
    """Return log(φ(z) + z Φ(z)) from sixty digits beyond those that cancel."""
    with mpmath.workdps(80):
        # For z < 0 the terms cancel to 1/z² of either; erfc keeps relative accuracy in the tail.
        at = mpmath.mpf(z)
        density = mpmath.exp(-at * at / 2) / mpmath.sqrt(2 * mpmath.pi)
        return float(mpmath.log(density + at * mpmath.erfc(-at / mpmath.sqrt(2)) / 2))


@pytest.mark.parametrize(
    "z",
    [
        -1000000.0,
        -50000.0,
        -5000.1,
        -5000.0,
        -4999.9,
        -1000.0,
        -100.0,
        -10.0,
        -3.0,
        -1.0 - 1e-09,
        -1.0,
        -1.0 + 1e-09,
        -0.5,
        0.0,
        0.5,
        1.0,
        3.0,
        10.0,
        40.0,
    ],
)
def test_log_h_agrees_with_eighty_digits_on_both_sides_of_each_branch(z: float) -> None:
    exact = _exact_log_h(z)

    found = float(log_h(np.array([z]))[0])

    # Relative to the whole; the part that is not z²/2, which alone matters for ranks nearby, to 1e-7.
    assert found == pytest.approx(exact, rel=1e-9, abs=1e-14)
    if z > -1e4:
        assert found + z * z / 2 == pytest.approx(exact + z * z / 2, rel=2e-7)


def test_log_h_rises_everywhere() -> None:
    z = np.concatenate([-np.geomspace(1e6, 1e-3, 3000), np.linspace(0.0, 40.0, 500)])

    assert (np.diff(log_h(z)) > 0.0).all()


@pytest.mark.parametrize(
    "acquisition", [expected_improvement, probability_of_improvement, confidence_bound]
)
def test_the_derivatives_are_those_by_mean_and_deviation(acquisition) -> None:  # type: ignore[no-untyped-def]
    mean = np.array([-2.0, 0.0, 0.3, 1.0, 4.0, 40.0])
    sd = np.array([0.5, 1.0, 0.01, 2.0, 0.3, 0.9])
    last, step = 0.25, 1e-6

    _, by_mean, by_sd = acquisition(mean, sd, last)

    up, down = acquisition(mean + step, sd, last)[0], acquisition(mean - step, sd, last)[0]
    np.testing.assert_allclose(by_mean, (up - down) / (2 * step), rtol=1e-5, atol=1e-7)
    up, down = (
        acquisition(mean, sd + step * sd, last)[0],
        acquisition(mean, sd - step * sd, last)[0],
    )
    np.testing.assert_allclose(by_sd, (up - down) / (2 * step * sd), rtol=1e-5, atol=1e-7)


def test_expected_improvement_is_the_mean_of_what_is_gained() -> None:
    mean, sd, best = np.array([0.0, 0.5, -1.0, 1.5]), np.array([1.0, 0.2, 0.7, 1.0]), 0.1
    draws = mean + sd * np.random.default_rng(0).standard_normal((400_000, 4))
    gains = np.maximum(best - draws, 0.0)

    found = np.exp(expected_improvement(mean, sd, best)[0])

    four_errors = 4.0 * gains.std(axis=0) / np.sqrt(len(gains))
    assert (np.abs(found - gains.mean(axis=0)) < four_errors).all()
    assert four_errors.max() < 0.005


def test_a_certain_improvement_is_expected_whole() -> None:
    value, _, _ = expected_improvement(np.array([2.0]), np.array([1e-3]), 5.0)

    assert np.exp(value[0]) == pytest.approx(3.0, rel=1e-12)


def test_probability_of_improvement_is_a_half_at_the_incumbent_and_grows_below_it() -> None:
    value, _, _ = probability_of_improvement(np.array([1.0, 0.0]), np.array([2.0, 2.0]), 1.0)

    assert np.exp(value[0]) == pytest.approx(0.5)
    assert np.exp(value[1]) == pytest.approx(0.691_462, abs=1e-6)  # Φ(1/2)


def test_the_confidence_bound_lies_beta_deviations_below_the_mean() -> None:
    value, by_mean, by_sd = confidence_bound(np.array([3.0]), np.array([0.5]), 2.0)

    assert (value[0], by_mean[0], by_sd[0]) == (-2.0, -1.0, 2.0)


def test_points_without_hope_still_have_a_gradient() -> None:
    value, by_mean, by_sd = expected_improvement(np.array([1e5]), np.array([0.1]), 0.0)

    assert np.isfinite(value[0])
    assert by_mean[0] < 0.0 < by_sd[0]
