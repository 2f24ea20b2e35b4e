"""Numbers, durations and times as people read them."""

import math
from datetime import UTC, datetime

__all__ = ["duration", "iso_time", "number", "plain"]


def number(value: object) -> str:
    """Return a number with four significant digits, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Return a duration such as ``0.8s``, ``41s``, ``2m41s``, ``3h05m`` or ``2d04h``."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def iso_time(seconds: float | None) -> str | None:
    """Return a time since the epoch as ISO 8601 in UTC, to the millisecond; None for None."""
    if seconds is None:
        return None
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def plain(value: object) -> object:
    """Return ``value`` as strict JSON has it: a float that is not finite becomes its name."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
