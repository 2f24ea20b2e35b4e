from pathlib import Path

import pytest

from tunesmith.errors import StorageError
from tunesmith.storage import default_url, files_root, open_storage, shown


def test_trials_of_the_default_storage_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNESMITH_STORAGE", raising=False)

    assert files_root(default_url()) == tmp_path / ".tunesmith"


def test_no_two_databases_in_a_folder_share_a_folder_for_trials(tmp_path: Path) -> None:
    roots = {files_root(f"sqlite:///{tmp_path / name}") for name in ("a.db", "b.db", "a.db?x=1")}

    assert roots == {tmp_path / "a.db.files", tmp_path / "b.db.files"}


def test_what_is_not_in_a_file_has_its_trials_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    for url in ("sqlite://", "sqlite:///:memory:", "postgresql://host/db"):
        assert files_root(url) == tmp_path / ".tunesmith"


def test_no_message_shows_a_password() -> None:
    url = "postgresql://me:secret@host/db"

    with pytest.raises(StorageError) as caught:
        open_storage(url)

    assert shown(url) == "postgresql://me:***@host/db"
    assert "secret" not in str(caught.value)
