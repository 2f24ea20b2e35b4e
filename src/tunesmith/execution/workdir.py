"""A trial's working directory: all that a trial reads and writes, in one place.

    values.json         the values it was given
    stdout, stderr      what it printed
    metrics.jsonl       what it reported by `tunesmith.report`
    hypertune/          where cloudml-hypertune writes
    checkpoints/        what it saved; stays when the trial is started again

When a trial starts again, all but the checkpoints moves to ``N-attempt-K`` beside it; what was there
before its first attempt, from a study that was since deleted, moves away with its checkpoints.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunesmith.errors import StorageError
from tunesmith.execution.mark import MARK, OWNER
from tunesmith.execution.tree import kill_marked
from tunesmith.model import StudySpec, Trial

__all__ = [
    "CHECKPOINTS",
    "make_root",
    "prepare",
    "study_directory",
    "trial_directory",
    "trial_environment",
]

CHECKPOINTS = "checkpoints"


def study_directory(root: Path, study: str) -> Path:
    """Return the folder with the trials' directories of one study."""
    return root / "trials" / study


def trial_directory(root: Path, study: str, number: int) -> Path:
    """Return the working directory of one trial."""
    return study_directory(root, study) / str(number)


def make_root(root: Path, study: str) -> None:
    """Make the folder for a study's trials; raise `StorageError` if that can't be done."""
    with _explained(study_directory(root, study)) as folder:
        folder.mkdir(parents=True, exist_ok=True)


def prepare(directory: Path, trial: Trial) -> None:
    """Make the directory ready for an attempt; raise `StorageError` if that can't be done.

    Processes that an earlier attempt left behind are killed first: they would write between.
    """
    with _explained(directory):
        if directory.exists():
            kill_marked(directories=[str(directory)])
            _put_aside(directory, trial.attempt - 1)
        (directory / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        (directory / "hypertune").mkdir(exist_ok=True)
        values = json.dumps(dict(trial.values), ensure_ascii=False, indent=1)
        (directory / "values.json").write_text(values + "\n", encoding="utf-8")


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
        OWNER: worker,
        # cloudml-hypertune and programs written for it find these.
        "CLOUD_ML_TRIAL_ID": str(trial.number),
        "CLOUD_ML_HP_METRIC_FILE": str(directory / "hypertune" / "output.metrics"),
        "CLOUD_ML_HP_METRIC_TAG": spec.objective.metric,
        # Curves are read while the trial runs, so its lines must not wait in a buffer.
        "PYTHONUNBUFFERED": "1",
    }


def _put_aside(directory: Path, attempt: int) -> None:
    entries = [e for e in os.scandir(directory) if attempt == 0 or e.name != CHECKPOINTS]
    if not entries:
        return
    stem = f"{directory.name}-attempt-{attempt}"
    names = (stem, *(f"{stem}.{i}" for i in range(2, 1000)))
    aside = next(p for p in map(directory.with_name, names) if not p.exists())
    aside.mkdir()
    for entry in entries:
        Path(entry.path).replace(aside / entry.name)
