"""The small language in which Google's lists and logs are told what is wanted of them.

``state="JOB_STATE_SUCCEEDED" AND (labels.team:* OR NOT display_name=x)``: as Google has it, OR binds more
tightly than AND, and what stands side by side is joined by AND.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tunesmith.service.fronts.google.faults import fault
from tunesmith.specs.google.message import camel

__all__ = ["Comparison", "Every", "Except", "Filter", "Some", "matches", "must_be", "passes", "read_filter", "span"]  # fmt: skip

_TOKEN = re.compile(
    r"\s*(?:(?P<mark>\(|\)|!=|<=|>=|=|<|>|:)|\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|'(?P<single>[^']*)'"
    r"|(?P<word>[^\s()=<>!:\"']+))"
)
_SEVERITIES = (
    "DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY",
)  # fmt: skip
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_DEEPEST = 50
_EVER = (float("-inf"), float("inf"))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field compared with a text.

    Attributes:
        path: The field: names, each within the one before.
        mark: How it is compared: ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, or ``:`` for "has".
        wanted: The text.
        is_any: Whether any value will do.
    """

    path: tuple[str, ...]
    mark: str
    wanted: str
    is_any: bool = False


@dataclass(frozen=True, slots=True)
class Every:
    """What passes all of several filters."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """What passes one of several filters."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Except:
    """What does not pass a filter."""

    part: "Filter"


Filter = Comparison | Every | Some | Except


def matches(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return what tells whether a document passes the filter that a text writes."""
    given = read_filter(text)
    return lambda item: passes(given, item)


def read_filter(text: str) -> Filter:
    """Return the filter that a text writes, which all pass if it is empty; raise `SpecError` for none."""
    return _Reader(text).whole() if text.strip() else Every(())


def passes(given: Filter, item: Mapping[str, Any]) -> bool:
    """Return whether a document passes a filter."""
    match given:
        case Every(parts):
            return all(passes(part, item) for part in parts)
        case Some(parts):
            return any(passes(part, item) for part in parts)
        case Except(part):
            return not passes(part, item)
        case Comparison():
            return _holds(given, _value(item, given.path))


def must_be(given: Filter, *path: str) -> str | None:
    """Return the text that a field has in all that passes a filter; None if it may have several."""
    match given:
        case Comparison(at, "=", wanted, False) if at == path:
            return wanted
        case Every(parts):
            return next(
                (text for part in parts if (text := must_be(part, *path)) is not None), None
            )
    return None


def span(given: Filter, *path: str) -> tuple[float, float]:
    """Return the first and the last moment, in microseconds, that a field has in all that passes.

    Raises:
        SpecError: it is compared with what is no point in time.
    """
    match given:
        case Comparison(at, mark, wanted, False) if at == path and mark != ":":
            moment = _moment(wanted)
            if moment is None:
                raise fault("filter", f"{'.'.join(path)} is a time such as 2026-11-21T18:00:00Z, not {wanted[:50]!r}")  # fmt: skip
            low, high = _EVER
            return (
                low if mark in ("<", "<=", "!=") else moment,
                high if mark in (">", ">=", "!=") else moment,
            )
        case Every(parts) if parts:
            spans = [span(part, *path) for part in parts]
            return max(low for low, _ in spans), min(high for _, high in spans)
        case Some(parts):
            spans = [span(part, *path) for part in parts]
            return min(low for low, _ in spans), max(high for _, high in spans)
        case Except(part):
            span(part, *path)  # is it sound?
    return _EVER


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
            quoted = kind in ("quoted", "single")
            self._tokens.append(("text" if quoted else kind, re.sub(r"\\(.)", r"\1", match[kind])))
            at = match.end()
        self._at = 0
        self._depth = 0

    def whole(self) -> Filter:
        found = self._all_of()
        if self._at < len(self._tokens):
            raise self._wrong(self._next[1])
        return found

    def _all_of(self) -> Filter:
        parts = [self._one_of()]
        while True:
            joined = self._takes("word", "AND")
            kind, text = self._next
            if not joined and (kind == "" or (kind == "mark" and text != "(")):
                break
            parts.append(self._one_of())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _one_of(self) -> Filter:
        parts = [self._one()]
        while self._takes("word", "OR"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _one(self) -> Filter:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise fault("filter", f"it is nested more than {_DEEPEST} deep")
        try:
            if self._takes("word", "NOT"):
                return Except(self._one())
            if not self._takes("mark", "("):
                return self._comparison()
            inner = self._all_of()
            if not self._takes("mark", ")"):
                raise self._wrong(self._next[1])
            return inner
        finally:
            self._depth -= 1

    def _comparison(self) -> Filter:
        path, is_negated = self._path()
        mark = self._next
        if mark[0] != "mark" or mark[1] in "()":
            raise self._wrong(f"{'.'.join(path)}, which is compared with nothing")
        self._at += 1
        kind, wanted = self._take()
        if kind not in ("word", "text"):
            raise self._wrong(wanted)
        found = Comparison(path, mark[1], wanted, wanted == "*" and kind == "word")
        return Except(found) if is_negated else found

    def _path(self) -> tuple[tuple[str, ...], bool]:
        """Return the names of a field, and whether a ``-`` before them stands for NOT."""
        kind, text = self._take()
        if kind == "text":
            return (text,), False
        if kind != "word" or text in ("AND", "OR"):
            raise self._wrong(text)
        is_negated = text.startswith("-")
        names = text.removeprefix("-").split(".")
        while names[-1] == "" and self._next[0] == "text":  # labels."a.b/c"
            names[-1] = self._take()[1]
            if self._next[0] == "word" and self._next[1].startswith("."):
                names += self._take()[1][1:].split(".")
        if not all(names):
            raise self._wrong(text)
        return (camel(names[0]), *names[1:]), is_negated

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


def _holds(given: Comparison, value: object) -> bool:
    """Return whether a field with this value passes; None is the value of one that is not there."""
    mark, wanted = given.mark, given.wanted
    text = "" if value is None else str(value)
    if given.is_any:
        return (value is not None) != (mark == "!=")
    if mark == ":":
        return wanted.lower() in text.lower()
    left, right = _alike(text, wanted)
    if mark in (
        "=",
        "!=",
    ):  # 007 is another name than 7, but there are several ways to write a time
        return (text == wanted or (isinstance(left, int) and left == right)) == (mark == "=")
    return value is not None and bool(_ORDERS[mark](left, right))


def _alike(left: str, right: str) -> tuple[Any, Any]:
    """Return two texts as what both of them are: severities, moments, numbers, or else texts."""
    if left in _SEVERITIES and right in _SEVERITIES:
        return _SEVERITIES.index(left), _SEVERITIES.index(right)
    moments = _moment(left), _moment(right)
    if None not in moments:
        return moments
    try:
        return float(left), float(right)
    except ValueError:
        return left, right


def _moment(text: str) -> int | None:
    """Return a point in time in microseconds since the epoch; None for what is none."""
    if not _DATE.match(text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return (found - _EPOCH) // timedelta(microseconds=1)


def _value(item: Mapping[str, Any], path: tuple[str, ...]) -> object:
    found: object = item
    for name in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name, found.get(camel(name)))
    return found
