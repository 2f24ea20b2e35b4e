"""Steps and metrics as training code gives them, and as they are stored."""

from collections.abc import Mapping
from typing import cast

from tunesmith.errors import MetricError, SpecError
from tunesmith.model import check_metric_name

__all__ = ["check_metrics", "check_step"]


_HIGHEST_STEP = 2**62  # every database can hold it, and the steps after it


def check_step(step: object) -> int:
    """Return ``step`` as an int; raise `MetricError` unless it is a whole number from 0."""
    try:
        number = getattr(step, "item", lambda: step)()
    except (TypeError, ValueError):  # an array of several
        number = None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _HIGHEST_STEP:
        msg = f"A step is a whole number from 0; given {step!r}."
        raise MetricError(msg)
    return number


def check_metrics(metrics: Mapping[str, object]) -> dict[str, float]:
    """Return the metrics as floats; raise `MetricError` for a value that is no real number.

    Scalars of numpy, PyTorch and others are taken by their ``item()``.
    """
    return {name: _check_value(name, value) for name, value in metrics.items()}


def _check_value(name: str, value: object) -> float:
    try:
        check_metric_name(name)
    except SpecError as error:
        raise MetricError(str(error)) from None
    try:
        number = getattr(value, "item", lambda: value)()
        if isinstance(number, str | bytes | complex):
            raise TypeError
        return float(cast("float", number))
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last is PyTorch's
        msg = f"The metric {name!r} is a number; given {value!r}."
        raise MetricError(msg) from None
