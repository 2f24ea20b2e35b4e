from collections.abc import Callable
from functools import partial

import pytest

from tunesmith.model import Algorithm
from tunesmith.search import Searcher, make_searcher
from tunesmith.testing.searchers import SearcherContract

NewSearcher = Callable[[], Searcher]


class TestTheDefault(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        return partial(make_searcher, Algorithm())


class TestRandom(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        return partial(make_searcher, Algorithm("random"))


class TestSobol(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        return partial(make_searcher, Algorithm("sobol"))


class TestGrid(SearcherContract):
    @pytest.fixture
    def new_searcher(self) -> NewSearcher:
        return partial(make_searcher, Algorithm("grid", {"points": 50}))
