import numpy as np
from numpy.typing import NDArray

from tunesmith.model.hypervolume import hypervolume
from tunesmith.search.bayesian.several import HypervolumeImprovement

Array = NDArray[np.float64]

FRONT = np.array([[-1.5, 1.0], [-0.8, 0.0], [0.0, -0.6], [1.0, -1.4]])
BEHIND = np.array([[1.5, 1.5], [0.5, 0.5]])
SEEN = np.concatenate([FRONT, BEHIND])


REFERENCE = FRONT.max(axis=0) + 0.1 * np.ptp(FRONT, axis=0)  # where the class says that it is


def _gain(values: Array) -> Array:
    """Return by how much each of ``values`` ``(m, 2)`` alone enlarges the front's hypervolume."""
    # Strips between the front's first objectives, each open up to the second one to its left.
    edges = np.concatenate([[-np.inf], FRONT[:, 0], REFERENCE[:1]])
    heights = np.concatenate([REFERENCE[1:], FRONT[:, 1]])
    widths = edges[1:] - np.maximum(values[:, :1], edges[:-1])
    gain = np.maximum(widths, 0.0) * np.maximum(heights - values[:, 1:], 0.0)
    return np.asarray(gain.sum(axis=1))


def _expected_improvement(mean: Array, sd: Array, draws: int = 20_000) -> float:
    """Return how much a normal draw gains on average, by brute force."""
    values = mean + sd * np.random.default_rng(0).standard_normal((draws, 2))
    return float(_gain(values).mean())


def test_the_brute_force_here_is_the_difference_of_hypervolumes() -> None:
    values = np.random.default_rng(1).uniform(-3.0, 2.0, (100, 2))

    before = hypervolume(FRONT, REFERENCE)
    expected = [hypervolume(np.vstack([FRONT, v]), REFERENCE) - before for v in values]
    np.testing.assert_allclose(_gain(values), expected, atol=1e-12)


def _candidates(n: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(4)
    return rng.uniform(-2.0, 1.5, (n, 2)), rng.uniform(0.05, 0.8, (n, 2))


def test_candidates_rank_as_by_brute_force() -> None:
    means, sds = _candidates(60)
    truth = np.array([_expected_improvement(m, s) for m, s in zip(means, sds, strict=True)])

    scores = [HypervolumeImprovement(SEEN, np.random.default_rng(s))(means, sds) for s in range(5)]

    for score in scores:
        ranks, true_ranks = np.argsort(np.argsort(score)), np.argsort(np.argsort(truth))
        # Sixteen draws and 64 directions are rough; ranks still agree to 0.97 of a correlation.
        assert np.corrcoef(ranks, true_ranks)[0, 1] > 0.97
        assert truth[np.argmax(score)] > 0.85 * truth.max()


def test_what_is_expected_is_proportional_to_the_hypervolume_gained() -> None:
    means, sds = _candidates(40)
    truth = np.array([_expected_improvement(m, s) for m, s in zip(means, sds, strict=True)])
    good = truth > 0.1 * truth.max()

    found = np.exp(
        np.mean(
            [HypervolumeImprovement(SEEN, np.random.default_rng(s))(means, sds) for s in range(30)],
            axis=0,
        )
    )

    ratio = found[good] / truth[good]
    # Directions are drawn evenly by the front's extent in each objective; the factor is constant.
    assert good.sum() > 10
    assert ratio.std() / ratio.mean() < 0.2


def test_a_point_that_fills_a_gap_or_extends_the_front_beats_one_behind_it() -> None:
    means = np.array([[-1.4, -1.2], [-2.5, 1.0], [0.5, 0.5], [1.5, 1.5]])
    sds = np.full((4, 2), 0.05)

    score = HypervolumeImprovement(SEEN, np.random.default_rng(0))(means, sds)

    assert score[0] == score.max()
    assert score[:2].min() > score[2:].max()


def test_of_two_points_without_hope_the_better_one_scores_higher() -> None:
    means, sds = np.array([[5.0, 5.0], [4.0, 4.0], [4.0, 5.0]]), np.full((3, 2), 0.01)

    score = HypervolumeImprovement(SEEN, np.random.default_rng(0))(means, sds)

    assert score[0] < score[2] < score[1]


def test_three_objectives_and_a_front_of_one_point_work_too() -> None:
    score = HypervolumeImprovement(np.zeros((1, 3)), np.random.default_rng(0))

    values = score(np.array([[-0.5, -0.5, -0.5], [0.2, 0.2, 0.2]]), np.full((2, 3), 0.1))

    assert values[0] > values[1]
    assert np.isfinite(values).all()


def test_values_that_are_all_the_same_do_no_harm() -> None:
    score = HypervolumeImprovement(np.ones((5, 2)), np.random.default_rng(0))

    assert np.isfinite(score(np.ones((3, 2)), np.full((3, 2), 0.1))).all()
