"""What a rule looks at: one metric along a trial, from when on, and how often."""

import math
from dataclasses import dataclass
from typing import get_args

from tunesmith.model import By, Curve, History, Objective, Series, StudySpec, Trial
from tunesmith.search.settings import check_choice, check_positive, refuse

__all__ = ["Watch", "check_number", "news", "objective_named", "place"]


def check_number(
    rule: str, setting: str, value: object, *, low: float = -math.inf, high: float = math.inf
) -> None:
    """Raise `SpecError` unless ``value`` is a finite number from ``low`` to ``high``."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:  # type: ignore[arg-type,operator]
        since = f" from {low:g}" if math.isfinite(low) else ""
        upto = f" up to {high:g}" if math.isfinite(high) else ""
        raise refuse(
            f"{rule}'s setting {setting!r} is a finite number{since}{upto}; given {value!r}."
        )


def objective_named(rule: str, metric: str, spec: StudySpec) -> Objective:
    """Return the objective that a rule judges; the only one, where none is named.

    Raises:
        SpecError: it isn't one of the study's, or there are several to choose from.
    """
    known = [objective.metric for objective in spec.objectives]
    if metric in known:
        return spec.objectives[known.index(metric)]
    if metric:
        raise refuse(
            f"{rule}'s setting 'metric' names an objective of the study ({', '.join(known)});"
            f" given {metric!r}."
        )
    if len(known) > 1:
        choice = " or ".join(f"metric={name}" for name in known)
        raise refuse(
            f"{rule} judges trials by one metric, and this study has {len(known)} objectives."
            f" Say by which: {choice}; or use asha, which can rank by all of them."
        )
    return spec.objective


def news(curve: Curve, objective: Objective, by: By) -> tuple[float, float]:
    """Return how far the trial was before its latest report, and how far that brought it.

    A report may hold many measurements, and late ones of earlier steps; so a rule that looks at
    certain places only asks which of them lie between.
    """
    reach = curve.series(objective, by).reach
    latest = curve.revision
    for m in reversed(curve.measurements):
        if m.revision < latest and objective.metric in m.metrics:
            return (m.elapsed_s if by == "elapsed" else m.step + int(curve.from_zero)), reach
    return 0.0, reach


def place(curve: Curve, reach: float, by: By) -> str:
    """Return where that is, in the program's own count: ``at step 3``, ``after 12.5 s``."""
    if by == "elapsed":
        return f"after {reach:.4g} s"
    return f"at step {reach - int(curve.from_zero):.0f}"


@dataclass(frozen=True, slots=True)
class Watch:
    """What a rule looks at.

    Attributes:
        rule: The rule, for messages.
        metric: The objective that it judges; ``""`` for the only one.
        by: Whether a trial's way is counted in steps or in seconds.
        min_steps: Where a trial is first judged.
        every: How far it goes between one judgement and the next.

    Raises:
        SpecError: a setting makes no sense.
    """

    rule: str
    metric: str = ""
    by: By = "step"
    min_steps: float = 1
    every: float = 1

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str):
            raise refuse(
                f"{self.rule}'s setting 'metric' is a metric's name; given {self.metric!r}."
            )
        check_choice(self.rule, "by", self.by, get_args(By))
        check_number(self.rule, "min_steps", self.min_steps, low=0)
        check_positive(self.rule, "every", self.every)

    def objective(self, spec: StudySpec) -> Objective:
        """Return what it judges; raise `SpecError` if the study has no such objective."""
        return objective_named(self.rule, self.metric, spec)

    def series(self, trial: Trial, history: History) -> Series | None:
        """Return the trial's losses if its latest report brought it to where it is judged."""
        curve = history.curve(trial.number)
        objective = self.objective(history.spec)
        series = curve.series(objective, self.by)
        if not len(series) or series.reach < self.min_steps:
            return None
        before, reach = news(curve, objective, self.by)
        return series if self._turns(before) < self._turns(reach) else None

    def _turns(self, reach: float) -> int:
        """Return how often a trial that came so far has been judged."""
        if reach < self.min_steps:
            return 0
        return 1 + math.floor((reach - self.min_steps) / self.every)
