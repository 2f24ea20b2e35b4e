"""Commands that steer: ``stop``, ``pause``, ``resume``, ``retry``, ``enqueue``, ``set``, ``wait``, ``delete``."""

import re
import shutil
import sys
import time
from collections.abc import Sequence

import click

from tunesmith.cli.app import Exit
from tunesmith.cli.console import out, say
from tunesmith.cli.names import find, find_study, find_trial, without_tuner
from tunesmith.cli.options import storage_option, study_argument
from tunesmith.cli.require import Requirement
from tunesmith.errors import StateError
from tunesmith.execution import study_directory
from tunesmith.model import StudyState, TrialState
from tunesmith.reporting import counts_text, json_text, trial_document
from tunesmith.specs import parse_assignment, parse_duration
from tunesmith.storage import Storage, files_root, open_storage
from tunesmith.study import Study

__all__ = [
    "delete_command",
    "enqueue_command",
    "pause_command",
    "resume_command",
    "retry_command",
    "set_command",
    "stop_command",
    "wait_command",
]


@click.command("stop")
@study_argument("target", required=False, default="@")
@click.option("--now", is_flag=True, help="Stop the running trials too; what they measured counts.")
@click.option("--reason", default="a person stopped it", help="Kept with what is stopped.")
@storage_option
def stop_command(target: str, now: bool, reason: str, storage: str | None) -> None:
    """Stop a study (no new trials), or one trial at once (digits/7)."""
    opened = open_storage(storage, create=False)
    found = find(opened, target)
    if found.trial is not None:
        trial = opened.request_stop(found.study, found.trial, reason)
        words = "is asked to stop" if trial.state is TrialState.RUNNING else f"is {trial.state}"
        say(f"trial {found.study}/{found.trial} {words}")
        return
    Study.load(found.study, opened).stop(reason)
    running = [t for t in opened.trials(found.study) if t.state is TrialState.RUNNING]
    for t in running if now else ():
        opened.request_stop(found.study, t.number, reason)
    say(f"study {found.study} is stopped")
    if running and without_tuner(opened, found.study):
        say(
            f"{len(running)} trials were running when its tuner died; they start again with the study"
        )
    elif running:
        end = "are asked to stop" if now else "go on to their end"
        say(f"{len(running)} running trials {end}")


@click.command("pause")
@study_argument("study", required=False, default="@")
@storage_option
def pause_command(study: str, storage: str | None) -> None:
    """Start no new trials until `resume`; running ones go on to their end."""
    opened = open_storage(storage, create=False)
    name = find_study(opened, study)
    Study.load(name, opened).pause()
    say(f"study {name} is paused; go on with: tunesmith resume {name}")


@click.command("resume")
@study_argument("study", required=False, default="@")
@storage_option
def resume_command(study: str, storage: str | None) -> None:
    """Let a paused, stopped or failed study go on."""
    opened = open_storage(storage, create=False)
    name = find_study(opened, study)
    resumed = Study.load(name, opened)
    resumed.resume()
    state = resumed.record.state
    if state is StudyState.ACTIVE:
        say(f"study {name} goes on, if a tuner runs; else run its command or file again")
    else:
        say(f"study {name} is {state}: {resumed.record.reason}")


@click.command("retry")
@study_argument("target")
@click.option("--failed", is_flag=True, help="All failed trials of the study.")
@storage_option
def retry_command(target: str, failed: bool, storage: str | None) -> None:
    """Run an ended trial again with the same values (digits/7), or all failed ones (digits --failed)."""
    opened = open_storage(storage, create=False)
    found = find(opened, target)
    if found.trial is None and not failed:
        msg = f"Name a trial, such as {found.study}/7, or say --failed for all that failed."
        raise click.UsageError(msg)
    study = Study.load(found.study, opened)
    numbers = [found.trial] if found.trial else [
        t.number for t in study.trials if t.state is TrialState.FAILED
    ]  # fmt: skip
    for number in numbers:
        study.retry(number)
    say(
        f"queued again: {', '.join(f'{found.study}/{n}' for n in numbers) or 'no trial has failed'}"
    )


@click.command("enqueue")
@study_argument("study")
@click.argument("assignments", nargs=-1, metavar="NAME=VALUE...")
@click.option("--from", "origin", metavar="TRIAL", help="Start from this trial's values.")
@click.option("--repeat", is_flag=True, help="Even if these values were tried already.")
@click.option("--json", "as_json", is_flag=True, help="Print the trial as JSON.")
@storage_option
def enqueue_command(
    study: str,
    assignments: Sequence[str],
    origin: str | None,
    repeat: bool,
    as_json: bool,
    storage: str | None,
) -> None:
    """Have a study try a point of your own; what is left out gets its default or its middle."""
    opened = open_storage(storage, create=False)
    living = Study.load(find_study(opened, study), opened)
    values: dict[str, object] = {}
    if origin is not None:
        values.update(find_trial(opened, origin)[1].values)
    given = dict(parse_assignment(text, living.space) for text in assignments)
    values.update(given)
    if not values:
        raise click.UsageError("Give values, such as lr=0.01, or --from TRIAL.")
    if origin is not None:  # what the changed values switch off does not come along
        active = living.space.active(values)  # type: ignore[arg-type]
        values = {n: v for n, v in values.items() if n in active or n in given}
    trial = living.enqueue(values, repeat=repeat)
    if as_json:
        out(
            json_text(
                {"schema": "tunesmith.trial/1", "study": living.name, **trial_document(trial)}
            )
        )
    else:
        say(f"queued as {living.name}/{trial.number}")


@click.command("set")
@study_argument("study")
@click.argument("changes", nargs=-1, required=True, metavar="trials=+50|parallel=8...")
@storage_option
def set_command(study: str, changes: Sequence[str], storage: str | None) -> None:
    """Change the budget of a living study: trials=100, trials=+50, parallel=8."""
    opened = open_storage(storage, create=False)
    living = Study.load(find_study(opened, study), opened)
    names = {"trials": "max_trials", "parallel": "parallel_trials"}
    budget: dict[str, int] = {}
    for text in changes:
        match = re.fullmatch(r"(trials|parallel)=([+-]?)(\d+)", text)
        if match is None:
            msg = f"Write trials=100, trials=+50 or parallel=8; given: {text!r}."
            raise click.UsageError(msg)
        name, sign, digits = names[match[1]], match[2], int(match[3])
        now = getattr(living.spec, name) or len(living.trials)
        budget[name] = now + int(sign + match[3]) if sign else digits
    living.set_budget(**budget)
    spec = living.spec
    say(f"study {living.name}: {spec.max_trials} trials, {spec.parallel_trials} at a time")


@click.command("wait")
@study_argument("study", required=False, default="@")
@click.option(
    "--for",
    "goal",
    default="finished",
    show_default=True,
    metavar="GOAL",
    help="'finished', or a condition on the best trial: 'best>=0.94', 'loss<0.1'.",
)
@click.option(
    "--timeout", metavar="TIME", help="Give up after this time, such as 30m; exit with 124."
)
@storage_option
def wait_command(study: str, goal: str, timeout: str | None, storage: str | None) -> int:
    """Wait until a study has ended, or its best trial is good enough."""
    opened = open_storage(storage, create=False)
    name = find_study(opened, study)
    requirement = None if goal == "finished" else Requirement.parse(goal)
    if without_tuner(opened, name):
        say(f"the tuner of study {name} has died; to go on, run its file or command again")
    deadline = None
    if timeout is not None:
        try:
            deadline = time.monotonic() + parse_duration(timeout)
        except ValueError as error:
            msg = f"--timeout: {error}"
            raise click.UsageError(msg) from error
    while True:
        summary = opened.summary(name)
        if requirement is not None and requirement.holds(summary):
            return Exit.DONE
        ended = summary.record.state not in (StudyState.ACTIVE, StudyState.PAUSED)
        if ended and not summary.counts.get(TrialState.RUNNING):
            say(f"study {name} is {summary.record.state}: {counts_text(summary.counts)}")
            if summary.record.state is StudyState.FAILED:
                return Exit.STUDY_FAILED
            return Exit.DONE if requirement is None else Exit.UNMET
        if deadline is not None and time.monotonic() >= deadline:
            say(f"study {name} is still {summary.record.state}: {counts_text(summary.counts)}")
            return Exit.TIMEOUT
        time.sleep(0.2)


@click.command("delete")
@study_argument("study")
@click.option("--yes", is_flag=True, help="Do not ask.")
@storage_option
def delete_command(study: str, yes: bool, storage: str | None) -> None:
    """Delete a study, its trials and their files."""
    opened = open_storage(storage, create=False)
    name = find_study(opened, study)
    summary = opened.summary(name)
    if summary.counts.get(TrialState.RUNNING):
        msg = f"Study {name!r} has running trials. First: tunesmith stop {name} --now"
        raise StateError(msg)
    if not yes:
        if not sys.stdin.isatty():
            msg = f"Deleting {name!r} needs --yes where nobody can be asked."
            raise click.UsageError(msg)
        click.confirm(
            f"Delete study {name} with {summary.record.size} trials?", abort=True, err=True
        )
    opened.delete_study(name)
    _delete_files(opened, name)
    say(f"study {name} is deleted")


def _delete_files(storage: Storage, study: str) -> None:
    directory = study_directory(files_root(storage.url), study)
    if directory.exists():
        shutil.rmtree(directory)
