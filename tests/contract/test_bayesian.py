from collections.abc import Callable
from functools import partial

import pytest

from tunesmith.model import Algorithm
from tunesmith.search import Searcher, make_searcher
from tunesmith.testing.searchers import SearcherContract

NewSearcher = Callable[[], Searcher]


class TestBayesian(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        return partial(make_searcher, Algorithm("bayesian", {"start": 3}))


class TestBayesianByThompsonSampling(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        algorithm = Algorithm("bayesian", {"start": 3, "acquisition": "thompson", "kernel": "se"})
        return partial(make_searcher, algorithm)


class TestDefault(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        return partial(make_searcher, Algorithm("default"))
