"""Steps and metrics as training code gives them, and as they are stored."""

from collections.abc import Mapping
from typing import cast

from tunesmith.errors import MetricError
from tunesmith.model import check_metric_name

__all__ = ["check_metrics", "check_step"]


def check_step(step: object) -> int:
    """Return ``step`` as an int; raise `MetricError` unless it is a whole number from 0."""
    try:
        number = getattr(step, "item", lambda: step)()
    except (TypeError, ValueError):  # an array of several
        number = None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**63:
        msg = f"A step is a whole number from 0; given {step!r}."
        raise MetricError(msg)
    return number


def check_metrics(metrics: Mapping[str, object]) -> dict[str, float]:
    """Return the metrics as floats; raise `MetricError` for a value that is no real number.

    Scalars of numpy, PyTorch and others are taken by their ``item()``.
    """
    return {name: _check_value(name, value) for name, value in metrics.items()}


def _check_value(name: str, value: object) -> float:
    check_metric_name(name)
    try:
        number = getattr(value, "item", lambda: value)()
        if isinstance(number, str | bytes | complex):
            raise TypeError
        return float(cast("float", number))
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last is PyTorch's
        msg = f"The metric {name!r} is a number; given {value!r}."
        raise MetricError(msg) from None
