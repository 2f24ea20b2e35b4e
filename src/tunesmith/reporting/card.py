"""A study at a glance: a few lines for a console, a card for a notebook."""

from collections.abc import Mapping, Sequence
from html import escape

from tunesmith.model import Front, StudySpec, StudySummary, Trial, TrialState, is_feasible
from tunesmith.reporting.early import ending_text, stopping_text
from tunesmith.reporting.explanations import choice_text
from tunesmith.reporting.figures import number
from tunesmith.reporting.reached import (
    constraint_lines,
    metrics_text,
    reached_text,
    shown_metrics,
)
from tunesmith.reporting.training import Training, saved_text

__all__ = ["assignments", "counts_text", "goal_text", "study_card", "study_text"]

_FRONT_SHOWN = 10
_COLOURS = {
    TrialState.COMPLETED: "#2a9d5c",
    TrialState.STOPPED: "#e0a100",
    TrialState.RUNNING: "#3b82f6",
    TrialState.FAILED: "#d64545",
    TrialState.INFEASIBLE: "#b06ab3",
    TrialState.CANCELLED: "#9aa0a6",
    TrialState.PAUSED: "#7c8aa0",
    TrialState.QUEUED: "#cfd4da",
}


def assignments(values: Mapping[str, object]) -> str:
    """Return values as ``lr=0.01 units=64``."""
    return " ".join(f"{name}={number(value)}" for name, value in values.items())


def counts_text(counts: Mapping[TrialState, int]) -> str:
    """Return counts as ``completed 12, running 2``; ``no trials yet`` for none."""
    return (
        ", ".join(f"{s.value} {counts[s]}" for s in TrialState if counts.get(s)) or "no trials yet"
    )


def goal_text(spec: StudySpec) -> str:
    """Return objectives and constraints as ``maximize accuracy with latency_ms <= 20``."""
    goals = ", ".join(f"{o.goal} {o.metric}" for o in spec.objectives)
    bounds = " and ".join(map(str, spec.constraints))
    return f"{goals} with {bounds}" if bounds else goals


def study_text(summary: StudySummary, training: Training | None = None) -> str:
    """Return what a console shows of a study, in a few lines.

    Args:
        summary: The study.
        training: How long its trials have trained, where that is known.
    """
    record, spec = summary.record, summary.record.spec
    reason = f" ({record.reason})" if record.reason else ""
    lines = [
        f"study {record.name}: {record.state}{reason}, {goal_text(spec)}, {spec.algorithm.name}",
        f"trials {_progress(summary)}: {counts_text(summary.counts)}",
    ]
    if summary.best is not None:
        one = summary.front is None and is_feasible(summary.best, spec)
        values = f" {assignments(summary.best.values)}" if one else ""
        lines.append(reached_text(summary) + values)
    lines += [*constraint_lines(summary), *_early_lines(spec, training)]
    lines += [f"algorithm {choice_text(t, spec.algorithm.name)}" for t in summary.choices]
    return "\n".join(lines)


def _early_lines(spec: StudySpec, training: Training | None) -> list[str]:
    """Return what ends trials early, what that has saved, and when the study has enough, a line each."""
    lines = []
    if stopping := stopping_text(spec):
        saved = saved_text(training)
        lines.append(f"stopping {stopping}{f'; {saved}' if saved else ''}")
    if ending := ending_text(spec):
        lines.append(f"until {ending}")
    return lines


def study_card(
    summary: StudySummary, ranked: Sequence[Trial], training: Training | None = None
) -> str:
    """Return what a notebook shows of a study: one block of HTML with no script and no outside file.

    Args:
        summary: The study.
        ranked: The trials that count, for the curve of the best so far; the best first.
        training: How long its trials have trained, where that is known.
    """
    record, spec, best = summary.record, summary.record.spec, summary.best
    reason = f" ({escape(record.reason)})" if record.reason else ""
    head = f"<b>{escape(record.name)}</b> · {record.state}{reason} · {escape(goal_text(spec))}"
    parts = [f"<div>{head}</div>", _bar(summary)]
    parts.append(f"<div>{_progress(summary)} trials: {counts_text(summary.counts)}</div>")
    if best is not None and summary.front is None and is_feasible(best, spec):
        parts.append(
            f"<div>best <b>{metrics_text(best, spec)}</b> (trial {best.number})"
            f" <code>{escape(assignments(best.values))}</code></div>"
        )
        parts.append(_sparkline(spec, [t for t in ranked if is_feasible(t, spec)]))
    elif best is not None:
        parts.append(f"<div>{escape(reached_text(summary))}</div>")
    if summary.front is not None and summary.front.trials:
        parts.append(_front_table(summary.front, spec))
    lines = [*constraint_lines(summary), *_early_lines(spec, training)]
    parts += [f"<div>{escape(line)}</div>" for line in lines]
    parts += [
        f"<div>algorithm {escape(choice_text(t, spec.algorithm.name))}</div>"
        for t in summary.choices
    ]
    style = "font:13px sans-serif;line-height:1.6;border:1px solid #8885;border-radius:6px;padding:8px 12px"
    return f'<div style="{style}">{"".join(parts)}</div>'


def _front_table(front: Front, spec: StudySpec) -> str:
    metrics = shown_metrics(spec)
    head = "".join(f"<th>{escape(name)}</th>" for name in ("trial", *metrics, "values"))
    body = "".join(
        f"<tr><td>{t.number}</td>"
        + "".join(f"<td>{number(t.metrics.get(name, ''))}</td>" for name in metrics)
        + f"<td><code>{escape(assignments(t.values))}</code></td></tr>"
        for t in front.trials[:_FRONT_SHOWN]
    )
    hidden = len(front.trials) - _FRONT_SHOWN
    more = f"<div>… and {hidden} more; best_trials gives all</div>" if hidden > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _progress(summary: StudySummary) -> str:
    limit = summary.record.spec.max_trials
    return f"{summary.done}/{limit}" if limit is not None else str(summary.done)


def _bar(summary: StudySummary) -> str:
    total = max(summary.record.spec.max_trials or 0, sum(summary.counts.values()), 1)
    pieces = "".join(
        f'<span title="{state.value} {n}" style="display:inline-block;height:8px;'
        f'width:{100 * n / total:.2f}%;background:{_COLOURS[state]}"></span>'
        for state in _COLOURS
        if (n := summary.counts.get(state, 0))
    )
    return f'<div style="background:#8883;font-size:0;margin:4px 0">{pieces}</div>'


def _sparkline(spec: StudySpec, ranked: Sequence[Trial]) -> str:
    """Draw the best value so far over trial numbers, as steps."""
    objective = spec.objective
    points: list[tuple[int, float]] = []
    for t in sorted(ranked, key=lambda t: t.number):
        value = t.metrics[objective.metric]
        if not points or objective.better(value, points[-1][1]):
            points.append((t.number, value))
    if len(points) < 2:
        return ""
    last = max(t.number for t in ranked)
    low, high = min(v for _, v in points), max(v for _, v in points)
    x = [200 * n / last for n, _ in points] + [200.0]
    y = [34 - 30 * (v - low) / (high - low) for _, v in points]
    path = f"M{x[0]:.1f} {y[0]:.1f}" + "".join(
        f"H{x[i + 1]:.1f}" + (f"V{y[i + 1]:.1f}" if i + 1 < len(y) else "") for i in range(len(y))
    )
    return (
        '<svg width="200" height="38" role="img" aria-label="best value so far by trial">'
        f'<path d="{path}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
    )
