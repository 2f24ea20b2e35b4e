"""How points are scored for one suggestion: a sum of what speaks for a point, as logarithms.

base     the acquisition of the objectives; none while no trial keeps the constraints
gates    the log of the probabilities that the trial runs and keeps each constraint; where one has to
         be kept almost surely, what is missing to that weighs more than all else
crowd    a point next to one that is being tried loses
prior    what users believe, ever less, and nothing once it has proved wrong
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.search.bayesian.acquisition import (
    confidence_bound,
    expected_improvement,
    probability_of_improvement,
)
from tunesmith.search.bayesian.cube import Array, Cube, Mask
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.gp import GaussianProcess
from tunesmith.search.bayesian.maximize import Score, Slopes
from tunesmith.search.bayesian.paths import draw_paths
from tunesmith.search.bayesian.settings import ACQUISITIONS, Settings
from tunesmith.search.bayesian.several import HypervolumeImprovement
from tunesmith.search.bayesian.surrogate import Gate, Surrogate

__all__ = ["Beliefs", "Scorer", "Scoring"]

_TRUST = 10.0  # a prior's weight is this over the number of trials that ended (πBO's β)
_PROBES = 64
_EVEN = np.log(0.5)
_NEAR = 0.02  # of the cube's side
_CROWD = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """What the models know when a point is chosen.

    Attributes:
        surrogates: Of each objective.
        processes: Theirs, which know what is being tried as well.
        gates: Of all that may fail.
        pending: Vectors of the points that are being tried, ``(p, c)``.
        reached: Vectors of points that have values: of those that keep the constraints, or of all if
            none does, ``(n, c)``.
        means: What is expected there of the first objective, ``(n,)``.
        feasible: Whether a trial keeps the constraints, or there are none.
        ended: How many trials have ended.
    """

    surrogates: Sequence[Surrogate]
    processes: Sequence[GaussianProcess]
    gates: Sequence[Gate]
    pending: Array
    reached: Array
    means: Array
    feasible: bool
    ended: int


@dataclass(frozen=True, slots=True, eq=False)
class Scoring:
    """How points are scored; ``name`` is for people. Without ``slopes`` there is none to climb."""

    name: str
    score: Score
    slopes: Slopes | None


@dataclass(frozen=True, slots=True, eq=False)
class _Base:
    """How the objectives score vectors, and the gradients by these."""

    name: str
    score: Callable[[Array], Array]
    slopes: Callable[[Array], tuple[Array, Array]] | None


class Scorer:
    """Makes the score of each suggestion, by draws of ``rng`` where it needs some."""

    def __init__(
        self, settings: Settings, cube: Cube, features: Features, rng: np.random.Generator
    ) -> None:
        self._settings = settings
        self._cube = cube
        self._features = features
        self._rng = rng

    def scoring(self, beliefs: Beliefs) -> Scoring:
        """Return how points are scored by ``beliefs``."""
        features, gates, pending = self._features, beliefs.gates, beliefs.pending
        prior = self._prior_weight(beliefs)
        base = self._base(beliefs) if beliefs.feasible else None

        def score(points: Array, mask: Mask) -> Array:
            vectors = features(points, mask)
            value = base.score(vectors) if base else np.zeros(len(points))
            for gate in gates:
                value = value + gate.score(vectors)
            if len(pending):  # not a second worker where one is already
                gap = np.sqrt(((vectors[:, None] - pending) ** 2).sum(axis=2).min(axis=1))
                value = value - _CROWD * np.maximum(1.0 - gap / _NEAR, 0.0)
            if prior:
                value = value + prior * self._log_prior(points, mask)
            return value

        def slopes(points: Array, mask: Mask) -> tuple[Array, Array]:
            vectors = features(points, mask)
            value, by_vector = np.zeros(len(points)), np.zeros(vectors.shape)
            if base and base.slopes:
                value, by_vector = base.slopes(vectors)
            for gate in gates:
                more, by_gate = gate.slopes(vectors)
                value, by_vector = value + more, by_vector + by_gate
            return value, features.back(points, mask, by_vector)

        name = base.name if base else "log probability of feasibility"
        smooth = base is None or base.slopes is not None
        return Scoring(name, score, slopes if smooth else None)

    def _base(self, beliefs: Beliefs) -> _Base:
        """Return how objectives are scored.

        What pending trials are expected to reach counts as reached: there is no improving on the
        incumbent where one of them will have done so already.
        """
        likely = beliefs.pending
        for gate in beliefs.gates:
            likely = likely[gate.log_probability(likely) > _EVEN] if len(likely) else likely
        if len(beliefs.surrogates) > 1:
            return self._by_hypervolume(beliefs, likely)
        gp = beliefs.processes[0]
        if self._settings.acquisition == "thompson":
            return self._by_path(gp)
        best = float(beliefs.means.min())
        if len(likely):
            best = min(best, float(beliefs.surrogates[0].gp.means(likely).min()))

        def score(vectors: Array) -> Array:
            return self._worth(*gp.posterior(vectors), best)[0]

        def slopes(vectors: Array) -> tuple[Array, Array]:
            mean, sd, d_mean, d_sd = gp.slopes(vectors)
            value, by_mean, by_sd = self._worth(mean, sd, best)
            return value, by_mean[:, None] * d_mean + by_sd[:, None] * d_sd

        return _Base(ACQUISITIONS[self._settings.acquisition], score, slopes)

    def _worth(self, mean: Array, sd: Array, best: float) -> tuple[Array, Array, Array]:
        if self._settings.acquisition == "ucb":
            return confidence_bound(mean, sd, self._settings.beta)
        if self._settings.acquisition == "pi":
            return probability_of_improvement(mean, sd, best)
        return expected_improvement(mean, sd, best)

    def _by_hypervolume(self, beliefs: Beliefs, likely: Array) -> _Base:
        reached = np.concatenate([beliefs.reached, likely])
        values = np.stack([s.gp.means(reached) for s in beliefs.surrogates], 1)
        improvement = HypervolumeImprovement(values, self._rng)

        def score(vectors: Array) -> Array:
            means, sds = zip(*(gp.posterior(vectors) for gp in beliefs.processes), strict=True)
            return improvement(np.stack(means, 1), np.stack(sds, 1))

        return _Base("log expected hypervolume improvement", score, None)

    def _by_path(self, gp: GaussianProcess) -> _Base:
        path = draw_paths(gp, 1, self._rng)

        def score(vectors: Array) -> Array:
            loss: Array = path(vectors)[0]
            return -loss

        def slopes(vectors: Array) -> tuple[Array, Array]:
            loss, slope = path.slopes(vectors)
            return -loss[0], -slope[0]

        return _Base(ACQUISITIONS["thompson"], score, slopes)

    def _prior_weight(self, beliefs: Beliefs) -> float:
        """Return how much the users' prior counts: ever less, and nothing once it has proved wrong.

        It is wrong if the model expects worse values where the prior points than anywhere.
        """
        space = self._cube.space
        if not space.priors:
            return 0.0
        parameters = space.parameters.values()
        guided = np.array([[p.sample_unit(self._rng) for p in parameters] for _ in range(_PROBES)])
        even = self._rng.random((_PROBES, self._cube.d))
        there, elsewhere = (
            beliefs.surrogates[0].gp.means(self._vectors(self._cube.snap(places))).mean()
            for places in (guided, even)
        )
        return 0.0 if there > elsewhere else _TRUST / max(beliefs.ended, 1)

    def _log_prior(self, points: Array, mask: Mask) -> Array:
        total = np.zeros(len(points))
        for i, parameter in enumerate(self._cube.space.parameters.values()):
            if parameter.prior is not None:
                total += np.where(mask[:, i], parameter.log_density(points[:, i]), 0.0)
        return total

    def _vectors(self, points: Array) -> Array:
        return self._features(points, self._cube.active(points))
