"""One trial as ``tunesmith show`` gives it: what became of it, why, where it came from, its curve."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.cli.console import out, table
from tunesmith.execution import trial_directory
from tunesmith.model import Curve, Measurement, StudySpec, Trial, TrialState, is_feasible
from tunesmith.reporting import (
    assignments,
    duration,
    explanation_lines,
    iso_time,
    json_text,
    measurement_document,
    number,
    outcome_document,
    outcomes,
    shown_metrics,
    trial_document,
)
from tunesmith.storage import Storage, files_root

__all__ = ["show_trial"]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a trial.

    Attributes:
        study: Its study's name.
        spec: Its study.
        trial: The trial.
        curve: What it measured, joined over its attempts.
        lineage: The trials from whose checkpoints it comes, the eldest first, and itself.
        children: The trials that began from its checkpoint.
        directory: Its folder.
    """

    study: str
    spec: StudySpec
    trial: Trial
    curve: Curve
    lineage: Sequence[int]
    children: Sequence[int]
    directory: Path


def show_trial(storage: Storage, study: str, trial: Trial, output: str) -> None:
    """Print a trial as a document or as lines."""
    lineage = _lineage(storage, study, trial)
    known = _Known(
        study=study,
        spec=storage.study(study).spec,
        trial=trial,
        curve=_curve(storage, study, lineage),
        lineage=lineage,
        children=[t.number for t in storage.trials(study) if t.parent == trial.number],
        directory=trial_directory(files_root(storage.url), study, trial.number),
    )
    if output == "json":
        out(json_text(_document(known)))
        return
    for line in _lines(known):
        out(line)


def _lineage(storage: Storage, study: str, trial: Trial) -> list[int]:
    found = [trial.number]
    while trial.parent is not None:
        trial = storage.trial(study, trial.parent)
        found.insert(0, trial.number)
    return found


def _curve(storage: Storage, study: str, lineage: Sequence[int]) -> Curve:
    """Return the last one's curve; only the first one's shows from where the program counts its steps."""
    curve = Curve()
    for number_ in (lineage[0], lineage[-1]):
        measured = storage.measured(study, number_)
        pairs = ((m.attempt, m.measurement) for m in measured)
        curve = Curve(pairs, from_zero=curve.from_zero)
    return curve


def _document(known: _Known) -> Mapping[str, object]:
    trial, spec = known.trial, known.spec
    return {
        "schema": "tunesmith.trial/1",
        "study": known.study,
        **trial_document(trial, known.curve.reach),
        "lineage": known.lineage,
        "children": known.children,
        "outcomes": [outcome_document(o) for o in outcomes(trial, spec)],
        "is_feasible": is_feasible(trial, spec),
        "directory": str(known.directory),
        "measurements": [measurement_document(m) for m in known.curve.measurements],
    }


def _lines(known: _Known) -> Iterator[str]:
    trial, spec = known.trial, known.spec
    head = f"trial {known.study}/{trial.number}: {trial.state}, attempt {trial.attempt}"
    yield f"{head}, from {trial.origin}"
    if trial.reason:
        yield f"reason {trial.reason}"
    yield from _wish_lines(trial)
    for name, value in trial.metrics.items():
        yield f"{name} {number(value)}"
    yield from _constraint_lines(trial, spec)
    yield from explanation_lines(trial, spec)
    yield f"values {assignments(trial.values)}"
    yield from _length_lines(known)
    if trial.started is not None:
        end = trial.finished or time.time()
        which = f"attempt {trial.attempt} " if trial.attempt > 1 else ""
        yield f"{which}started {iso_time(trial.started)}, took {duration(end - trial.started)}"
    yield f"files {known.directory}"
    yield from _curve_lines(known.curve.measurements, spec)


def _wish_lines(trial: Trial) -> Iterator[str]:
    """Yield what a person wants of a trial that runs on for now."""
    wishes = {"stop": trial.stop_requested, "pause": trial.pause_requested}
    for what, why in wishes.items():
        if why and trial.state is TrialState.RUNNING:
            yield f"asked to {what}: {why}"


def _length_lines(known: _Known) -> Iterator[str]:
    """Yield how far the trial has trained, of how much, from whose checkpoint, and who goes on from its."""
    budget, whole = known.trial.budget, known.spec.max_steps
    if budget is not None or whole is not None:
        parts = [f"{known.curve.reach} done"]
        parts += [f"{budget} wanted for now"] if budget not in (None, whole) else []
        parts += [f"{whole} make a whole trial"] if whole is not None else []
        yield f"steps {', '.join(parts)}"
    if len(known.lineage) > 1:
        yield f"lineage {' ← '.join(map(str, known.lineage))}"
    if known.children:
        yield f"children {', '.join(map(str, known.children))}"


def _constraint_lines(trial: Trial, spec: StudySpec) -> list[str]:
    """Return which constraints an ended trial keeps and which it breaks, a line each."""
    lines = []
    for constraint in spec.constraints if trial.counts else ():
        excess = constraint.excess(trial.metrics.get(constraint.metric, math.nan))
        broken = "not measured" if math.isnan(excess) else f"broken by {number(excess)}"
        lines.append(f"constraint {constraint}: {'kept' if excess <= 0 else broken}")
    return lines


def _curve_lines(curve: Sequence[Measurement], spec: StudySpec) -> list[str]:
    """Return the learning curve of each objective and constraint, thinned to twelve steps."""
    metrics = [name for name in shown_metrics(spec) if any(name in m.metrics for m in curve)]
    points = [m for m in curve if any(name in m.metrics for name in metrics)]
    if not points:
        return []
    every = -(-len(points) // 12)
    shown = [m for i, m in enumerate(points) if i % every == 0 or m is points[-1]]
    rows = [
        [
            str(m.step),
            *(number(m.metrics.get(name, "")) for name in metrics),
            duration(m.elapsed_s),
        ]
        for m in shown
    ]
    return ["", table([["step", *metrics, "after"], *rows])]
