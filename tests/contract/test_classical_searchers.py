from collections.abc import Callable
from functools import partial

import pytest

from tunesmith.model import Algorithm
from tunesmith.search import Searcher, make_searcher
from tunesmith.testing.searchers import SearcherContract

NewSearcher = Callable[[], Searcher]


class TestHalton(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        return partial(make_searcher, Algorithm("halton"))


class TestTpe(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        return partial(make_searcher, Algorithm("tpe", {"startup": 3}))


class TestCmaes(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        return partial(make_searcher, Algorithm("cmaes", {"population": 4}))


class TestEvolution(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        return partial(make_searcher, Algorithm("evolution", {"population": 4, "tournament": 2}))
