"""Population based training: copies of the best with values that are varied at random."""

from collections.abc import Sequence

import numpy as np

from tunesmith.model import History, Suggestion, Trial
from tunesmith.search.settings import check_positive
from tunesmith.stopping.explore import perturbed
from tunesmith.stopping.population import Exploration, Explore, Population

__all__ = ["pbt", "varied"]


def pbt(
    population: int = 10,
    interval: int | None = None,
    quantile: float = 0.25,
    resample: float = 0.25,
    perturb: float = 0.2,
) -> Population:
    """Return population based training (Jaderberg et al. 2017).

    A population trains side by side. Every ``interval`` steps a member that is among the worst ends, and
    a copy of one of the best takes its place, from that one's checkpoint and with varied values. So
    values change while a model trains, which no fixed values may match.

    Args:
        population: How many members there are.
        interval: How many steps a member trains between looks; without it a twentieth of the whole.
        quantile: Which part of the members is best, and which is worst.
        resample: The probability with which a copy's value is drawn anew.
        perturb: By how much a number moves otherwise, up or down: 0.2 is to 1.2 or 0.8 times itself.

    Raises:
        SpecError: a setting makes no sense.
    """
    return Population("pbt", varied("pbt", resample, perturb), population, interval, quantile)


def varied(name: str, resample: float, perturb: float) -> Explore:
    """Return what varies values at random; see `pbt` for its settings and what it raises."""
    if resample:
        check_positive(name, "resample", resample, most=1.0)
    check_positive(name, "perturb", perturb, most=1.0)

    def explore(
        parent: Trial,
        history: History,
        interval: int,  # noqa: ARG001 - a role's arguments
        begun: Sequence[Suggestion],  # noqa: ARG001
        rng: np.random.Generator,
    ) -> Exploration:
        return Exploration(perturbed(parent.values, history.spec.space, resample, perturb, rng))

    return explore
