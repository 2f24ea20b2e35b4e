"""A trial's working directory: all that a trial reads and writes, in one place.

    values.json         the values it was given
    stdout, stderr      what it printed
    metrics.jsonl       what it reported by `tunesmith.report`
    hypertune/          where cloudml-hypertune writes
    checkpoints/        what it saved; stays when the trial is started again

When a trial starts again, all but the checkpoints moves to ``N-attempt-K`` beside it; what was there
before its first attempt, from a study that was since deleted, moves away with its checkpoints. A trial
with a parent begins with a copy of the parent's checkpoints.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.errors import StorageError
from tunesmith.execution.mark import MARK, OWNER
from tunesmith.execution.tree import kill_marked
from tunesmith.model import StudySpec, Trial

__all__ = [
    "CHECKPOINTS",
    "MissingCheckpointError",
    "earlier_directory",
    "make_root",
    "prepare",
    "put_aside",
    "study_directory",
    "trial_directory",
    "trial_environment",
]

CHECKPOINTS = "checkpoints"
_PART = "checkpoints.part"
_LOOKS = 20  # how often a copy is made again because its original was being written


class MissingCheckpointError(Exception):
    """A trial's parent has no folder here to copy checkpoints from."""


def study_directory(root: Path, study: str) -> Path:
    """Return the folder with the trials' directories of one study."""
    return root / "trials" / study


def trial_directory(root: Path, study: str, number: int) -> Path:
    """Return the working directory of one trial."""
    return study_directory(root, study) / str(number)


def earlier_directory(directory: Path, attempt: int) -> Path:
    """Return where an earlier attempt's files are, once a later one has begun."""
    return directory.with_name(f"{directory.name}-attempt-{attempt}")


def make_root(root: Path, study: str) -> None:
    """Make the folder for a study's trials; raise `StorageError` if that can't be done."""
    with _explained(study_directory(root, study)) as folder:
        folder.mkdir(parents=True, exist_ok=True)


def prepare(directory: Path, trial: Trial) -> None:
    """Make the directory ready for an attempt; raise `StorageError` if that can't be done.

    Processes that an earlier attempt left behind are killed first: they would write between.

    Raises:
        MissingCheckpointError: the parent's checkpoints are not there.
    """
    put_aside(directory, trial.attempt - 1)
    with _explained(directory):
        if trial.parent is not None and not (directory / CHECKPOINTS).exists():
            _inherit(directory, trial.parent)
        (directory / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        (directory / "hypertune").mkdir(exist_ok=True)
        values = json.dumps(dict(trial.values), ensure_ascii=False, indent=1)
        (directory / "values.json").write_text(values + "\n", encoding="utf-8")


def put_aside(directory: Path, attempt: int) -> None:
    """Move what ``attempt`` left out of the way, all but the checkpoints; raise `StorageError` if that fails.

    Its processes are killed first. Before the first attempt, 0, the checkpoints are moved too.
    """
    with _explained(directory):
        if directory.exists():
            kill_marked(directories=[str(directory)])
            _move_aside(directory, attempt)


@contextmanager
def _explained(directory: Path) -> Iterator[Path]:
    try:
        yield directory
    except OSError as error:
        msg = (
            f"Can't write to the trials' folder {directory}: {error.strerror}. Free some space or mend its"
            " permissions, and run the same command again; nothing is lost."
        )
        raise StorageError(msg) from error


def trial_environment(
    directory: Path, trial: Trial, study: str, spec: StudySpec, worker: str
) -> dict[str, str]:
    """Return the variables that a trial's processes find."""
    return {
        MARK: str(directory),
        "TUNESMITH_STUDY": study,
        "TUNESMITH_TRIAL": str(trial.number),
        "TUNESMITH_ATTEMPT": str(trial.attempt),
        "TUNESMITH_CHECKPOINT_DIR": str(directory / CHECKPOINTS),
        "TUNESMITH_BUDGET": "" if trial.budget is None else str(trial.budget),
        OWNER: worker,
        # cloudml-hypertune and programs written for it find these.
        "CLOUD_ML_TRIAL_ID": str(trial.number),
        "CLOUD_ML_HP_METRIC_FILE": str(directory / "hypertune" / "output.metrics"),
        "CLOUD_ML_HP_METRIC_TAG": spec.objective.metric,
        "AIP_CHECKPOINT_DIR": str(directory / CHECKPOINTS),
        # Curves are read while the trial runs, so its lines must not wait in a buffer.
        "PYTHONUNBUFFERED": "1",
    }


def _inherit(directory: Path, parent: int) -> None:
    """Copy the parent's checkpoints, whole or not at all: what a crash leaves half done is done again.

    A parent that runs may be writing. A program that puts its checkpoint in place by renaming it is
    copied well in any case; for others the copy is repeated until nothing has changed meanwhile.
    """
    source = directory.with_name(str(parent)) / CHECKPOINTS
    part = directory / _PART
    directory.mkdir(parents=True, exist_ok=True)
    for _ in range(_LOOKS):
        before = _listing(source)
        shutil.rmtree(part, ignore_errors=True)
        try:
            shutil.copytree(source, part, symlinks=True)
        except FileNotFoundError:
            if not source.is_dir():
                msg = (
                    f"the checkpoints of its parent, trial {parent}, are not in {source}: tuners on"
                    " several machines need a server, or a folder that all of them see"
                )
                raise MissingCheckpointError(msg) from None
            continue
        except shutil.Error:  # a file went while it was copied
            continue
        if _listing(source) == before:
            break
    part.replace(directory / CHECKPOINTS)


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    """Return what changes when anything below the folder is written."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            found.append((str(path), status.st_size, status.st_mtime_ns))
    return sorted(found)


def _move_aside(directory: Path, attempt: int) -> None:
    shutil.rmtree(directory / _PART, ignore_errors=True)
    entries = [e for e in os.scandir(directory) if attempt == 0 or e.name != CHECKPOINTS]
    if not entries:
        return
    stem = earlier_directory(directory, attempt).name
    names = (stem, *(f"{stem}.{i}" for i in range(2, 1000)))
    aside = next(p for p in map(directory.with_name, names) if not p.exists())
    aside.mkdir()
    for entry in entries:
        Path(entry.path).replace(aside / entry.name)
