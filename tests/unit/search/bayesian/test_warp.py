import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri

from tunesmith.search.bayesian.settings import WARPS, WarpName
from tunesmith.search.bayesian.warp import Warp

Array = NDArray[np.float64]

each_warp = pytest.mark.parametrize("name", WARPS)


def _losses(n: int = 41) -> Array:
    return np.asarray(np.exp(np.random.default_rng(0).standard_normal(n)))


@each_warp
def test_model_values_have_mean_zero_and_variance_one(name: WarpName) -> None:
    z = Warp(_losses(), name).z

    assert z.mean() == pytest.approx(0.0, abs=1e-12)
    assert z.var() == pytest.approx(1.0)


@each_warp
def test_a_smaller_loss_stays_smaller(name: WarpName) -> None:
    losses = np.sort(_losses())

    assert (np.diff(Warp(losses, name).z) > 0.0).all()


@each_warp
def test_losses_come_back_from_their_model_values(name: WarpName) -> None:
    losses = _losses()
    warp = Warp(losses, name)

    np.testing.assert_allclose(warp.values(losses), warp.z, atol=1e-12)
    np.testing.assert_allclose(warp.losses(warp.z), losses, rtol=1e-12)


@each_warp
def test_what_lies_beyond_all_that_was_seen_comes_back_too(name: WarpName) -> None:
    warp = Warp(_losses(), name)
    beyond = np.array([-5.0, -1e-3, 30.0, 100.0])

    values = warp.values(beyond)

    assert (np.diff(values) > 0.0).all()
    assert values[0] < warp.z.min()
    assert values[-1] > warp.z.max()
    np.testing.assert_allclose(warp.losses(values), beyond, rtol=1e-9)


@each_warp
def test_unit_and_origin_of_losses_do_not_matter(name: WarpName) -> None:
    losses = _losses()

    np.testing.assert_allclose(Warp(1e4 * losses - 17.0, name).z, Warp(losses, name).z, atol=1e-8)


@each_warp
@pytest.mark.parametrize("losses", [[3.0], [2.0, 2.0, 2.0], [1e300, 1e300], [0.0]])
def test_values_that_are_all_the_same_become_zeros_and_come_back(
    name: WarpName, losses: list[float]
) -> None:
    warp = Warp(np.array(losses), name)

    assert warp.z.tolist() == [0.0] * len(losses)
    assert warp.losses(np.array([0.0, 1.5])).tolist() == [losses[0]] * 2
    assert warp.values(np.array(losses)).tolist() == [0.0] * len(losses)


@each_warp
@pytest.mark.parametrize("extreme", [1e300, 1.7e308])
def test_the_greatest_numbers_of_both_signs_keep_their_order(
    name: WarpName, extreme: float
) -> None:
    losses = np.array([extreme, -extreme, 0.0, extreme / 2])

    warp = Warp(losses, name)

    assert np.isfinite(warp.z).all()
    assert np.argsort(warp.z).tolist() == [1, 2, 3, 0]
    np.testing.assert_allclose(warp.losses(warp.z), losses, atol=1e-9 * extreme)


@each_warp
def test_equal_losses_have_equal_model_values(name: WarpName) -> None:
    losses = np.array([1.0, 5.0, 3.0, 5.0, 1.0, 9.0, 9.0])

    z = Warp(losses, name).z

    assert z[0] == z[4]
    assert z[1] == z[3]
    assert z[5] == z[6]
    assert len(np.unique(z)) == 4


def test_without_a_warp_losses_are_only_centred_and_scaled() -> None:
    losses = np.array([1.0, 2.0, 6.0])

    np.testing.assert_allclose(Warp(losses, "none").z, (losses - 3.0) / np.sqrt(14.0 / 3.0))


def test_the_log_warp_is_vizier_s() -> None:
    y = np.log1p(0.5 * np.array([0.0, 0.25, 1.0])) / np.log(1.5)

    np.testing.assert_allclose(
        Warp(np.array([2.0, 4.0, 10.0]), "log").z, (y - y.mean()) / y.std(), atol=1e-12
    )


def test_the_rank_warp_keeps_of_the_worse_half_the_order_only() -> None:
    # Places in the span: 0, 0.1, 0.2, 0.5, 1. The median is 0.2, the spread of the better half
    # √((0.2² + 0.1² + 0) / 3); two are worse, at the quantiles 5/8 and 7/8.
    spread = np.sqrt((0.04 + 0.01) / 3.0)
    y = np.array([0.0, 0.1, 0.2, 0.2 + spread * ndtri(0.625), 0.2 + spread * ndtri(0.875)])
    y = np.log1p(0.5 * y / y[-1]) / np.log(1.5)

    z = Warp(np.array([10.0, 11.0, 12.0, 15.0, 20.0]), "rank").z

    np.testing.assert_allclose(z, (y - y.mean()) / y.std(), atol=1e-12)


def test_by_ranks_a_disaster_counts_like_any_last_place() -> None:
    usual, disaster = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([1.0, 2.0, 3.0, 4.0, 5e9])

    np.testing.assert_allclose(Warp(disaster, "rank").z, Warp(usual, "rank").z, atol=1e-6)
    assert np.ptp(Warp(disaster, "none").z[:4]) < 1e-6
