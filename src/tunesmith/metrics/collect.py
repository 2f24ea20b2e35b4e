"""Brings together what all metric sources found about one attempt of a trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import cast

from tunesmith.metrics.base import MetricRequest, MetricSource, Reading, SourceFactory
from tunesmith.model import Measurement
from tunesmith.plugins import load_plugin, plugin_names

__all__ = ["Batch", "Collector"]

_ROLE = "metric_sources"
_PRIORITY = ("report", "hypertune", "tensorboard", "stdout")  # from deliberate to accidental
_LONGEST_NAME = 200
_MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class Batch:
    """What is new.

    Attributes:
        measurements: In the order of their steps.
        superseded: Metrics that a better place reports from now on. What was measured of them
            before this batch does not count any more.
        infeasible: Why the program says that its values can't be tried; ``""`` if it does not.
    """

    measurements: tuple[Measurement, ...] = ()
    superseded: frozenset[str] = frozenset()
    infeasible: str = ""


class Collector:
    """Reads one attempt of a trial through several metric sources.

    A metric belongs to the best source that reports it: report calls, then hypertune files, then
    TensorBoard events, then prints, then plug-ins. Each value is passed on once.

    Args:
        workdir: The attempt's working directory; it may not be there yet.
        request: What is wanted.
        sources: Names of metric sources; all that are installed if empty.

    Raises:
        NotFoundError: a source is not installed.
        ValueError: the request's pattern can't be used.
    """

    def __init__(self, workdir: Path, request: MetricRequest, sources: Sequence[str] = ()) -> None:
        names = sorted(sources or plugin_names(_ROLE), key=_priority)
        self._request = request
        self._sources = {name: _build(name, workdir, request) for name in names}
        self._owners: dict[str, tuple[int, int]] = {}  # place in the order of sources, rank in it
        self._steps: dict[str, set[int]] = {}
        self._faults: dict[str, None] = {}

    def read(self, *, final: bool = False) -> Batch:
        """Return what is new since the last call; with ``final``, after the program's end, all."""
        superseded: set[str] = set()
        metrics: dict[int, dict[str, float]] = {}
        elapsed_s: dict[int, float] = {}
        for place, name in enumerate(self._sources):
            for reading in self._read(name, final=final):
                if self._take(reading, (place, reading.rank), superseded):
                    step = reading.step
                    metrics.setdefault(step, {})[reading.metric] = reading.value
                    elapsed_s[step] = max(reading.elapsed_s, elapsed_s.get(step, 0.0))
        return Batch(
            tuple(Measurement(step, metrics[step], elapsed_s[step]) for step in sorted(metrics)),
            frozenset(superseded),
            next(
                (s.remarks.infeasible for s in self._sources.values() if s.remarks.infeasible), ""
            ),
        )

    def _read(self, name: str, *, final: bool) -> list[Reading]:
        try:
            readings = self._sources[name].read(final=final)
        except OSError as error:
            self._faults[f"The metric source {name!r} can't read: {error}."] = None
            return []
        # The best rank first: then no reading of this batch supersedes another one of it.
        return sorted(readings, key=lambda reading: reading.rank)

    def _take(self, reading: Reading, owner: tuple[int, int], superseded: set[str]) -> bool:
        """Whether the reading counts; notes it if its metric changes hands."""
        metric = reading.metric
        if not metric.isprintable() or not 0 < len(metric) <= _LONGEST_NAME:
            return False
        current = self._owners.setdefault(metric, owner)
        if owner > current:
            return False
        if owner < current:
            self._owners[metric] = owner
            superseded.add(metric)
            del self._steps[metric]
        steps = self._steps.setdefault(metric, set())
        if reading.step in steps:
            return False
        steps.add(reading.step)
        return True

    @property
    def seen(self) -> tuple[str, ...]:
        """Names of all numbers the program reported, metrics first; wanted ones left out."""
        noticed = [name for source in self._sources.values() for name in source.remarks.seen]
        names = dict.fromkeys([*self._owners, *noticed])
        return tuple(name for name in names if name not in self._request.metrics)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how the metrics were read, as sentences."""
        noted = [note for source in self._sources.values() for note in source.remarks.notes]
        return (*noted, *self._faults)

    def missing_sentence(self) -> str:
        """Return why a program that ended well has no result; ``""`` if no metric is missing."""
        missing = [metric for metric in self._request.metrics if metric not in self._owners]
        if not missing:
            return ""
        names = " and ".join(map(repr, missing))
        parts = [f"The program ended well but never reported {names}.", _reported(self.seen)]
        if close := _closest(missing[0], self.seen):
            parts.append(f"Did you mean {close!r}?")
        return " ".join([*parts, self._advice(missing[0])])

    def _advice(self, metric: str) -> str:
        keyword = f"{metric}=0.93" if metric.isidentifier() else f"**{{{metric!r}: 0.93}}"
        line = f"Print a line like '{metric}=0.93'"
        if self._request.pattern:
            line = f"Print a line that {self._request.pattern!r} matches"
        advice = {
            "stdout": line,
            "report": f"call tunesmith.report(step=1, {keyword})",
            "tensorboard": f"write a TensorBoard scalar with the tag {metric!r}",
            "hypertune": f"report it by cloudml-hypertune with the tag {metric!r}",
        }
        ways = [way for name, way in advice.items() if name in self._sources][:2]
        text = ", or ".join(ways)
        return f"{text[:1].upper()}{text[1:]}." if ways else ""


def _priority(name: str) -> tuple[int, str]:
    return (_PRIORITY.index(name) if name in _PRIORITY else len(_PRIORITY), name)


def _build(name: str, workdir: Path, request: MetricRequest) -> MetricSource:
    return cast("SourceFactory", load_plugin(_ROLE, name))(workdir, request)


def _reported(seen: Sequence[str]) -> str:
    if not seen:
        return "It reported no numbers."
    more = f" and {len(seen) - _MOST_LISTED} more" if len(seen) > _MOST_LISTED else ""
    return f"It reported: {', '.join(seen[:_MOST_LISTED])}{more}."


def _closest(name: str, seen: Sequence[str]) -> str:
    """Return the name in ``seen`` that ``name`` was most likely meant to be, or ``""``."""
    folded = {other.casefold(): other for other in reversed(seen)}
    close = get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else ""
