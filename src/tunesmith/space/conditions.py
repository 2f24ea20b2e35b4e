"""Conditions: which parameters are active, decided parents first."""

from collections.abc import Mapping

from tunesmith.errors import SpaceError
from tunesmith.space.checks import Key, typed
from tunesmith.space.names import did_you_mean
from tunesmith.space.parameters import Parameter, Value, parents

__all__ = ["Conditions", "read_conditions"]

Conditions = Mapping[str, tuple[tuple[str, frozenset[Key]], ...]]
"""For each parameter its parents, each with the keys (see `typed`) of the values that activate it."""


def read_conditions(parameters: Mapping[str, Parameter]) -> tuple[tuple[str, ...], Conditions]:
    """Return the names in an order in which parents stand before their children, and the conditions.

    Raises:
        SpaceError: a condition names no parameter, a continuous one, itself, or a value that its
            parent does not have; or conditions form a circle.
    """
    conditions = {name: _read(name, p, parameters) for name, p in parameters.items()}
    order: list[str] = []
    path: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        if name in path:
            circle = " -> ".join([*path[path.index(name) :], name])
            msg = f"Parameter {name!r}: its conditions form a circle: {circle}."
            raise SpaceError(msg)
        path.append(name)
        for parent, _ in conditions[name]:
            visit(parent)
        path.pop()
        order.append(name)

    for name in parameters:
        visit(name)
    return tuple(order), conditions


def _read(
    name: str, parameter: Parameter, parameters: Mapping[str, Parameter]
) -> tuple[tuple[str, frozenset[Key]], ...]:
    read = []
    for parent, wanted in parents(parameter):
        if parent not in parameters:
            msg = f"Parameter {name!r}: its condition names {parent!r}, which is no parameter."
            raise SpaceError(msg + did_you_mean(str(parent), parameters))
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
