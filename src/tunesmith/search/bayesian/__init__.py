"""Bayesian search: a Gaussian process that knows conditions, and what is worth trying by it."""

from tunesmith.search.bayesian.searcher import Bayesian

__all__ = ["Bayesian"]
