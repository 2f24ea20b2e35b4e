"""Durations and points in time, as the JSON of proto3 has them."""

import math
import re
from collections.abc import Mapping
from datetime import datetime

__all__ = ["duration_s", "duration_text", "timestamp_s"]

_DURATION = re.compile(r"-?\d+(?:\.\d{1,9})?s")
_LONGEST_S = 315_576_000_000  # ten thousand years, the limit of the proto


def duration_s(given: str | Mapping[str, float]) -> float:
    """Return the seconds of ``"3.5s"``, or of seconds and nanos; raise `ValueError` for others."""
    if isinstance(given, Mapping):
        seconds = given["seconds"] + given["nanos"] / 1e9
    elif _DURATION.fullmatch(given):
        seconds = float(given[:-1])
    else:
        raise ValueError("a duration is seconds with an s behind them, such as 3600s")
    if not 0 <= seconds <= _LONGEST_S:
        raise ValueError("a duration is not negative, and not longer than ten thousand years")
    return seconds


def duration_text(seconds: float) -> str:
    """Return the text from which `duration_s` makes the same number, to a nanosecond."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def timestamp_s(given: str | Mapping[str, float]) -> float:
    """Return the seconds since the epoch of ``"2026-11-21T18:00:00Z"``, or of seconds and nanos.

    Raises:
        ValueError: it is no point in time, or one without a zone.
    """
    if isinstance(given, Mapping):
        return given["seconds"] + given["nanos"] / 1e9
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("a point in time is such as 2026-11-21T18:00:00Z")
    return math.floor(moment.timestamp() * 1e6) / 1e6
