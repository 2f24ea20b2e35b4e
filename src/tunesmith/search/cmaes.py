"""CMA-ES: a distribution over the cube that learns from each generation of trials where to go.

Hansen (2016) with negative weights, margins for what is counted (Hamano et al. 2022), probabilities
for choices (as CatCMA, Hamano et al. 2024), and restarts; the equations are in `tunesmith.search.cma`.
Points are drawn by a scrambled Sobol' sequence instead of by chance, which spares trials (Teytaud
and Gelly 2007, "DCMA: yet another derandomization in covariance-matrix-adaptation").

Nothing is saved: the distribution is computed from the history. Trials that ended, in the order in
which they did, are cut into generations, and each changes the distribution once. So nobody waits for
a slow trial; what was drawn from an older distribution counts like a point of the user.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from operator import is_
from typing import Literal, get_args

import numpy as np

from tunesmith.model import Explanation, History, StudySpec, Suggestion, Trial
from tunesmith.search.cma.distribution import Distribution, start_distribution
from tunesmith.search.cma.runs import Restart, Run, is_over, next_run
from tunesmith.search.columns import Vector, columns_of
from tunesmith.search.fresh import fresh_points
from tunesmith.search.ranked import ranked
from tunesmith.search.sequence import SobolSequence, sobol_sequence
from tunesmith.search.settings import check_choice, check_positive, check_whole, refuse
from tunesmith.search.table import Rows, Table, alike
from tunesmith.space import Space, Value

__all__ = ["Cmaes"]

Covariance = Literal["auto", "full", "diagonal"]

_NAME = "cmaes"
_STREAM = 0x434D41  # sets the places where runs begin apart from the study's other draws


@dataclass(frozen=True, slots=True, eq=False)
class _Progress:
    """Where the search is after the trials that it has used.

    Attributes:
        spec: The study.
        first: The first run.
        run: The present run.
        distribution: What it draws from.
        generation: How many generations it has had.
        start: The trials before the first of this searcher, where the first run begins.
        used: How many of the trials that ended after them, in the order of their ends, it has taken in.
    """

    spec: StudySpec
    first: Run
    run: Run
    distribution: Distribution
    generation: int
    start: Sequence[Trial]
    used: Sequence[Trial]

    def leads_to(self, spec: StudySpec, start: Sequence[Trial], ended: Sequence[Trial]) -> bool:
        """Whether a study that has come this far can have come to these trials since."""
        same_study = self.spec.seed == spec.seed and alike(self.spec, spec)
        return (
            same_study
            and len(self.start) == len(start)
            and len(self.used) <= len(ended)
            and all(map(is_, self.start, start))
            and all(map(is_, self.used, ended))
        )


class Cmaes:
    """Draws points from a distribution that adapts itself; constraints are kept before losses count.

    The first run begins around the best of the trials that came before this searcher's own: points
    of the user, a Sobol' start, another algorithm's. A parameter that is not active in a trial teaches
    nothing about itself there.

    Args:
        population: Trials of a generation; None for 4 + 3 log(d).
        sigma: The first standard deviation, in parts of each parameter's range.
        startup: How many trials come from a Sobol' sequence first.
        covariance: ``"full"``, ``"diagonal"`` for many parameters, or ``"auto"``: diagonal above 30.
        restart: What follows when a run has settled: ``"ipop"``, one with twice the population;
            ``"bipop"``, by turns one such or a small one; ``"none"``, it goes on.
    """

    def __init__(
        self,
        population: int | None = None,
        sigma: float = 0.25,
        startup: int = 0,
        covariance: Covariance = "auto",
        restart: Restart = "ipop",
    ) -> None:
        if population is not None:
            check_whole(_NAME, "population", population, low=4)
        check_positive(_NAME, "sigma", sigma, most=1.0)
        check_whole(_NAME, "startup", startup, low=0)
        check_choice(_NAME, "covariance", covariance, get_args(Covariance))
        check_choice(_NAME, "restart", restart, get_args(Restart))
        self._population = population
        self._sigma = float(sigma)
        self._startup = startup
        self._diagonal = None if covariance == "auto" else covariance == "diagonal"
        self._restart: Restart = restart
        self._table = Table()
        self._progress: _Progress | None = None

    def check(self, spec: StudySpec) -> None:
        """Refuse several objectives."""
        if len(spec.objectives) > 1:
            names = ", ".join(objective.metric for objective in spec.objectives)
            raise refuse(
                f"cmaes goes by one metric, but this study has {names}. Use tpe or evolution, which"
                " look for the best trade-offs, or turn all metrics but one into constraints."
            )

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return ``count`` points of the present distribution, however many are still open."""
        space, first = history.spec.space, len(history.trials)
        sequence = sobol_sequence(len(space), history.spec.seed)
        progress = self._follow(history, sequence)
        drawn: set[tuple[object, ...]] = set()

        def propose(index: int) -> Mapping[str, Value]:
            draw = sequence.point(first + index)
            if first + index < self._startup:
                return space.decode(draw)
            point = space.decode(progress.distribution.place(draw))
            drawn.add(space.key(point))
            return point

        explanation = Explanation(note=_note(progress))
        return [
            Suggestion(point, _NAME, explanation)
            if space.key(point) in drawn
            else Suggestion(point, "sobol")
            for point in islice(fresh_points(history, propose, rng), count)
        ]

    def _follow(self, history: History, sequence: SobolSequence) -> _Progress:
        """Return where the search is, from where it was when it was last asked if that still holds."""
        spec, rows = history.spec, self._table.rows(history)
        start = tuple(takewhile(lambda trial: trial.origin != _NAME, history.trials))
        ended = np.flatnonzero(rows.ended[len(start) :]) + len(start)
        ended = ended[np.lexsort((ended, rows.revisions[ended]))]
        trials = [history.trials[row] for row in ended.tolist()]
        progress = self._progress
        if progress is None or not progress.leads_to(spec, start, trials):
            progress = self._begin(spec, rows, start)
        while len(trials) - len(progress.used) >= progress.run.lam:
            used = len(progress.used)
            generation = ended[used : used + progress.run.lam]
            places = [
                _place_of(progress.distribution, trial, unit, sequence, spec.space)
                for trial, unit in zip(
                    trials[used : used + len(generation)], rows.units[generation], strict=True
                )
            ]
            progress = self._after(progress, np.array(places), rows.take(generation), trials)
        self._progress = progress
        return progress

    def _begin(self, spec: StudySpec, rows: Rows, start: Sequence[Trial]) -> _Progress:
        d = len(spec.space)
        known = np.flatnonzero(rows.ended[: len(start)])
        place = np.full(d, 0.5)
        if len(known):
            best = known[ranked(rows.take(known))[0]]
            if not np.isnan(rows.losses[best, 0]):
                place = rows.units[best]
        run = Run(0, self._population or 4 + int(3 * math.log(d)), self._sigma)
        distribution = self._distribution(spec, place, run)
        return _Progress(spec, run, run, distribution, 0, start, ())

    def _after(
        self, progress: _Progress, places: Vector, rows: Rows, trials: Sequence[Trial]
    ) -> _Progress:
        """Return the progress after one generation, ``places`` and ``rows``, of all ``trials``."""
        run, spec = progress.run, progress.spec
        order = ranked(rows)
        distribution = progress.distribution.updated(places[order])
        best = float(np.nan_to_num(rows.losses[order[0], 0], nan=math.inf))
        used, run = trials[: len(progress.used) + len(order)], run.counted(best)
        if self._restart == "none" or not is_over(run, distribution):
            return replace(
                progress,
                run=run,
                distribution=distribution,
                generation=progress.generation + 1,
                used=used,
            )
        rng = np.random.default_rng([spec.seed, run.number, _STREAM])
        run = next_run(run, progress.first, self._restart, rng)
        distribution = self._distribution(spec, rng.random(len(spec.space)), run)
        return replace(progress, run=run, distribution=distribution, generation=0, used=used)

    def _distribution(self, spec: StudySpec, place: Vector, run: Run) -> Distribution:
        columns = columns_of(spec.space)
        return start_distribution(columns, place, run.sigma, diagonal=self._diagonal)


def _place_of(
    distribution: Distribution, trial: Trial, unit: Vector, sequence: SobolSequence, space: Space
) -> Vector:
    """Return where in the distribution a trial was drawn, or where it may have been."""
    # One after another, trials were drawn just so, and their places inside of cells are known.
    draw = sequence.point(trial.number - 1)
    place = distribution.place(draw)
    if space.key(space.decode(place)) == space.key(trial.values):
        return place
    return distribution.place_of(unit, draw)


def _note(progress: _Progress) -> str:
    again = f" of run {progress.run.number + 1}" if progress.run.number else ""
    return f"drawn from generation {progress.generation + 1}{again}"
