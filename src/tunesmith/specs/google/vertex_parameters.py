"""The parameters of a study, each below its parent, as many levels as there are.

Vertex AI and the older optimizer API spell them nearly alike; a `Dialect` says where they differ.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

from tunesmith.space import Space
from tunesmith.specs.declaration import Declaration, Given, Kind
from tunesmith.specs.faults import NOWHERE, Span
from tunesmith.specs.google.enums import CMLE_TYPES, SCALES
from tunesmith.specs.google.message import Message
from tunesmith.specs.google.parameters import Found, Names, make_space
from tunesmith.specs.google.ranges import choices, interval, numbers, scaled

__all__ = ["OPTIMIZER", "VERTEX", "Dialect", "read_parameters"]

_KINDS: dict[str, Kind] = {
    "doubleValueSpec": "double",
    "integerValueSpec": "integer",
    "categoricalValueSpec": "categorical",
    "discreteValueSpec": "discrete",
}
_CONDITIONS: dict[str, Kind] = {
    "parentDiscreteValues": "discrete",
    "parentIntValues": "integer",
    "parentCategoricalValues": "categorical",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an API spells a parameter.

    Attributes:
        name: The field of its name.
        below: The field of those that depend on it.
        inside: The field of such a one that describes it; ``""`` if it is described beside its condition.
        typed: Whether its type is said once more, in words.
    """

    name: str
    below: str
    inside: str
    typed: bool


VERTEX = Dialect("parameterId", "conditionalParameterSpecs", "parameterSpec", typed=False)
OPTIMIZER = Dialect("parameter", "childParameterSpecs", "", typed=True)


def read_parameters(message: Message, dialect: Dialect = VERTEX) -> tuple[Space | None, Names]:
    """Return the space of a study's list ``parameters``, and its names that no program knows.

    None, and a fault for each reason, if they make none.
    """
    parameters = message.each("parameters")
    if not parameters:
        message.missing("parameters", "a study needs at least one parameter")
        return None, {}
    before = message.findings.faults.count
    found = [each for parameter in parameters for each in _parameter(parameter, dialect)]
    space, names = make_space(found, message.findings, message.field("parameters"))
    return (None, {}) if message.findings.faults.count > before else (space, names)


def _parameter(
    message: Message,
    dialect: Dialect,
    parent: Found | None = None,
    wanted: tuple[Given, ...] = (),
    wanted_at: Span = NOWHERE,
) -> Iterator[Found]:
    """Yield a parameter and then, behind it, all that stand below it."""
    name = message.text(dialect.name)
    at = message.place(dialect.name)
    if not name:
        message.missing(dialect.name, "a parameter needs a name")
    label = name or "the parameter"
    given = message.one_of(*_KINDS)
    word = message.choice("scaleType", SCALES)
    below = message.each(dialect.below)
    if dialect.typed and given is not None:
        _check_type(message, _KINDS[given[0]], label)
    message.done()
    if given is None:
        if not any(message.has(key) for key in _KINDS):
            message.missing("doubleValueSpec", f"{label} needs one of {', '.join(_KINDS)}")
        return
    declared = _declaration(_KINDS[given[0]], given[1], label, at)
    given[1].done()
    if declared is None:
        return
    declared = replace(declared, scale=scaled(message, word, declared))
    here = Found(declared, message.path, parent, wanted, wanted_at)
    yield here
    for each in below:
        yield from _conditional(each, dialect, here)


def _check_type(message: Message, kind: Kind, name: str) -> None:
    word = message.choice("type", CMLE_TYPES)
    if word and word.lower() != kind:
        message.fault("type", f"{name} is {word}, and has a {kind}ValueSpec", code="E110")


def _declaration(kind: Kind, message: Message, name: str, at: Span) -> Declaration | None:
    if kind == "categorical":
        declared = choices(message, "values", name, at)
        default: object = message.text("defaultValue") if message.has("defaultValue") else None
    elif kind == "discrete":
        declared, default = numbers(message, "values", name, at), message.number("defaultValue")
    else:
        declared = interval(message, name, at, kind)
        whole = kind == "integer"
        default = message.whole("defaultValue") if whole else message.number("defaultValue")
    if declared is None or default is None:
        return declared
    given = Given(cast("float | str", default), message.place("defaultValue"))
    return replace(declared, default=given)


def _conditional(message: Message, dialect: Dialect, parent: Found) -> Iterator[Found]:
    wanted, at = _wanted(message, parent)
    inner = message
    if dialect.inside:
        described = message.inner(dialect.inside)
        if described is None:
            message.missing(dialect.inside, "a conditional parameter needs its description")
        message.done()
        if described is None:
            return
        inner = described
    if wanted:
        yield from _parameter(inner, dialect, parent, wanted, at)
    else:
        for _ in _parameter(inner, dialect):  # its own faults are told all the same
            pass


def _wanted(message: Message, parent: Found) -> tuple[tuple[Given, ...], Span]:
    """Return the parent's values with which a parameter is active, and their place; none if at fault."""
    given = message.one_of(*_CONDITIONS)
    if given is None:
        if not any(message.has(key) for key in _CONDITIONS):
            message.missing(_for_parent(parent), "say with which values of its parent it is active")
        return (), NOWHERE
    key, condition = given
    kind, above = _CONDITIONS[key], parent.declaration
    before = message.findings.faults.count
    wanted: list[Given]
    if kind == "categorical":
        wanted = [Given(word, at) for word, at in condition.words("values")]
    elif kind == "integer":
        wanted = [Given(number, at) for number, at in condition.wholes("values")]
    else:
        wanted = [Given(number, at) for number, at in condition.numbers("values")]
    at = condition.place("values")
    condition.done()
    if above.kind == "double":
        text = f"{above.name} is a DOUBLE, on which nothing can depend"
        message.fault(key, text, code="E111")
    elif kind != above.kind:
        text = f"{above.name} is {above.kind.upper()}: use {_for_parent(parent)}"
        message.fault(key, text, code="E111")
    elif not wanted and message.findings.faults.count == before:
        condition.fault("values", "at least one value of the parent is needed", code="E111")
    return (tuple(wanted) if message.findings.faults.count == before else ()), at


def _for_parent(parent: Found) -> str:
    kinds = {kind: key for key, kind in _CONDITIONS.items()}
    return kinds.get(parent.declaration.kind, "parentCategoricalValues")
