import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tunesmith.model import Measurement
from tunesmith.service.app import make_app
from tunesmith.service.run import Running
from tunesmith.service.settings import Settings
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, Storage
from tunesmith.storage.remote import RemoteStorage
from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.clock import Clock
from tunesmith.testing.pauses import StoragePausesContract
from tunesmith.testing.storage import StorageContract
from tunesmith.testing.studies import spec_of, suggestions

Open = Callable[[], RemoteStorage]

_EPOCH = 1000.0


@pytest.fixture(scope="module")
def served_clock() -> Clock:
    return Clock(_EPOCH)


@pytest.fixture(scope="module")
def open_project(served_clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """A server on a socket; opens a project of it that nobody has used."""
    folder = tmp_path_factory.mktemp("server")
    settings = Settings(port=0, data=folder / "data")
    numbers = count(1)
    opened: list[RemoteStorage] = []
    with SqlStorage(f"sqlite:///{folder / 's.db'}", clock=served_clock) as storage:
        _, secret = storage.tokens.create("contract", "admin", "*")
        with Running(make_app(storage, settings), settings) as running:

            def open_one() -> RemoteStorage:
                place = running.url.replace("://", f"://{secret}@")
                remote = RemoteStorage(f"{place}?project=p{next(numbers)}")
                opened.append(remote)
                return remote

            yield open_one
            for remote in opened:
                remote.close()


class TestOverHttp(StorageContract, StoragePausesContract):
    @pytest.fixture
    def clock(self, served_clock: Clock) -> Clock:
        served_clock.now = _EPOCH
        return served_clock

    @pytest.fixture
    def storage(
        self, open_project: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Storage:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.delenv("TUNESMITH_TOKEN", raising=False)
        return open_project()

    def test_a_study_is_copied_from_project_to_project(
        self, storage: RemoteStorage, open_project: Open
    ) -> None:
        spec = spec_of(Space({"x": Double(0.0, 1.0)}))
        storage.create_study("s", spec, command="python train.py")
        storage.add_trials("s", suggestions(0.25, 0.5), after=0, claim=Claim("me", 60.0))
        storage.report("s", 1, 1, [Measurement(0, {"loss": math.inf})])
        whole = storage.changes("s", -1, curves=True)
        other = open_project()

        other.import_study("copy", whole)

        copied = other.changes("copy", -1, curves=True)
        assert copied.record == replace(whole.record, name="copy")
        assert copied.trials == whole.trials
        assert copied.measurements == whole.measurements
