"""Reading a mapping key by key: each reader checks the kind of what it finds, or notes a fault.

A reader returns None both for a key that is not there and for one that is at fault. The reader of
the whole goes on with a default, so that all faults are found, and raises at the end.
"""

import math
from collections.abc import Callable, Sequence

from tunesmith.specs.faults import Faults, Span, closest, did_you_mean
from tunesmith.specs.located import Listing, Node, Scalar, Table, number

__all__ = ["Fields", "kind_of", "text_of", "word_list"]


class Fields:
    """The keys of one mapping; a key that nobody asks for is unknown.

    Args:
        table: The mapping.
        faults: Takes the faults.
        owner: What the mapping describes, named in messages; ``""`` for the study itself.
        code: The code of faults about single values.
    """

    def __init__(
        self, table: Table, faults: Faults, *, owner: str = "", code: str = "E120"
    ) -> None:
        self.table = table
        self.faults = faults
        self.owner = owner
        self.code = code
        self._asked: list[str] = []

    def node(self, key: str) -> Node | None:
        """Return what stands at ``key``; None if it is not there."""
        if key not in self._asked:
            self._asked.append(key)
        entry = self.table.entries.get(key)
        return entry.node if entry else None

    def key_at(self, key: str) -> Span:
        """Return where the key stands, or the whole mapping if it does not."""
        entry = self.table.entries.get(key)
        return entry.key_at if entry else self.table.at

    def at(self, key: str) -> Span:
        """Return where the value of ``key`` stands, or the whole mapping if it does not."""
        entry = self.table.entries.get(key)
        return entry.node.at if entry else self.table.at

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return self.node(key) is not None

    def require(self, *keys: str) -> bool:
        """Whether all keys are there; each missing one is a fault, unless it is only misspelt."""
        missing = [key for key in keys if not self.has(key)]
        for key in missing:
            if not self.misspelt(key):
                owner = f"{self.owner}: " if self.owner else ""
                self.faults.add("E103", f"{owner}missing key {key!r}", self.table.at)
        return not missing

    def misspelt(self, *keys: str) -> bool:
        """Whether a key that nobody has asked for yet looks like one of ``keys``; `done` says so."""
        return any(closest(key, keys) for key in self.table.entries if key not in self._asked)

    def text(self, key: str) -> str | None:
        """Return the text at ``key``; a number is read as it is written."""
        node = self.node(key)
        if node is None:
            return None
        if isinstance(node, Scalar) and node.value is not None:
            return node.text
        self._wrong(key, "a text", node)
        return None

    def choice(self, key: str, options: Sequence[str]) -> str | None:
        """Return the text at ``key``, which must be one of ``options``."""
        text = self.text(key)
        if text is None or text in options:
            return text
        wanted = ", ".join(options)
        hint = did_you_mean(text, options)
        self.fault(key, f"{self.label(key)} is one of {wanted}; given {text!r}", hint=hint)
        return None

    def number(self, key: str) -> int | float | None:
        """Return the finite number at ``key``."""
        node = self.node(key)
        if node is None:
            return None
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        self._wrong(key, "a number", node)
        return None

    def whole(self, key: str, *, low: int) -> int | None:
        """Return the whole number from ``low`` at ``key``."""
        node = self.node(key)
        if node is None:
            return None
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # 1e3 is a thousand
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong(key, f"a whole number from {low}", node)
            return None
        if value < low:
            self.fault(key, f"{self.label(key)} is a whole number from {low}; given {value}")
            return None
        return value

    def flag(self, key: str) -> bool | None:
        """Return the truth value at ``key``."""
        node = self.node(key)
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self._wrong(key, "true or false", node)
        return None

    def quantity(self, key: str, parse: Callable[[str], float]) -> float | None:
        """Return what ``parse`` makes of the text at ``key``; its `ValueError` is a fault."""
        text = self.text(key)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.fault(key, f"{self.label(key)}: {error}")
            return None

    def inner(self, key: str, *, owner: str, code: str) -> "Fields | None":
        """Return the fields of the mapping at ``key``."""
        node = self.node(key)
        if node is None:
            return None
        if isinstance(node, Table):
            return Fields(node, self.faults, owner=owner, code=code)
        self._wrong(key, "a mapping", node)
        return None

    def fault(self, key: str, message: str, *, hint: str = "") -> None:
        """Take note of a fault of the value at ``key``."""
        self.faults.add(self.code, message, self.at(key), hint=hint)

    def label(self, key: str) -> str:
        """Return the key as messages name it: ``lr: min``."""
        return f"{self.owner}: {key}" if self.owner else key

    def done(self) -> None:
        """Take note of every key that nobody has asked for."""
        for key, entry in self.table.entries.items():
            if key not in self._asked:
                rest = [name for name in self._asked if name not in self.table.entries]
                hint = did_you_mean(key, rest) or did_you_mean(key, self._asked)
                self.faults.add("E102", f"unknown key {key!r}", entry.key_at, hint=hint)

    def _wrong(self, key: str, wanted: str, node: Node) -> None:
        message = f"{self.label(key)} must be {wanted}, not {kind_of(node)}"
        quoted = isinstance(node, Scalar) and not node.plain and number(node.text) is not None
        self.faults.add(
            "E101",
            message,
            node.at,
            hint="drop the quotes" if quoted and "number" in wanted else "",
        )


def kind_of(node: Node) -> str:
    """Return what a node is, for a message: ``a list``, ``the text 'x'``, ``nothing``."""
    if isinstance(node, Listing):
        return "a list"
    if isinstance(node, Table):
        return "a mapping"
    if node.value is None:
        return "nothing"
    return f"the text {node.text!r}" if isinstance(node.value, str) else node.text


def text_of(node: Node, what: str, faults: Faults) -> str | None:
    """Return the text of a node, a number as it is written; anything else is a fault."""
    if isinstance(node, Scalar) and node.value is not None:
        return node.text
    faults.add("E101", f"{what} must be a text, not {kind_of(node)}", node.at)
    return None


def word_list(node: Node, what: str, faults: Faults) -> list[tuple[str, Span]]:
    """Return the texts of a list, or the only one, each with its place."""
    nodes = node.items if isinstance(node, Listing) else (node,)
    found = [(text_of(each, what, faults), each.at) for each in nodes]
    return [(text, at) for text, at in found if text is not None]
