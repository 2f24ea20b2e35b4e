"""Values: plain Python bools, ints, floats and strings, and when two of them are the same."""

import sys
from collections.abc import Iterable

import numpy as np

__all__ = ["Key", "Value", "integral", "is_finite", "plain", "real", "show", "typed", "typed_all"]

Value = bool | int | float | str
Key = tuple[bool, Value | None]


def plain(value: object) -> Value | None:
    """Return ``value`` as a Python bool, int, float or str, also from numpy; None if it is no such thing."""
    if isinstance(value, np.generic):
        value = value.item()
    # By their own types: a member of an IntEnum or StrEnum would not survive JSON as itself.
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value) + 0.0  # there is one zero: -0.0 + 0.0 is 0.0
    return str.__str__(value) if isinstance(value, str) else None


def real(value: object) -> float | None:
    """Return ``value`` if it is a number, as an int or a float; None if it is none (or a bool)."""
    if type(value) is float or type(value) is int:  # nearly always, and quick
        return value
    number = plain(value)
    return None if isinstance(number, bool | str) else number


def integral(value: object) -> int | None:
    """Return ``value`` as an int if it is a whole number, also 3.0; None if it is none (or a bool)."""
    number = real(value)
    if isinstance(number, float):
        return int(number) if number.is_integer() else None
    return number


def is_finite(number: float) -> bool:
    """Whether a number is finite, and not too large for a float."""
    return abs(number) <= sys.float_info.max  # not math.isfinite: huge ints break that


def typed(value: Value | None) -> Key:
    """Return a key under which True and 1 differ, while 1 and 1.0 do not."""
    return isinstance(value, bool), value


def typed_all(values: Iterable[Value]) -> tuple[Key, ...]:
    """Return the keys of several values; see `typed`."""
    return tuple(map(typed, values))


def show(number: float) -> str:
    """Return a number as people write it: with all its digits, but a whole one without a point."""
    return repr(number).removesuffix(".0")
