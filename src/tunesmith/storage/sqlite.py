"""SQLite: its file, its connections, its one writer at a time."""

import fcntl
import hashlib
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from tunesmith.errors import NotFoundError, StorageError

__all__ = ["Sqlite"]

_BUSY_S = 60.0  # longer than any of our transactions by four orders of magnitude
_PATIENCE_S = 5.0  # longer than a searcher thinks


class Sqlite:
    """What the storage needs to know of SQLite.

    Args:
        url: As SQLAlchemy takes it.
        create: Whether to make a file that is not there.
    """

    loses_connections = False

    def __init__(self, url: str, *, create: bool) -> None:
        path = url.partition(":///")[2].partition("?")[0]
        self._url = url
        self._in_memory = path in ("", ":memory:")
        self._path = None if self._in_memory else Path(path)
        # Threads queue up here rather than poll for SQLite's lock. A database in memory is one
        # connection, which holds one transaction, so readers queue too.
        one_at_a_time = threading.Lock()
        free: AbstractContextManager[object] = nullcontext()
        self.write_turn: AbstractContextManager[object] = one_at_a_time
        self.read_turn = one_at_a_time if self._in_memory else free
        if self._path is not None:
            _prepare_file(self._path, create=create)

    def open(self) -> Engine:
        """Return the engine."""
        arguments: dict[str, object] = {"timeout": _BUSY_S, "check_same_thread": False}
        if self._in_memory:
            engine = create_engine("sqlite://", poolclass=StaticPool, connect_args=arguments)
        else:
            engine = create_engine(self._url, connect_args=arguments, pool_size=0)  # no bound
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine

    @property
    def forks_well(self) -> bool:
        """Whether connections may be closed before a fork: one used on both sides damages a file."""
        return self._path is not None

    @contextmanager
    def alone(self, _engine: Engine, topic: str) -> Iterator[None]:
        """Let one thread of one process on this machine in at a time, where files can be locked.

        Who dies lets go; who is suspended, or thinks for very long, is not waited for.
        """
        if self._path is None:
            yield
            return
        try:
            lock = _lock_path(self._path, topic).open("ab")
        except OSError:  # a read-only disk: then all may come in
            yield
            return
        with lock:
            _wait_for(lock)
            yield

    def forget(self, topic: str) -> None:
        """Remove what `alone` left behind for a topic that is no more."""
        if self._path is not None:
            _lock_path(self._path, topic).unlink(missing_ok=True)

    @contextmanager
    def upgrading(self, connection: Connection) -> Iterator[None]:  # noqa: ARG002 - others need it
        """Let one process at a time make or change tables: its transaction is enough for that."""
        yield


def _lock_path(database: Path, topic: str) -> Path:
    name = hashlib.sha256(topic.encode()).hexdigest()[:12]
    return database.with_name(f"{database.name}-{name}.lock")


def _prepare_file(path: Path, *, create: bool) -> None:
    try:
        there = path.exists()
    except OSError as error:
        msg = f"Can't look for {path}: {error.strerror}. Choose another with --storage."
        raise StorageError(msg) from error
    if there:
        return
    if not create:
        msg = f"There are no studies at {path}. `tunesmith demo` or `tunesmith run` makes some."
        raise NotFoundError(msg)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.name == ".tunesmith" and not (path.parent / ".gitignore").exists():
            (path.parent / ".gitignore").write_text("*\n")
    except OSError as error:
        msg = (
            f"Can't make the folder {path.parent}: {error.strerror}. Choose another with --storage."
        )
        raise StorageError(msg) from error


def _prepare(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # we say BEGIN ourselves
    cursor = connection.cursor()  # type: ignore[attr-defined]
    # Asking before setting keeps a read-only database readable, and spares a lock.
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA cache_size=-16000")
    cursor.close()


def _begin(connection: Connection) -> None:
    # On the driver's own connection: SQLAlchemy's way round costs more than these statements.
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    mode = connection.get_execution_options().get("tunesmith_write")
    if mode is None:
        driver.execute("BEGIN")
        return
    # With NORMAL the log is synced at checkpoints only; what must survive a power cut asks for more.
    driver.execute(f"PRAGMA synchronous={'FULL' if mode == 'durable' else 'NORMAL'}")
    _begin_immediate(driver)


def _begin_immediate(driver: sqlite3.Connection) -> None:
    """Wait for the write lock.

    SQLite itself waits in naps of up to 100 ms, while our transactions take less than one: with
    eight processes, most of the time nobody would hold the lock and all would sleep.
    """
    deadline = time.monotonic() + _BUSY_S
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 - only to keep out of step
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout={_BUSY_S * 1000:.0f}")


def _wait_for(lock: IO[bytes]) -> None:
    """Wait for the lock of a file, until it would be better to go on without."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 - only to keep out of step
        except OSError:  # a disk that can't lock
            return
        else:
            return
