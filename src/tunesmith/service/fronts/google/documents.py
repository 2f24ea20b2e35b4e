"""How values are written in Google's JSON."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from tunesmith.space import Space, Value
from tunesmith.specs.google.times import duration_text

__all__ = ["Document", "duration", "metric_value", "parameter_value", "timestamp"]

Document = dict[str, object]


def timestamp(seconds: float) -> str:
    """Return a point in time, to a microsecond."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def duration(seconds: float) -> str:
    """Return a duration such as ``"3.5s"``."""
    return duration_text(max(0.0, seconds))


def metric_value(value: float) -> float | str:
    """Return a number, or the text that stands for one that JSON has no number for."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def parameter_value(value: Value) -> object:
    """Return a parameter's value: numbers as numbers, choices as texts."""
    if isinstance(value, bool):
        return str(value).lower()
    return value


def named(values: Mapping[str, Value], space: Space, names: Mapping[str, str]) -> dict[str, Value]:
    """Return a trial's values by the client's names, in the order of the space."""
    return {names.get(name, name): values[name] for name in space if name in values}
