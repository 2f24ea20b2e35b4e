from collections.abc import Callable
from functools import partial

import pytest

from tunesmith.model import Algorithm, History
from tunesmith.search import Searcher, make_searcher, position_rng
from tunesmith.space import Space
from tunesmith.testing.searchers import SearcherContract
from tunesmith.testing.studies import FINITE, INFINITE, ended, spec_of

NewSearcher = Callable[[], Searcher]

# The default, which is the same searcher with more points to start with, is in test_searchers.py.


class TestBayesian(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        return partial(make_searcher, Algorithm("bayesian", {"start": 3}))


class TestBayesianByThompsonSampling:
    """What its score, which is drawn, could break: the rest of the contract is the other's."""

    @pytest.mark.parametrize(
        "space", [pytest.param(s, id=n) for n, s in (FINITE | INFINITE).items()]
    )
    def test_the_same_history_and_generator_give_the_same_new_points(self, space: Space) -> None:
        drawn = Algorithm("bayesian", {"start": 3, "acquisition": "thompson", "kernel": "se"})
        veteran = make_searcher(drawn)
        spec = spec_of(space, seed=1)
        history = History(spec)

        for _ in range(5):
            rng, again = (position_rng(1, len(history.trials)) for _ in range(2))
            points = veteran.suggest(history, 2, rng)
            anew = make_searcher(drawn)

            assert points == anew.suggest(History(spec, history.trials), 2, again)
            assert all(space.contains(point.values) for point in points)
            history.update(ended(history, points))

        assert history.distinct == len(history.trials)
