import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.clock import Clock
from tunesmith.testing.pauses import StoragePausesContract
from tunesmith.testing.served import ServedStorageContract
from tunesmith.testing.storage import StorageContract


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestSqliteInAFile(StorageContract, StoragePausesContract, ServedStorageContract):
    @pytest.fixture
    def storage(self, clock: Clock, tmp_path: Path) -> Iterator[SqlStorage]:
        with SqlStorage(f"sqlite:///{tmp_path / 'Stüdien.db'}", clock=clock) as storage:
            yield storage


class TestSqliteInMemory(StorageContract, StoragePausesContract, ServedStorageContract):
    @pytest.fixture
    def storage(self, clock: Clock) -> Iterator[SqlStorage]:
        with SqlStorage("sqlite://", clock=clock) as storage:
            yield storage


class TestPostgreSql(StorageContract, StoragePausesContract, ServedStorageContract):
    @pytest.fixture
    def storage(self, clock: Clock, postgresql_url: str) -> Iterator[SqlStorage]:
        with SqlStorage(postgresql_url, clock=clock) as storage:
            yield storage


if shutil.which("mariadbd") or os.environ.get("TUNESMITH_TEST_ALL"):

    class TestMariaDb(StorageContract, StoragePausesContract, ServedStorageContract):
        @pytest.fixture
        def storage(self, clock: Clock, mariadb_url: str) -> Iterator[SqlStorage]:
            with SqlStorage(mariadb_url, clock=clock) as storage:
                yield storage
