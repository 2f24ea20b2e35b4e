"""What the model proposes, once the start has filled the space.

    surrogate   a Gaussian process of the warped losses; the three warps take turns, since none of them
                suits all problems, and what one of them gets wrong the next puts right
    score       the acquisition, plus the log of the probabilities that the trial runs and keeps the
                constraints, plus the users' prior, which fades
    search      the point with the greatest score that was not tried

A constraint may come with a share of trials that should keep it. Where one more that breaks it would
bring the share below that, only points are proposed that keep it almost surely, and the more surely the
more trials are missing to the share: what gains most lies where the model is too sure of itself, and by
how much it is shows in what came of its proposals (as in adaptive conformal inference, Gibbs and Candès
2021).

With categorical parameters, every eighth suggestion or so has to give one of them another value than
the best trial's: a model that has seen a category in bad company only would never try it again.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from threadpoolctl import ThreadpoolController

from tunesmith.model import Explanation, Prediction, StudySpec, Suggestion
from tunesmith.search.bayesian.cube import Array, Cube
from tunesmith.search.bayesian.data import Data
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.maximize import Found, Maximizer
from tunesmith.search.bayesian.scoring import Beliefs, Scorer, Scoring
from tunesmith.search.bayesian.settings import Settings, WarpName
from tunesmith.search.bayesian.surrogate import Fits, Gate, Surrogate

__all__ = ["Memory", "Proposals"]

_ANCHORS = 5
_SWAP = 0.12
_PROMISING = 200
_SUREST = 0.99  # to begin with
_STERNER = 1.0  # standard deviations for each trial that is missing to a share; chosen by trying


_ONE_AT_A_TIME = Lock()  # the limit holds for the process, and must be lifted by whoever set it


@cache
def _threads() -> ThreadpoolController:
    """Return what keeps linear algebra on one thread: more would be in the way of the trials."""
    return ThreadpoolController()


class Memory:
    """What is kept from one call to the next; it only spares work."""

    def __init__(self, cube: Cube, features: Features) -> None:
        self.cube = cube
        self.features = features
        self.fits = Fits(cube, features)
        self.maximizer = Maximizer(cube)


class Proposals:
    """What the model proposes by the same data, in one call of `Bayesian.suggest`."""

    def __init__(
        self,
        memory: Memory,
        settings: Settings,
        data: Data,
        spec: StudySpec,
        rng: np.random.Generator,
    ) -> None:
        self._memory = memory
        self._settings = settings
        self._cube = memory.cube
        self._data = data
        self._spec = spec
        self._rng = rng
        self._scorer = Scorer(settings, memory.cube, memory.features, rng)
        self._gates: list[Gate] | None = None
        self._surrogates: dict[WarpName, list[Surrogate]] = {}
        self._means: dict[WarpName, Array] = {}
        rows = _promising(data)
        self._points, self._feasible = data.points[rows], data.feasible[rows]

    def next(self, position: int, pending: Array, taken: Collection[bytes]) -> Suggestion | None:
        """Return the suggestion at ``position`` of the study; None if nothing else is left.

        Args:
            position: How many points come before it.
            pending: The points that are being tried, ``(p, d)``.
            taken: Keys of all points that were suggested.
        """
        with _ONE_AT_A_TIME, _threads().limit(limits=1):
            return self._best(self._settings.warp_at(position), pending, taken)

    def _best(self, warp: WarpName, pending: Array, taken: Collection[bytes]) -> Suggestion | None:
        surrogates, means = self._models(warp), self._expected(warp)
        gates = self._careful(self._vectors(pending))
        careful = any(gate.least > -np.inf for gate in gates)
        beliefs = self._beliefs(surrogates, means, pending, gates)
        scoring = self._scorer.scoring(beliefs)
        # From the best on: those that keep the constraints come first.
        order = np.lexsort((means, ~self._feasible))
        anchors = self._points[order[:_ANCHORS]]
        held = None if careful else self._held(anchors[0], pending)
        found = self._found(scoring, anchors, taken, held)
        if found is None and held is not None:
            held = None
            found = self._found(scoring, anchors, taken, held)
        if found is None:
            return None
        note = ""
        if held is not None:
            name = list(self._spec.space)[held[0]]
            note = f"{name} was to have a value other than the best trial's"
        explanation = self._explain(found, scoring.name, surrogates, note)
        origin = "model" if held is None else "exploration"
        return Suggestion(self._cube.decode(found.point), origin, explanation)

    def _found(
        self,
        scoring: Scoring,
        anchors: Array,
        taken: Collection[bytes],
        held: tuple[int, float] | None,
    ) -> Found | None:
        maximizer = self._memory.maximizer
        return maximizer.best(scoring.score, scoring.slopes, anchors, taken, self._rng, held=held)

    # What the models know

    def _models(self, warp: WarpName) -> list[Surrogate]:
        if warp not in self._surrogates:
            fits, kernel = self._memory.fits, self._settings.kernel
            self._surrogates[warp] = [
                fits.surrogate(sample, warp, kernel, f"objective {k}")
                for k, sample in enumerate(self._data.objectives)
            ]
        return self._surrogates[warp]

    def _expected(self, warp: WarpName) -> Array:
        """Return what is expected of the first objective at the points that were tried."""
        if warp not in self._means:
            self._means[warp] = self._models(warp)[0].gp.means(self._vectors(self._points))
        return self._means[warp]

    def _all_gates(self) -> list[Gate]:
        if self._gates is None:
            fits, kernel, data = self._memory.fits, self._settings.kernel, self._data
            self._gates = [
                fits.gate(sample, 0.0, kernel, f"constraint {k}")
                for k, sample in enumerate(data.constraints)
                if sample is not None
            ]
            if data.running is not None:
                self._gates.append(fits.gate(data.running, 0.5, kernel, "running"))
        return self._gates

    def _beliefs(
        self,
        surrogates: Sequence[Surrogate],
        means: Array,
        pending: Array,
        gates: Sequence[Gate],
    ) -> Beliefs:
        vectors, kept = self._vectors(pending), self._feasible
        constrained = any(sample is not None for sample in self._data.constraints)
        rows = kept if kept.any() else np.ones_like(kept)
        return Beliefs(
            surrogates=surrogates,
            processes=[s.gp.with_pending(vectors) for s in surrogates],
            gates=gates,
            pending=vectors,
            reached=self._vectors(self._points[rows]),
            means=means[rows],
            feasible=bool(kept.any()) or not constrained,
            ended=self._data.own,
        )

    def _careful(self, pending: Array) -> list[Gate]:
        """Return the gates, stern ones where more trials should keep a constraint.

        Args:
            pending: Vectors of the points that are being tried.
        """
        data, gates = self._data, list(self._all_gates())
        bounds = zip(self._spec.constraints, data.kept, data.constraints, strict=True)
        measured = [
            (bound.safe_fraction, kept) for bound, kept, sample in bounds if sample is not None
        ]
        for k, (share, kept) in enumerate(measured):
            likely = float(np.exp(gates[k].log_probability(pending)).sum()) if len(pending) else 0.0
            missing = share * (data.counted + len(pending) + 1) - kept - likely
            if missing > 0.0:  # if the next trial broke it, too few would keep it
                sure = float(ndtri(min((1.0 + share) / 2.0, _SUREST)))
                gates[k] = replace(gates[k], least=sure + _STERNER * missing)
        return gates

    # What is asked for, and what is said of it

    def _held(self, best: Array, pending: Array) -> tuple[int, float] | None:
        """Return a category to try whatever the model thinks of it, rarely tried ones first."""
        cube = self._cube
        on = cube.active(best[None])[0]
        others = [
            (i, float(value))
            for i, values in enumerate(cube.values)
            if values is not None and cube.categorical[i] and on[i]
            for value in values
            if abs(value - best[i]) > 1e-9
        ]
        if not others or self._rng.random() >= _SWAP:
            return None
        now = np.where(cube.active(pending), pending, np.nan)
        places = np.concatenate([self._data.ended, now])
        tried = [int((np.abs(places[:, i] - value) < 1e-9).sum()) for i, value in others]
        shuffled = [int(k) for k in self._rng.permutation(len(others))]
        return others[min(shuffled, key=tried.__getitem__)]

    def _explain(
        self, found: Found, name: str, surrogates: Sequence[Surrogate], note: str
    ) -> Explanation:
        vectors = self._vectors(found.point[None])
        predictions = {}
        for objective, surrogate in zip(self._spec.objectives, surrogates, strict=True):
            mean, sd = surrogate.gp.posterior(vectors)
            loss, spread = surrogate.in_units(float(mean[0]), float(sd[0]))
            predictions[objective.metric] = Prediction(objective.loss(loss), spread)
        gates = self._all_gates()
        log_p = sum(float(gate.log_probability(vectors)[0]) for gate in gates)
        feasible = float(np.exp(log_p)) if gates else None
        return Explanation("", predictions, name, found.value, feasible, note)

    def _vectors(self, points: Array) -> Array:
        return self._memory.features(points, self._cube.active(points))


def _promising(data: Data) -> NDArray[np.intp]:
    """Return the points among which the best are sought: of each objective the best, and the newest."""
    n, objectives = len(data.points), len(data.objectives)
    if n <= 2 * _PROMISING:
        return np.arange(n)
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[n - _PROMISING :] = True
    for losses in data.losses.T:
        order = np.lexsort((losses, ~data.feasible))
        chosen[order[: _PROMISING // objectives]] = True
    return np.flatnonzero(chosen)
