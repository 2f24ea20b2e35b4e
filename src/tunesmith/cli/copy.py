"""The command ``copy``: studies from one storage to another."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import click

from tunesmith.cli.console import say
from tunesmith.cli.names import find_study
from tunesmith.errors import ConflictError, StorageError
from tunesmith.execution import study_directory
from tunesmith.model import Trial, TrialState
from tunesmith.storage import (
    Changes,
    ServedStorage,
    Storage,
    TakesStudies,
    files_root,
    is_remote,
    make_files_root,
    open_storage,
    shown,
)

__all__ = ["copy_command"]


@click.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--study", "wanted", multiple=True, metavar="NAME", help="Copy this study; all by default."
)
@click.option("--rename", multiple=True, metavar="OLD=NEW", help="Give a study another name in TO.")
@click.option(
    "--project", metavar="NAME", help="Copy this project's studies; 'default' by default."
)
@click.option(
    "--to-project", metavar="NAME", help="The project that has them in TO; the same by default."
)
def copy_command(
    source: str,
    target: str,
    wanted: Sequence[str],
    rename: Sequence[str],
    project: str | None,
    to_project: str | None,
) -> None:
    """Copy studies from the storage FROM to the storage TO, both given as URLs.

    Each study is copied whole or not at all, with its trials, their measurements and, where both
    storages keep files in folders of this machine, the trials' files. FROM stays as it is. A trial that
    runs waits in the copy.
    """
    given = _open(source, project, create=False)
    taking = _open(target, to_project or project, create=True)
    if not isinstance(taking, TakesStudies):
        msg = f"The storage {shown(target)} takes no copies of studies."
        raise StorageError(msg)
    names = _names(given, taking, wanted, rename)
    with_files = not is_remote(source) and not is_remote(target)
    if not with_files:
        say("a server keeps trials' files elsewhere: they are not copied")
    for old, new in names.items():
        whole = given.changes(old, -1, curves=True)
        waiting = sum(t.state is TrialState.RUNNING for t in whole.trials)
        held = replace(whole, trials=[_waiting(t) for t in whole.trials])
        folder = _copy_files(source, target, old, new) if with_files else None
        try:
            taking.import_study(new, held)
        except BaseException:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        _tell(old, new, whole, waiting, folder)
    given.close()
    taking.close()


def _open(url: str, project: str | None, *, create: bool) -> Storage:
    opened = open_storage(url, create=create)
    if project is None:
        return opened
    if is_remote(url):
        msg = f"Name a server's project in its URL: {shown(url)}?project={project}"
        raise click.UsageError(msg)
    return cast("ServedStorage", opened).in_project(project)


def _names(
    given: Storage, taking: Storage, wanted: Sequence[str], rename: Sequence[str]
) -> Mapping[str, str]:
    """Return the studies to copy with their new names; refuse those that are taken."""
    if wrong := [pair for pair in rename if "=" not in pair]:
        msg = f"--rename takes OLD=NEW, such as digits=digits-2; given: {wrong[0]!r}."
        raise click.UsageError(msg)
    new = dict(pair.split("=", 1) for pair in rename)
    names = [find_study(given, name) for name in wanted] or sorted(given.study_names())
    if unknown := new.keys() - set(names):
        msg = f"--rename names {min(unknown)!r}, which is not among the studies to copy."
        raise click.UsageError(msg)
    renamed = {name: new.get(name, name) for name in names}
    there = set(taking.study_names())
    if taken := sorted(there & set(renamed.values())):
        msg = f"There is a study {taken[0]!r} already. Give the copy another name: --rename {taken[0]}={taken[0]}-2"
        raise ConflictError(msg)
    return renamed


def _waiting(trial: Trial) -> Trial:
    """Return a trial as it is copied: whoever runs it does not report to the copy."""
    if trial.state is not TrialState.RUNNING:
        return trial
    return replace(
        trial,
        state=TrialState.QUEUED,
        worker="",
        lease_until=None,
        reason="it was running when the study was copied",
    )


def _copy_files(source: str, target: str, old: str, new: str) -> Path | None:
    """Copy the trials' folders of a study; return where they are, None if there were none."""
    there = study_directory(files_root(source), old)
    here = study_directory(make_files_root(target), new)
    if not there.is_dir() or there == here:
        return None
    if here.exists():
        msg = f"{here} is there already: files of another study. Move it away, or use --rename."
        raise ConflictError(msg)
    try:
        shutil.copytree(there, here, symlinks=True)
    except OSError as error:
        shutil.rmtree(here, ignore_errors=True)
        msg = f"Can't copy the files of study {old!r}: {error}"
        raise StorageError(msg) from error
    return here


def _tell(old: str, new: str, whole: Changes, waiting: int, folder: Path | None) -> None:
    name = old if old == new else f"{old} as {new}"
    files = "" if folder is None else ", with their files"
    say(f"copied {name}: {len(whole.trials)} trials, {len(whole.measurements)} measurements{files}")
    if waiting:
        say(f"  {waiting} of them were running; in the copy they wait in the queue")
