"""Trials as columns: what a page or a data frame wants of a large study, in pieces by a cursor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.model import StudySpec, Trial
from tunesmith.storage.wire import metrics_document

__all__ = ["COLUMNS", "Page", "columns", "page"]

COLUMNS: Mapping[str, Callable[[Trial], object]] = {
    "number": lambda t: t.number,
    "state": lambda t: t.state,
    "attempt": lambda t: t.attempt,
    "origin": lambda t: t.origin,
    "searcher": lambda t: "" if t.explanation is None else t.explanation.searcher,
    "step": lambda t: t.step,
    "budget": lambda t: t.budget,
    "parent": lambda t: t.parent,
    "reason": lambda t: t.reason,
    "worker": lambda t: t.worker,
    "queued": lambda t: t.queued,
    "started": lambda t: t.started,
    "finished": lambda t: t.finished,
    "revision": lambda t: t.revision,
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the trials that have changed.

    Attributes:
        trials: The trials, those first that changed first.
        cursor: The revision up to which these are all.
        more: Whether others changed after that.
    """

    trials: Sequence[Trial]
    cursor: int
    more: bool


def page(trials: Sequence[Trial], since: int, revision: int, limit: int) -> Page:
    """Return the trials that changed after revision ``since``, at least ``limit`` if there are as many.

    What changed in one revision is never torn apart, so a page may be a little longer.

    Args:
        trials: All trials of a study.
        since: What the reader knows.
        revision: The study's revision now.
        limit: How many trials are wanted at once.
    """
    changed = sorted((t for t in trials if t.revision > since), key=lambda t: t.revision)
    if len(changed) <= limit:
        return Page(changed, revision, more=False)
    last = changed[limit - 1].revision
    end = limit
    while end < len(changed) and changed[end].revision == last:
        end += 1
    more = end < len(changed)
    return Page(changed[:end], last if more else revision, more)


def columns(trials: Sequence[Trial], spec: StudySpec, names: Sequence[str]) -> dict[str, object]:
    """Return columns of trials, each a list with one entry per trial.

    Args:
        trials: The trials.
        spec: Their study.
        names: Which ones: names of `COLUMNS`, ``values`` and ``metrics`` for all, or one of them such
            as ``values.lr``; all if there are none.
    """
    metrics = list(dict.fromkeys([*spec.metrics, *(m for t in trials for m in t.metrics)]))
    found: dict[str, object] = {
        name: list(map(read, trials))
        for name, read in COLUMNS.items()
        if not names or name in names
    }
    groups: Mapping[str, tuple[Sequence[str], Sequence[Mapping[str, object]]]] = {
        "values": (list(spec.space), [t.values for t in trials]),
        "metrics": (metrics, [metrics_document(t.metrics) for t in trials]),
    }
    for group, (known, rows) in groups.items():
        wanted = [n for n in known if not names or group in names or f"{group}.{n}" in names]
        if wanted or not names or group in names:
            found[group] = {name: [row.get(name) for row in rows] for name in wanted}
    return found
