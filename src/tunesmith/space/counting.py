"""How many points a finite space has, and each of them in turn."""

import math
from collections.abc import Iterator, Mapping
from functools import cache

from tunesmith.space.conditions import Condition, Conditions, holds
from tunesmith.space.parameters import Parameter
from tunesmith.space.values import Key, Value

__all__ = ["count_points", "walk_points"]

_Open = Mapping[str, Condition]
"""What is left to count: parameters, parents first, with the conditions that are still undecided."""


def count_points(parameters: Mapping[str, Parameter], conditions: Conditions) -> int | None:
    """Return the number of distinct points; None if there are infinitely many.

    Families of parameters that have no condition in common multiply. A family is counted by going
    through the values of its first parent, each of which leaves smaller families. What is left is
    often the same, so it is remembered.
    """
    sizes = {name: p.size for name, p in parameters.items() if p.size is not None}
    if len(sizes) < len(parameters):
        return None

    def count(left: _Open) -> int:
        return math.prod(count_family(tuple(family.items())) for family in _families(left))

    @cache
    def count_family(members: tuple[tuple[str, Condition], ...]) -> int:
        family = dict(members)
        first = members[0][0]  # nothing stands before it, so it has no condition
        if len(members) == 1:
            return sizes[first]
        wanted = [keys for c in family.values() for parent, keys in c if parent == first]
        asked = frozenset[Key]().union(*wanted)
        others = sizes[first] - len(asked)  # values that no condition asks about are all alike
        total = sum(count(_decide(family, first, key)) for key in asked)
        return total + (others * count(_decide(family, first, None)) if others else 0)

    return count(conditions)


def _families(left: _Open) -> Iterator[_Open]:
    """Yield parts that have no condition in common; in each, the order stays and a parent is first."""
    relatives: dict[str, list[str]] = {name: [] for name in left}
    for name, condition in left.items():
        for parent, _ in condition:
            relatives[name].append(parent)
            relatives[parent].append(name)
    ranks = {name: rank for rank, name in enumerate(left)}
    seen: set[str] = set()
    for name in left:
        family: set[str] = set()
        found = [] if name in seen else [name]
        while found:
            member = found.pop()
            if member not in family:
                family.add(member)
                found.extend(relatives[member])
        seen |= family
        if family:
            yield {member: left[member] for member in sorted(family, key=ranks.__getitem__)}


def _decide(family: _Open, decided: str, key: Key | None) -> _Open:
    """Return what is left of a family when a parameter has a value: less what that rules out."""
    left: dict[str, Condition] = {}
    for name, condition in family.items():
        possible = all(
            key in wanted if parent == decided else parent in left for parent, wanted in condition
        )
        if possible and name != decided:
            left[name] = tuple(part for part in condition if part[0] != decided)
    return left


def walk_points(
    parameters: Mapping[str, Parameter], conditions: Conditions
) -> Iterator[dict[str, Value]]:
    """Yield every point, with its values in the order of ``parameters``."""
    order = list(conditions)
    values: dict[str, Value] = {}
    walks: list[Iterator[Value]] = []  # through the values of each parameter; empty while inactive
    while True:
        for name in order[len(walks) :]:
            active = holds(conditions[name], values)
            walks.append(parameters[name].members() if active else iter(()))
            if active:
                values[name] = next(walks[-1])
        yield {name: values[name] for name in parameters if name in values}
        while walks:
            name = order[len(walks) - 1]
            following = next(walks[-1], None)  # None is no value
            if following is not None:
                values[name] = following
                break
            walks.pop()
            values.pop(name, None)
        else:
            return
