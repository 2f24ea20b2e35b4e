"""``tunesmith show``: what a study or a trial is, and what became of it."""

import math
import time
from collections.abc import Sequence

import click

from tunesmith.cli.columns import trials_table
from tunesmith.cli.console import out, table
from tunesmith.cli.names import find, without_tuner
from tunesmith.cli.options import format_option, storage_option, study_argument
from tunesmith.execution import trial_directory
from tunesmith.model import (
    Measurement,
    StudySpec,
    StudySummary,
    Trial,
    TrialState,
    is_feasible,
)
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
    study_document,
    study_text,
    trial_document,
)
from tunesmith.storage import Storage, files_root, open_storage

__all__ = ["show_command"]

_FRONT_SHOWN = 20


@click.command("show")
@study_argument("target", required=False, default="@")
@storage_option
@format_option("table", "json")
def show_command(target: str, storage: str | None, output: str) -> None:
    """Show a study (digits, @), or one of its trials (digits/7, @/7, @best)."""
    opened = open_storage(storage, create=False)
    found = find(opened, target)
    if found.trial is not None:
        _show_trial(opened, found.study, opened.trial(found.study, found.trial), output)
        return
    summary = opened.summary(found.study)
    if output == "json":
        out(json_text(study_document(summary)))
        return
    out(study_text(summary))
    if without_tuner(opened, found.study):
        out("its tuner has died; to go on, run its file or command again")
    if summary.record.command:
        out(f"command {summary.record.command}")
    out(f"files {trial_directory(files_root(opened.url), found.study, 0).parent}")
    for line in _leader_lines(opened, summary):
        out(line)
    for line in _failures(opened, summary):
        out(line)


def _leader_lines(storage: Storage, summary: StudySummary) -> list[str]:
    """Return a table of the trials that lead: the best five, or the beginning of the front."""
    name, spec = summary.record.name, summary.record.spec
    if summary.front is None or not summary.front.trials:
        best = storage.trials(name, order="best", limit=5)
        return ["", trials_table(best, spec)] if best else []
    shown = summary.front.trials[:_FRONT_SHOWN]
    hidden = len(summary.front.trials) - len(shown)
    more = [f"… and {hidden} more of the front: tunesmith best {name}"] if hidden else []
    return ["", trials_table(shown, spec), *more]


def _failures(storage: Storage, summary: StudySummary) -> list[str]:
    """Return how the trials failed, the most frequent first."""
    if not summary.counts.get(TrialState.FAILED):
        return []
    name = summary.record.name
    groups: dict[str, list[int]] = {}
    for t in storage.trials(name, order="newest", limit=1000):
        if t.state is TrialState.FAILED:
            groups.setdefault(t.reason, []).append(t.number)
    ranked = sorted(groups.items(), key=lambda item: -len(item[1]))[:3]
    return [
        "",
        *(f"failed {len(n)}×: {reason} (tunesmith logs {name}/{n[0]})" for reason, n in ranked),
    ]


def _show_trial(storage: Storage, study: str, trial: Trial, output: str) -> None:
    record = storage.study(study)
    curve = storage.measurements(study, trial.number)
    directory = trial_directory(files_root(storage.url), study, trial.number)
    if output == "json":
        document = {
            "schema": "tunesmith.trial/1",
            "study": study,
            **trial_document(trial),
            "outcomes": [outcome_document(o) for o in outcomes(trial, record.spec)],
            "is_feasible": is_feasible(trial, record.spec),
            "directory": str(directory),
            "measurements": [measurement_document(m) for m in curve],
        }
        out(json_text(document))
        return
    out(
        f"trial {study}/{trial.number}: {trial.state}, attempt {trial.attempt}, from {trial.origin}"
    )
    if trial.reason:
        out(f"reason {trial.reason}")
    for name, value in trial.metrics.items():
        out(f"{name} {number(value)}")
    for line in [*_constraint_lines(trial, record.spec), *explanation_lines(trial, record.spec)]:
        out(line)
    out(f"values {assignments(trial.values)}")
    if trial.started is not None:
        end = trial.finished or time.time()
        out(f"started {iso_time(trial.started)}, took {duration(end - trial.started)}")
    out(f"files {directory}")
    for line in _curve_lines(curve, record.spec):
        out(line)


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
