import numpy as np
import pytest
from scipy.stats import qmc

from tunesmith.model import History
from tunesmith.search.halton import MOST_DIMENSIONS, Halton, HaltonSequence
from tunesmith.space import Double, Space
from tunesmith.testing.studies import spec_of


def points(of: HaltonSequence, count: int) -> np.ndarray:
    return np.array([of.point(index) for index in range(count)])


@pytest.mark.parametrize("seed", range(4))
def test_each_coordinate_visits_every_cell_of_its_base_once(seed: int) -> None:
    sequence = points(HaltonSequence(4, seed), 3 * 7**2)

    for coordinate, base in enumerate([2, 3, 5, 7]):
        for start in range(3):
            block = sequence[start * base**2 : (start + 1) * base**2, coordinate]
            assert sorted((block * base**2).astype(int)) == list(range(base**2))


def test_it_is_far_more_even_than_chance() -> None:
    ours = qmc.discrepancy(points(HaltonSequence(8, seed=3), 256))
    chance = qmc.discrepancy(np.random.default_rng(3).random((256, 8)))

    assert ours < 0.5 * chance


def test_neighbouring_high_dimensions_do_not_rise_together() -> None:
    sequence = points(HaltonSequence(30, seed=0), 100)

    correlations = np.corrcoef(sequence.T) - np.eye(30)

    assert np.abs(correlations).max() < 0.6


def test_two_seeds_give_two_sequences_and_one_seed_always_the_same() -> None:
    first, again, other = (HaltonSequence(3, seed).point(5) for seed in (7, 7, 8))

    assert (first == again).all()
    assert (first != other).all()


def test_points_lie_inside_the_cube_up_to_the_last() -> None:
    for index in (0, 1, 2**31, 2**32 - 1):
        point = HaltonSequence(5, seed=1).point(index)
        assert ((point > 0.0) & (point < 1.0)).all()


def test_there_are_as_many_dimensions_as_one_likes() -> None:
    wide = points(HaltonSequence(MOST_DIMENSIONS + 20, seed=2), 200)

    assert ((wide > 0.0) & (wide < 1.0)).all()
    assert np.abs(wide.mean(axis=0) - 0.5).max() < 0.15


def test_a_study_gets_the_points_of_its_seed_in_turn() -> None:
    space = Space({"x": Double(0.0, 1.0), "y": Double(0.0, 1.0)})
    sequence = HaltonSequence(2, seed=4)

    suggested = Halton().suggest(History(spec_of(space, seed=4)), 5, np.random.default_rng(0))

    for index, suggestion in enumerate(suggested):
        assert list(suggestion.values.values()) == sequence.point(index).tolist()
        assert suggestion.origin == "halton"
