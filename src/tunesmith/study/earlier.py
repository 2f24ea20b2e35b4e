"""Earlier studies that a study learns from: looked for when it is made, read when its searcher asks."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from tunesmith.errors import NotFoundError, Problem, SpecError
from tunesmith.model import Earlier, StudyRecord, StudySpec, Trial
from tunesmith.storage import Storage, shown

__all__ = ["NO_STORAGES", "check_earlier", "elsewhere", "read_earlier"]

NO_STORAGES: Mapping[str, Storage] = MappingProxyType({})

_MOST = 3000  # trials of one earlier study: more would cost time and teach little


def check_earlier(
    spec: StudySpec, name: str | None, storage: Storage, others: Mapping[str, Storage]
) -> None:
    """Raise unless all studies of ``spec.warm_start`` are there and have something to teach.

    Args:
        spec: The study that learns.
        name: Its name; None if it has none yet.
        storage: Its storage.
        others: The storages of those that are not there, by the studies' names.

    Raises:
        NotFoundError: one is not there.
        SpecError: one is the study itself, has no trial that counts, or none of its parameters.
    """
    for source in spec.warm_start:
        place = others.get(source, storage)
        if source == name and place is storage:
            raise _fault(
                f"Study {source!r} can't learn from itself; warm_start names earlier ones."
            )
        try:
            summary = place.summary(source)
        except NotFoundError:
            known = ", ".join(map(repr, place.study_names())) or "none"
            msg = (
                f"warm_start names the study {source!r}, which is not in {shown(place.url)}."
                f" There are: {known}."
            )
            raise NotFoundError(msg) from None
        if summary.best is None:
            raise _fault(
                f"warm_start names the study {source!r}, in which no trial has ended with"
                f" {summary.record.spec.objective.metric!r} yet, so it can teach nothing."
            )
        theirs = summary.record.spec.space
        if not any(parameter in theirs for parameter in spec.space):
            raise _fault(
                f"warm_start names the study {source!r}, which has none of the parameters"
                f" {', '.join(spec.space)}; it has {', '.join(theirs)}."
            )


def elsewhere(
    storages: Mapping[str, Storage], storage: Storage, *, in_memory: bool
) -> dict[str, Storage]:
    """Return those storages of earlier studies, by their names, that are not ``storage`` itself.

    Raises:
        SpecError: there are such, and the study that learns is kept: it could not find them again.
    """
    others = {
        name: other
        for name, other in storages.items()
        if other is not storage and (in_memory or other.url != storage.url)
    }
    for name, other in () if in_memory else others.items():
        raise _fault(
            f"warm_start names the study {name!r} in {shown(other.url)}. A study in"
            f" {shown(storage.url)} learns from studies there; only one that is kept in memory may"
            " learn from any."
        )
    return others


def read_earlier(
    record: StudyRecord, storage: Storage, others: Mapping[str, Storage]
) -> Iterable[Earlier]:
    """Return the studies from which a study learns, to be gone through once.

    Those in its own storage are read when they are asked for; those in ``others``, which might be
    closed by then, at once.

    Only trials count that had ended before the study was made, whatever becomes of the others: so
    the same study makes the same suggestions at any time. One that has been deleted meanwhile is
    left out, with a warning.
    """
    found = _read(record, storage, others)
    return tuple(found) if others else found


def _read(
    record: StudyRecord, storage: Storage, others: Mapping[str, Storage]
) -> Iterator[Earlier]:
    for name in record.spec.warm_start:
        place = others.get(name, storage)
        try:
            spec = place.study(name).spec
            trials = _ended_before(record.created, name, place)
        except NotFoundError:
            message = (
                f"Study {record.name!r} learnt from {name!r}, which is gone: it goes on without."
            )
            warnings.warn(message, stacklevel=2)
            continue
        yield Earlier(name, spec, tuple(trials))


def _ended_before(moment: float, name: str, storage: Storage) -> Sequence[Trial]:
    """Return the newest trials that ended before ``moment``, in the order of their numbers."""
    limit = _MOST
    while True:
        newest = storage.trials(name, order="newest", limit=limit)
        ended = [t for t in newest if t.finished is not None and t.finished <= moment]
        if len(ended) >= _MOST or len(newest) < limit:
            return ended[:_MOST][::-1]
        limit *= 4


def _fault(message: str) -> SpecError:
    return SpecError([Problem("E120", message)])
