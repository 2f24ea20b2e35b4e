"""YAML as a tree in which every node knows its place.

Reads YAML 1.1's syntax with the core schema of YAML 1.2, which people expect: ``1e-4`` is a number,
``no`` is a word, ``010`` is ten. JSON is YAML. The tree is built from PyYAML's events instead of
its nodes, because only then can depth and aliases be bounded before they cost anything.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, cast

import yaml
from yaml.reader import ReaderError

from tunesmith.specs.faults import Faults, Span

__all__ = ["Listing", "Node", "Plain", "Scalar", "Table", "compose", "number", "resolve"]

Plain = None | bool | int | float | str

_MAX_NODES = 100_000  # aliases counted as often as they are used
_MAX_DEPTH = 50

_TEXT_TAG = "tag:yaml.org,2002:str"

_WORDS: Mapping[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_JSON_INDENT = re.compile(r"^\t+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value.

    Attributes:
        value: What the core schema makes of it.
        text: As it is written, without quotes.
        plain: Whether it is written without quotes.
        at: Its place.
        size: How many nodes it is: one.
    """

    value: Plain
    text: str
    plain: bool
    at: Span
    size: int = 1


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of nodes."""

    items: tuple["Node", ...]
    at: Span
    size: int


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping from texts to nodes, in the order written."""

    entries: Mapping[str, "Entry"]
    at: Span
    size: int


Node = Scalar | Listing | Table


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's place and what it stands for."""

    key_at: Span
    node: Node


def resolve(text: str) -> Plain:
    """Return the value that an unquoted ``text`` has in YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    found = number(text)
    return text if found is None else found


def number(text: str) -> int | float | None:
    """Return the number that ``text`` writes, an int if written as one; None if it is none."""
    if _INTEGER.fullmatch(text):
        # Longer ones are beyond what a float holds, and are no number anyone means.
        digits = text[2:] if text[:2] in ("0x", "0o") else text
        base = {"0x": 16, "0o": 8}.get(text[:2], 10)
        return int(digits, base) if len(digits) < 250 else None
    if _FLOAT.fullmatch(text):
        return float(text)
    if special := _NOT_FINITE.fullmatch(text):
        return float("nan") if special[3] else float(f"{special[1]}inf")
    return None


def compose(text: str, faults: Faults) -> Node | None:
    """Return the tree of the one document in ``text``; None if it is empty.

    A key given twice is added to ``faults``; of the two, the first counts.

    Raises:
        SpecError: ``text`` is not YAML, is nested too deeply, or is too large.
    """
    if text.lstrip().startswith("{"):
        # YAML forbids the tabs that JSON is often indented with; a blank each keeps the columns.
        text = _JSON_INDENT.sub(lambda tabs: " " * len(tabs[0]), text)
    try:
        return _Composer(yaml.parse(text, Loader=yaml.SafeLoader), faults).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Span(mark.line + 1, mark.column + 1) if mark else Span(1, 1)
        faults.add("E100", _explain(error), at)
    except ReaderError as error:
        before = text[: error.position].splitlines() or [""]
        at = Span(len(before), len(before[-1]) + 1)
        faults.add(
            "E100", f"the character U+{ord(text[error.position]):04X} is not allowed here", at
        )
    raise faults.error()


def _explain(error: yaml.MarkedYAMLError) -> str:
    problem = (error.problem or "").replace("'<stream end>'", "the end of the file")
    if "'\\t'" in problem:
        return "YAML can't be indented with tabs. Use spaces."
    if "mapping values are not allowed" in problem:
        return "not YAML: a ':' is not allowed here. Quote the text it belongs to, or check the indentation."
    if "chomping" in problem or "character '>'" in problem:
        return "YAML can't begin a text with '>'. Quote it: \">= 0.9\"."
    context = f" {error.context}" if error.context else ""
    if context and error.context_mark:
        context += f" that begins on line {error.context_mark.line + 1}"
    return f"not YAML: {problem}{context}"


@dataclass(slots=True)
class _Composer:
    events: Iterator[yaml.Event]
    faults: Faults
    anchors: dict[str, Node] = field(default_factory=dict)
    size: int = 0

    def document(self) -> Node | None:
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self.fail("a second document begins here. Write one study per file.", event)
                root = self.node(next(self.events), 0)
        empty = isinstance(root, Scalar) and root.plain and not root.text
        return None if empty else root

    def node(self, event: yaml.Event, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            self.fail(f"nested more than {_MAX_DEPTH} deep", event)
        made = self.alias(event) if isinstance(event, yaml.AliasEvent) else self.fresh(event, depth)
        self.size += made.size if isinstance(event, yaml.AliasEvent) else 1
        if self.size > _MAX_NODES:
            self.fail(f"more than {_MAX_NODES} values, counting what aliases repeat", event)
        return made

    def alias(self, event: yaml.AliasEvent) -> Node:
        if event.anchor not in self.anchors:
            self.fail(f"nothing before this has the anchor '&{event.anchor}'", event)
        return self.anchors[event.anchor]

    def fresh(self, event: yaml.Event, depth: int) -> Node:
        made: Node
        if isinstance(event, yaml.SequenceStartEvent):
            made = self.listing(event, depth)
        elif isinstance(event, yaml.MappingStartEvent):
            made = self.table(event, depth)
        elif isinstance(event, yaml.ScalarEvent):
            made = self.scalar(event)
        else:
            self.fail("not YAML: a value is missing", event)
        if anchor := getattr(event, "anchor", None):
            self.anchors[anchor] = made
        return made

    def scalar(self, event: yaml.ScalarEvent) -> Scalar:
        # JSON writes a character beyond U+FFFF as two escapes, which PyYAML leaves apart.
        text = event.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if event.tag not in (None, "!", _TEXT_TAG):
            self.fail(f"the tag {event.tag!r} has no meaning here", event)
        plain = event.style is None and event.tag is None
        return Scalar(resolve(text) if plain else text, text, plain, self.span(event))

    def listing(self, event: yaml.Event, depth: int) -> Listing:
        items = []
        while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(item, depth + 1))
        return Listing(tuple(items), self.span(event, item), 1 + sum(node.size for node in items))

    def table(self, event: yaml.Event, depth: int) -> Table:
        entries: dict[str, Entry] = {}
        merged: list[Table] = []
        while not isinstance(first := next(self.events), yaml.MappingEndEvent):
            key = self.node(first, depth + 1)
            node = self.node(next(self.events), depth + 1)
            if not isinstance(key, Scalar):
                self.faults.add("E101", "a key must be a word, not a list or mapping", key.at)
            elif key.text == "<<" and key.plain:
                merged += self.merged(node)
            elif key.text in entries:
                earlier = entries[key.text].key_at.line
                hint = f"first given on line {earlier}"
                self.faults.add("E104", f"the key {key.text!r} is given twice", key.at, hint=hint)
            else:
                entries[key.text] = Entry(key.at, node)
        for table in merged:  # what is written here wins, then the first of several
            entries = {**table.entries, **entries}
        size = 1 + sum(1 + entry.node.size for entry in entries.values())
        return Table(entries, self.span(event, first), size)

    def merged(self, node: Node) -> list[Table]:
        parts = node.items if isinstance(node, Listing) else (node,)
        tables = [part for part in parts if isinstance(part, Table)]
        if len(tables) < len(parts):
            self.faults.add("E101", "'<<' takes a mapping, or a list of mappings", node.at)
        return tables

    def span(self, start: yaml.Event, end: yaml.Event | None = None) -> Span:
        first = cast("yaml.Mark", start.start_mark)
        last = cast("yaml.Mark", (end or start).end_mark)
        at = Span(first.line + 1, first.column + 1)
        if first.line == last.line:
            width = last.column - first.column
        else:
            width = len(self.faults.source(at).rstrip()) - first.column
        return Span(at.line, at.column, max(width, 1))

    def fail(self, message: str, event: yaml.Event) -> NoReturn:
        self.faults.add("E100", message, self.span(event))
        raise self.faults.error()
