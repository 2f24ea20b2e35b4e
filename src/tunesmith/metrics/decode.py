"""Numbers out of JSON that anyone may have written: what makes no sense is None, never an error."""

import json
import math

__all__ = ["json_object", "number", "whole"]

_HIGHEST_STEP = 2**62  # every database can hold it, and the steps after it


def json_object(text: str | bytes) -> dict[str, object] | None:
    """Return the JSON object that ``text`` is, or None if it is anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # a line of brackets nests deeper than Python's stack
        return None
    return value if isinstance(value, dict) else None


def number(raw: object) -> float | None:
    """Return a number, or a text such as ``"0.5"`` or ``"nan"``, as a float; truth is no number."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    try:
        return float(raw)
    except ValueError:
        return None
    except OverflowError:  # only whole numbers overflow
        return math.inf if int(raw) > 0 else -math.inf


def whole(raw: object) -> int | None:
    """Return a step: a whole number from 0, or its digits as a text; anything else is None.

    A fraction is refused even where it ends in ``.0``. Programs that count fractions of epochs
    pass through whole ones now and then, and their steps must not come in two kinds.
    """
    if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) < 20:
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int):
        return None
    return raw if 0 <= raw <= _HIGHEST_STEP else None
