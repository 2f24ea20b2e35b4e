"""Proposes values: the role of a searcher and the classical ones."""

from tunesmith.search.base import Searcher, SearcherFactory, make_searcher, position_rng

__all__ = ["Searcher", "SearcherFactory", "make_searcher", "position_rng"]
