"""Checks on what people write into a parameter, with words that say what would be right."""

import math
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from typing import cast

import numpy as np

from tunesmith.errors import SpaceError
from tunesmith.space.scale import SCALES

__all__ = [
    "Key",
    "check_interval",
    "check_scale",
    "condition",
    "finite",
    "integral",
    "listed",
    "plain",
    "real",
    "typed",
    "typed_all",
    "whole",
]

Plain = bool | int | float | str
Key = tuple[bool, Plain | None]


def plain(value: object) -> Plain | None:
    """Return ``value`` as a Python bool, int, float or str, also from numpy; None if it is no such thing."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | float | str) else None


def real(value: object) -> float | None:
    """Return ``value`` if it is a real number, as an int or a float; None if it is none (or a bool)."""
    if type(value) is float or type(value) is int:  # nearly always, and quick
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        return None
    number = plain(value)
    return cast("float", number) if number is not None else float(value)


def integral(value: object) -> int | None:
    """Return ``value`` as an int if it is a whole number, also 3.0; None if it is none (or a bool)."""
    if type(value) is int:
        return value
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, Integral):
        return int(value)
    number = real(value)
    return int(number) if number is not None and float(number).is_integer() else None


def typed(value: Plain | None) -> Key:
    """Return a key under which True and 1 differ, while 1 and 1.0 do not."""
    return isinstance(value, bool), value


def typed_all(values: Iterable[Plain]) -> tuple[Key, ...]:
    """Return the keys of several values; see `typed`."""
    return tuple(map(typed, values))


def finite(kind: str, name: str, value: object) -> float:
    """Return ``value`` as a finite float, or raise `SpaceError`."""
    number = real(value)
    if number is None or not math.isfinite(number):
        msg = f"{kind} needs a finite number for {name}, got {name}={value!r}."
        raise SpaceError(msg)
    return float(number)


def whole(kind: str, name: str, value: object) -> int:
    """Return ``value`` as an int, or raise `SpaceError`."""
    number = integral(value)
    if number is None:
        msg = f"{kind} needs a whole number for {name}, got {name}={value!r}. For fractions use Double."
        raise SpaceError(msg)
    return number


def check_scale(kind: str, scale: object) -> None:
    """Raise `SpaceError` unless ``scale`` is a scale."""
    if scale not in SCALES:
        near = get_close_matches(str(scale), SCALES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        msg = f"{kind} has the scales {', '.join(SCALES)}; got scale={scale!r}.{hint}"
        raise SpaceError(msg)


def check_interval(kind: str, low: float, high: float, scale: object, step: float | None) -> None:
    """Raise `SpaceError` unless bounds, scale and step make sense together."""
    check_scale(kind, scale)
    if low > high:
        msg = f"{kind} needs low <= high, got low={low:g}, high={high:g}. Swap them."
        raise SpaceError(msg)
    if not math.isfinite(float(high) - float(low)):
        msg = f"{kind} can't span from {low:g} to {high:g}: their distance is no finite number."
        raise SpaceError(msg)
    if scale != "linear" and low <= 0:
        msg = (
            f'{kind}(scale="{scale}") needs low > 0, got low={low:g}.'
            " Raise low, or drop the scale to search evenly."
        )
        raise SpaceError(msg)
    if step is not None and step <= 0:
        msg = f"{kind} needs step > 0, got step={step:g}."
        raise SpaceError(msg)
    if step is not None and step > high - low:
        msg = f"{kind} needs a step within its range of {high - low:g}, got step={step:g}."
        raise SpaceError(msg)


def listed(kind: str, values: object) -> Sequence[object]:
    """Return the values of a list; raise `SpaceError` for no list, an empty one, or one with duplicates."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        msg = f"{kind} needs a list of values, got {values!r}."
        raise SpaceError(msg)
    given = list(values)
    if not given:
        msg = f"{kind} needs at least one value, got an empty list."
        raise SpaceError(msg)
    seen: set[object] = set()
    for value in given:
        key = typed(plain(value))
        if key in seen and plain(value) is not None:
            msg = f"{kind} lists {value!r} twice. Name each value once."
            raise SpaceError(msg)
        seen.add(key)
    return given


def condition(kind: str, when: object) -> tuple[tuple[str, tuple[Plain, ...]], ...] | None:
    """Return a condition in its final form; raise `SpaceError` if it is none."""
    if when is None or when in ((), {}):
        return None
    pairs = when.items() if isinstance(when, Mapping) else when
    final: list[tuple[str, tuple[Plain, ...]]] = []
    for parent, wanted in cast("Iterable[tuple[object, object]]", pairs):
        several = isinstance(wanted, Iterable) and not isinstance(wanted, str | bytes)
        values = list(cast("Iterable[object]", wanted)) if several else [wanted]
        plain_values = [plain(value) for value in values]
        if not isinstance(parent, str) or not values or None in plain_values:
            msg = f'{kind} has when={{"parent": [values]}}, got when={when!r}.'
            raise SpaceError(msg)
        final.append((parent, tuple(cast("list[Plain]", plain_values))))
    return tuple(final)
