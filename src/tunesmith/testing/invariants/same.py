"""When two trials, metrics or curves are the same, as a reader of a study sees them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tunesmith.model import Measurement, Trial

__all__ = ["end", "same", "same_curve", "same_metrics", "same_trial"]


def end(trial: Trial | None) -> str:
    """Return how a trial ended, in words."""
    return (
        "nothing" if trial is None else f"{trial.state} with {dict(trial.metrics)} ({trial.reason})"
    )


def same(one: float, other: float) -> bool:
    """Whether two values are the same; nan is nan."""
    return one == other or (math.isnan(one) and math.isnan(other))


def same_metrics(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether two measurements are the same."""
    return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)


def same_trial(one: Trial, other: Trial) -> bool:
    """Whether two are one trial in the same state."""
    # That its worker still lives is no change that others hear of.
    like = replace(one, lease_until=other.lease_until, metrics=other.metrics)
    return like == other and same_metrics(one.metrics, other.metrics)


def same_curve(one: Sequence[Measurement], other: Sequence[Measurement]) -> bool:
    """Whether two curves have the same values at the same steps."""
    return len(one) == len(other) and all(
        a.step == b.step and same_metrics(a.metrics, b.metrics)
        for a, b in zip(one, other, strict=True)
    )
