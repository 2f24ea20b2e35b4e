import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import StorageError
from tunesmith.execution.mark import MARK
from tunesmith.execution.workdir import make_root, prepare, trial_directory, trial_environment
from tunesmith.model import StudySpec, Trial


def names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


def test_a_fresh_directory_holds_the_values_and_places_to_write(
    tmp_path: Path, trial: Callable[..., Trial]
) -> None:
    directory = trial_directory(tmp_path, "s", 1)

    prepare(directory, trial(opt="größe"))

    assert directory == tmp_path / "trials" / "s" / "1"
    assert names(directory) == {"values.json", "checkpoints", "hypertune"}
    assert json.loads((directory / "values.json").read_text(encoding="utf-8")) == {"opt": "größe"}


def test_a_new_attempt_keeps_checkpoints_and_puts_the_rest_aside(
    tmp_path: Path, trial: Callable[..., Trial]
) -> None:
    directory = tmp_path / "1"
    prepare(directory, trial(attempt=1))
    (directory / "stdout").write_text("first")
    (directory / "hypertune" / "output.metrics").write_text("first")
    (directory / "checkpoints" / "model").write_text("weights")

    prepare(directory, trial(attempt=2))

    assert names(directory) == {"values.json", "checkpoints", "hypertune"}
    assert (directory / "checkpoints" / "model").read_text() == "weights"
    assert not list((directory / "hypertune").iterdir())
    aside = tmp_path / "1-attempt-1"
    assert names(aside) == {"values.json", "stdout", "hypertune"}


def test_what_a_deleted_study_left_is_put_aside_with_its_checkpoints(
    tmp_path: Path, trial: Callable[..., Trial]
) -> None:
    directory = tmp_path / "1"
    for _ in range(3):
        prepare(directory, trial(attempt=1))
        (directory / "checkpoints" / "model").write_text("of other values")

    prepare(directory, trial(attempt=1))

    assert not list((directory / "checkpoints").iterdir())
    assert names(tmp_path) == {"1", "1-attempt-0", "1-attempt-0.2", "1-attempt-0.3"}


def test_processes_of_an_earlier_attempt_are_killed_first(
    tmp_path: Path, trial: Callable[..., Trial]
) -> None:
    directory = tmp_path / "1"
    prepare(directory, trial(attempt=1))
    left = subprocess.Popen(
        [sys.executable, "-c", "input()"],
        env={**os.environ, MARK: str(directory)},
        stdin=subprocess.PIPE,
    )

    prepare(directory, trial(attempt=2))

    assert left.wait(10) == -9
    assert left.stdin is not None
    left.stdin.close()


def test_a_folder_that_cannot_be_made_is_explained(
    tmp_path: Path, trial: Callable[..., Trial]
) -> None:
    (tmp_path / "file").write_text("")
    root = tmp_path / "file" / "below"

    with pytest.raises(StorageError, match=r"Can't write to the trials' folder .*nothing is lost"):
        make_root(root, "s")
    with pytest.raises(StorageError, match=r"Can't write to the trials' folder .*nothing is lost"):
        prepare(root / "1", trial())


def test_a_trials_processes_find_where_they_are(
    tmp_path: Path, trial: Callable[..., Trial], spec: StudySpec
) -> None:
    variables = trial_environment(tmp_path / "7", trial(7, attempt=2), "s", spec, "me")

    assert variables["TUNESMITH_TRIAL_DIR"] == str(tmp_path / "7")
    assert variables["TUNESMITH_CHECKPOINT_DIR"] == str(tmp_path / "7" / "checkpoints")
    assert variables["CLOUD_ML_HP_METRIC_FILE"] == str(tmp_path / "7/hypertune/output.metrics")
    expected = {"STUDY": "s", "TRIAL": "7", "ATTEMPT": "2", "WORKER": "me"}
    assert {k: variables[f"TUNESMITH_{k}"] for k in expected} == expected
    assert (variables["CLOUD_ML_TRIAL_ID"], variables["CLOUD_ML_HP_METRIC_TAG"]) == ("7", "y")
