"""Commands that list: ``ls``, ``trials``, ``export``."""

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

import click

from tunesmith.cli.columns import trials_table
from tunesmith.cli.console import out, say, table
from tunesmith.cli.curves import read_steps
from tunesmith.cli.names import find_study
from tunesmith.cli.options import format_option, storage_option, study_argument
from tunesmith.cli.origin import Origin, origins
from tunesmith.cli.where import COLUMNS, Filter, field_value
from tunesmith.errors import NotFoundError
from tunesmith.model import (
    StudySpec,
    StudySummary,
    Trial,
    is_feasible,
    rank,
)
from tunesmith.reporting import (
    duration,
    goal_text,
    json_text,
    number,
    study_document,
    trials_csv,
    trials_document,
    trials_json,
    trials_jsonl,
)
from tunesmith.storage import open_storage

__all__ = ["export_command", "ls_command", "trials_command"]


@click.command("ls")
@storage_option
@format_option("table", "json", "jsonl", "name")
def ls_command(storage: str | None, output: str) -> None:
    """List the studies, the last used first."""
    summaries: list[StudySummary] = []
    made: Mapping[str, Origin] = {}
    with contextlib.suppress(NotFoundError):  # no storage yet: an empty list, and no fault
        opened = open_storage(storage, create=False)
        summaries = [opened.summary(name) for name in opened.study_names()]
        made = {} if output == "name" else origins(opened)
    if output == "name":
        for summary in summaries:
            out(summary.record.name)
        return
    documents = [
        {
            **study_document(summary),
            "origin": made[name].to_json() if (name := summary.record.name) in made else None,
        }
        for summary in summaries
    ]
    if output == "json":
        out(json_text({"schema": "tunesmith.studies/1", "studies": documents}))
    elif output == "jsonl":
        for document in documents:
            out(json_text(document))
    elif summaries:
        head = ["study", "state", "trials", "best", "objective", "last used"]
        rows = [head, *map(_study_row, summaries)]
        if made:
            names = [summary.record.name for summary in summaries]
            told = [made[name].words if name in made else "" for name in names]
            rows = [[*row, word] for row, word in zip(rows, ["from", *told], strict=True)]
        out(table(rows))
    else:
        say("There are no studies yet. `tunesmith demo` or `tunesmith run` makes some.")


@click.command("trials")
@study_argument("study", required=False, default="@")
@click.option("--where", metavar="CONDITIONS", help="Only those: 'state=completed and lr<1e-3'.")
@click.option(
    "--sort",
    metavar="FIELD",
    help="By a metric, a parameter or a column; -FIELD downwards; 'best' for the best first.",
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
    steps = read_steps(opened, name, spec)
    if where is not None:
        wanted = Filter.parse(where)
        trials = [t for t in trials if wanted.matches(t, steps)]
    if sort is not None:
        trials = _sorted(trials, sort, spec, steps)
    if limit is not None:
        trials = trials[:limit]
    if output == "json":
        out(json_text(trials_document(trials, steps)))
    elif output == "jsonl":
        out(trials_jsonl(trials, steps).rstrip("\n"))
    elif output == "csv":
        out(trials_csv(trials, spec, steps).rstrip("\n"))
    elif output == "name":
        for t in trials:
            out(f"{name}/{t.number}")
    else:
        out(trials_table(trials, spec, columns.split(",") if columns else None, steps))


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
    trials, spec = opened.trials(name), opened.study(name).spec
    steps = read_steps(opened, name, spec)
    if path is not None and path.suffix[1:] in ("csv", "json", "jsonl"):
        output = path.suffix[1:]
    match output:
        case "csv":
            text = trials_csv(trials, spec, steps)
        case "json":
            text = trials_json(trials, steps)
        case _:
            text = trials_jsonl(trials, steps)
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
    ago = duration(max(0.0, time.time() - record.used))
    cells = [record.name, record.state.value, f"{summary.done}{total}", _best_cell(summary)]
    return [*cells, goal_text(spec), f"{ago} ago"]


def _best_cell(summary: StudySummary) -> str:
    spec, best = summary.record.spec, summary.best
    if best is None:
        return ""
    if not is_feasible(best, spec):
        return "none feasible"
    if summary.front is not None:
        return f"front of {len(summary.front.trials)}"
    return number(best.metrics[spec.objective.metric])


def _sorted(
    trials: list[Trial], field: str, spec: StudySpec, steps: Mapping[int, int]
) -> list[Trial]:
    name, downwards = field.lstrip("-"), field.startswith("-")
    columns = {*COLUMNS, *spec.space}
    metrics = {m for t in trials for m in t.metrics}
    if field == "best" and field not in columns | metrics:
        places = {t.number: rank(t, spec) for t in trials}
        return sorted(
            trials, key=lambda t: (places[t.number] is None, places[t.number] or (t.number,))
        )
    if name not in columns | metrics | {o.metric for o in spec.objectives}:
        known = ", ".join(sorted(columns | metrics))
        msg = f"There is no field {name!r} to sort by: {known}."
        raise click.UsageError(msg)
    values = {t.number: field_value(t, name, steps) for t in trials}
    have = [t for t in trials if _is_comparable(values[t.number])]
    lack = [t for t in trials if not _is_comparable(values[t.number])]
    have.sort(key=lambda t: _sort_key(values[t.number]), reverse=downwards)
    return have + lack


def _is_comparable(value: object) -> bool:
    return value is not None and value == value  # noqa: PLR0124 - nan is not


def _sort_key(value: object) -> tuple[bool, object]:
    return (isinstance(value, str), value)
