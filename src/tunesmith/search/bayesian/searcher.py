"""Bayesian search: ask a model of all trials so far where the next may gain most.

One suggestion, from top to bottom:

    data        what ended becomes samples (`Data`); what is open is pending. Where trials are judged by
                their curves, what they measured on their way counts, too, at its stage (`stages.py`)
    start       a few points that fill the space, half of them from the users' priors if there are any
    model       then the best by a Gaussian process (`proposal.py`)
    chance      where neither has anything left, any point that was not tried
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tunesmith.model import History, StudySpec, Suggestion
from tunesmith.search.bayesian.cube import Array, Cube, keys_of
from tunesmith.search.bayesian.data import Data, read_data, read_lesson, read_stages
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.kernels import KERNELS
from tunesmith.search.bayesian.settings import ACQUISITIONS, WARPS, Settings
from tunesmith.search.bayesian.stages import StageTable, has_stages
from tunesmith.search.fresh import fresh_points
from tunesmith.search.sequence import sobol_sequence
from tunesmith.search.settings import check_choice, check_flag, check_positive, check_whole
from tunesmith.search.table import Rows, Table

if TYPE_CHECKING:
    from tunesmith.search.bayesian.proposal import Memory, Proposals

__all__ = ["Bayesian"]

_LEAST = 3  # values without which there is no model
_DRAWS = 200


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
        repeat: Whether the model may suggest a point again that was tried: where what trials measure
            is very noisy.
    """

    def __init__(
        self,
        acquisition: str = "ei",
        kernel: str = "matern52",
        beta: float = 2.0,
        warp: str = "all",
        start: int | None = None,
        *,
        repeat: bool = False,
    ) -> None:
        check_choice("bayesian", "acquisition", acquisition, list(ACQUISITIONS))
        check_choice("bayesian", "kernel", kernel, list(KERNELS))
        check_choice("bayesian", "warp", warp, ["all", *WARPS])
        check_positive("bayesian", "beta", beta)
        if start is not None:
            check_whole("bayesian", "start", start, low=1)
        check_flag("bayesian", "repeat", repeat)
        warps = [w for w in WARPS if warp in ("all", w)]
        self._settings = Settings(acquisition, kernel, beta, warps, repeat)
        self._start = start
        self._table = Table()
        self._tools: _Tools | None = None

    def check(self, spec: StudySpec) -> None:
        """Serve every study."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return the next ``count`` points, fewer if the space has no more."""
        tools, staged = self._tools, has_stages(history)
        if tools is None or tools.history is not history or tools.staged != staged:
            tools = self._tools = _Tools(history, staged=staged)
        data = tools.data(self._table.rows(history))
        d = tools.cube.d
        need = max(4, min(10, d + 1)) if self._start is None else self._start
        step = _Step(self._settings, need, tools, data, rng)
        suggestions: list[Suggestion] = []
        while len(suggestions) < count:
            suggestion = step.next(len(history.trials) + len(suggestions))
            if suggestion is None:
                break
            suggestions.append(suggestion)
        return suggestions


class _Tools:
    """What depends on the study's space and earlier studies only, and what the model remembers."""

    def __init__(self, history: History, *, staged: bool) -> None:
        self.history = history
        self.staged = staged
        self.stages = StageTable()
        self.cube = Cube(history.spec.space)
        self.lessons = [read_lesson(earlier, self.cube) for earlier in history.earlier]
        missing = np.zeros(self.cube.d, dtype=np.bool_)
        for lesson in self.lessons:
            missing |= ~lesson.mask.all(axis=0)
        self.features = Features(self.cube, 1 + len(self.lessons), missing, staged=staged)
        self.memory: Memory | None = None

    def data(self, rows: Rows) -> Data:
        """Return what the study's trials tell, which are in ``rows``, and those of earlier studies."""
        spec, cube, features = self.history.spec, self.cube, self.features
        if not self.staged:
            return read_data(spec, rows, cube, features, self.lessons)
        stages = self.stages.stages(self.history)
        return read_stages(spec, rows, stages, cube, features, lessons=self.lessons)


class _Step:
    """One call of `Bayesian.suggest`: suggestions, each pending for those after it."""

    def __init__(
        self, settings: Settings, need: int, tools: _Tools, data: Data, rng: np.random.Generator
    ) -> None:
        self._settings = settings
        self._need = need
        self._tools = tools
        self._cube = tools.cube
        self._data = data
        self._spec = tools.history.spec
        self._rng = rng
        self._pending = list(data.pending)
        self._taken = set(data.keys)
        self._proposals: Proposals | None = None

    def next(self, position: int) -> Suggestion | None:
        """Return the suggestion at ``position`` of the study; None if nothing is left."""
        learnt = self._data.learnt
        modelled = learnt >= _LEAST and (learnt >= self._need or position >= self._need)
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
            if self._is_new(point):
                return Suggestion(self._cube.decode(point[0]), "prior draw" if guided else "sobol")
        return None

    def _by_model(self, position: int) -> Suggestion | None:
        """Return what the model proposes."""
        # scipy takes longer to load than the whole start takes to make, so it waits for the model.
        from tunesmith.search.bayesian.proposal import Memory, Proposals  # noqa: PLC0415

        tools = self._tools
        if tools.memory is None:
            tools.memory = Memory(tools.cube, tools.features)
        if self._proposals is None:
            self._proposals = Proposals(
                tools.memory, self._settings, self._data, self._spec, self._rng
            )
        pending = np.array(self._pending).reshape(-1, self._cube.d)
        taken = frozenset[bytes]() if self._settings.repeat else self._taken
        return self._proposals.next(position, pending, taken)

    def _by_chance(self) -> Suggestion | None:
        """Return any point that was not tried, or any at all where it may be tried again."""
        space, history, repeat = self._spec.space, self._tools.history, self._settings.repeat
        for values in fresh_points(
            history, lambda _: space.sample(self._rng), self._rng, repeat=repeat
        ):
            if repeat or self._is_new(self._cube.snap(self._cube.encode(values)[None])):
                return Suggestion(values, "random")
        return None

    def _is_new(self, point: Array) -> bool:
        return keys_of(point, self._cube.active(point))[0] not in self._taken
