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
from tunesmith.model import StudyState, Trial, TrialState
from tunesmith.reporting import counts_text, json_text, study_document, trial_document
from tunesmith.specs import parse_assignment, parse_duration
from tunesmith.storage import Storage, files_root, open_storage
from tunesmith.study import Study
from tunesmith.study.ending import end_reason

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
@study_argument("target", required=False, default="@")
@click.option("--reason", default="a person paused it", help="Kept with what is paused.")
@click.option("--json", "as_json", is_flag=True, help="Print what is paused as JSON.")
@storage_option
def pause_command(target: str, reason: str, as_json: bool, storage: str | None) -> None:
    """Pause a study (no new trials; those that run go on), or one trial (digits/7).

    A trial that runs is ended, as its program is by SIGTERM, and goes on from its checkpoint when it
    is resumed.
    """
    opened = open_storage(storage, create=False)
    found = find(opened, target)
    study = Study.load(found.study, opened)
    if found.trial is None:
        study.pause(reason)
        _tell_study(
            study,
            f"study {study.name} is paused; go on with: tunesmith resume {study.name}",
            as_json=as_json,
        )
        return
    trial = study.request_pause(found.trial, reason)
    asked = trial.state is TrialState.RUNNING
    words = "is asked to pause" if asked else f"is {trial.state}"
    _tell_trial(
        study,
        trial,
        f"trial {study.name}/{trial.number} {words}; go on with: tunesmith resume {study.name}/{trial.number}",
        as_json=as_json,
    )


@click.command("resume")
@study_argument("target", required=False, default="@")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train an ended trial further, up to N steps in all, as a new trial.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what goes on as JSON.")
@storage_option
def resume_command(target: str, steps: int | None, as_json: bool, storage: str | None) -> None:
    """Let a paused, stopped or failed study go on, or one trial (digits/7).

    A paused trial goes on from its checkpoint. With --steps a trial that has ended is trained further:
    a new trial with its values begins from its checkpoint.
    """
    opened = open_storage(storage, create=False)
    found = find(opened, target)
    study = Study.load(found.study, opened)
    if found.trial is None:
        if steps is not None:
            msg = f"--steps is for a trial: tunesmith resume {study.name}/7 --steps {steps}"
            raise click.UsageError(msg)
        _resume_study(study, as_json=as_json)
        return
    trial = opened.trial(study.name, found.trial)
    if steps is not None:
        added = study.continue_trial(trial, steps)
        words = f"queued as {study.name}/{added.number}; it goes on from trial {trial.number}"
        _tell_trial(study, added, f"{words} up to {steps} steps", as_json=as_json)
        return
    if trial.is_final:
        again = f"tunesmith resume {study.name}/{trial.number} --steps N"
        msg = f"Trial {trial.number} is {trial.state}. To train it further, say up to how many steps: {again}"
        raise StateError(msg)
    _tell_trial(
        study,
        study.resume_trial(trial),
        f"trial {study.name}/{trial.number} goes on, if a tuner runs; else run its command or file again",
        as_json=as_json,
    )


def _resume_study(study: Study, *, as_json: bool) -> None:
    study.resume()
    record = study.record
    words = f"study {study.name} is {record.state}: {record.reason}"
    if record.state is StudyState.ACTIVE:
        words = f"study {study.name} goes on, if a tuner runs; else run its command or file again"
    _tell_study(study, words, as_json=as_json)


def _tell_study(study: Study, words: str, *, as_json: bool) -> None:
    if as_json:
        out(json_text(study_document(study.storage.summary(study.name))))
    else:
        say(words)


def _tell_trial(study: Study, trial: Trial, words: str, *, as_json: bool) -> None:
    if as_json:
        head = {"schema": "tunesmith.trial/1", "study": study.name}
        out(json_text({**head, **trial_document(trial)}))
    else:
        say(words)


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
    _tell_trial(living, trial, f"queued as {living.name}/{trial.number}", as_json=as_json)


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
    if enough := end_reason(living.history, living.now):
        say(f"it starts no new ones: {enough}. Run it with other conditions (`until`)")


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
