"""``tunesmith best``: the values to use, of one trial or of all on the front."""

import json
import re
import shlex
from collections.abc import Mapping

import click

from tunesmith.cli.columns import trials_table
from tunesmith.cli.console import out, say
from tunesmith.cli.names import Target, find
from tunesmith.cli.options import format_option, storage_option, study_argument
from tunesmith.errors import NotFoundError
from tunesmith.execution import value_texts
from tunesmith.model import StudySpec, StudySummary, Trial, is_feasible
from tunesmith.reporting import (
    front_document,
    front_text,
    json_text,
    nearest_text,
    number,
    shown_metrics,
    trial_document,
)
from tunesmith.storage import Storage, open_storage

__all__ = ["best_command"]


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
    """Give the best trial's values; of a study with several objectives, the trials of its front.

    \b
    python train.py $(tunesmith best @ --as args)
    python train.py $(tunesmith best digits/7 --as args)
    """
    opened = open_storage(storage, create=False)
    target = find(opened, study)
    summary = opened.summary(target.study)
    if target.trial is None and summary.front is not None and summary.front.trials:
        _give_front(summary, form, output)
    else:
        _give_best(opened, target, summary, form, output)


def _give_front(summary: StudySummary, form: str | None, output: str) -> None:
    name, spec, front = summary.record.name, summary.record.spec, summary.front
    assert front is not None
    if form is not None and len(front.trials) > 1:
        one = f"tunesmith best {name}/{front.trials[0].number} --as {form}"
        msg = f"Study {name!r} has {len(front.trials)} trials that no other beats. Name one: {one}"
        raise click.UsageError(msg)
    if form is not None:
        out(_values_as(form, front.trials[0], spec))
    elif output == "json":
        head = {"schema": "tunesmith.front/1", "study": name}
        out(json_text({**head, **front_document(front)}))
    else:
        out(front_text(front))
        out("")
        out(trials_table(front.trials, spec))


def _give_best(
    storage: Storage, target: Target, summary: StudySummary, form: str | None, output: str
) -> None:
    name, spec, best = summary.record.name, summary.record.spec, summary.best
    if target.trial is not None:
        trial = storage.trial(name, target.trial)
    elif best is not None:
        trial = best
        if not is_feasible(best, spec):
            say(nearest_text(best, spec))
    else:
        msg = f"Study {name!r} has no best trial yet."
        raise NotFoundError(msg)
    if form is not None:
        out(_values_as(form, trial, spec))
    elif output == "json":
        head = {"schema": "tunesmith.trial/1", "study": name, **trial_document(trial)}
        out(json_text({**head, "is_feasible": is_feasible(trial, spec)}))
    else:
        first, *more = shown_metrics(spec)
        out(f"{first} {number(trial.metrics.get(first, ''))} (#{trial.number})")
        for metric in more:
            out(f"{metric} {number(trial.metrics.get(metric, ''))}")
        for parameter, value in trial.values.items():
            out(f"{parameter} {value}")


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
