"""What goes wrong with a database is said in a sentence, and the study is intact afterwards."""

import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from tunesmith.errors import NotFoundError, StorageError
from tunesmith.model import Measurement, TrialState
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, open_storage
from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.studies import spec_of, suggestions

Process = subprocess.Popen[str]
LINE = Space({"x": Double(0.0, 1.0)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a study ``s`` of one running trial."""
    path = tmp_path / "studies.db"
    with SqlStorage(f"sqlite:///{path}") as storage:
        storage.create_study("s", spec_of(LINE))
        storage.add_trials("s", suggestions(0.5), after=0, claim=Claim("me"))
    return path


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users see too, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        place = Path(name) / "place"
        place.mkdir()
        yield place
        place.chmod(0o755)


def in_use(path: Path) -> SqlStorage:
    return SqlStorage(f"sqlite:///{path}", create=False)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no studies at .*gone\.db.*tunesmith run"):
        open_storage(f"sqlite:///{tmp_path / 'gone.db'}", create=False)

    assert list(tmp_path.iterdir()) == []


def test_a_file_and_its_folders_are_made_on_first_use(tmp_path: Path) -> None:
    open_storage(f"sqlite:///{tmp_path / '.tunesmith' / 'tunesmith.db'}").close()

    assert (tmp_path / ".tunesmith" / "tunesmith.db").exists()
    assert (tmp_path / ".tunesmith" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("studies.db", "URL such as sqlite:///"),
        ("oracle://host/db", "No storage speaks oracle://.*sqlite://"),
    ],
)
def test_a_url_nobody_understands_is_explained(url: str, words: str) -> None:
    with pytest.raises(StorageError, match=words):
        open_storage(url)


def test_a_folder_that_is_a_file_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match=r"folder .*file.*--storage"):
        open_storage(f"sqlite:///{tmp_path / 'file' / 'x.db'}")


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="can't be opened"):
        open_storage(f"sqlite:///{tmp_path}")


def test_a_file_of_another_kind_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all, but quite a long text\n" * 50)
    before = path.read_bytes()

    with pytest.raises(StorageError, match="no SQLite database"):
        open_storage(f"sqlite:///{path}")

    assert path.read_bytes() == before


def test_a_damaged_file_is_said_to_be_damaged(path: Path) -> None:
    with in_use(path) as storage:
        for number in range(1, 400):
            storage.add_trials("s", suggestions(0.5), after=number)
    page = 4096
    content = bytearray(path.read_bytes())
    for start in range(page, len(content), page):
        content[start : start + 200] = b"\xff" * 200
    path.write_bytes(bytes(content))

    with pytest.raises(StorageError, match=r"damaged.*recover"), in_use(path) as storage:
        storage.trials("s")


def test_a_truncated_file_is_said_to_be_damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])

    with pytest.raises(StorageError, match="damaged"), in_use(path) as storage:
        storage.trials("s")


def test_a_full_disk_loses_nothing_that_was_stored(path: Path) -> None:
    storage = in_use(path)

    def stay_small(connection: sqlite3.Connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 1}")

    storage.database._engine.dispose()
    event.listen(storage.database._engine, "connect", stay_small)
    stored = 0

    def fill() -> None:
        nonlocal stored
        while True:
            storage.report("s", 1, 1, [Measurement(stored, {"loss": 1.0})])
            stored += 1

    with pytest.raises(StorageError, match=r"disk is full.*Free some space"):
        fill()
    storage.close()

    with in_use(path) as again:
        assert [m.step for m in again.measurements("s", 1)] == list(range(stored))
        again.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 1.0})
        assert again.summary("s").done == 1


FILL = """
import resource, signal, sys
from tunesmith.errors import StorageError
from tunesmith.model import Measurement
from tunesmith.storage.sql import SqlStorage

storage = SqlStorage(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
stored = 0
try:
    while True:
        storage.report("s", 1, 1, [Measurement(stored, {"loss": 1.0})])
        stored += 1
except StorageError as error:
    print(stored, error)
"""


def test_a_write_that_the_system_refuses_loses_nothing_that_was_stored(
    start: Callable[..., Process], path: Path
) -> None:
    out, errors = start(FILL, f"sqlite:///{path}").communicate(timeout=120)

    stored, _, words = out.partition(" ")
    assert "full" in words, errors
    assert int(stored) > 10
    with in_use(path) as again:
        assert len(again.measurements("s", 1)) == int(stored)
        again.report("s", 1, 1, [Measurement(10**6, {"loss": 1.0})])


AS_NOBODY = """
import os, sys
from tunesmith.errors import StorageError
from tunesmith.model import TrialState
from tunesmith.storage import open_storage
import tunesmith.storage.sql

if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    storage = open_storage(sys.argv[1])
    print("read", len(storage.trials("s")))
    storage.touch("s")
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize("folder", [0o777, 0o555])
def test_a_read_only_file_is_left_as_it_is(
    start: Callable[..., Process], place: Path, path: Path, folder: int
) -> None:
    shutil.copy(path, place)
    (place / path.name).chmod(0o444)
    place.chmod(folder)

    out, errors = start(AS_NOBODY, f"sqlite:///{place / path.name}").communicate(timeout=60)

    place.chmod(0o755)
    # Where not even a file beside it can be made, SQLite does not read a database with a log.
    assert ("read 1\n" in out) == (folder == 0o777), out + errors
    assert "read-only for you" in out, out + errors
    (place / path.name).chmod(0o644)
    with in_use(place / path.name) as storage:
        assert storage.trial("s", 1).state is TrialState.RUNNING


def test_a_folder_one_may_not_write_to_is_said_to_be_so(
    start: Callable[..., Process], place: Path
) -> None:
    place.chmod(0o555)

    direct, _ = start(AS_NOBODY, f"sqlite:///{place / 'x.db'}").communicate(timeout=60)
    below, _ = start(AS_NOBODY, f"sqlite:///{place / 'a' / 'x.db'}").communicate(timeout=60)

    assert "may you write there?" in direct
    assert "Can't make the folder" in below
    assert "--storage" in below


def test_a_folder_one_may_not_enter_is_said_to_be_so(
    start: Callable[..., Process], place: Path, path: Path
) -> None:
    shutil.copy(path, place)
    place.chmod(0o600)

    out, errors = start(AS_NOBODY, f"sqlite:///{place / path.name}").communicate(timeout=60)

    assert "Permission denied" in out, errors


def test_who_waits_too_long_for_the_database_is_told_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.storage.sqlite._BUSY_S", 0.05)
    hog = sqlite3.connect(path, isolation_level=None)
    hog.execute("BEGIN IMMEDIATE")
    storage = in_use(path)

    with pytest.raises(StorageError, match="Another process held it"):
        storage.claim("s", Claim("me"))
    hog.execute("ROLLBACK")
    hog.close()

    assert storage.claim("s", Claim("me")) is None
    storage.close()


def test_an_error_in_the_midst_of_a_change_leaves_no_trace(path: Path) -> None:
    with in_use(path) as storage:
        before = storage.study("s")

        with pytest.raises(TypeError):
            storage.report("s", 1, 1, [Measurement(0, {"loss": object()})])  # type: ignore[dict-item]

        assert storage.study("s") == before
        assert storage.measurements("s", 1) == []
