"""Which parameters matter: functional ANOVA of a model that is fitted to a study's trials.

The model is the Gaussian process of the Bayesian searcher. What it does not know shows as a spread
between functions that are drawn from it, each of which is decomposed on its own (Da Veiga et al. 2009;
Le Gratiet et al. 2014).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.errors import MetricError, NotFoundError, Problem, SpecError
from tunesmith.model import History, StudySpec, Trial, TrialState
from tunesmith.search.bayesian.cube import Cube
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.paths import draw_paths
from tunesmith.search.bayesian.sample import Sample
from tunesmith.search.bayesian.settings import WarpName
from tunesmith.search.bayesian.surrogate import Fits, Surrogate
from tunesmith.search.sensitivity import Array, Axis, Sensitivity, decompose
from tunesmith.search.sequence import SobolSequence

__all__ = ["FEWEST", "Analysis", "analyse"]

FEWEST = 8
"""With fewer trials that have a value there is nothing to tell."""

_PATHS = 64
_FEATURES = 1024
_SAMPLE = 4096
_COLUMNS = 500  # that all parameters have together: a quarter of the points they are fitted to


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What a model of a metric says about a space.

    Attributes:
        metric: The metric.
        wanted: Whether a direction of it is better.
        share: The better part of the space that was looked at; None for all of it.
        trials: How many trials have a value of it.
        left_out: How many trials ended without one.
        explained: The share of the values' variance that the model predicts for each trial from
            the others (leave-one-out R²); below 0 where it predicts worse than their mean.
        extreme: How much of the values' variance is gone when the worst tenth of them is set to
            where that tenth begins.
        active: In how much of the space each parameter is active, ``(d,)``.
        grids: For each parameter the places at which its curve stands.
        parts: The decomposition of the paths, of the metric turned so that smaller is better; None
            where all trials measured the same.
    """

    metric: str
    wanted: bool
    share: float | None
    trials: int
    left_out: int
    explained: float
    extreme: float
    active: Array
    grids: tuple[Array, ...]
    parts: Sensitivity | None


def analyse(history: History, metric: str | None = None, share: float | None = None) -> Analysis:
    """Return what the study's trials say about its parameters.

    Args:
        history: The trials; those that failed or did not measure the metric are left out.
        metric: Any metric that trials measured; the first objective by default.
        share: Look only at the better part of the space: 0.25 for the best quarter.

    Raises:
        NotFoundError: fewer than eight trials have a value.
        MetricError: no trial measured such a metric, or a part of the space is asked for and
            nobody says which values of it are better.
        SpecError: ``share`` is not between 0 and 1.
    """
    spec = history.spec
    metric = spec.objective.metric if metric is None else metric
    if share is not None and not 0.0 < share < 1.0:
        message = f"The better part of the space is a share between 0 and 1, such as 0.25; given {share!r}."
        raise SpecError([Problem("E120", message)])
    sign = _sign(spec, metric)
    if share is not None and sign is None:
        msg = f"Nobody says which values of {metric!r} are better: it is no objective and has no bound."
        raise MetricError(msg)
    ended, kept = _with_value(history, metric)
    losses = (sign or 1) * np.array([trial.metrics[metric] for trial in kept])
    cube = Cube(spec.space)
    axes = [_axis(cube, i) for i in range(cube.d)]
    explained, parts = 0.0, None
    if losses.min() < losses.max():
        features = Features(cube)
        sample = _sample(kept, losses, _errors(spec, metric, kept), cube, features)
        # The losses as they are; or such that the model tells the better ones apart.
        warp: WarpName = "none" if share is None else "rank"
        surrogate = Fits(cube, features).surrogate(sample, warp, "matern52", "importance")
        explained = _explained(surrogate)
        values = _values(surrogate, cube, features, spec.seed, share)
        parts = decompose(values, axes, spec.seed, share=share)
    some = cube.snap(SobolSequence(cube.d, 0).points(_SAMPLE))
    return Analysis(
        metric=metric,
        wanted=sign is not None,
        share=share,
        trials=len(kept),
        left_out=ended - len(kept),
        explained=explained,
        extreme=_extreme(losses) if sign is not None else 0.0,
        active=cube.active(some).mean(axis=0),
        grids=tuple(a.grid if v is None else v for a, v in zip(axes, cube.values, strict=True)),
        parts=parts,
    )


def _sign(spec: StudySpec, metric: str) -> int | None:
    """Return what turns the metric so that smaller is better; None if no direction is."""
    for objective in spec.objectives:
        if objective.metric == metric:
            return int(objective.loss(1.0))
    for constraint in spec.constraints:
        if constraint.metric == metric:
            return 1 if constraint.side == "at_most" else -1
    return None


def _with_value(history: History, metric: str) -> tuple[int, list[Trial]]:
    """Return how many trials ended, and those of them that count with a finite value."""
    ended = [t for t in history.trials if t.is_final and t.state is not TrialState.CANCELLED]
    kept = [t for t in ended if t.counts and math.isfinite(t.metrics.get(metric, math.nan))]
    known = sorted({name for trial in ended for name in trial.metrics})
    if not kept and known and metric not in known:
        msg = f"No trial measured {metric!r}. Measured were: {', '.join(known)}."
        raise MetricError(msg)
    if len(kept) < FEWEST:
        have = "1 trial has" if len(kept) == 1 else f"{len(kept) or 'no'} trials have"
        msg = f"What matters shows from {FEWEST} trials with a value of {metric!r} on; {have} one."
        raise NotFoundError(msg)
    return len(ended), kept


def _errors(spec: StudySpec, metric: str, trials: Sequence[Trial]) -> Array:
    """Return the known standard errors of a metric; 0 where none is known."""
    named = [o.standard_error for o in spec.objectives if o.metric == metric and o.standard_error]
    if not named:
        return np.zeros(len(trials))
    return np.nan_to_num([t.metrics.get(named[0], 0.0) for t in trials], posinf=0.0, neginf=0.0)


def _axis(cube: Cube, coordinate: int) -> Axis:
    values = cube.values[coordinate]
    edges = None if values is None else (values[1:] + values[:-1]) / 2
    degree = min(8, max(2, _COLUMNS // cube.d))
    return Axis(edges, ordered=not cube.categorical[coordinate], degree=degree)


def _sample(
    trials: Sequence[Trial], losses: Array, errors: Array, cube: Cube, features: Features
) -> Sample:
    points = cube.snap(np.array([cube.encode(trial.values) for trial in trials]))
    n = len(trials)
    # Halved before they are subtracted: the span of finite numbers may not be finite.
    low, high = losses.min() / 2, losses.max() / 2
    return Sample(
        vectors=features(points, cube.active(points)),
        values=(losses / 2 - low) / (high - low),
        errors=errors / 2 / (high - low),
        share=np.ones(n),
        study=np.zeros(n, dtype=np.intp),
    )


def _explained(surrogate: Surrogate) -> float:
    """Return 1 less the mean square of leave-one-out errors, over that of the mean of the others."""
    expected, _ = surrogate.gp.leave_one_out()
    z = surrogate.gp.seen.y
    n = len(z)
    plain = (z - z.mean()) * n / (n - 1)
    return 1.0 - float(((z - expected) ** 2).sum() / (plain**2).sum())


def _values(
    surrogate: Surrogate, cube: Cube, features: Features, seed: int, share: float | None
) -> Callable[[Array], Array]:
    """Return functions from places to losses, up to their origin and unit."""
    rng = np.random.default_rng([seed, len(surrogate.gp.seen.y)])
    paths = draw_paths(surrogate.gp, _PATHS, rng, _FEATURES)

    def values(places: Array) -> Array:
        points = cube.snap(places)
        z = paths(features(points, cube.active(points)))
        # Without a warp the model's values are the losses, but for origin and unit.
        return z if share is None else surrogate.warp.losses(z)

    return values


def _extreme(losses: Array) -> float:
    scaled = losses / max(float(np.abs(losses).max()), 1e-300)
    whole = float(scaled.var())
    return 1.0 - float(np.minimum(scaled, np.quantile(scaled, 0.9)).var()) / whole if whole else 0.0
