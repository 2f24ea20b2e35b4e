from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tunesmith.cli.copy import copy_command
from tunesmith.errors import ConflictError, NotFoundError, StorageError
from tunesmith.execution import trial_directory
from tunesmith.model import Measurement, TrialState
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, files_root, open_storage
from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.studies import spec_of, suggestions

LINE = Space({"x": Double(0.0, 1.0)})
Copy = Callable[..., Result]


@pytest.fixture
def copy() -> Copy:
    """Runs ``tunesmith copy``; its errors come out as they are."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(
            copy_command, list(arguments), catch_exceptions=False, standalone_mode=False
        )

    return run


def url(folder: Path, name: str) -> str:
    return f"sqlite:///{folder / name}.db"


@pytest.fixture
def old(tmp_path: Path) -> str:
    """A storage with the studies ``a`` and ``b``; ``a`` has a trial that ended and one that runs."""
    place = url(tmp_path, "old")
    with SqlStorage(place) as storage:
        storage.create_study("a", spec_of(LINE))
        storage.add_trials("a", suggestions(0.1, 0.2), after=0, claim=Claim("me"))
        storage.report("a", 1, 1, [Measurement(0, {"loss": 1.0})])
        storage.finish("a", 1, 1, TrialState.COMPLETED, metrics={"loss": 0.5})
        storage.create_study("b", spec_of(LINE))
        storage.create_study("c", spec_of(LINE))
        storage.delete_study("c")
    return place


def test_all_studies_are_copied_and_stay_where_they_are(
    copy: Copy, tmp_path: Path, old: str
) -> None:
    new = url(tmp_path, "new")

    said = copy(old, new).stderr

    with SqlStorage(old) as before, SqlStorage(new) as after:
        assert sorted(after.study_names()) == sorted(before.study_names()) == ["a", "b"]
        assert after.study("a") == before.study("a")
        assert after.trial("a", 1) == before.trial("a", 1)
        assert after.measured("a", 1) == before.measured("a", 1)
    assert "copied a: 2 trials, 1 measurements\n  1 of them were running" in said
    assert "copied b: 0 trials, 0 measurements" in said


def test_a_trial_that_runs_waits_in_the_copy(copy: Copy, tmp_path: Path, old: str) -> None:
    new = url(tmp_path, "new")

    copy(old, new)

    with SqlStorage(old) as before, SqlStorage(new) as after:
        assert before.trial("a", 2).state is TrialState.RUNNING
        assert after.trial("a", 2).state is TrialState.QUEUED
        claimed = after.claim("a", Claim("other"))
        assert claimed is not None
        assert (claimed.number, claimed.attempt) == (2, 2)


def test_studies_are_copied_to_a_server_and_back(
    copy: Copy, tmp_path: Path, old: str, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    back = url(tmp_path, "back")

    copy(old, server_url)
    copy(server_url, back)

    with SqlStorage(old) as before, SqlStorage(back) as after:
        assert after.study("a") == before.study("a")
        assert after.trial("a", 1) == before.trial("a", 1)
        assert after.measured("a", 1) == before.measured("a", 1)


def test_one_study_is_copied_under_another_name(copy: Copy, tmp_path: Path, old: str) -> None:
    new = url(tmp_path, "new")
    copy(old, new)

    copy(old, new, "--study", "a", "--rename", "a=a-2")

    with SqlStorage(new) as after:
        assert sorted(after.study_names()) == ["a", "a-2", "b"]
        assert after.trials("a-2") == after.trials("a")


def test_no_study_is_copied_if_one_of_the_names_is_taken(
    copy: Copy, tmp_path: Path, old: str
) -> None:
    new = url(tmp_path, "new")
    with SqlStorage(new) as storage:
        storage.create_study("b", spec_of(LINE))

    with pytest.raises(ConflictError, match=r"'b' already.*--rename b=b-2"):
        copy(old, new)

    with SqlStorage(new) as storage:
        assert list(storage.study_names()) == ["b"]


def test_a_study_goes_from_one_project_to_another(copy: Copy, tmp_path: Path, old: str) -> None:
    new = url(tmp_path, "new")

    copy(old, new, "--to-project", "theirs", "--study", "a")
    copy(new, new, "--project", "theirs", "--to-project", "ours")

    with SqlStorage(new) as storage:
        assert list(storage.study_names()) == []
        for project in ("theirs", "ours"):
            assert list(storage.in_project(project).study_names()) == ["a"]


def test_the_files_of_trials_are_copied_with_them(copy: Copy, tmp_path: Path, old: str) -> None:
    new = url(tmp_path, "new")
    theirs = trial_directory(files_root(old), "a", 1)
    (theirs / "checkpoints").mkdir(parents=True)
    (theirs / "checkpoints" / "last").write_text("weights")

    said = copy(old, new, "--rename", "a=z").stderr

    ours = trial_directory(files_root(new), "z", 1)
    assert (ours / "checkpoints" / "last").read_text() == "weights"
    assert "copied a as z: 2 trials, 1 measurements, with their files" in said


def test_files_of_a_study_that_could_not_be_copied_are_removed(
    copy: Copy, tmp_path: Path, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = url(tmp_path, "new")
    trial_directory(files_root(old), "a", 1).mkdir(parents=True)

    def fail(*_arguments: object) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(SqlStorage, "import_study", fail)

    with pytest.raises(StorageError, match="full"):
        copy(old, new, "--study", "a")

    assert not trial_directory(files_root(new), "a", 1).parent.exists()


def test_files_that_are_there_are_not_overwritten(copy: Copy, tmp_path: Path, old: str) -> None:
    new = url(tmp_path, "new")
    trial_directory(files_root(old), "a", 1).mkdir(parents=True)
    kept = trial_directory(files_root(new), "a", 1)
    kept.mkdir(parents=True)

    with pytest.raises(ConflictError, match="there already"):
        copy(old, new, "--study", "a")

    assert kept.exists()
    assert list(open_storage(new).study_names()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rename", "a"], "OLD=NEW"),
        (["--rename", "ghost=x"], "'ghost'"),
    ],
)
def test_a_wrong_renaming_is_explained(
    copy: Copy, tmp_path: Path, old: str, arguments: list[str], words: str
) -> None:
    with pytest.raises(Exception, match=words):
        copy(old, url(tmp_path, "new"), *arguments)


def test_what_is_not_there_is_not_copied(copy: Copy, tmp_path: Path, old: str) -> None:
    with pytest.raises(NotFoundError, match="ghost"):
        copy(old, url(tmp_path, "new"), "--study", "ghost")
    with pytest.raises(NotFoundError, match="no studies at"):
        copy(url(tmp_path, "gone"), url(tmp_path, "new"))
