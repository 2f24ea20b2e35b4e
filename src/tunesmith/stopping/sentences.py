"""What is said of a trial that goes on from a rung, and of one that does not."""

import math
from collections.abc import Sequence

from tunesmith.model import History, Trial, violation
from tunesmith.stopping.rungs import metrics_at, ranked, value_at
from tunesmith.stopping.wording import apart, brief

__all__ = ["ahead", "behind", "steps_text", "to_the_rung", "value_text"]


def steps_text(steps: int) -> str:
    """Return a number of steps in words."""
    return f"{steps} step" if steps == 1 else f"{steps} steps"


def value_text(value: float) -> str:
    """Return a value, or that there is none."""
    return brief(value) if math.isfinite(value) else "no number"


def to_the_rung(level: int) -> str:
    """Return why a trial goes on that was paused between rungs."""
    return f"it goes on to {steps_text(level)}, where it is compared"


def ahead(places: int, there: int, level: int, coming: int = 0) -> str:
    """Return why a trial goes on from a rung.

    Args:
        places: How many go on from there.
        there: How many have got there.
        level: How many steps that takes.
        coming: How many may yet get there, and would change nothing.
    """
    whatever = f", whatever the {coming} still to come reach" if coming else ""
    return f"{_among(places, there)} after {steps_text(level)}{whatever}"


def behind(trial: Trial, places: int, there: Sequence[Trial], level: int, history: History) -> str:
    """Return why a trial does not go on from a rung; ``there`` are all that have got there."""
    spec = history.spec
    found = f"not {_among(places, len(there))} after {steps_text(level)}"
    value = value_at(trial, history, level)
    if violation(metrics_at(trial, history, level), spec.constraints) > 0:
        return f"{found}: {value_text(value)}, and it breaks a constraint"
    if len(spec.objectives) > 1 or spec.constraints or not 0 < places <= len(there):
        return f"{found}: {value_text(value)}"
    bar = value_at(ranked(there, history, level)[places - 1], history, level)
    if not math.isfinite(bar) or not math.isfinite(value):
        return f"{found}: {value_text(value)}"
    own, other = apart(value, bar)
    return f"{found}: {own}, {_ordinal(places)} has {other}"


def _among(places: int, there: int) -> str:
    return f"the best of {there}" if places == 1 else f"among the best {places} of {there}"


def _ordinal(place: int) -> str:
    words = ("the best", "the second", "the third")
    return words[place - 1] if place <= len(words) else f"number {place}"
