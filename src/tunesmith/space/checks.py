"""Checks on what people write into a parameter, with words that say what would be right."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from difflib import get_close_matches

from tunesmith.errors import SpaceError
from tunesmith.space.scale import SCALES
from tunesmith.space.steps import finest_step, rounding
from tunesmith.space.values import Key, Value, integral, is_finite, plain, real, show, typed

__all__ = ["Condition", "check_interval", "check_scale", "condition", "finite", "listed", "whole"]

Condition = tuple[tuple[str, tuple[Value, ...]], ...]
"""Parents and, for each, the values with which the child is active."""


def finite(kind: str, name: str, value: object) -> float:
    """Return ``value`` as a finite float, or raise `SpaceError`."""
    number = real(value)
    if number is None or not is_finite(number):
        msg = f"{kind} needs a finite number for {name}, got {name}={value!r}."
        raise SpaceError(msg)
    return float(number) + 0.0  # there is one zero: -0.0 + 0.0 is 0.0


def whole(kind: str, name: str, value: object) -> int:
    """Return ``value`` as an int, or raise `SpaceError`."""
    number = integral(value)
    if number is None or not is_finite(number):
        msg = f"{kind} needs a whole number for {name}, got {name}={value!r}."
        given = real(value)
        is_fraction = number is None and given is not None and is_finite(given)
        raise SpaceError(msg + (" For fractions use Double." if is_fraction else ""))
    return number


def check_scale(kind: str, scale: object) -> None:
    """Raise `SpaceError` unless ``scale`` is a scale."""
    if not isinstance(scale, str) or scale not in SCALES:
        near = get_close_matches(str(scale).lower(), SCALES, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        msg = f"{kind} has the scales {', '.join(SCALES)}; got scale={scale!r}.{hint}"
        raise SpaceError(msg)


def check_interval(kind: str, low: float, high: float, scale: object, step: float | None) -> None:
    """Raise `SpaceError` unless bounds, scale and step make sense together."""
    check_scale(kind, scale)
    if low > high:
        msg = f"{kind} needs low <= high, got low={show(low)}, high={show(high)}. Swap them."
        raise SpaceError(msg)
    if not math.isfinite(float(high) - float(low)):
        msg = (
            f"{kind} can't reach from low={show(low)} to high={show(high)}: the distance is no finite"
            " number. Bring the bounds closer together."
        )
        raise SpaceError(msg)
    if scale != "linear" and low <= 0:
        msg = (
            f'{kind}(scale="{scale}") needs low > 0, got low={show(low)}.'
            " Raise low, or drop the scale to search evenly."
        )
        raise SpaceError(msg)
    if step is not None:
        _check_step(kind, low, high, step)


def _check_step(kind: str, low: float, high: float, step: float) -> None:
    if step <= 0:
        msg = f"{kind} needs step > 0, got step={show(step)}."
        raise SpaceError(msg)
    if low == high:
        return  # a single value, however wide the step would be
    # 1.2 - 1.1 is a little less than 0.1.
    if step > high - low + (0 if kind == "Integer" else rounding(low, high)):
        msg = (
            f"{kind} needs a step within its range of {show(high - low)}, got step={show(step)}."
            " Make the step smaller."
        )
        raise SpaceError(msg)
    if kind == "Double" and step < (least := finest_step(low, high)):
        msg = (
            f"{kind} needs steps that floats from {show(low)} to {show(high)} can tell apart, at least"
            f" {least:.1g}, got step={show(step)}. Without a step every float is a value."
        )
        raise SpaceError(msg)


def listed(kind: str, values: object) -> Sequence[object]:
    """Return the values of a list; raise `SpaceError` for no list, an empty one, or one with duplicates."""
    if isinstance(values, Set):
        msg = f"{kind} needs its values in order, but a set has none; got {values!r}. Give a list."
        raise SpaceError(msg)
    given = _several(values)
    if given is None:
        msg = f"{kind} needs a list of values, got {values!r}."
        raise SpaceError(msg)
    if not given:
        msg = f"{kind} needs at least one value, got an empty list."
        raise SpaceError(msg)
    seen: dict[Key, object] = {}
    for value in given:
        key = typed(plain(value))
        if key[1] is not None and key in seen:
            msg = f"{kind} lists {value!r} twice. Name each value once."
            if repr(seen[key]) != repr(value):
                msg = f"{kind} lists both {seen[key]!r} and {value!r}, which are equal. Keep one."
            raise SpaceError(msg)
        seen[key] = value
    return given


def condition(kind: str, when: object) -> Condition | None:
    """Return a condition in its final form, None if it is empty; raise `SpaceError` if it is none."""
    if when is None:
        return None
    pairs = list(when.items()) if isinstance(when, Mapping) else _several(when)
    final: dict[str, tuple[Value, ...]] = {}
    for pair in [None] if pairs is None else pairs:
        parent, values = _required(pair)
        if not isinstance(parent, str) or parent in final or not values:
            msg = (
                f"{kind} takes when={{parent: [values]}}, every parent once and with at least one value,"
                f" got when={when!r}."
            )
            raise SpaceError(msg)
        final[parent] = values
    return tuple(final.items()) or None


def _required(pair: object) -> tuple[object, tuple[Value, ...]]:
    """Return a parent and the values required of it; no values if one of them can be none."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        return None, ()
    parent, wanted = pair
    given = _several(wanted)
    values = [plain(value) for value in ([wanted] if given is None else given)]
    whole_list = tuple(value for value in values if value is not None)
    return parent, whole_list if len(whole_list) == len(values) else ()


def _several(values: object) -> list[object] | None:
    """Return the members of what is several things; None for one thing, such as a text."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        return None
    try:
        members = list(values)
    except TypeError:  # an array without dimensions
        return None
    # The order of a set changes from run to run.
    return sorted(members, key=repr) if isinstance(values, Set) else members
