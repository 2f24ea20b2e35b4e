"""Lists as Google answers them: filtered, in order, page by page.

A filter is a small language: ``state="JOB_STATE_SUCCEEDED" AND (labels.team:* OR NOT display_name=x)``.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tunesmith.service.fronts.google.faults import fault
from tunesmith.specs.google.message import camel

__all__ = ["matches", "ordered", "page"]

_MOST = 1000
_TOKEN = re.compile(
    r"\s*(?:(?P<mark>\(|\)|!=|<=|>=|=|<|>|:)|\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|'(?P<single>[^']*)'"
    r"|(?P<word>[^\s()=<>!:\"']+))"
)
Test = Callable[[Mapping[str, Any]], bool]


def page(
    items: Sequence[Mapping[str, Any]], size: int, token: str, *, default: int = _MOST
) -> tuple[Sequence[Mapping[str, Any]], str]:
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


def ordered(items: Sequence[Mapping[str, Any]], by: str) -> list[Mapping[str, Any]]:
    """Return items in the order of fields such as ``createTime desc, displayName``."""
    found = list(items)
    for part in reversed([part for part in by.split(",") if part.strip()]):
        words = part.split()
        if len(words) > 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
            raise fault("orderBy", f"{part.strip()!r} is no field with asc or desc behind it")
        path, down = words[0], words[-1].lower() == "desc"
        found.sort(key=lambda item, path=path: str(_value(item, path) or ""), reverse=down)  # type: ignore[misc]
    return found


def matches(text: str) -> Test:
    """Return what tells whether a document passes a filter; every one passes an empty one."""
    if not text.strip():
        return lambda _: True
    reader = _Reader(text)
    test = reader.any_of()
    reader.expect_end()
    return test


class _Reader:
    """Reads a filter from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._wrong(text[at:].strip()[:20])
            kind = match.lastgroup or ""
            found = match[kind]
            quoted = kind in ("quoted", "single")
            self._tokens.append(("text" if quoted else kind, re.sub(r"\\(.)", r"\1", found)))
            at = match.end()
        self._at = 0

    def any_of(self) -> Test:
        tests = [self._all_of()]
        while self._takes("word", "OR"):
            tests.append(self._all_of())
        return tests[0] if len(tests) == 1 else lambda item: any(test(item) for test in tests)

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise self._wrong(self._tokens[self._at][1])

    def _all_of(self) -> Test:
        tests = [self._one()]
        while True:
            kind, text = self._next
            if kind in ("", "mark") and text != "(":
                break
            if (kind, text) == ("word", "OR"):
                break
            self._takes("word", "AND")
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda item: all(test(item) for test in tests)

    def _one(self) -> Test:
        if self._takes("word", "NOT"):
            inner = self._one()
            return lambda item: not inner(item)
        if self._takes("mark", "("):
            inner = self.any_of()
            if not self._takes("mark", ")"):
                raise self._wrong(self._next[1])
            return inner
        return self._comparison()

    def _comparison(self) -> Test:
        kind, field = self._take()
        if kind not in ("word", "text"):
            raise self._wrong(field)
        mark = self._next
        if mark[0] != "mark" or mark[1] in "()":
            raise self._wrong(f"{field}, which is compared with nothing")
        self._at += 1
        kind, wanted = self._take()
        if kind not in ("word", "text"):
            raise self._wrong(wanted)
        return _comparison(field, mark[1], wanted, any_value=wanted == "*" and kind == "word")

    @property
    def _next(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _take(self) -> tuple[str, str]:
        found = self._next
        self._at += 1
        return found

    def _takes(self, kind: str, text: str) -> bool:
        if self._next == (kind, text):
            self._at += 1
            return True
        return False

    def _wrong(self, near: str) -> Exception:
        where = f" near {near!r}" if near else ": it ends too early"
        return fault("filter", f"{self._text[:100]!r} can't be read{where}")


def _comparison(path: str, mark: str, wanted: str, *, any_value: bool) -> Test:
    def test(item: Mapping[str, Any]) -> bool:
        value = _value(item, path)
        if mark == ":" or any_value:
            has = value is not None if any_value else wanted.lower() in str(value or "").lower()
            return has != (mark == "!=")
        text = "" if value is None else str(value)
        if mark in ("=", "!="):
            return (text == wanted) == (mark == "=")
        if value is None:
            return False
        try:
            left, right = float(text), float(wanted)
        except ValueError:
            return _compared(text, wanted, mark)
        return _compared(left, right, mark)

    return test


def _compared(left: Any, right: Any, mark: str) -> bool:
    return bool(
        {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[mark]
    )


def _value(item: Mapping[str, Any], path: str) -> object:
    found: object = item
    for i, part in enumerate(path.split(".")):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part if i else camel(part))
    return found
