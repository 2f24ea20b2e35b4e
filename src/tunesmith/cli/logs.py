"""``tunesmith logs``: what trials printed, and how they failed."""

import contextlib
import re
import time
from collections import deque

import click

from tunesmith.cli.console import out
from tunesmith.cli.follow import Follower
from tunesmith.cli.names import find
from tunesmith.cli.options import storage_option, study_argument
from tunesmith.cli.printed import STREAMS, Reader, lines_of, reader
from tunesmith.errors import NotFoundError
from tunesmith.model import StudyState, Trial, TrialState
from tunesmith.storage import Storage, open_storage

__all__ = ["logs_command"]


@click.command("logs")
@study_argument("target", required=False, default="@")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the trial or study ends.")
@click.option("--errors", is_flag=True, help="Group the failed trials by how they failed.")
@click.option("--tail", type=click.IntRange(min=1), metavar="N", help="Only the last N lines.")
@click.option("--grep", metavar="REGEX", help="Only lines that match.")
@storage_option
def logs_command(
    target: str,
    follow: bool,
    errors: bool,
    tail: int | None,
    grep: str | None,
    storage: str | None,
) -> None:
    """Show what a trial printed (digits/7), or what a study's latest trials print (digits)."""
    opened = open_storage(storage, create=False)
    found = find(opened, target)
    read = reader(opened, found.study)
    if errors:
        _print_errors(opened, found.study)
    elif follow:
        _follow(opened, found.study, found.trial)
    elif found.trial is not None:
        trial = opened.trial(found.study, found.trial)
        _print_output(read, found.study, trial, tail, _pattern(grep), prefix="")
    else:
        for trial in _latest(opened, found.study):
            _print_output(
                read, found.study, trial, tail or 10, _pattern(grep), f"#{trial.number} | "
            )


def _latest(storage: Storage, study: str) -> list[Trial]:
    """Return the running trials, or else the last one, in the order of their numbers."""
    newest = storage.trials(study, order="newest", limit=200)
    started = [t for t in newest if t.attempt]
    running = [t for t in started if t.state is TrialState.RUNNING]
    return list(reversed(running)) or started[:1]


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        msg = f"--grep: {error}."
        raise click.UsageError(msg) from error


def _print_output(
    read: Reader,
    study: str,
    trial: Trial,
    tail: int | None,
    pattern: re.Pattern[str] | None,
    prefix: str,
) -> None:
    missing = []
    for stream in STREAMS:
        try:
            lines = lines_of(read, trial, stream)
            wanted = (line for line in lines if pattern is None or pattern.search(line))
            for line in deque(wanted, tail) if tail else wanted:
                out(prefix + line)
        except NotFoundError as error:
            missing.append(str(error))
    if len(missing) == len(STREAMS):
        msg = f"Trial {study}/{trial.number} has no output here. {missing[0]}"
        raise NotFoundError(msg)


def _print_errors(storage: Storage, study: str) -> None:
    read = reader(storage, study)
    groups: dict[str, list[Trial]] = {}
    for t in storage.trials(study):
        if t.state is TrialState.FAILED:
            groups.setdefault(t.reason, []).append(t)
    if not groups:
        out("no trial has failed")
    for reason, trials in sorted(groups.items(), key=lambda item: -len(item[1])):
        numbers = ", ".join(str(t.number) for t in trials[:10])
        out(f"{len(trials)}× {reason}")
        out(f"   trials {numbers}{', …' if len(trials) > 10 else ''}")
        with contextlib.suppress(NotFoundError):
            for line in deque(lines_of(read, trials[-1], "stderr"), 12):
                out(f"   #{trials[-1].number} | {line}")


def _follow(storage: Storage, study: str, number: int | None) -> None:
    follower = Follower(reader(storage, study))
    followed: set[tuple[int, int]] = set()
    while True:
        wanted = [storage.trial(study, number)] if number is not None else _latest(storage, study)
        for trial in wanted:
            if (trial.number, trial.attempt) not in followed:
                followed.add((trial.number, trial.attempt))
                follower.add(trial.number)
        running = any(t.state in (TrialState.RUNNING, TrialState.QUEUED) for t in wanted)
        living = number is None and storage.study(study).state is StudyState.ACTIVE
        if not running and not living:
            follower.print_rest()
            return
        if not follower.print_new():
            time.sleep(0.2)
