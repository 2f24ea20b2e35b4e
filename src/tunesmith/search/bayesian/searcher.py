"""Bayesian search: ask a model of all trials so far where the next may gain most.

One suggestion, from top to bottom:

    data        what ended becomes samples (`_Data`); what is open is pending
    start       a few points that fill the space, half of them from the users' priors if there are any
    surrogate   a Gaussian process of the warped losses; the three warps take turns, since none of them
                suits all problems, and what one of them gets wrong the next puts right
    score       the acquisition, plus the log of the probabilities that the trial runs and keeps the
                constraints, plus the users' prior, which fades
    search      the point with the greatest score that was not tried

With categorical parameters, every eighth suggestion or so has to give one of them another value than
the best trial's: a model that has seen a category in bad company only would never try it again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from tunesmith.model import Explanation, History, Prediction, StudySpec, Suggestion
from tunesmith.search.bayesian.acquisition import (
    confidence_bound,
    expected_improvement,
    probability_of_improvement,
)
from tunesmith.search.bayesian.cube import Array, Cube, Mask, keys_of
from tunesmith.search.bayesian.data import Data, read_data, read_lesson
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.gp import GaussianProcess
from tunesmith.search.bayesian.kernels import KERNELS
from tunesmith.search.bayesian.maximize import Maximizer
from tunesmith.search.bayesian.paths import draw_paths
from tunesmith.search.bayesian.several import HypervolumeImprovement
from tunesmith.search.bayesian.surrogate import Fits, Gate, Surrogate
from tunesmith.search.bayesian.warp import WARPS, WarpName
from tunesmith.search.fresh import fresh_points
from tunesmith.search.sequence import sobol_sequence
from tunesmith.search.settings import check_choice, check_positive, check_whole
from tunesmith.search.table import Table

__all__ = ["Bayesian"]


_ACQUISITIONS = {
    "ei": "log expected improvement",
    "pi": "log probability of improvement",
    "ucb": "confidence bound",
    "thompson": "minus the loss of a drawn path",
}
_ANCHORS = 5
_LEAST = 3  # values without which there is no model
_SWAP = 0.12
_TRUST = 10.0  # a prior's weight is this over the number of trials that ended (πBO's β)
_PROBES = 64
_EVEN = np.log(0.5)
_PROMISING = 200
_NEAR = 0.02  # of the cube's side
_CROWD = 20.0
_DRAWS = 200


_ONE_AT_A_TIME = Lock()  # the limit holds for the process, and must be lifted by whoever set it


@cache
def _threads() -> ThreadpoolController:
    """Return what keeps linear algebra on one thread: more would be in the way of the trials."""
    return ThreadpoolController()


class Bayesian:
    """A Gaussian process and an acquisition function.

    Args:
        acquisition: What a point is chosen by: ``"ei"`` expected improvement, ``"pi"`` probability of
            improvement, ``"ucb"`` the confidence bound, ``"thompson"`` a draw of the posterior. Several
            objectives use the expected improvement of their hypervolume, whatever is said here.
        kernel: How alike points are: ``"matern52"``, ``"matern32"`` or ``"se"``.
        beta: How many standard deviations the confidence bound lies from the mean.
        warp: How losses are seen: ``"none"``, ``"log"``, ``"rank"``, or ``"all"`` of them in turn.
        start: How many points fill the space before the model is asked; None for one more than there
            are parameters, at least 4 and at most 10.
    """

    def __init__(
        self,
        acquisition: str = "ei",
        kernel: str = "matern52",
        beta: float = 2.0,
        warp: str = "all",
        start: int | None = None,
    ) -> None:
        check_choice("bayesian", "acquisition", acquisition, list(_ACQUISITIONS))
        check_choice("bayesian", "kernel", kernel, list(KERNELS))
        check_choice("bayesian", "warp", warp, ["all", *WARPS])
        check_positive("bayesian", "beta", beta)
        if start is not None:
            check_whole("bayesian", "start", start, low=1)
        self._acquisition = acquisition
        self._kernel = kernel
        self._beta = beta
        self._warps: Sequence[WarpName] = [w for w in WARPS if warp in ("all", w)]
        self._start = start
        self._table = Table()
        self._tools: _Tools | None = None

    def check(self, spec: StudySpec) -> None:
        """Serve every study."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return the next ``count`` points, fewer if the space has no more."""
        tools = self._tools
        if tools is None or tools.history is not history:
            tools = self._tools = _Tools(history)
        rows = self._table.rows(history)
        data = read_data(history.spec, rows, tools.cube, tools.features, tools.lessons)
        step = _Step(self, tools, data, history, rng)
        suggestions: list[Suggestion] = []
        with _ONE_AT_A_TIME, _threads().limit(limits=1):
            while len(suggestions) < count:
                suggestion = step.next(len(history.trials) + len(suggestions))
                if suggestion is None:
                    break
                suggestions.append(suggestion)
        return suggestions

    @property
    def settings(self) -> tuple[str, str, float, Sequence[WarpName]]:
        """The acquisition, the kernel, beta, and the warps that take turns."""
        return self._acquisition, self._kernel, self._beta, self._warps

    def start(self, cube: Cube) -> int:
        """Return how many points come before the model."""
        return max(4, min(10, cube.d + 1)) if self._start is None else self._start


class _Tools:
    """What depends on the study's space and earlier studies only, and the fits remembered."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.cube = Cube(history.spec.space)
        self.lessons = [read_lesson(earlier, self.cube) for earlier in history.earlier]
        missing = np.zeros(self.cube.d, dtype=np.bool_)
        for lesson in self.lessons:
            missing |= ~lesson.mask.all(axis=0)
        self.features = Features(self.cube, 1 + len(self.lessons), missing)
        self.fits = Fits(self.cube, self.features)
        self.maximizer = Maximizer(self.cube)


@dataclass(frozen=True, slots=True, eq=False)
class _Scoring:
    """How points are scored, and what is to be said of them."""

    name: str
    score: Callable[[Array, Mask], Array]
    slopes: Callable[[Array, Mask], tuple[Array, Array]] | None


class _Step:
    """One call of `Bayesian.suggest`: suggestions, each pending for those after it."""

    def __init__(
        self,
        searcher: Bayesian,
        tools: _Tools,
        data: Data,
        history: History,
        rng: np.random.Generator,
    ) -> None:
        self._searcher = searcher
        self._acquisition, self._kernel, self._beta, self._warps = searcher.settings
        self._tools = tools
        self._cube = tools.cube
        self._data = data
        self._history = history
        self._spec = history.spec
        self._rng = rng
        self._pending = list(data.pending)
        self._taken = set(data.keys)
        self._gates: list[Gate] | None = None
        self._surrogates: dict[WarpName, list[Surrogate]] = {}
        self._means: dict[WarpName, Array] = {}
        rows = _promising(data)
        self._points, self._feasible = data.points[rows], data.feasible[rows]

    def next(self, position: int) -> Suggestion | None:
        """Return the suggestion at ``position`` of the study; None if nothing is left."""
        data = self._data
        need = self._searcher.start(self._cube)
        modelled = data.learnt >= _LEAST and (data.learnt >= need or position >= need)
        suggestion = self._by_model(position) if modelled else self._by_design(position)
        if suggestion is None:
            suggestion = self._by_chance()
        if suggestion is not None:
            point = self._cube.snap(self._cube.encode(suggestion.values)[None])
            self._pending.append(point[0])
            self._taken.update(keys_of(point, self._cube.active(point)))
        return suggestion

    def _by_design(self, position: int) -> Suggestion | None:
        """Return the next point of the start design that was not tried."""
        sequence = sobol_sequence(self._cube.d, self._spec.seed)
        guided = bool(self._spec.space.priors) and position % 2 == 1
        for further in range(_DRAWS):
            if guided:
                parameters = self._spec.space.parameters.values()
                place = np.array([p.sample_unit(self._rng) for p in parameters])
            else:
                place = sequence.point(position + further)
            point = self._cube.settle(place[None])
            if keys_of(point, self._cube.active(point))[0] not in self._taken:
                return Suggestion(self._cube.decode(point[0]), "prior draw" if guided else "sobol")
        return None

    def _by_chance(self) -> Suggestion | None:
        """Return any point that was not tried."""
        space = self._spec.space
        for values in fresh_points(self._history, lambda _: space.sample(self._rng), self._rng):
            point = self._cube.snap(self._cube.encode(values)[None])
            if keys_of(point, self._cube.active(point))[0] not in self._taken:
                return Suggestion(values, "random")
        return None

    def _by_model(self, position: int) -> Suggestion | None:
        warp = self._warps[position % len(self._warps)]
        surrogates = self._models(warp)
        pending = self._vectors(np.array(self._pending).reshape(-1, self._cube.d))
        processes = [s.gp.with_pending(pending) for s in surrogates]
        if warp not in self._means:
            self._means[warp] = surrogates[0].gp.means(self._vectors(self._points))
        means = self._means[warp]
        scoring = self._scoring(surrogates, processes, means, pending)
        # From the best on: those that keep the constraints come first.
        order = np.lexsort((means, ~self._feasible))
        anchors = self._points[order[:_ANCHORS]]
        held = self._held(anchors[0])
        found = self._tools.maximizer.best(
            scoring.score, scoring.slopes, anchors, self._taken, self._rng, held=held
        )
        if found is None and held is not None:
            held = None
            found = self._tools.maximizer.best(
                scoring.score, scoring.slopes, anchors, self._taken, self._rng
            )
        if found is None:
            return None
        note = ""
        if held is not None:
            name = list(self._spec.space)[held[0]]
            note = f"{name} was to have a value other than the best trial's"
        explanation = self._explain(found.point, found.value, scoring.name, surrogates, note)
        origin = "model" if held is None else "exploration"
        return Suggestion(self._cube.decode(found.point), origin, explanation)

    # The parts of a score

    def _models(self, warp: WarpName) -> list[Surrogate]:
        if warp not in self._surrogates:
            fits, data = self._tools.fits, self._data
            self._surrogates[warp] = [
                fits.surrogate(sample, warp, self._kernel, f"objective {k}")
                for k, sample in enumerate(data.objectives)
            ]
        return self._surrogates[warp]

    def _all_gates(self) -> list[Gate]:
        if self._gates is None:
            fits, data = self._tools.fits, self._data
            self._gates = [
                fits.gate(sample, 0.0, self._kernel, f"constraint {k}")
                for k, sample in enumerate(data.constraints)
                if sample is not None
            ]
            if data.running is not None:
                self._gates.append(fits.gate(data.running, 0.5, self._kernel, "running"))
        return self._gates

    def _scoring(
        self,
        surrogates: list[Surrogate],
        processes: list[GaussianProcess],
        means: Array,
        pending: Array,
    ) -> _Scoring:
        gates = self._all_gates()
        prior = self._prior_weight(surrogates[0])
        base = self._base(surrogates, processes, means, pending)
        features = self._tools.features

        def score(points: Array, mask: Mask) -> Array:
            vectors = features(points, mask)
            value = base.score(points, mask) if base else np.zeros(len(points))
            for gate in gates:
                value = value + gate.log_probability(vectors)
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
                value, by_vector = base.slopes(points, mask)
            for gate in gates:
                more, by_gate = gate.slopes(vectors)
                value, by_vector = value + more, by_vector + by_gate
            by_place = np.empty((len(points), len(self._cube.free)))
            for k, i in enumerate(self._cube.free):
                columns, slope = features.slope(points, mask, i)
                by_place[:, k] = (by_vector[:, columns] * slope).sum(axis=1)
            return value, by_place

        name = base.name if base else "log probability of feasibility"
        smooth = base is None or base.slopes is not None
        return _Scoring(name, score, slopes if smooth else None)

    def _base(
        self,
        surrogates: list[Surrogate],
        processes: list[GaussianProcess],
        means: Array,
        pending: Array,
    ) -> _Scoring | None:
        """Return how objectives are scored; None while no trial keeps the constraints.

        What pending trials are expected to reach counts as reached: there is no improving on the
        incumbent where one of them will have done so already.
        """
        features, kept = self._tools.features, self._feasible
        if not kept.any() and any(sample is not None for sample in self._data.constraints):
            return None
        likely = pending
        for gate in self._all_gates():
            likely = likely[gate.log_probability(likely) > _EVEN] if len(likely) else likely
        if len(surrogates) > 1:
            return self._by_hypervolume(surrogates, processes, likely)
        if self._acquisition == "thompson":
            return self._by_path(processes[0])
        gp = processes[0]
        best = float((means[kept] if kept.any() else means).min())
        if len(likely):
            best = min(best, float(surrogates[0].gp.means(likely).min()))

        def score(points: Array, mask: Mask) -> Array:
            return self._worth(*gp.posterior(features(points, mask)), best)[0]

        def slopes(points: Array, mask: Mask) -> tuple[Array, Array]:
            mean, sd, d_mean, d_sd = gp.slopes(features(points, mask))
            value, by_mean, by_sd = self._worth(mean, sd, best)
            return value, by_mean[:, None] * d_mean + by_sd[:, None] * d_sd

        return _Scoring(_ACQUISITIONS[self._acquisition], score, slopes)

    def _worth(self, mean: Array, sd: Array, best: float) -> tuple[Array, Array, Array]:
        if self._acquisition == "ucb":
            return confidence_bound(mean, sd, self._beta)
        if self._acquisition == "pi":
            return probability_of_improvement(mean, sd, best)
        return expected_improvement(mean, sd, best)

    def _by_hypervolume(
        self, surrogates: list[Surrogate], processes: list[GaussianProcess], likely: Array
    ) -> _Scoring:
        features, kept = self._tools.features, self._feasible
        seen = self._vectors(self._points[kept] if kept.any() else self._points)
        reached = np.concatenate([seen, likely])
        values = np.stack([s.gp.means(reached) for s in surrogates], 1)
        improvement = HypervolumeImprovement(values, self._rng)

        def score(points: Array, mask: Mask) -> Array:
            vectors = features(points, mask)
            means, sds = zip(*(gp.posterior(vectors) for gp in processes), strict=True)
            return improvement(np.stack(means, 1), np.stack(sds, 1))

        return _Scoring("log expected hypervolume improvement", score, None)

    def _by_path(self, gp: GaussianProcess) -> _Scoring:
        features, path = self._tools.features, draw_paths(gp, 1, self._rng)

        def score(points: Array, mask: Mask) -> Array:
            loss: Array = path(features(points, mask))[0]
            return -loss

        def slopes(points: Array, mask: Mask) -> tuple[Array, Array]:
            loss, slope = path.slopes(features(points, mask))
            return -loss[0], -slope[0]

        return _Scoring(_ACQUISITIONS["thompson"], score, slopes)

    def _prior_weight(self, surrogate: Surrogate) -> float:
        """Return how much the users' prior counts: ever less, and nothing once it has proved wrong.

        It is wrong if the model expects worse values where the prior points than anywhere.
        """
        if not self._spec.space.priors:
            return 0.0
        parameters = self._spec.space.parameters.values()
        guided = np.array([[p.sample_unit(self._rng) for p in parameters] for _ in range(_PROBES)])
        even = self._rng.random((_PROBES, self._cube.d))
        there, elsewhere = (
            surrogate.gp.posterior(self._vectors(self._cube.snap(places)))[0].mean()
            for places in (guided, even)
        )
        return 0.0 if there > elsewhere else _TRUST / max(self._data.own, 1)

    def _log_prior(self, points: Array, mask: Mask) -> Array:
        total = np.zeros(len(points))
        for i, parameter in enumerate(self._spec.space.parameters.values()):
            if parameter.prior is not None:
                total += np.where(mask[:, i], parameter.log_density(points[:, i]), 0.0)
        return total

    def _held(self, best: Array) -> tuple[int, float] | None:
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
        pending = np.array(self._pending).reshape(-1, cube.d)
        now = np.where(cube.active(pending), pending, np.nan)
        places = np.concatenate([self._data.ended, now])
        tried = [int((np.abs(places[:, i] - value) < 1e-9).sum()) for i, value in others]
        shuffled = [int(k) for k in self._rng.permutation(len(others))]
        return others[min(shuffled, key=tried.__getitem__)]

    def _vectors(self, points: Array) -> Array:
        return self._tools.features(points, self._cube.active(points))

    def _explain(
        self, point: Array, value: float, name: str, surrogates: list[Surrogate], note: str
    ) -> Explanation:
        vectors = self._vectors(point[None])
        predictions = {}
        for objective, surrogate in zip(self._spec.objectives, surrogates, strict=True):
            mean, sd = surrogate.gp.posterior(vectors)
            loss, spread = surrogate.in_units(float(mean[0]), float(sd[0]))
            predictions[objective.metric] = Prediction(objective.loss(loss), spread)
        gates = self._all_gates()
        log_p = sum(float(gate.log_probability(vectors)[0]) for gate in gates)
        feasible = float(np.exp(log_p)) if gates else None
        return Explanation("bayesian", predictions, name, value, feasible, note)


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
