"""How many points a finite space has, and each of them in turn."""

import math
from collections.abc import Iterator, Mapping, Sequence

from tunesmith.space.checks import Key, typed
from tunesmith.space.conditions import Conditions
from tunesmith.space.parameters import Parameter, Value

__all__ = ["count_points", "walk_points"]


def count_points(
    parameters: Mapping[str, Parameter], order: Sequence[str], conditions: Conditions
) -> int | None:
    """Return the number of distinct points; None if there are infinitely many.

    Parents multiply the count by cases; parameters that have nothing to do with each other only
    multiply. So each connected family of conditions is counted by itself, by going through the
    values of its parents.
    """
    # A continuous child that no value of its parents activates would still count as endless; the
    # conditions have been checked to be possible, one by one.
    if any(p.size is None for p in parameters.values()):
        return None
    return math.prod(
        _count_family(parameters, [n for n in order if n in family], conditions)
        for family in _families(order, conditions)
    )


def _families(order: Sequence[str], conditions: Conditions) -> list[set[str]]:
    families: list[set[str]] = []
    for name in order:
        related = {name, *(parent for parent, _ in conditions[name])}
        joined = [family for family in families if family & related]
        families = [family for family in families if not family & related]
        families.append(related.union(*joined))
    return families


def _count_family(
    parameters: Mapping[str, Parameter], order: Sequence[str], conditions: Conditions
) -> int:
    parents = {parent for name in order for parent, _ in conditions[name]}
    ranks = {name: index for index, name in enumerate(order)}
    last_use = {
        parent: max(ranks[n] for n in order if any(p == parent for p, _ in conditions[n]))
        for parent in parents
    }
    # States: what later conditions can still ask about, with how many points share it.
    states: dict[frozenset[tuple[str, Key]], int] = {frozenset(): 1}
    for index, name in enumerate(order):
        after: dict[frozenset[tuple[str, Key]], int] = {}
        for state, count in states.items():
            known = dict(state)
            alive = all(known.get(parent) in wanted for parent, wanted in conditions[name])
            kept = frozenset(item for item in state if last_use[item[0]] > index)
            for extra, ways in _cases(name, parameters[name], alive=alive, is_parent=name in parents,
                                      conditions=conditions, order=order):  # fmt: skip
                key = kept | extra
                after[key] = after.get(key, 0) + count * ways
        states = after
    return sum(states.values())


def _cases(
    name: str,
    parameter: Parameter,
    *,
    alive: bool,
    is_parent: bool,
    conditions: Conditions,
    order: Sequence[str],
) -> Iterator[tuple[frozenset[tuple[str, Key]], int]]:
    """Yield what a parameter adds to a state, and in how many ways."""
    size = parameter.size or 1
    if not alive:
        yield frozenset(), 1
    elif not is_parent:
        yield frozenset(), size
    else:
        asked = {key for n in order for p, wanted in conditions[n] if p == name for key in wanted}
        for key in asked:
            yield frozenset({(name, key)}), 1
        if size > len(asked):  # values that no condition asks about are all alike
            yield frozenset(), size - len(asked)


def walk_points(
    parameters: Mapping[str, Parameter], order: Sequence[str], conditions: Conditions
) -> Iterator[dict[str, Value]]:
    """Yield every point, with its values in the order of ``parameters``."""
    values: dict[str, Value] = {}

    def walk(index: int) -> Iterator[dict[str, Value]]:
        if index == len(order):
            yield {name: values[name] for name in parameters if name in values}
            return
        name = order[index]
        active = all(
            parent in values and typed(values[parent]) in wanted
            for parent, wanted in conditions[name]
        )
        if not active:
            yield from walk(index + 1)
            return
        for value in parameters[name].members():
            values[name] = value
            yield from walk(index + 1)
        del values[name]

    return walk(0)
