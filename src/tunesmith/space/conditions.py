"""Conditions: which parameters are active, decided parents first."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from tunesmith.errors import SpaceError
from tunesmith.space.names import did_you_mean
from tunesmith.space.parameters import Parameter, parents
from tunesmith.space.values import Key, Value, typed

__all__ = ["Condition", "Conditions", "holds", "read_conditions"]

Condition = tuple[tuple[str, frozenset[Key]], ...]
"""The parents of a parameter, each with the keys (see `typed`) of the values that activate it."""

Conditions = Mapping[str, Condition]
"""The condition of every parameter, parents before their children, else as they were given."""


def holds(condition: Condition, active: Mapping[str, Value | None]) -> bool:
    """Whether a parameter with this condition is active, given all active values of its parents."""
    return all(parent in active and typed(active[parent]) in wanted for parent, wanted in condition)


def read_conditions(parameters: Mapping[str, Parameter]) -> Conditions:
    """Return the conditions of all parameters.

    Raises:
        SpaceError: a condition names no parameter, a continuous one, or a value that its parent does
            not have; conditions form a circle, or contradict each other.
    """
    read = {name: _read(name, parameter, parameters) for name, parameter in parameters.items()}
    conditions = {name: read[name] for name in _parents_first(read)}
    _check_possible(conditions)
    return conditions


def _read(name: str, parameter: Parameter, parameters: Mapping[str, Parameter]) -> Condition:
    read = []
    for parent, wanted in parents(parameter):
        if parent not in parameters:
            msg = f"Parameter {name!r}: its condition names {parent!r}, which is no parameter."
            raise SpaceError(msg + did_you_mean(parent, parameters))
        if parameters[parent].size is None:
            msg = (
                f"Parameter {name!r}: its condition names {parent!r}, which is continuous."
                " Only a parameter with a list of values, a step or whole numbers can be a parent."
            )
            raise SpaceError(msg)
        keys = frozenset(_key(name, parent, parameters[parent], value) for value in wanted)
        read.append((parent, keys))
    return tuple(read)


def _key(name: str, parent: str, parameter: Parameter, value: Value) -> Key:
    try:
        return typed(parameter.canonical(value))
    except SpaceError as error:
        msg = f"Parameter {name!r}: its condition on {parent!r} can't be met: {error}"
        raise SpaceError(msg) from None


def _parents_first(conditions: Conditions) -> Iterator[str]:
    """Yield all names; of those whose parents have all been yielded, always the first."""
    names = list(conditions)
    ranks = {name: rank for rank, name in enumerate(names)}
    sorter = TopologicalSorter({n: [parent for parent, _ in conditions[n]] for n in names})
    try:
        sorter.prepare()
    except CycleError as error:
        raise SpaceError(_circle(error.args[1])) from None
    ready: list[int] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, ranks[name])
        name = names[heapq.heappop(ready)]
        yield name
        sorter.done(name)


def _circle(parents_first: Sequence[str]) -> str:
    child, *rest = reversed(parents_first)
    needs = ", which needs ".join(map(repr, rest))
    return f"Parameter {child!r}: its conditions form a circle: it needs {needs}. Drop one of them."


def _check_possible(conditions: Conditions) -> None:
    """Raise `SpaceError` for a parameter that is never active.

    A parameter needs what its parents need, and so on upwards. All of that must hold together, so it
    is possible exactly if for each ancestor some value is left. An ancestor about which only one asks is
    passed over, which keeps long chains cheap.
    """
    askers = Counter(parent for condition in conditions.values() for parent, _ in condition)
    needs: dict[str, dict[str, frozenset[Key]]] = {}
    for name, condition in conditions.items():
        needs[name] = {}
        inherited = (need for parent, _ in condition for need in needs[parent].items())
        for ancestor, wanted in (*condition, *inherited):
            if askers[ancestor] < 2:
                continue
            needs[name][ancestor] = needs[name].get(ancestor, wanted) & wanted
            if not needs[name][ancestor]:
                msg = (
                    f"Parameter {name!r}: its conditions contradict each other: no value of {ancestor!r}"
                    " meets them all, so it would never be active."
                )
                raise SpaceError(msg)
