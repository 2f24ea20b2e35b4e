"""What is wanted of a trial's metrics: objectives to improve, and constraints to keep."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from tunesmith.errors import Problem, SpecError

__all__ = ["Constraint", "Goal", "Objective", "check_metric_name", "fault", "with_standard_errors"]

Goal = Literal["minimize", "maximize"]
Side = Literal["at_most", "at_least"]

_SIGNS: dict[str, Side] = {"<=": "at_most", ">=": "at_least"}
_BOUND = re.compile(r"\s*(<=|>=)\s*(\S+)(?:\s+in\s+(\S+)\s+of\s+trials)?\s*")
_CONDITION = re.compile(r"\s*([^<>=]*[^<>=\s])(.*)", re.DOTALL)


def fault(message: str) -> SpecError:
    """Return the error that a study's setting makes no sense."""
    return SpecError([Problem("E120", message)])


def check_metric_name(name: str) -> None:
    """Raise `SpecError` unless ``name`` can name a metric: visible, and without ``=``.

    Single blanks may stand inside, as in tags of TensorBoard such as ``Taxi Model Accuracy``.
    """
    words = name.split(" ")
    if not 0 < len(name) <= 200 or not all(words) or not all(map(_is_word, words)):
        raise fault(
            f"A metric's name can't be {name!r}. Use up to 200 letters, digits, '_', '-', '.' and '/', with"
            " single blanks between them if need be."
        )


def _is_word(text: str) -> bool:
    return not any(c.isspace() or c == "=" or not c.isprintable() for c in text)


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric and the direction in which it is better.

    Attributes:
        metric: Its name.
        goal: The direction.
        standard_error: The metric that holds the standard error of each value, for programs that
            know theirs; ``""`` where the noise is to be estimated.

    Raises:
        SpecError: a name that can't be a metric's, a goal that is none, or one metric for both.
    """

    metric: str
    goal: Goal
    standard_error: str = ""

    def __post_init__(self) -> None:
        check_metric_name(self.metric)
        if self.goal not in get_args(Goal):
            raise fault(f"A goal is 'minimize' or 'maximize', not {self.goal!r}.")
        if self.standard_error:
            check_metric_name(self.standard_error)
        if self.standard_error == self.metric:
            raise fault(
                f"The standard error of {self.metric} is a metric of its own, such as {self.metric}_se."
            )

    def loss(self, value: float) -> float:
        """Return ``value`` turned so that smaller is better; the same turn undoes it."""
        return -value if self.goal == "maximize" else value

    def better(self, value: float, than: float) -> bool:
        """Whether ``value`` beats ``than``."""
        return self.loss(value) < self.loss(than)

    def __str__(self) -> str:
        known = f" (standard error {self.standard_error})" if self.standard_error else ""
        return f"{self.goal} {self.metric}{known}"


def with_standard_errors(
    objectives: Sequence[Objective], given: str | Mapping[str, str]
) -> tuple[Objective, ...]:
    """Return the objectives with the metrics that hold their standard errors.

    Args:
        objectives: All of a study's.
        given: The metric of the only one's standard error, or one by the objective's metric.

    Raises:
        SpecError: a mapping names no objective, or a text stands for several objectives.
    """
    metrics = [objective.metric for objective in objectives]
    if isinstance(given, str):
        if given and len(metrics) > 1:
            raise fault(
                f"With several objectives, say whose standard error {given!r} is:"
                f" {{{metrics[0]}: {given}}}."
            )
        given = dict.fromkeys(metrics, given)
    for metric in given:
        if metric not in metrics:
            raise fault(
                f"A standard error is given for {metric!r}, which is no objective;"
                f" there are: {', '.join(metrics)}."
            )
    return tuple(replace(o, standard_error=given.get(o.metric, "")) for o in objectives)


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound that a metric of a good trial keeps; a trial that breaks it still teaches.

    Attributes:
        metric: Its name.
        bound: The threshold, itself allowed.
        side: Whether the metric has to stay at most or at least there.
        safe_fraction: The share of trials that should keep it, which Bayesian search aims at as far as
            it can; 0 for none, 1 for all.

    Raises:
        SpecError: a name that can't be a metric's, a bound that is not finite, no such side, or no
            share from 0 to 1.
    """

    metric: str
    bound: float
    side: Side = "at_most"
    safe_fraction: float = 0.0

    def __post_init__(self) -> None:
        check_metric_name(self.metric)
        if self.side not in get_args(Side):
            raise fault(f"A constraint's side is 'at_most' or 'at_least', not {self.side!r}.")
        if not _is_number(self.bound):
            raise fault(f"The bound of {self.metric} is a finite number; given {self.bound!r}.")
        if not _is_number(self.safe_fraction) or not 0 <= self.safe_fraction <= 1:
            given = f"given {self.safe_fraction!r}."
            raise fault(
                f"The share of trials that keep {self.metric}'s bound is from 0 to 1; {given}"
            )
        object.__setattr__(self, "bound", float(self.bound))
        object.__setattr__(self, "safe_fraction", float(self.safe_fraction))

    @classmethod
    def read(cls, metric: str, bound: object) -> Self:
        """Return the constraint that ``<= 20``, or ``<= 20 in 0.9 of trials``, puts on ``metric``."""
        match = _BOUND.fullmatch(bound) if isinstance(bound, str) else None
        try:
            if match is None:
                raise ValueError
            return cls(metric, float(match[2]), _SIGNS[match[1]], float(match[3] or 0.0))
        except ValueError as error:
            if isinstance(error, SpecError):
                raise
            raise fault(
                f"A constraint on {metric} looks like '<= 20' or '>= 0.9' (the bound itself is"
                f" allowed), or '<= 20 in 0.9 of trials'; given {bound!r}."
            ) from None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the constraint that a text such as ``latency_ms<=20`` describes."""
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise fault(
                f"A constraint looks like 'latency_ms<=20' or 'recall>=0.9'; given {text!r}."
            )
        return cls.read(match[1], match[2].strip())

    def excess(self, value: float) -> float:
        """Return how far ``value`` lies beyond the bound; 0 or less keeps it, nan stays nan."""
        return value - self.bound if self.side == "at_most" else self.bound - value

    @property
    def condition(self) -> str:
        """The bound as `read` takes it: ``<= 20``, or ``<= 20 in 0.9 of trials``."""
        share = f"{self.safe_fraction!r}".removesuffix(".0")
        return f"{self._bound()} in {share} of trials" if self.safe_fraction else self._bound()

    def _bound(self) -> str:
        sign = "<=" if self.side == "at_most" else ">="
        return f"{sign} {self.bound!r}".removesuffix(".0")

    def __str__(self) -> str:
        return f"{self.metric} {self._bound()}"
