from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.storage import Storage
from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.clock import Clock
from tunesmith.testing.pauses import StoragePausesContract
from tunesmith.testing.storage import StorageContract


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestSqliteInAFile(StorageContract, StoragePausesContract):
    @pytest.fixture
    def storage(self, clock: Clock, tmp_path: Path) -> Iterator[Storage]:
        with SqlStorage(f"sqlite:///{tmp_path / 'Stüdien.db'}", clock=clock) as storage:
            yield storage


class TestSqliteInMemory(StorageContract, StoragePausesContract):
    @pytest.fixture
    def storage(self, clock: Clock) -> Iterator[Storage]:
        with SqlStorage("sqlite://", clock=clock) as storage:
            yield storage
