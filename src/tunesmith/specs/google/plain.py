"""Plain data, such as the JSON of a request, as the tree that texts become.

Each value gets a place of its own, in reading order, so that faults are told in that order and a
place stands for one field.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import count

from tunesmith.specs.faults import Span
from tunesmith.specs.located import Entry, Listing, Node, Scalar, Table

__all__ = ["data_of", "json_of", "tree"]

_MAX_DEPTH = 50


def tree(data: object) -> Node:
    """Return plain data as a tree; raise `ValueError` if it is nested too deeply, or is no plain data."""
    lines = count(1)
    return _node(data, lines, 0)


def _node(data: object, lines: "count[int]", depth: int) -> Node:
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested more than {_MAX_DEPTH} deep")
    at = Span(next(lines), 1)
    if data is None or isinstance(data, bool):
        return Scalar(data, {None: "null", True: "true", False: "false"}[data], True, at)
    if isinstance(data, str):
        return Scalar(data, data, False, at)
    if isinstance(data, int | float):
        return Scalar(data, repr(data), True, at)
    if isinstance(data, Mapping):
        entries = {
            str(key): Entry(Span(next(lines), 1), _node(value, lines, depth + 1))
            for key, value in data.items()
        }
        return Table(entries, at, 1)
    if isinstance(data, Sequence):
        return Listing(tuple(_node(item, lines, depth + 1) for item in data), at, 1)
    raise ValueError(f"{type(data).__name__} is no plain data")


def data_of(node: Node) -> object:
    """Return a tree as plain data, from which `tree` makes it again but for the places."""
    if isinstance(node, Table):
        return {key: data_of(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, Listing):
        return [data_of(item) for item in node.items]
    return node.value


def json_of(node: Node) -> str:
    """Return a tree as JSON on one line."""
    return json.dumps(data_of(node), ensure_ascii=False)
