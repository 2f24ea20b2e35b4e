"""Commands that look: ``ls``, ``show``, ``trials``, ``best``, ``export``."""

import contextlib
import json
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from tunesmith.cli.console import out, say, table
from tunesmith.cli.names import find, find_study, find_trial, without_tuner
from tunesmith.cli.options import format_option, storage_option, study_argument
from tunesmith.cli.where import Filter, field_value
from tunesmith.errors import NotFoundError
from tunesmith.execution import trial_directory, value_texts
from tunesmith.model import Measurement, StudySpec, StudySummary, Trial, TrialState
from tunesmith.reporting import (
    assignments,
    duration,
    iso_time,
    json_text,
    measurement_document,
    number,
    study_document,
    study_text,
    trial_document,
    trials_csv,
    trials_document,
    trials_json,
    trials_jsonl,
)
from tunesmith.storage import Storage, files_root, open_storage

__all__ = ["best_command", "export_command", "ls_command", "show_command", "trials_command"]


@click.command("ls")
@storage_option
@format_option("table", "json", "jsonl", "name")
def ls_command(storage: str | None, output: str) -> None:
    """List the studies, the last used first."""
    summaries: list[StudySummary] = []
    with contextlib.suppress(NotFoundError):  # no storage yet: an empty list, and no fault
        opened = open_storage(storage, create=False)
        summaries = [opened.summary(name) for name in opened.study_names()]
    if output == "name":
        for summary in summaries:
            out(summary.record.name)
        return
    documents = [study_document(summary) for summary in summaries]
    if output == "json":
        out(json_text({"schema": "tunesmith.studies/1", "studies": documents}))
    elif output == "jsonl":
        for document in documents:
            out(json_text(document))
    elif summaries:
        head = ["study", "state", "trials", "best", "objective", "last used"]
        out(table([head, *map(_study_row, summaries)]))
    else:
        say("There are no studies yet. `tunesmith demo` or `tunesmith run` makes some.")


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
    best = opened.trials(found.study, order="best", limit=5)
    if best:
        out("")
        out(_trials_table(best, summary.record.spec))
    for line in _failures(opened, summary):
        out(line)


@click.command("trials")
@study_argument("study", required=False, default="@")
@click.option("--where", metavar="CONDITIONS", help="Only those: 'state=completed and lr<1e-3'.")
@click.option(
    "--sort", metavar="FIELD", help="By a metric, a parameter or a column; -FIELD downwards."
)
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most so many.")
@click.option("--columns", metavar="A,B,...", help="Only these columns of the table.")
@storage_option
@format_option("table", "json", "jsonl", "csv", "name")
def trials_command(
    study: str,
    where: str | None,
    sort: str | None,
    limit: int | None,
    columns: str | None,
    storage: str | None,
    output: str,
) -> None:
    """List a study's trials by number."""
    opened = open_storage(storage, create=False)
    name = find_study(opened, study)
    spec = opened.study(name).spec
    simple = where is None and sort is None
    trials = list(opened.trials(name, limit=limit if simple else None))
    if where is not None:
        wanted = Filter.parse(where)
        trials = [t for t in trials if wanted.matches(t)]
    if sort is not None:
        trials = _sorted(trials, sort, spec)
    if limit is not None:
        trials = trials[:limit]
    if output == "json":
        out(json_text(trials_document(trials)))
    elif output == "jsonl":
        out(trials_jsonl(trials).rstrip("\n"))
    elif output == "csv":
        out(trials_csv(trials, spec).rstrip("\n"))
    elif output == "name":
        for t in trials:
            out(f"{name}/{t.number}")
    else:
        out(_trials_table(trials, spec, columns.split(",") if columns else None))


@click.command("best")
@study_argument("study", required=False, default="@")
@click.option(
    "--as",
    "form",
    type=click.Choice(["args", "env", "json", "yaml", "python"]),
    help="Print only the values, in this form.",
)
@storage_option
@format_option("table", "json")
def best_command(study: str, form: str | None, storage: str | None, output: str) -> None:
    """Give the best trial's values.

    \b
    python train.py $(tunesmith best @ --as args)
    """
    opened = open_storage(storage, create=False)
    name, trial = find_trial(opened, study if "/" in study or study == "@best" else f"{study}/best")
    spec = opened.study(name).spec
    if form is not None:
        out(_values_as(form, trial, spec))
    elif output == "json":
        out(json_text({"schema": "tunesmith.trial/1", "study": name, **trial_document(trial)}))
    else:
        metric = spec.objective.metric
        out(f"{metric} {number(trial.metrics.get(metric, ''))} (#{trial.number})")
        for parameter, value in trial.values.items():
            out(f"{parameter} {value}")


@click.command("export")
@study_argument("study", required=False, default="@")
@click.option(
    "--to",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write here instead of to standard output; its ending chooses the format.",
)
@storage_option
@format_option("csv", "json", "jsonl")
def export_command(study: str, path: Path | None, storage: str | None, output: str) -> None:
    """Write all of a study's trials for other programs."""
    opened = open_storage(storage, create=False)
    name = find_study(opened, study)
    trials = opened.trials(name)
    if path is not None and path.suffix[1:] in ("csv", "json", "jsonl"):
        output = path.suffix[1:]
    match output:
        case "csv":
            text = trials_csv(trials, opened.study(name).spec)
        case "json":
            text = trials_json(trials)
        case _:
            text = trials_jsonl(trials)
    if path is None:
        out(text.rstrip("\n"))
        return
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        msg = f"Can't write {path}: {error.strerror}."
        raise click.UsageError(msg) from error
    say(f"{len(trials)} trials written to {path}")


def _study_row(summary: StudySummary) -> list[str]:
    record, spec = summary.record, summary.record.spec
    total = f"/{spec.max_trials}" if spec.max_trials is not None else ""
    best = number(summary.best.metrics[spec.objective.metric]) if summary.best else ""
    ago = duration(max(0.0, time.time() - record.used))
    goal = f"{spec.objective.goal} {spec.objective.metric}"
    return [record.name, record.state.value, f"{summary.done}{total}", best, goal, f"{ago} ago"]


def _trials_table(
    trials: Sequence[Trial], spec: StudySpec, columns: list[str] | None = None
) -> str:
    names = columns or [
        "number",
        "state",
        *(o.metric for o in spec.objectives),
        *spec.space,
        "reason",
    ]
    if columns is None and not any(t.reason for t in trials):
        names.remove("reason")
    rows = [[_cell(field_value(t, name)) for name in names] for t in trials]
    head = ["#" if name == "number" else name for name in names]
    return table([head, *rows])


def _cell(value: object) -> str:
    text = "" if value is None else number(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _sorted(trials: list[Trial], field: str, spec: StudySpec) -> list[Trial]:
    name, downwards = field.lstrip("-"), field.startswith("-")
    columns = {"number", "state", "attempt", "origin", "reason", *spec.space}
    metrics = {m for t in trials for m in t.metrics}
    if name not in columns | metrics | {o.metric for o in spec.objectives}:
        known = ", ".join(sorted(columns | metrics))
        msg = f"There is no field {name!r} to sort by: {known}."
        raise click.UsageError(msg)
    have = [t for t in trials if _is_comparable(field_value(t, name))]
    lack = [t for t in trials if not _is_comparable(field_value(t, name))]
    have.sort(key=lambda t: _sort_key(field_value(t, name)), reverse=downwards)
    return have + lack


def _is_comparable(value: object) -> bool:
    return value is not None and value == value  # noqa: PLR0124 - nan is not


def _sort_key(value: object) -> tuple[bool, object]:
    return (isinstance(value, str), value)


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
    out(f"values {assignments(trial.values)}")
    if trial.started is not None:
        end = trial.finished or time.time()
        out(f"started {iso_time(trial.started)}, took {duration(end - trial.started)}")
    out(f"files {directory}")
    for line in _curve_lines(curve, record.spec):
        out(line)


def _curve_lines(curve: Sequence[Measurement], spec: StudySpec) -> list[str]:
    """Return the learning curve of the first objective, thinned to twelve steps."""
    metric = spec.objective.metric
    points = [m for m in curve if metric in m.metrics]
    if not points:
        return []
    every = -(-len(points) // 12)
    shown = [m for i, m in enumerate(points) if i % every == 0 or m is points[-1]]
    rows = [[str(m.step), number(m.metrics[metric]), duration(m.elapsed_s)] for m in shown]
    return ["", table([["step", metric, "after"], *rows])]


def _values_as(form: str, trial: Trial, spec: StudySpec) -> str:
    texts = value_texts(trial.values, spec.space)
    match form:
        case "args":
            return " ".join(shlex.quote(f"--{name}={text}") for name, text in texts.items())
        case "env":
            # What a shell takes for a name: --batch-size becomes batch_size.
            words = {re.sub(r"\W", "_", name): text for name, text in texts.items()}
            return "\n".join(f"{name}={shlex.quote(text)}" for name, text in words.items())
        case "json":
            return json_text(dict(trial.values))
        case "python":
            return repr(dict(trial.values))
    return _yaml(trial.values)


def _yaml(values: Mapping[str, object]) -> str:
    # JSON scalars are YAML, and quoted strings can't be mistaken for numbers or booleans.
    lines = (
        f"{json.dumps(n, ensure_ascii=False)}: {json.dumps(v, ensure_ascii=False)}"
        for n, v in values.items()
    )
    return "\n".join(lines)
