"""``tunesmith show``: what a study or a trial is, and what became of it."""

from collections.abc import Mapping

import click

from tunesmith.cli.columns import trials_table
from tunesmith.cli.console import out
from tunesmith.cli.curves import goes_by_steps, read_history
from tunesmith.cli.names import find, without_tuner
from tunesmith.cli.options import format_option, storage_option, study_argument
from tunesmith.cli.origin import origin_of
from tunesmith.cli.trial import show_trial
from tunesmith.errors import NotFoundError
from tunesmith.execution import trial_directory
from tunesmith.model import StudySummary, TrialState
from tunesmith.reporting import (
    NO_STEPS,
    Training,
    json_text,
    steps_reached,
    study_document,
    study_text,
)
from tunesmith.storage import Storage, files_root, open_storage

__all__ = ["show_command"]

_FRONT_SHOWN = 20


@click.command("show")
@study_argument("target", required=False, default="@")
@storage_option
@click.option(
    "--document",
    is_flag=True,
    help="Print the document of Google's that the study was made from, as it was sent or read.",
)
@format_option("table", "json")
def show_command(target: str, *, storage: str | None, document: bool, output: str) -> None:
    """Show a study (digits, @), or one of its trials (digits/7, @/7, @best).

    A study that a client of Google's made is also found by its number, whole name or display name there.
    """
    opened = open_storage(storage, create=False)
    found = find(opened, target)
    if found.trial is not None:
        show_trial(opened, found.study, opened.trial(found.study, found.trial), output)
        return
    origin = origin_of(opened, found.study)
    if document:
        if origin is None:
            msg = f"Study {found.study!r} was made from no document of Google's."
            raise NotFoundError(msg)
        out(origin.document.rstrip("\n"))
        return
    summary = opened.summary(found.study)
    spec = summary.record.spec
    history = read_history(opened, found.study) if goes_by_steps(spec) else None
    training = Training.of(history) if history is not None and spec.stopping else None
    if output == "json":
        told = {"origin": None if origin is None else origin.to_json()}
        out(json_text({**study_document(summary, training), **told}))
        return
    out(study_text(summary, training))
    if origin is not None:
        out(f"from a {origin.whole}")
    if without_tuner(opened, found.study):
        out("its tuner has died; to go on, run its file or command again")
    # The command of a client's job is where it comes from, which is told already.
    if summary.record.command and not (origin is not None and origin.name):
        out(f"command {summary.record.command}")
    out(f"files {trial_directory(files_root(opened.url), found.study, 0).parent}")
    steps = NO_STEPS if history is None else steps_reached(history)
    for line in _leader_lines(opened, summary, steps):
        out(line)
    for line in _failures(opened, summary):
        out(line)


def _leader_lines(storage: Storage, summary: StudySummary, steps: Mapping[int, int]) -> list[str]:
    """Return a table of the trials that lead: the best five, or the beginning of the front."""
    name, spec = summary.record.name, summary.record.spec
    if summary.front is None or not summary.front.trials:
        best = storage.trials(name, order="best", limit=5)
        return ["", trials_table(best, spec, steps=steps)] if best else []
    shown = summary.front.trials[:_FRONT_SHOWN]
    hidden = len(summary.front.trials) - len(shown)
    more = [f"… and {hidden} more of the front: tunesmith best {name}"] if hidden else []
    return ["", trials_table(shown, spec, steps=steps), *more]


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
