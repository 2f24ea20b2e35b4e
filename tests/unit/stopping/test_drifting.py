import numpy as np
import pytest
from scipy.optimize import check_grad

from tunesmith.stopping.drifting import Array, Rewards, chosen, negative_log_posterior


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rewards(n: int, d: int, best: float, *, t: Array | None = None, seed: int = 0) -> Rewards:
    """Return rewards that are greatest where all values are ``best``."""
    x = rng(seed).random((n, d))
    y = -((x - best) ** 2).sum(axis=1)
    return Rewards(x, np.arange(n) / 8.0 if t is None else t, y)


def none(d: int) -> Array:
    return np.empty((0, d))


@pytest.mark.parametrize("d", [1, 3])
def test_it_chooses_where_rewards_were_greatest(d: int) -> None:
    found, _ = chosen(rewards(40, d, 0.7), none(d), 5.0, np.full((1, d), 0.1), rng())

    assert found == pytest.approx(np.full(d, 0.7), abs=0.15)


def test_it_follows_rewards_that_drift() -> None:
    t = np.arange(80) / 8.0
    x = rng().random((80, 1))
    y = -((x[:, 0] - t / 10.0) ** 2)

    early, _ = chosen(Rewards(x[:40], t[:40], y[:40]), none(1), 5.0, x[:1], rng())
    late, _ = chosen(Rewards(x, t, y), none(1), 10.0, x[:1], rng())

    assert early[0] < 0.65
    assert late[0] > 0.75


def test_what_is_being_tried_is_less_worth_trying() -> None:
    seen = Rewards(np.array([[0.5], [0.5]]), np.zeros(2), np.array([0.0, 0.0]))
    beside = np.array([[0.05]])

    found, _ = chosen(seen, beside, 0.0, none(1), rng())

    assert found[0] > 0.6, "the other end is as unknown as this one was"


def test_values_stay_in_the_cube_and_repeat_with_the_generator() -> None:
    seen = rewards(30, 2, 1.0)

    first, bound = chosen(seen, none(2), 4.0, seen.x[:2], rng(7))
    second, _ = chosen(seen, none(2), 4.0, seen.x[:2], rng(7))

    assert np.array_equal(first, second)
    assert ((first >= 0.0) & (first <= 1.0)).all()
    assert np.isfinite(bound)


def test_equal_rewards_and_repeated_values_are_taken_as_they_come() -> None:
    seen = Rewards(np.full((20, 2), 0.5), np.zeros(20), np.ones(20))

    found, bound = chosen(seen, np.full((3, 2), 0.5), 0.0, seen.x[:1], rng())

    assert np.isfinite(found).all()
    assert np.isfinite(bound)


def test_a_training_that_fell_apart_does_not_flatten_the_rest() -> None:
    seen = rewards(40, 1, 0.7)
    y = seen.y.copy()
    y[3] = -1e9

    kept = Rewards(seen.x, seen.t, y).latest()

    assert kept.y.std() == pytest.approx(1.0)
    assert np.ptp(np.delete(kept.y, 3)) > 0.5


def test_only_the_latest_rewards_are_kept() -> None:
    seen = rewards(500, 1, 0.5, t=np.arange(500.0)[::-1])

    kept = seen.latest()

    assert len(kept) == 200
    assert kept.t.min() == 300


def test_the_gradient_of_the_posterior_is_that_of_differences() -> None:
    seen = rewards(25, 2, 0.3).latest()
    function = negative_log_posterior(seen)

    for seed in range(5):
        theta = rng(seed).normal(-0.5, 0.7, 4)
        error = check_grad(lambda p: function(p)[0], lambda p: function(p)[1], theta)
        assert error < 1e-3 * (1.0 + np.abs(function(theta)[1]).max())
