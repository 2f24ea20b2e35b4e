import numpy as np
import pytest
from scipy.stats import qmc

from tunesmith.search import sequence
from tunesmith.search.sequence import MOST_DIMENSIONS, SobolSequence


def _points(of: SobolSequence, count: int) -> np.ndarray:
    return np.array([of.point(index) for index in range(count)])


def test_without_scrambling_the_points_are_those_of_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence, "_scrambled", lambda directions, _rng: directions)
    plain = SobolSequence(MOST_DIMENSIONS, seed=0)
    plain._shift[:] = 0

    points = _points(plain, 300)

    expected = qmc.Sobol(MOST_DIMENSIONS, scramble=False, bits=32).random(512)[:300]
    # Ours are the middles of the cells whose lower corners scipy gives.
    np.testing.assert_allclose(points, expected + 2.0**-33, rtol=0, atol=1e-15)


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_each_coordinate_of_a_scrambled_sequence_visits_every_cell_once(seed: int) -> None:
    points = _points(SobolSequence(12, seed), 256)

    cells = np.sort((points * 256).astype(int), axis=0)

    assert (cells == np.arange(256)[:, None]).all()


def test_a_scrambled_sequence_is_as_even_as_scipys_and_far_more_so_than_chance() -> None:
    ours = qmc.discrepancy(_points(SobolSequence(10, seed=3), 256))

    chance = qmc.discrepancy(np.random.default_rng(0).random((256, 10)))
    scipys = [qmc.discrepancy(qmc.Sobol(10, rng=s).random(256)) for s in range(20)]
    # The spread over scramblings is about a tenth; twice the worst of twenty leaves room for ours.
    assert ours < 2 * max(scipys)
    assert ours < chance / 2


def test_two_seeds_give_two_sequences_and_one_seed_always_the_same() -> None:
    first, again, other = (SobolSequence(3, seed).point(5) for seed in (7, 7, 8))

    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_points_lie_inside_the_open_cube_and_far_points_cost_no_more() -> None:
    points = [SobolSequence(4, seed=1).point(index) for index in (0, 1, 2**31, 2**32 - 1)]

    assert all(((point > 0) & (point < 1)).all() for point in points)


def test_coordinates_beyond_the_table_are_drawn_at_random_but_always_alike() -> None:
    wide = SobolSequence(MOST_DIMENSIONS + 20, seed=2)

    points = _points(wide, 64)

    assert points.shape == (64, MOST_DIMENSIONS + 20)
    assert len(np.unique(points[:, -1])) == 64
    np.testing.assert_array_equal(wide.point(9), points[9])


def test_every_stretch_of_a_power_of_two_is_even_in_each_coordinate_and_in_pairs() -> None:
    points = _points(SobolSequence(2, seed=11), 512)

    for stretch in np.split(points, 2):
        cells = (stretch * 16).astype(int)
        assert len(np.unique(cells, axis=0)) == 256


@pytest.mark.parametrize("dimensions", [3, MOST_DIMENSIONS + 2])
@pytest.mark.parametrize("count", [0, 1, 2, 37])
def test_many_points_at_once_are_those_one_gets_singly(dimensions: int, count: int) -> None:
    sequence = SobolSequence(dimensions, seed=4)

    points = sequence.points(count)

    assert points.shape == (count, dimensions)
    np.testing.assert_array_equal(points, _points(sequence, count).reshape(count, dimensions))
