"""Runs of CMA-ES: how long one goes on, and with what the next begins.

Auger and Hansen (2005), "A restart CMA evolution strategy with increasing population size" (IPOP);
Hansen (2009), "Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed" (BIPOP).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tunesmith.search.cma.distribution import Distribution

__all__ = ["Restart", "Run", "is_over", "next_run"]

Restart = Literal["ipop", "bipop", "none"]

_NARROW = 1e-6  # parts of the range: nobody tells such values apart
_ILL_CONDITIONED = 1e7  # longest to shortest axis


@dataclass(frozen=True, slots=True)
class Run:
    """One run and the budget of those before it.

    Attributes:
        number: Its place among the runs, from 0.
        lam: The size of its generations.
        sigma: Its first standard deviation.
        small: Whether it is one of BIPOP's small runs.
        large_lam: The largest size of a generation so far.
        spent: Trials spent on large and on small runs.
        best: The lowest loss of each of its generations.
    """

    number: int
    lam: int
    sigma: float
    small: bool = False
    large_lam: int = 0
    spent: tuple[int, int] = (0, 0)
    best: tuple[float, ...] = ()

    def counted(self, best: float) -> "Run":
        """Return the run with one more generation, whose lowest loss is ``best``."""
        large, small = self.spent
        spent = (large, small + self.lam) if self.small else (large + self.lam, small)
        return replace(self, spent=spent, best=(*self.best, best))


def is_over(run: Run, distribution: Distribution) -> bool:
    """Whether a run has nothing more to find: its distribution is a point, or its losses are flat."""
    normal = distribution.normal
    if normal is not None:
        axes = normal.lengths
        if distribution.reach() < _NARROW or axes.max() > _ILL_CONDITIONED * axes.min():
            return True
    generations = 10 + math.ceil(30 * len(distribution.columns) / run.lam)
    latest = run.best[-generations:]
    return len(latest) == generations and max(latest) - min(latest) <= 0.0


def next_run(run: Run, first: Run, restart: Restart, rng: np.random.Generator) -> Run:
    """Return the run that follows ``run``; ``first`` was the first of all."""
    large_lam = max(run.large_lam, run.lam)
    large, small = run.spent
    if restart == "bipop" and small < large:
        u = rng.random(2)
        share = (0.5 * large_lam / first.lam) ** (u[0] ** 2)
        lam = max(first.lam, math.floor(first.lam * share))
        sigma, is_small = first.sigma * 10.0 ** (-2 * u[1]), True
    else:
        large_lam *= 2
        lam, sigma, is_small = large_lam, first.sigma, False
    return Run(run.number + 1, lam, sigma, is_small, large_lam, run.spent)
