"""How a study is opened: its storage found, its arguments read, and made or continued by name."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import cast

from tunesmith.errors import ConflictError, MismatchError
from tunesmith.model import (
    Algorithm,
    Constraint,
    Objective,
    Setting,
    Stopping,
    StudyRecord,
    StudySpec,
    with_standard_errors,
)
from tunesmith.storage import Storage, open_storage

__all__ = [
    "StoppingLike",
    "algorithm",
    "constraints",
    "make_or_continue",
    "objectives",
    "opened",
    "stopping",
]


_WAYS_OUT = "Take another name (--name), begin a new study (--new), delete the old one"


def opened(storage: Storage | str | None, *, create: bool = True) -> Storage:
    """Return the storage, opened if it is a URL; None is the default storage."""
    if storage is None or isinstance(storage, str):
        return open_storage(storage, create=create)
    return storage


def make_or_continue(
    storage: Storage, name: str | None, spec: StudySpec, command: str
) -> StudyRecord:
    """Make the study, or return the one of that name; raise `MismatchError` if it is another."""
    if name is None:
        return _make_unnamed(storage, spec, command)
    try:
        return storage.create_study(name, spec, command=command)
    except ConflictError:
        record = storage.study(name)
    if differences := record.spec.differences(spec):
        msg = "\n  ".join(
            [
                f"Study {name!r} exists with another space or metric:",
                *differences,
                f"{_WAYS_OUT} (tunesmith delete {name}), or put back what was.",
            ]
        )
        raise MismatchError(msg)
    return record


def _make_unnamed(storage: Storage, spec: StudySpec, command: str) -> StudyRecord:
    while True:
        taken = set(storage.study_names())
        name = next(n for i in count(1) if (n := f"study-{i}") not in taken)
        try:
            return storage.create_study(name, spec, command=command)
        except ConflictError:  # somebody else took it just now
            continue


def objectives(
    minimize: str | Sequence[str],
    maximize: str | Sequence[str],
    standard_error: str | Mapping[str, str] = "",
) -> tuple[Objective, ...]:
    """Return the objectives: those to minimize, then those to maximize."""
    low = [minimize] if isinstance(minimize, str) else list(minimize)
    high = [maximize] if isinstance(maximize, str) else list(maximize)
    return with_standard_errors(
        [
            *(Objective(metric, "minimize") for metric in low),
            *(Objective(metric, "maximize") for metric in high),
        ],
        standard_error,
    )


def constraints(given: Mapping[str, object] | Iterable[Constraint]) -> tuple[Constraint, ...]:
    """Return constraints from texts such as ``<= 20`` by metric, or as they are."""
    if isinstance(given, Mapping):
        return tuple(Constraint.read(metric, bound) for metric, bound in given.items())
    if isinstance(given, str):
        return (Constraint.parse(given),)
    return tuple(given)


StoppingLike = str | Mapping[str, Setting] | Stopping


def stopping(given: StoppingLike | Sequence[StoppingLike]) -> tuple[Stopping, ...]:
    """Return rules and schedules from a name, a mapping, or several of them."""
    several = [given] if isinstance(given, str | Mapping | Stopping) else list(given)
    return tuple(map(_one_stopping, several))


def _one_stopping(given: StoppingLike) -> Stopping:
    if isinstance(given, Stopping):
        return given
    settings = {"name": given} if isinstance(given, str) else dict(given)
    return Stopping(cast("str", settings.pop("name", "auto")), settings)


def algorithm(given: str | Mapping[str, Setting]) -> Algorithm:
    """Return the searcher's name and settings from a name or a mapping."""
    if isinstance(given, str):
        return Algorithm(given)
    settings = dict(given)
    return Algorithm(cast("str", settings.pop("name", "default")), settings)
