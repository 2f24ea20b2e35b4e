"""Reads a message as lenient as Google's own readers together: JSON of proto3, YAML, either spelling.

    doubleValueSpec, double_value_spec     the same field; null is not there
    2, UNIT_LOG_SCALE                      an enumeration by number or name
    "40", 40, 40.0                         a whole number; likewise "0.1" and 0.1
    "3.5s", {seconds: 3, nanos: 500000000} a duration
    TRUE, "true"                           a truth value

What a proto leaves out is zero, so most readers return None or an empty value for it; the caller
knows what zero means there. A fault is told by its field, ``studySpec.parameters[1].parameterId``.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from tunesmith.specs.faults import Span, did_you_mean
from tunesmith.specs.fields import kind_of
from tunesmith.specs.google.findings import Findings
from tunesmith.specs.google.times import duration_s, timestamp_s
from tunesmith.specs.located import Entry, Listing, Node, Scalar, Table, number

__all__ = ["Message", "camel"]

_T = TypeVar("_T")
_INT32 = 2**31 - 1
_INT64 = 2**63
_TRUTHS = {"true": True, "false": False}


def camel(name: str) -> str:
    """Return the camelCase of a snake_case name; another stays as it is."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


class Message:
    """The fields of one message; a field that nobody asks for is unknown.

    Args:
        table: The message.
        findings: Takes what is noticed.
        path: Where it stands in the document; ``""`` for the document itself.
    """

    def __init__(self, table: Table, findings: Findings, path: str = "") -> None:
        self.table = table
        self.path = path
        self.findings = findings
        self._entries: dict[str, Entry] = {}
        self._asked: list[str] = []
        self._missing: list[tuple[str, str]] = []
        self._done = False
        for key, entry in table.entries.items():
            name = camel(key)
            if name in self._entries:
                message = f"the field is given twice, also as {key!r}"
                findings.fault(self.field(name), message, entry.key_at, code="E104")
            elif not (isinstance(entry.node, Scalar) and entry.node.value is None):
                self._entries[name] = entry

    # Where things stand

    def field(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def node(self, name: str) -> Node | None:
        """Return what stands there; None if nothing does."""
        if name not in self._asked:
            self._asked.append(name)
        entry = self._entries.get(name)
        return entry.node if entry else None

    def has(self, name: str) -> bool:
        """Whether the field is there, be it empty."""
        return self.node(name) is not None

    def place(self, name: str) -> Span:
        """Return the place of a field, or of the message without it, remembered as the field's."""
        entry = self._entries.get(name)
        return self.findings.named(entry.node.at if entry else self.table.at, self.field(name))

    def fault(self, name: str, message: str, *, code: str = "E120", hint: str = "") -> None:
        """Take note of a fault of a field."""
        entry = self._entries.get(name)
        at = entry.node.at if entry else self.table.at
        self.findings.fault(self.field(name), message, at, code=code, hint=hint)

    def missing(self, name: str, why: str = "the field is missing") -> None:
        """Take note that a field is not there, unless another proves to be a misspelt one."""
        self._missing.append((name, why))
        if self._done:
            self._tell_missing()

    def lose(self, name: str, why: str) -> None:
        """Take note that a field says something that is not kept."""
        self.findings.lost.add(self.field(name), why)

    def unused(self, why: str, *names: str) -> None:
        """Take note of fields that are understood and have no meaning here."""
        for name in names:
            if self.has(name):
                self.lose(name, why)

    def ignore(self, *names: str) -> None:
        """Pass over fields that a service fills in itself."""
        for name in names:
            self.node(name)

    def done(self) -> None:
        """Take note of every field that nobody has asked for."""
        for name, entry in self._entries.items():
            if name not in self._asked:
                rest = [other for other in self._asked if other not in self._entries]
                hint = did_you_mean(name, rest) or did_you_mean(name, self._asked)
                message = "there is no such field"
                self.findings.fault(self.field(name), message, entry.key_at, code="E102", hint=hint)
        self._done = True
        self._tell_missing()

    def _tell_missing(self) -> None:
        unknown = [name for name in self._entries if name not in self._asked]
        for name, why in self._missing:
            if not did_you_mean(name, unknown):
                self.fault(name, why, code="E103")
        self._missing.clear()

    # Single values

    def text(self, name: str) -> str:
        """Return a text, a number as it is written; ``""`` if there is none."""
        node = self.node(name)
        return "" if node is None else self._text(self.field(name), node) or ""

    def flag(self, name: str) -> bool:
        """Return a truth value; False if there is none."""
        node = self.node(name)
        if node is None:
            return False
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, str):
            value = _TRUTHS.get(value.lower())
        if not isinstance(value, bool):
            self._wrong(self.field(name), "true or false", node)
            return False
        return value

    def number(self, name: str) -> float | None:
        """Return a finite number; None if there is none."""
        node = self.node(name)
        return None if node is None else self._number(self.field(name), node)

    def whole(self, name: str) -> int | None:
        """Return a whole number of 64 bits; None if there is none."""
        node = self.node(name)
        return None if node is None else self._whole(self.field(name), node)

    def count(self, name: str, *, low: int = 0) -> int | None:
        """Return a whole number from ``low`` of 32 bits; None if there is none."""
        node = self.node(name)
        return None if node is None else self._count(self.field(name), node, low)

    def choice(self, name: str, options: Mapping[int, str]) -> str:
        """Return the name of an enumeration's value; ``""`` for none, or for number 0."""
        node = self.node(name)
        if node is None:
            return ""
        given = node.text if isinstance(node, Scalar) else ""
        number_given = number(given)
        for value, word in options.items():
            if word in (given, given.upper()) or number_given == value:
                return word if value else ""
        known = ", ".join(options.values())
        what = repr(given) if given else kind_of(node)
        hint = did_you_mean(given, options.values())
        self.fault(name, f"one of {known}; given {what}", hint=hint)
        return ""

    def duration(self, name: str) -> float | None:
        """Return the seconds of a duration; None if there is none."""
        return self._time(name, duration_s)

    def timestamp(self, name: str) -> float | None:
        """Return the seconds since the epoch of a point in time; None if there is none."""
        return self._time(name, timestamp_s)

    # Messages and lists

    def inner(self, name: str) -> "Message | None":
        """Return the message at a field; None if there is none."""
        node = self.node(name)
        if node is None:
            return None
        if isinstance(node, Table):
            return Message(node, self.findings, self.field(name))
        self._wrong(self.field(name), "a mapping", node)
        return None

    def one_of(self, *names: str) -> "tuple[str, Message] | None":
        """Return which of several fields is given, and its message; None if none is.

        Several at once, or none, are left to the caller in the order of ``names``; the first counts.
        """
        given = [name for name in names if self.has(name)]
        for name in given[1:]:
            self.fault(name, f"only one of {given[0]} and {name} can be given")
        inner = self.inner(given[0]) if given else None
        return None if inner is None else (given[0], inner)

    def each(self, name: str) -> "list[Message]":
        """Return the messages of a list; what is none of them is a fault."""
        found = []
        for path, node in self._items(name):
            if isinstance(node, Table):
                found.append(Message(node, self.findings, path))
            else:
                self._wrong(path, "a mapping", node)
        return found

    def words(self, name: str) -> list[tuple[str, Span]]:
        """Return the texts of a list with their places."""
        return self._all(name, self._text)

    def numbers(self, name: str) -> list[tuple[float, Span]]:
        """Return the finite numbers of a list with their places."""
        return self._all(name, self._number)

    def wholes(self, name: str) -> list[tuple[int, Span]]:
        """Return the whole numbers of a list with their places."""
        return self._all(name, self._whole)

    def mapping(self, name: str) -> dict[str, str]:
        """Return a mapping from texts to texts; empty if there is none."""
        node = self.node(name)
        if node is None:
            return {}
        if not isinstance(node, Table):
            self._wrong(self.field(name), "a mapping", node)
            return {}
        entries = node.entries.items()
        texts = ((key, self._text(f"{self.field(name)}.{key}", e.node)) for key, e in entries)
        return {key: text for key, text in texts if text is not None}

    # Checks of one node

    def _items(self, name: str) -> Iterable[tuple[str, Node]]:
        node = self.node(name)
        if node is None:
            return []
        if not isinstance(node, Listing):
            self._wrong(self.field(name), "a list", node)
            return []
        return [(f"{self.field(name)}[{i}]", item) for i, item in enumerate(node.items)]

    def _all(self, name: str, read: Callable[[str, Node], _T | None]) -> list[tuple[_T, Span]]:
        found = []
        for path, node in self._items(name):
            value = read(path, node)
            if value is not None:
                found.append((value, self.findings.named(node.at, path)))
        return found

    def _text(self, path: str, node: Node) -> str | None:
        if isinstance(node, Scalar) and node.value is not None:
            return node.text
        self._wrong(path, "a text", node)
        return None

    def _number(self, path: str, node: Node) -> float | None:
        value = _number_in(node)
        if value is None or not math.isfinite(value):
            self._wrong(path, "a finite number", node)
            return None
        return value

    def _whole(self, path: str, node: Node) -> int | None:
        value = _number_in(node)
        if value is not None and abs(value) < _INT64 and value == int(value):
            return int(value)
        self._wrong(path, "a whole number of 64 bits", node)
        return None

    def _count(self, path: str, node: Node, low: int) -> int | None:
        value = _number_in(node)
        if value is not None and low <= value <= _INT32 and value == int(value):
            return int(value)
        upto = f" to {_INT32}" if value is not None and value > _INT32 else ""
        self._wrong(path, f"a whole number from {low}{upto}", node)
        return None

    def _time(self, name: str, read: Callable[[str | Mapping[str, float]], float]) -> float | None:
        node = self.node(name)
        if node is None:
            return None
        try:
            if isinstance(node, Table):
                parts = Message(node, self.findings, self.field(name))
                given = {key: float(parts.whole(key) or 0) for key in ("seconds", "nanos")}
                parts.done()
                return read(given)
            return read(node.text if isinstance(node, Scalar) else "")
        except ValueError as error:
            self.fault(name, f"{error}; given {kind_of(node)}")
            return None

    def _wrong(self, path: str, wanted: str, node: Node) -> None:
        message = f"{wanted} is needed, not {kind_of(node)}"
        self.findings.fault(path, message, node.at, code="E101")


def _number_in(node: Node) -> int | float | None:
    """Return the number that a node is or, as JSON writes long ones, that its text says."""
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, str):
        value = number(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An int that no float can hold would break every comparison with one.
    return value if isinstance(value, float) or abs(value) < 10**300 else math.inf
