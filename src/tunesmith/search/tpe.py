"""TPE: points that are likely among the good trials and unlikely among the others.

    good, bad   the best trials, and the rest with those that still run
    l, g        densities of good and bad points
    score       log l(x) - log g(x), which rises with the expected improvement (Bergstra et al. 2011, eq. 7)

Bergstra et al. (2011), "Algorithms for hyper-parameter optimization". l and g are joint densities
(Falkner et al. 2018, BOHB), so they know which values go together. Watanabe (2023),
"Tree-structured Parzen estimator: understanding its algorithm components", measured which details
matter; here bandwidths follow the spread of the points, so the search narrows where good points agree.
In conditional spaces, parameters that are active together have densities of their own, so that nothing
is imputed. Several objectives are split by fronts (Ozaki et al. 2022, MOTPE).
"""

import math
from collections.abc import Container, Mapping, Sequence
from itertools import islice

import numpy as np

from tunesmith.model import Explanation, History, StudySpec, Suggestion
from tunesmith.search.columns import Vector, columns_of, groups_of
from tunesmith.search.fresh import fresh_points
from tunesmith.search.parzen import Parzen, bandwidths
from tunesmith.search.ranked import ranked
from tunesmith.search.sequence import sobol_sequence
from tunesmith.search.settings import check_flag, check_positive, check_whole
from tunesmith.search.table import Table
from tunesmith.space import Space, Value

__all__ = ["Tpe"]

_NAME = "tpe"
_FEWEST, _FEWEST_GOOD = 3, 2  # ended trials that can be split, and good ones among them
_MOST_GOOD = 25
_GOOD_WIDTH, _BAD_WIDTH = 1.0, 0.5  # of kernels; found by trying, and 1 for both is much worse


class Tpe:
    """Draws candidates from the density of good points and takes the one with the best score.

    Serves every space, several objectives and constraints: trials are ordered as
    `tunesmith.search.ranked` says. Trials that still run count as bad, so that a batch spreads out.
    Priors of parameters give every other point of the
    start, and are part of the density of good points.

    Args:
        startup: How many trials come from a Sobol' sequence first, or from priors.
        good: The share of trials that are good; never more than 25 trials.
        candidates: How many points are drawn to choose from. More search nearer to the best known.
        prior_weight: How many good trials the prior weighs as much as.
        repeat: Whether it may suggest a point again that was tried.
    """

    def __init__(
        self,
        startup: int = 10,
        good: float = 0.15,
        candidates: int = 64,
        prior_weight: float = 1.0,
        repeat: bool = False,
    ) -> None:
        check_whole(_NAME, "startup", startup, low=1)
        check_positive(_NAME, "good", good, most=0.9)
        check_whole(_NAME, "candidates", candidates, low=1)
        check_positive(_NAME, "prior_weight", prior_weight)
        check_flag(_NAME, "repeat", repeat)
        self._repeat = repeat
        self._startup = startup
        self._good = float(good)
        self._candidates = candidates
        self._prior_weight = float(prior_weight)
        self._table = Table()

    def check(self, spec: StudySpec) -> None:
        """Serve every study."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        """Return ``count`` points, each chosen as if those before it were running."""
        space, first = history.spec.space, len(history.trials)
        rows = self._table.rows(history)
        ended = np.flatnonzero(rows.ended)
        ordered = rows.units[ended[ranked(rows.take(ended))]]
        pending = list(rows.units[rows.pending])
        made: dict[tuple[object, ...], Suggestion] = {}
        settled = False  # on points that were all tried

        def propose(index: int) -> Mapping[str, Value]:
            nonlocal settled
            suggestion = None
            if len(ordered) + len(pending) < self._startup or len(ordered) < _FEWEST:
                suggestion = _start(history.spec, first + index, rng)
            elif not settled:
                suggestion = self._best_candidate(history, made, ordered, pending, rng)
                settled = suggestion is None
            suggestion = suggestion or Suggestion(space.sample(rng), "random")
            pending.append(space.encode(suggestion.values))
            made.setdefault(space.key(suggestion.values), suggestion)
            return suggestion.values

        return [
            made.get(space.key(point)) or Suggestion(point, "random")
            for point in islice(fresh_points(history, propose, rng, repeat=self._repeat), count)
        ]

    def _best_candidate(
        self,
        history: History,
        proposed: Container[tuple[object, ...]],
        ordered: Vector,
        pending: Sequence[Vector],
        rng: np.random.Generator,
    ) -> Suggestion | None:
        """Return the best candidate; of a finite space None if all were tried or ``proposed``.

        The groups of a conditional space choose one after another: the parents, and then what is
        active with their values.
        """
        space = history.spec.space
        names = list(space)
        scored: dict[tuple[int, ...], tuple[Vector, Vector]] = {}
        for attempt in range(self._candidates if space.size is not None else 1):
            place, score = np.full(len(names), 0.5), 0.0
            for group in groups_of(space):
                if names[group[0]] not in space.decode(place):
                    continue
                if group not in scored:
                    scored[group] = self._scored(space, group, ordered, pending, rng)
                candidates, scores = scored[group]
                place[list(group)] = candidates[attempt]
                score += float(scores[attempt])
            point = space.decode(place)
            key = space.key(point)
            endless = self._repeat or space.size is None
            if endless or (key not in proposed and history.tried(key) is None):
                why = Explanation(acquisition="log density ratio", value=score)
                return Suggestion(point, _NAME, why)
        return None

    def _scored(
        self,
        space: Space,
        group: tuple[int, ...],
        ordered: Vector,
        pending: Sequence[Vector],
        rng: np.random.Generator,
    ) -> tuple[Vector, Vector]:
        """Return candidates for the columns of a group, best first, and their scores."""
        # Only trials tell of a group in which it is active. They are split among themselves: so a
        # branch that is seldom good is still tuned where it is tried.
        among, running = (
            points[~np.isnan(points[:, group[0]])][:, group]
            for points in (ordered, np.reshape(pending, (-1, len(space))))
        )
        split = min(math.ceil(self._good * len(among)), _MOST_GOOD)
        good = among[: max(split, _FEWEST_GOOD)]
        bad = np.concatenate([among[len(good) :], running])
        columns = [columns_of(space)[j] for j in group]
        parameters = list(space.parameters.values())
        of_good = Parzen(
            columns,
            good,
            bandwidths(columns, good, _GOOD_WIDTH),
            prior_weight=self._prior_weight,
            parameters=[parameters[j] for j in group],
        )
        of_bad = Parzen(
            columns, bad, bandwidths(columns, bad, _BAD_WIDTH), prior_weight=self._prior_weight
        )
        candidates = of_good.sample(self._candidates, rng)
        scores = of_good.log_density(candidates) - of_bad.log_density(candidates)
        order = np.argsort(-scores, kind="stable")
        return candidates[order], scores[order]


def _start(spec: StudySpec, position: int, rng: np.random.Generator) -> Suggestion:
    """Return a point of the start: of a Sobol' sequence or, every other one, of people's priors."""
    space = spec.space
    if space.priors and position % 2:
        drawn = [parameter.sample_unit(rng) for _, parameter in space.items()]
        return Suggestion(space.decode(np.array(drawn)), "prior draw")
    return Suggestion(space.decode(sobol_sequence(len(space), spec.seed).point(position)), "sobol")
