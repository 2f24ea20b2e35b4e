"""The parameters of a native file: a mapping, a list, or the short form of the command line."""

from collections.abc import Mapping

from tunesmith.space import CONFIDENCES
from tunesmith.specs.declaration import (
    KINDS,
    SCALES,
    Condition,
    Declaration,
    Given,
    Kind,
    typed_number,
)
from tunesmith.specs.faults import Faults
from tunesmith.specs.fields import Fields, kind_of
from tunesmith.specs.inline import declare, kind_of_values
from tunesmith.specs.located import Entry, Listing, Node, Scalar, Table

__all__ = ["read_declarations"]

_KEYS: Mapping[Kind, tuple[str, ...]] = {
    "double": ("min", "max"),
    "integer": ("min", "max"),
    "discrete": ("values",),
    "categorical": ("values",),
}
_MAY: Mapping[Kind, tuple[str, ...]] = {
    "double": ("scale", "step", "default", "prior", "when"),
    "integer": ("scale", "step", "default", "prior", "when"),
    "discrete": ("scale", "default", "prior", "when"),
    "categorical": ("default", "prior", "when"),
}
_ALL_KEYS = ("type", "min", "max", "values", "scale", "step", "default", "prior", "when")


def read_declarations(table: Table, faults: Faults) -> tuple[list[Declaration], list[str]]:
    """Return the parameters that make a declaration, and the names of those that do not."""
    found, broken = [], []
    for name, entry in table.entries.items():
        declaration = _declaration(name, entry, faults)
        if declaration is None:
            broken.append(name)
        else:
            found.append(declaration)
    return found, broken


def _declaration(name: str, entry: Entry, faults: Faults) -> Declaration | None:
    node = entry.node
    if isinstance(node, Table):
        return _from_table(name, entry, node, faults)
    if isinstance(node, Listing):
        before = faults.count
        values = _values(node, name, faults)
        if faults.count > before:
            return None
        kind = kind_of_values(given.value for given in values)
        return Declaration(name, entry.key_at, kind, values=values, values_at=node.at)
    if isinstance(node.value, str):
        text_at = faults.within(node.at, node.text)
        return declare(name, entry.key_at, node.text, text_at, faults)
    message = f"{name} must be a mapping, a list or a range such as 16..256, not {kind_of(node)}"
    faults.add("E110", message, node.at)
    return None


def _from_table(name: str, entry: Entry, table: Table, faults: Faults) -> Declaration | None:
    before = faults.count
    fields = Fields(table, faults, owner=name, code="E110")
    fields.require("type")
    word = fields.choice("type", tuple(KINDS))
    if word is None:
        for key in _ALL_KEYS:
            fields.node(key)
        fields.done()
        return None
    kind = KINDS[word]
    allowed = ("type", *_KEYS[kind], *_MAY[kind])
    for key in allowed:
        fields.node(key)
    for key in _ALL_KEYS:
        if key not in allowed and fields.has(key):
            faults.add("E110", f"{name}: {kind} parameters have no {key!r}", fields.key_at(key))
    center, confidence = _prior(fields, kind)
    declared = Declaration(
        name,
        entry.key_at,
        kind,
        low=_number(fields, "min", kind),
        high=_number(fields, "max", kind),
        step=_number(fields, "step", kind),
        values=_listed(fields) if "values" in allowed else (),
        values_at=fields.at("values"),
        scale=_scale(fields),
        default=_one_value(fields, "default", kind),
        prior=center,
        confidence=confidence,
        when=_conditions(fields),
    )
    fields.done()
    return declared if fields.require(*_KEYS[kind]) and faults.count == before else None


def _number(fields: Fields, key: str, kind: Kind) -> Given | None:
    value = fields.number(key)
    if value is None:
        return None
    return typed_number(kind, fields.label(key), value, fields.at(key), fields.faults)


def _scale(fields: Fields) -> Given | None:
    scale = fields.choice("scale", SCALES)
    return None if scale is None else Given(scale, fields.at("scale"))


def _one_value(fields: Fields, key: str, kind: Kind) -> Given | None:
    if kind in ("double", "integer"):
        return _number(fields, key, kind)
    node = fields.node(key)
    return None if node is None else _value(node, fields.label(key), fields.faults)


def _prior(fields: Fields, kind: Kind) -> tuple[Given | None, Given | None]:
    """Return the center and the confidence of the prior: a value alone, or a mapping of both."""
    if not isinstance(fields.node("prior"), Table):
        return _one_value(fields, "prior", kind), None
    inner = fields.inner("prior", owner=fields.label("prior"), code="E110")
    assert inner is not None, "it is a mapping"
    inner.require("center")
    center = _one_value(inner, "center", kind)
    word = inner.choice("confidence", CONFIDENCES)
    inner.done()
    return center, None if word is None else Given(word, inner.at("confidence"))


def _listed(fields: Fields) -> tuple[Given, ...]:
    node = fields.node("values")
    if isinstance(node, Listing):
        return _values(node, fields.label("values"), fields.faults)
    if node is not None:
        message = f"{fields.label('values')} must be a list, not {kind_of(node)}"
        fields.faults.add("E101", message, node.at)
    return ()


def _conditions(fields: Fields) -> tuple[Condition, ...]:
    inner = fields.inner("when", owner=fields.label("when"), code="E111")
    if inner is None:
        return ()
    return tuple(
        Condition(
            parent,
            entry.key_at,
            _values(entry.node, inner.label(parent), inner.faults, code="E111"),
        )
        for parent, entry in inner.table.entries.items()
    )


def _values(node: Node, what: str, faults: Faults, *, code: str = "E110") -> tuple[Given, ...]:
    """Return the values of a list, or the only one."""
    nodes = node.items if isinstance(node, Listing) else (node,)
    if not nodes:
        faults.add(code, f"{what}: the list is empty", node.at)
    found = [_value(each, what, faults, code=code) for each in nodes]
    return tuple(given for given in found if given is not None)


def _value(node: Node, what: str, faults: Faults, *, code: str = "E110") -> Given | None:
    if isinstance(node, Scalar) and node.value is not None:
        return Given(node.value, node.at)
    message = f"{what} must be a text, a number, true or false, not {kind_of(node)}"
    faults.add(code, message, node.at)
    return None
