"""Why a trial was suggested, and how what it measured compares with what was predicted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.model import Explanation, Prediction, StudySpec, Trial
from tunesmith.reporting.figures import number, plain

__all__ = [
    "Outcome",
    "choice_text",
    "explanation_document",
    "explanation_lines",
    "outcome_document",
    "outcomes",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A prediction beside what came of it.

    Attributes:
        metric: The metric's name.
        predicted: What the model expected.
        measured: What the trial measured; None if it did not.
        better: Whether that is better than expected; None if it is equal, unmeasured, or nobody
            said which direction is better.
    """

    metric: str
    predicted: Prediction
    measured: float | None
    better: bool | None

    @property
    def difference(self) -> float:
        """The measured value less the expected one; nan if there is none."""
        return math.nan if self.measured is None else self.measured - self.predicted.mean

    @property
    def deviations(self) -> float:
        """How many standard deviations that is, with its sign; nan if nobody can tell."""
        sd = self.predicted.sd
        return self.difference / sd if sd > 0 else math.nan

    def __str__(self) -> str:
        expected = (
            f"predicted {self.metric} {number(self.predicted.mean)} ± {number(self.predicted.sd)}"
        )
        if self.measured is None:
            return f"{expected}, not measured"
        told = f"{expected}, measured {number(self.measured)}"
        if math.isnan(self.difference):
            return told
        if self.difference == 0:
            return f"{told}: as predicted"
        word = "higher" if self.difference > 0 else "lower"
        if self.better is not None:
            word = "better" if self.better else "worse"
        away = "" if math.isnan(self.deviations) else f", {abs(self.deviations):.1f} sd"
        return f"{told}: {word} by {number(abs(self.difference))}{away}"


def outcomes(trial: Trial, spec: StudySpec) -> list[Outcome]:
    """Return each prediction beside what came of it, once the trial has ended; before, nothing."""
    if trial.explanation is None or not trial.is_final:
        return []
    goals = {objective.metric: objective for objective in spec.objectives}
    found = []
    for metric, predicted in trial.explanation.predictions.items():
        measured = trial.metrics.get(metric)
        better = None
        if measured is not None and metric in goals and measured != predicted.mean:
            better = goals[metric].better(measured, predicted.mean)
        found.append(Outcome(metric, predicted, measured, better))
    return found


def explanation_lines(trial: Trial, spec: StudySpec) -> list[str]:
    """Return what people read of a trial's explanation, a line for each thing; none without one."""
    explanation = trial.explanation
    if explanation is None:
        return []
    lines = []
    if explanation.searcher:
        lines.append(f"searcher {explanation.searcher}{_after_colon(explanation.note)}")
    elif explanation.note:
        lines.append(f"why {explanation.note}")
    if explanation.acquisition:
        value = "" if explanation.value is None else f" {number(explanation.value)}"
        lines.append(f"acquisition {explanation.acquisition}{value}")
    if explanation.feasible is not None:
        lines.append(f"feasible with probability {number(explanation.feasible)}")
    if trial.is_final:
        return lines + list(map(str, outcomes(trial, spec)))
    return lines + [
        f"predicted {metric} {number(p.mean)} ± {number(p.sd)}"
        for metric, p in explanation.predictions.items()
    ]


def choice_text(trial: Trial, algorithm: str) -> str:
    """Return who took over with this trial, as ``default → bayesian since trial 9: …``."""
    assert trial.explanation is not None
    chosen, note = trial.explanation.searcher, trial.explanation.note
    return f"{algorithm} → {chosen} since trial {trial.number}{_after_colon(note)}"


def explanation_document(explanation: Explanation) -> Mapping[str, object]:
    """Return an explanation as plain data."""
    return {
        "searcher": explanation.searcher,
        "predictions": {
            metric: {"mean": plain(p.mean), "sd": plain(p.sd)}
            for metric, p in explanation.predictions.items()
        },
        "acquisition": explanation.acquisition,
        "value": plain(explanation.value),
        "feasible": plain(explanation.feasible),
        "note": explanation.note,
    }


def outcome_document(outcome: Outcome) -> Mapping[str, object]:
    """Return a prediction and what came of it as plain data; what nobody can tell is null."""
    told = (outcome.difference, outcome.deviations)
    difference, deviations = (None if math.isnan(value) else plain(value) for value in told)
    return {
        "metric": outcome.metric,
        "predicted": {"mean": plain(outcome.predicted.mean), "sd": plain(outcome.predicted.sd)},
        "measured": plain(outcome.measured),
        "difference": difference,
        "deviations": deviations,
        "better": outcome.better,
    }


def _after_colon(note: str) -> str:
    return f": {note}" if note else ""
