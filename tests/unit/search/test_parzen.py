import numpy as np
import pytest

from tunesmith.search.columns import columns_of
from tunesmith.search.parzen import Parzen, bandwidths
from tunesmith.space import Categorical, Discrete, Double, Integer, Prior, Space

SPACE = Space(
    {
        "rate": Double(1e-4, 1.0, scale="log"),
        "units": Integer(1, 9, scale="log"),
        "size": Discrete([1, 2, 8]),
        "kind": Categorical(["a", "b", "c", "d"]),
    }
)


def mixture(space: Space, count: int, *, prior_weight: float = 1.0, seed: int = 0) -> Parzen:
    """Return a mixture around ``count`` points of the first half of the cube."""
    columns = columns_of(space)
    rng = np.random.default_rng(seed)
    points = np.array(
        [space.encode(space.decode(rng.random(len(space)) * 0.5)) for _ in range(count)]
    ).reshape(count, len(space))
    return Parzen(
        columns,
        points,
        bandwidths(columns, points, 1.0),
        prior_weight=prior_weight,
        parameters=tuple(space.parameters.values()),
    )


@pytest.mark.parametrize("count", [1, 12])
def test_a_density_has_mean_one_over_the_cube(count: int) -> None:
    even = np.random.default_rng(1).random((100_000, len(SPACE)))

    density = np.exp(mixture(SPACE, count).log_density(even))

    assert density.mean() == pytest.approx(1.0, abs=5 * density.std() / np.sqrt(len(even)))
    assert density.std() > 0.2


def test_points_are_drawn_from_the_density() -> None:
    parzen = mixture(SPACE, 6)

    drawn = parzen.sample(60_000, np.random.default_rng(2))
    even = np.random.default_rng(3).random((60_000, len(SPACE)))

    # The mean of any function over draws is its mean over even points, weighed by the density.
    expected = np.average(even, axis=0, weights=np.exp(parzen.log_density(even)))
    assert drawn.mean(axis=0) == pytest.approx(expected, abs=0.02)


def test_without_points_it_is_the_even_distribution() -> None:
    parzen = mixture(SPACE, 0)

    drawn = parzen.sample(20_000, np.random.default_rng(2))

    assert parzen.log_density(drawn).tolist() == [0.0] * len(drawn)
    assert drawn.mean(axis=0) == pytest.approx(0.5, abs=0.02)


def test_bandwidths_follow_the_spread_of_the_points_and_shrink_with_their_number() -> None:
    columns = columns_of(Space({"x": Double(0.0, 1.0), "y": Double(0.0, 1.0)}))
    rng = np.random.default_rng(0)
    narrow = np.column_stack([0.5 + 0.01 * rng.random(20), rng.random(20)])

    x, y = bandwidths(columns, narrow, 1.0)
    fewer = bandwidths(columns, narrow[:4], 1.0)

    assert x < 0.35 * y
    assert y < fewer[1]


def test_a_prior_pulls_draws_to_its_center_as_strongly_as_it_weighs() -> None:
    space = Space({"x": Double(0.0, 1.0, prior=Prior(0.9, "high")), "y": Double(0.0, 1.0)})

    light = mixture(space, 5, prior_weight=0.1).sample(4000, np.random.default_rng(0))
    heavy = mixture(space, 5, prior_weight=100.0).sample(4000, np.random.default_rng(0))

    assert light[:, 0].mean() < 0.45
    assert heavy[:, 0].mean() > 0.75
    assert 0.45 < heavy[:, 1].mean() < 0.55
