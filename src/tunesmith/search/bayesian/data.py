"""What a study's trials, and those of earlier studies, tell a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tunesmith.model import Earlier, Objective, StudySpec
from tunesmith.search.bayesian.cube import Array, Cube, Mask, keys_of
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.sample import Sample, checkpoint
from tunesmith.search.bayesian.stages import Stages
from tunesmith.search.table import Rows

__all__ = ["Data", "Lesson", "read_data", "read_lesson", "read_stages"]

_EARLIER = 100  # values that are taken from each earlier study
_BILOG = 1.0
_TINY = 1e-300
_LARGEST = 1e300


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """What is known, each list in the order in which trials ended.

    Attributes:
        points: The points of this study that have a value, each once, ``(n, d)``; before there is
            one, those of earlier studies.
        losses: Their objectives, ``(n, k)``; none without points of this study.
        feasible: Which of them keep every constraint, ``(n,)``.
        objectives: A sample for each objective, values of earlier studies before those of this one.
        constraints: A sample of each constraint's excess, None where it was never measured.
        kept: By how many trials with a value each constraint is kept.
        counted: How many trials have a value.
        running: 1 for points that failed and 0 for the others; None if none failed.
        pending: The points of open trials.
        keys: Of every point that was suggested.
        ended: Of trials that ended, the failed ones too, with nan for what was not active, ``(m, d)``.
        own: How many trials of this study ended.
        learnt: How many different points have a value of every objective, in earlier studies too.
    """

    points: Array
    losses: Array
    feasible: Mask
    objectives: Sequence[Sample]
    constraints: Sequence[Sample | None]
    kept: Sequence[int]
    counted: int
    running: Sample | None
    pending: Array
    keys: frozenset[bytes]
    ended: Array
    own: int
    learnt: int


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What an earlier study measured, placed in the cube of the study that learns.

    Attributes:
        points: Where, ``(n, d)``.
        mask: Which coordinates it had, ``(n, d)``.
        losses: Its objectives, turned so that smaller is better, ``(n, k)``.
        errors: Their known standard errors, 0 where none is known, ``(n, k)``.
        columns: Which column is which metric with which goal.
    """

    points: Array
    mask: Mask
    losses: Array
    errors: Array
    columns: Mapping[tuple[str, str], int]

    def sample(self, objective: Objective, number: int, features: Features) -> Sample | None:
        """Return what it says of an objective as study ``number``; None if that was none of its own."""
        k = self.columns.get((objective.metric, objective.goal))
        if k is None:
            return None
        n = len(self.points)
        return Sample(
            features(self.points, self.mask, number),
            self.losses[:, k],
            self.errors[:, k],
            np.ones(n),
            np.full(n, number, dtype=np.intp),
        )


def read_data(
    spec: StudySpec, rows: Rows, cube: Cube, features: Features, lessons: Sequence[Lesson] = ()
) -> Data:
    """Return what the trials of a study tell, which are in ``rows``, and ``lessons`` of earlier ones."""
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
    counts: Array = np.bincount(group, minlength=len(firsts)).astype(np.float64)
    vectors = features(points[at], mask[at])

    def mean(values: Array) -> Array:
        # Divided before they are added: the sum of finite numbers may not be finite.
        return cast("Array", np.bincount(group, values / counts[group], len(firsts)))

    succeeded = {keys[i] for i in good}
    failed = np.array([i for i in ended[~measured[ended]] if keys[i] not in succeeded], np.intp)
    rank = np.empty(len(points), dtype=np.intp)
    rank[ended] = np.arange(len(ended))
    in_time = np.argsort(rank[np.concatenate([at, failed])])
    failures = features(points[failed], mask[failed]), in_time
    objectives = []
    for k, objective in enumerate(spec.objectives):
        errors = _known_errors(rows.errors[good, k])
        largest = max(float(errors.max(initial=0.0)), _TINY)  # its square may not be finite
        own = Sample(
            vectors,
            mean(rows.losses[good, k]),
            largest * np.sqrt(mean((errors / largest) ** 2) / counts),
            1.0 / counts,
            np.zeros(len(at), dtype=np.intp),
        )
        own = _with_failures(own, *failures) if len(at) else own
        told = [e.sample(objective, number, features) for number, e in enumerate(lessons, start=1)]
        objectives.append(_joined([*(sample for sample in told if sample), own]))
    excesses = rows.excesses[good]
    constraints = []
    for k in range(rows.excesses.shape[1]):
        finite = np.flatnonzero(np.isfinite(excesses[:, k]))
        sample = None
        if len(finite):
            there = features(points[good[finite]], mask[good[finite]])
            sample = _plain(there, _bilog(excesses[finite, k]))
        constraints.append(sample)
    broken = ~measured[ended]
    running = None
    if broken.any():
        running = _plain(features(points[ended], mask[ended]), broken.astype(float))
    kept = np.bincount(group, (excesses <= 0.0).all(axis=1), len(firsts)) == counts
    guides = [lesson.points for lesson in lessons]
    known = points[at] if len(at) or not guides else np.concatenate(guides)
    return Data(
        points=known,
        losses=np.stack([mean(rows.losses[good, k]) for k in range(len(spec.objectives))], axis=1),
        feasible=kept if len(at) else np.ones(len(known), dtype=np.bool_),
        objectives=objectives,
        constraints=constraints,
        kept=(excesses <= 0.0).sum(axis=0).tolist(),
        counted=len(good),
        running=running,
        pending=points[rows.pending],
        keys=frozenset(keys),
        ended=np.where(mask, points, np.nan)[ended],
        own=len(ended),
        learnt=min(len(s.values) for s in objectives) - (len(failed) if len(at) else 0),
    )


def read_stages(
    spec: StudySpec,
    rows: Rows,
    stages: Stages,
    cube: Cube,
    features: Features,
    *,
    lessons: Sequence[Lesson] = (),
) -> Data:
    """Return what the trials of a study tell that has measured on their way.

    Trials count as soon as they have measured something, with a value at each of their stages. Those
    that rest are not taken to be pending: somebody has to decide whether they go on, and until then
    points near them are as good as others.

    Args:
        spec: The study.
        rows: A row for each trial.
        stages: What they measured at their stages.
        cube: The study's cube.
        features: Those of the cube, with a stage.
        lessons: Of earlier studies.
    """
    every = np.where(np.isnan(rows.units), 0.5, rows.units)
    points = cube.snap(every) if len(every) else every
    mask = ~np.isnan(rows.units)
    keys = keys_of(points, mask)
    at = stages.trial
    latest = np.full(len(points), -1, dtype=np.intp)
    for row, (trial, stage) in enumerate(zip(at.tolist(), stages.stage.tolist(), strict=True)):
        if latest[trial] < 0 or stage >= stages.stage[latest[trial]]:
            latest[trial] = row
    measured = np.flatnonzero(latest >= 0)
    first: dict[bytes, int] = {}
    for i in measured.tolist():
        first.setdefault(keys[i], i)
    distinct = np.array(list(first.values()), dtype=np.intp)
    lost = np.flatnonzero(rows.ended & (latest < 0))
    failed = np.array([i for i in lost if keys[i] not in first], np.intp)
    vectors = features(points[at], mask[at], 0, stages.stage)
    failures = features(points[failed], mask[failed])
    in_time = np.argsort(np.concatenate([stages.revisions, rows.revisions[failed]]), kind="stable")
    objectives, guided = [], []
    losses = stages.at_the_end()
    for k, objective in enumerate(spec.objectives):
        own = replace(_plain(vectors, losses[:, k]), errors=_known_errors(stages.errors[:, k]))
        own = _with_failures(own, failures, in_time) if len(at) else own
        told = [e.sample(objective, number, features) for number, e in enumerate(lessons, start=1)]
        objectives.append(_joined([*(sample for sample in told if sample), own]))
        guided.append(sum(len(sample.values) for sample in told if sample))
    constraints: list[Sample | None] = []
    for k in range(len(spec.constraints)):
        finite = np.isfinite(stages.excesses[:, k])
        values = _bilog(stages.excesses[finite, k]) if finite.any() else None
        constraints.append(None if values is None else _plain(vectors[finite], values))
    running = None
    if len(failed):
        both = np.concatenate([distinct, failed])
        order = both[np.argsort(rows.revisions[both], kind="stable")]
        broken = np.isin(order, failed).astype(np.float64)
        running = _plain(features(points[order], mask[order]), broken)
    guides = [lesson.points for lesson in lessons]
    places = points[distinct] if len(distinct) or not guides else np.concatenate(guides)
    last = latest[distinct]
    kept: Mask = np.asarray((stages.excesses[last] <= 0.0).all(axis=1))
    return Data(
        points=places,
        losses=losses[last],
        feasible=kept if len(distinct) else np.ones(len(places), dtype=np.bool_),
        objectives=objectives,
        constraints=constraints,
        kept=(stages.excesses[latest[measured]] <= 0.0).sum(axis=0).tolist(),
        counted=len(measured),
        running=running,
        pending=points[rows.pending & ~stages.resting],
        keys=frozenset(keys),
        ended=np.where(mask, points, np.nan)[np.union1d(measured, failed)],
        own=len(measured) + len(failed),
        learnt=len(distinct) + min(guided),
    )


def _bilog(excesses: Array) -> Array:
    """Return finite excesses with the large ones shortened; their unit is the median of the first."""
    size = np.abs(excesses)
    known = size[: checkpoint(len(size))]
    scale = float(np.median(known[known > 0.0])) if (known > 0.0).any() else _BILOG
    shortened: Array = np.sign(excesses) * np.log1p(size / scale)
    return shortened


def _with_failures(own: Sample, vectors: Array, order: NDArray[np.intp]) -> Sample:
    """Return a sample that also says that points which failed are no good.

    They get the worst value known, and an error of about the values' spread: enough to turn a
    model away whose best values lie among them, not so much as to bend it around them.
    """
    n = len(vectors)
    if not n:
        return own
    worst = float(own.values.max())
    halves = own.values / 2  # the span of finite numbers may not be finite
    quarters = np.quantile(halves, [0.25, 0.75])
    spread = float(quarters[1] - quarters[0]) or float(np.ptp(halves)) / 2
    both = Sample(
        np.concatenate([own.vectors, vectors]),
        np.concatenate([own.values, np.full(n, worst)]),
        np.concatenate([own.errors, np.full(n, min(1.5 * spread, _LARGEST))]),
        np.concatenate([own.share, np.ones(n)]),
        np.zeros(len(own.values) + n, dtype=np.intp),
    )
    return both.take(order)


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


def _known_errors(errors: Array) -> Array:
    """Return standard errors with 0 for those that are not known, or no numbers."""
    return np.where(np.isfinite(errors), np.abs(errors), 0.0)


def read_lesson(earlier: Earlier, cube: Cube) -> Lesson:
    """Return what an earlier study has to teach.

    Its best half-hundred values and as many others are taken. Values of parameters that this study
    has too and that it can't have are as if they were not there.
    """
    rows = Rows.empty(earlier.spec, len(earlier.trials))
    for row, trial in enumerate(earlier.trials):
        rows.write(row, trial, earlier.spec)
    good = np.flatnonzero(rows.ended & np.isfinite(rows.losses).all(axis=1))
    ranked = good[np.argsort(rows.losses[good, 0], kind="stable")]
    best, rest = ranked[: _EARLIER // 2], np.sort(ranked[_EARLIER // 2 :])
    spread = rest[np.linspace(0, len(rest) - 1, min(len(rest), _EARLIER // 2)).astype(int)]
    chosen = np.concatenate([best, spread])
    places = np.full((len(chosen), cube.d), np.nan)
    for row, index in enumerate(chosen):
        values = earlier.trials[index].values
        for i, (name, parameter) in enumerate(cube.space.items()):
            if name in values and parameter.contains(values[name]):
                places[row, i] = parameter.to_unit(parameter.canonical(values[name]))
    mask = ~np.isnan(places)
    return Lesson(
        points=cube.snap(np.where(mask, places, 0.5)),
        mask=mask,
        losses=rows.losses[chosen],
        errors=_known_errors(rows.errors[chosen]),
        columns={(o.metric, o.goal): k for k, o in enumerate(earlier.spec.objectives)},
    )
