"""What ends trials early, and studies before their last trial, in words."""

from collections.abc import Iterator, Mapping

from tunesmith.model import Ending, StudySpec, Trial, TrialState
from tunesmith.reporting.figures import duration, number

__all__ = [
    "ending_text",
    "part_text",
    "step_text",
    "stopped_text",
    "stopping_text",
]


def part_text(name: str, settings: Mapping[str, object]) -> str:
    """Return a searcher, rule or schedule with its settings: ``grid (points=5)``."""
    given = ", ".join(f"{key}={value}" for key, value in settings.items())
    return f"{name} ({given})" if given else name


def stopping_text(spec: StudySpec) -> str:
    """Return what ends trials early: ``median, asha (eta=4)``; ``""`` where nothing does."""
    return ", ".join(part_text(s.name, s.settings) for s in spec.stopping)


def ending_text(spec: StudySpec) -> str:
    """Return when the study has enough: ``accuracy >= 0.98 or 2h00m``; ``""`` if only by its trials.

    What holds that back, and what becomes of trials that run, stands behind it in brackets.
    """
    ending, objective = spec.ending, spec.objective
    parts = []
    if ending.target is not None:
        sign = ">=" if objective.goal == "maximize" else "<="
        parts.append(f"{objective.metric} {sign} {ending.target:g}")
    if ending.time_s is not None:
        parts.append(duration(ending.time_s))
    if ending.no_improvement is not None:
        parts.append(f"{ending.no_improvement} trials in a row without a better one")
    if ending.expected_gain is not None:
        parts.append(f"an expected gain below {ending.expected_gain:g}")
    if ending.no_improvement_for_s is not None:
        parts.append(f"{duration(ending.no_improvement_for_s)} without a better trial")
    more = ", ".join(_conditions(ending))
    return " or ".join(parts) + (f" ({more})" if parts and more else "")


def _conditions(ending: Ending) -> Iterator[str]:
    least = []
    if ending.min_trials is not None:
        least.append("1 trial" if ending.min_trials == 1 else f"{ending.min_trials} trials")
    if ending.min_time_s is not None:
        least.append(duration(ending.min_time_s))
    if least:
        yield f"not before {' and '.join(least)}"
    if ending.stop_running is not None:
        yield f"trials that run {'end, too' if ending.stop_running else 'go on to their end'}"


def step_text(step: int, trial: Trial, spec: StudySpec) -> str:
    """Return where a trial is, of how much: ``3/20``; the step alone where nobody knows the whole."""
    whole = spec.max_steps or trial.budget
    return str(step) if whole is None else f"{step}/{whole}"


def stopped_text(trial: Trial, spec: StudySpec) -> str:
    """Return how a trial was ended early: ``stopped with 0.61 at step 3/20: ...``."""
    parts = [trial.state.value]
    if trial.state is TrialState.STOPPED and spec.objective.metric in trial.metrics:
        parts.append(f"with {number(trial.metrics[spec.objective.metric])}")
    if trial.step is not None:
        parts.append(f"at step {step_text(trial.step, trial, spec)}")
    reason = f": {trial.reason}" if trial.reason else ""
    return " ".join(parts) + reason
