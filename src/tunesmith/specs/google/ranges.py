"""One parameter's range, checked as Google's services check it and in their words."""

from collections.abc import Sequence
from itertools import pairwise

from tunesmith.specs.declaration import Declaration, Given, Kind
from tunesmith.specs.faults import Span
from tunesmith.specs.google.enums import SCALE_NAMES
from tunesmith.specs.google.message import Message

__all__ = ["choices", "interval", "numbers", "scaled"]

_NEAREST = 1e-10
_MOST = 1000


def interval(message: Message, name: str, at: Span, kind: Kind) -> Declaration | None:
    """Return a double or an integer; a bound that is left out is zero, but not both."""
    before = message.findings.faults.count
    if kind == "integer":
        low: float | None = message.whole("minValue")
        high: float | None = message.whole("maxValue")
    else:
        low, high = message.number("minValue"), message.number("maxValue")
    if not (message.has("minValue") or message.has("maxValue")):
        message.missing("minValue", f"{name} needs a minValue and a maxValue")
        return None
    if message.findings.faults.count > before:
        return None
    ends = (_bound(message, "minValue", low, kind), _bound(message, "maxValue", high, kind))
    if float(ends[0].value) > float(ends[1].value):
        which = "maxValue" if message.has("maxValue") else "minValue"
        message.fault(
            which,
            f"{name}: maxValue ({ends[1].value}) is less than minValue ({ends[0].value});"
            " a value that is left out is 0",
            code="E110",
        )
        return None
    return Declaration(name, at, kind, low=ends[0], high=ends[1])


def numbers(message: Message, field: str, name: str, at: Span) -> Declaration | None:
    """Return a discrete parameter; its values rise, and whole ones are ints."""
    before = message.findings.faults.count
    given = [Given(_whole_if_whole(value), place) for value, place in message.numbers(field)]
    if message.findings.faults.count > before:
        return None
    if not given:
        message.fault(field, f"{name} needs at least one value", code="E110")
        return None
    if len(given) > _MOST:
        message.fault(field, f"{name} has at most {_MOST} values; given {len(given)}", code="E110")
    for lower, upper in pairwise(given):
        if float(upper.value) - float(lower.value) < _NEAREST:
            message.findings.fault(
                message.findings.fields[upper.at],
                f"{name}: values rise, each at least 1e-10 above the one before;"
                f" given {upper.value} behind {lower.value}",
                upper.at,
                code="E110",
            )
            return None
    return Declaration(name, at, "discrete", values=tuple(given), values_at=message.place(field))


def choices(message: Message, field: str, name: str, at: Span) -> Declaration | None:
    """Return a categorical parameter; its values are texts."""
    before = message.findings.faults.count
    given = tuple(Given(word, place) for word, place in message.words(field))
    if message.findings.faults.count > before:
        return None
    if not given:
        message.fault(field, f"{name} needs at least one value", code="E110")
        return None
    words: Sequence[object] = [each.value for each in given]
    for i, each in enumerate(given):
        if each.value in words[:i]:
            path = message.findings.fields[each.at]
            message.findings.fault(path, f"{name} lists {each.value!r} twice", each.at, code="E110")
            return None
    return Declaration(name, at, "categorical", values=given, values_at=message.place(field))


def scaled(message: Message, word: str, declared: Declaration) -> Given | None:
    """Return the scale that a word of Google's means; None for an even one, or one at fault.

    Args:
        message: Has the field ``scaleType``.
        word: What it says.
        declared: What is scaled.
    """
    scale = SCALE_NAMES[word]
    if scale == "linear":
        return None
    if declared.kind == "categorical":
        message.lose("scaleType", "categories have no scale")
        return None
    low = declared.low.value if declared.low else min(float(g.value) for g in declared.values)
    if float(low) <= 0:
        what = "values" if declared.values else "a minValue"
        text = f"{declared.name}: {word} needs {what} above 0; given {low}"
        message.fault("scaleType", text, code="E110")
        return None
    return Given(scale, message.place("scaleType"))


def _bound(message: Message, field: str, value: float | None, kind: Kind) -> Given:
    number = value or 0
    return Given(int(number) if kind == "integer" else float(number), message.place(field))


def _whole_if_whole(value: float) -> float:
    # Values come as doubles, 64.0, and mean 64.
    return int(value) if value == int(value) and abs(value) < 2**53 else float(value)
