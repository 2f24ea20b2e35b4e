"""What a study's trials, and those of earlier studies, tell a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.model import Earlier, History
from tunesmith.search.bayesian.cube import Array, Cube, Mask, keys_of
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.surrogate import Sample
from tunesmith.search.table import Rows, Table

__all__ = ["Data", "read_data"]

_EARLIER = 100  # values that are taken from each earlier study
_BILOG = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """What is known, each list in the order in which trials ended.

    Attributes:
        points: The points of this study that have a value, each once, ``(n, d)``; before there is
            one, those of earlier studies.
        feasible: Which of them keep every constraint, ``(n,)``.
        objectives: A sample for each objective, values of earlier studies before those of this one.
        constraints: A sample of each constraint's excess, None where it was never measured.
        running: 1 for points that failed and 0 for the others; None if none failed.
        pending: The points of open trials.
        keys: Of every point that was suggested.
        own: How many trials of this study ended.
        learnt: How many different points have a value, in earlier studies too.
    """

    points: Array
    feasible: Mask
    objectives: Sequence[Sample]
    constraints: Sequence[Sample | None]
    running: Sample | None
    pending: Array
    keys: frozenset[bytes]
    own: int
    learnt: int


def read_data(history: History, rows: Rows, cube: Cube, features: Features) -> Data:
    """Return what the trials of ``history`` tell; ``rows`` are those trials."""
    every = np.where(np.isnan(rows.units), 0.5, rows.units)
    points = cube.snap(every) if len(every) else every
    mask = ~np.isnan(rows.units)
    keys = keys_of(points, mask)
    ended = np.flatnonzero(rows.ended)
    ended = ended[np.argsort(rows.revisions[ended], kind="stable")]
    measured: Mask = np.asarray(np.isfinite(rows.losses).all(axis=1))
    good = ended[measured[ended]]
    firsts, group = _grouped([keys[i] for i in good])
    at = good[firsts]
    counts = np.bincount(group, minlength=len(firsts)).astype(float)
    vectors = features(points[at], mask[at])

    def mean(values: Array) -> Array:
        means: Array = np.bincount(group, values, len(firsts)) / counts
        return means

    objectives = []
    earlier = [_of_earlier(e, k, cube, features) for k, e in enumerate(history.earlier, start=1)]
    told = [samples for _, samples in earlier]
    for k in range(rows.losses.shape[1]):
        errors = np.nan_to_num(rows.errors[good, k], nan=0.0, posinf=0.0)
        own = Sample(
            vectors,
            mean(rows.losses[good, k]),
            np.sqrt(mean(errors**2) / counts),
            1.0 / counts,
            np.zeros(len(at), dtype=np.intp),
        )
        metric = history.spec.objectives[k]
        objectives.append(_joined([*(e[metric] for e in told if metric in e), own]))
    excesses = rows.excesses[good]
    constraints = []
    for k in range(rows.excesses.shape[1]):
        finite = np.flatnonzero(np.isfinite(excesses[:, k]))
        sample = None
        if len(finite):
            size = np.abs(excesses[finite, k])
            scale = float(np.median(size[size > 0.0])) if (size > 0.0).any() else _BILOG
            values = np.sign(excesses[finite, k]) * np.log1p(size / scale)
            sample = _plain(features(points[good[finite]], mask[good[finite]]), values)
        constraints.append(sample)
    broken = ~measured[ended]
    running = None
    if broken.any():
        running = _plain(features(points[ended], mask[ended]), broken.astype(float))
    kept = np.bincount(group, (excesses <= 0.0).all(axis=1), len(firsts)) == counts
    guides = [places for places, _ in earlier]
    known = points[at] if len(at) or not guides else np.concatenate(guides)
    return Data(
        points=known,
        feasible=kept if len(at) else np.ones(len(known), dtype=np.bool_),
        objectives=objectives,
        constraints=constraints,
        running=running,
        pending=points[rows.pending],
        keys=frozenset(keys),
        own=len(ended),
        learnt=len(objectives[0].values),
    )


def _grouped(keys: Sequence[bytes]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where each different key stands first, and to which of those each key belongs."""
    number: dict[bytes, int] = {}
    group = [number.setdefault(key, len(number)) for key in keys]
    _, firsts = np.unique(group, return_index=True) if group else (None, [])
    return np.array(firsts, dtype=np.intp), np.array(group, dtype=np.intp)


def _plain(vectors: Array, values: Array) -> Sample:
    n = len(values)
    return Sample(vectors, values, np.zeros(n), np.ones(n), np.zeros(n, dtype=np.intp))


def _joined(samples: Sequence[Sample]) -> Sample:
    if len(samples) == 1:
        return samples[0]
    columns = ("vectors", "values", "errors", "share", "study")
    return Sample(*(np.concatenate([getattr(s, name) for s in samples]) for name in columns))


def _of_earlier(
    earlier: Earlier, number: int, cube: Cube, features: Features
) -> tuple[Array, dict[object, Sample]]:
    """Return an earlier study's points, and what it says there, by objective.

    Its best half-hundred values and as many others are taken. Values of parameters that this study
    has too and that it can't have are as if they were not there.
    """
    rows = Table().rows(History(earlier.spec, earlier.trials))
    good = np.flatnonzero(rows.ended & np.isfinite(rows.losses).all(axis=1))
    if not len(good):
        return np.empty((0, cube.d)), {}
    ranked = good[np.argsort(rows.losses[good, 0], kind="stable")]
    best, rest = ranked[: _EARLIER // 2], np.sort(ranked[_EARLIER // 2 :])
    spread = rest[np.linspace(0, len(rest) - 1, min(len(rest), _EARLIER // 2)).astype(int)]
    chosen = np.concatenate([best, spread])
    places = np.full((len(chosen), cube.d), np.nan)
    for row, index in enumerate(chosen):
        values = earlier.trials[index].values
        for i, (name, parameter) in enumerate(cube.space.items()):
            if name in values and parameter.contains(values[name]):
                places[row, i] = parameter.to_unit(values[name])
    mask = ~np.isnan(places)
    points = cube.snap(np.where(mask, places, 0.5))
    vectors = features(points, mask, number)
    study = np.full(len(chosen), number, dtype=np.intp)
    samples: dict[object, Sample] = {
        objective: Sample(
            vectors,
            rows.losses[chosen, k],
            np.nan_to_num(rows.errors[chosen, k], nan=0.0, posinf=0.0),
            np.ones(len(chosen)),
            study,
        )
        for k, objective in enumerate(earlier.spec.objectives)
    }
    return points, samples
