"""Lists as Google answers them: filtered, in order, page by page."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query

from tunesmith.service.fronts.google.documents import Document
from tunesmith.service.fronts.google.faults import fault
from tunesmith.service.fronts.google.filters import matches
from tunesmith.specs.google.message import camel

__all__ = ["Wish", "Wished", "listed", "ordered", "page"]

_MOST = 1000
Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which part of a list a client wants, and in which order.

    Attributes:
        wanted: The filter; ``""`` for all.
        order_by: Fields, with ``desc`` behind those that fall; ``""`` for the list's own order.
        size: How many items; 0 for as many as is usual.
        token: What the last page gave for this one; ``""`` for the first.
    """

    wanted: str = ""
    order_by: str = ""
    size: int = 0
    token: str = ""


def _wish(
    *,
    wanted: Annotated[str, Query(alias="filter", max_length=2000)] = "",
    order_by: Annotated[str, Query(alias="orderBy", max_length=200)] = "",
    size: Annotated[int, Query(alias="pageSize", ge=0, le=2**31 - 1)] = 0,
    token: Annotated[str, Query(alias="pageToken", max_length=200)] = "",
) -> Wish:
    return Wish(wanted, order_by, size, token)


Wished = Annotated[Wish, Depends(_wish)]
"""What the query of a request says of the list that it is for."""


def listed(key: str, items: Sequence[Item], wish: Wish, *, default: int = _MOST) -> Document:
    """Return the page that is wished for, under a key; an empty list is left out.

    Args:
        key: What the list is called.
        items: All there is.
        wish: What is wanted of it.
        default: How many are on a page where the client does not say.
    """
    passes = matches(wish.wanted)
    found = ordered([item for item in items if passes(item)], wish.order_by)
    shown, following = page(found, wish.size, wish.token, default=default)
    document: Document = {key: shown} if shown else {}
    return {**document, "nextPageToken": following} if following else document


def page(
    items: Sequence[Item], size: int, token: str, *, default: int = _MOST
) -> tuple[Sequence[Item], str]:
    """Return one page of items, and the token of the next; ``""`` for no more."""
    begin = 0
    if token:
        try:
            begin = int(base64.urlsafe_b64decode(token.encode()).decode())
        except ValueError:
            raise fault("pageToken", f"{token[:50]!r} was not given by a list before") from None
    end = begin + min(size or default, _MOST)
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else ""
    return items[max(0, begin) : end], following


def ordered(items: Sequence[Item], by: str) -> list[Item]:
    """Return items in the order of fields such as ``createTime desc, displayName``."""
    found = list(items)
    for part in reversed([part for part in by.split(",") if part.strip()]):
        words = part.split()
        if len(words) > 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
            raise fault("orderBy", f"{part.strip()!r} is no field with asc or desc behind it")
        path, down = words[0], words[-1].lower() == "desc"
        found.sort(key=lambda item, path=path: str(_value(item, path) or ""), reverse=down)  # type: ignore[misc]
    return found


def _value(item: Item, path: str) -> object:
    found: object = item
    for i, part in enumerate(path.split(".")):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part if i else camel(part))
    return found
