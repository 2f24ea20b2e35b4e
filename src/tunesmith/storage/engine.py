"""Connections and transactions of the SQL storage, and the words for what may go wrong with them."""

import fcntl
import hashlib
import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import StaticPool

from tunesmith.errors import NotFoundError, StorageError
from tunesmith.storage import schema
from tunesmith.storage.locate import shown

__all__ = ["Database"]

_BUSY_S = 60.0  # longer than any of our transactions by four orders of magnitude
_PATIENCE_S = 5.0  # longer than a searcher thinks


class Database:
    """One database: gives transactions, and makes or migrates the tables when it is opened."""

    def __init__(self, url: str, *, create: bool) -> None:
        self.url = url
        sqlite = url.startswith("sqlite")
        path = url.partition(":///")[2].partition("?")[0] if sqlite else ""
        self._in_memory = sqlite and path in ("", ":memory:")
        self._path = Path(path) if path and not self._in_memory else None
        # SQLite has one writer at a time: threads queue up here rather than poll for its lock. A
        # database in memory is one connection, which holds one transaction, so readers queue too.
        one_at_a_time = threading.Lock()
        free: AbstractContextManager[object] = nullcontext()
        self._write_turn = one_at_a_time if sqlite else free
        self._read_turn = one_at_a_time if self._in_memory else free
        if self._path is not None:
            self._prepare_file(self._path, create=create)
        with self._faults():
            self._engine = self._open()
            # Who forgets to close a study leaves no connections behind.
            weakref.finalize(self, self._engine.dispose)
            self._prepare_tables()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the database throughout."""
        with (
            self._faults(),
            self._read_turn,
            self._engine.connect() as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """Give a connection whose changes happen whole or not at all.

        A ``durable`` change survives even a power cut when this returns; others survive the death
        of any process at once, and a power cut within moments.
        """
        options = {"tunesmith_write": "durable" if durable else "yes"}
        with (
            self._faults(),
            self._write_turn,
            self._engine.connect() as connection,
            connection.execution_options(**options).begin(),
        ):
            yield connection

    @contextmanager
    def alone(self, topic: str) -> Iterator[None]:
        """Let one thread of one process on this machine in at a time, where files can be locked.

        Who dies lets go; who is suspended, or thinks for very long, is not waited for.
        """
        if self._path is None:
            yield
            return
        try:
            lock = self._lock_path(self._path, topic).open("ab")
        except OSError:  # a read-only disk: then all may come in
            yield
            return
        with lock:
            _wait_for(lock)
            yield

    def forget(self, topic: str) -> None:
        """Remove what `alone` left behind for a topic that is no more."""
        if self._path is not None:
            self._lock_path(self._path, topic).unlink(missing_ok=True)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _lock_path(self, database: Path, topic: str) -> Path:
        name = hashlib.sha256(topic.encode()).hexdigest()[:12]
        return database.with_name(f"{database.name}-{name}.lock")

    def _prepare_file(self, path: Path, *, create: bool) -> None:
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
            msg = f"Can't make the folder {path.parent}: {error.strerror}. Choose another with --storage."
            raise StorageError(msg) from error

    def _open(self) -> Engine:
        try:
            if not self.url.startswith("sqlite"):
                return create_engine(self.url, pool_pre_ping=True)
            arguments: dict[str, object] = {"timeout": _BUSY_S, "check_same_thread": False}
            if self._in_memory:
                engine = create_engine("sqlite://", poolclass=StaticPool, connect_args=arguments)
            else:
                engine = create_engine(self.url, connect_args=arguments, pool_size=0)  # no bound
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            msg = f"Can't open the storage {shown(self.url)}: {error}"
            raise StorageError(msg) from error
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        if not self._in_memory:
            _close_before_forks(engine)
        return engine

    def _prepare_tables(self) -> None:
        with self.read() as connection:
            found = _version(connection)
        if found == schema.HEAD:
            return
        if found is None:
            with self.write(durable=True) as connection:
                if _version(connection) is None:  # nobody was faster
                    schema.metadata.create_all(connection)
                    schema.version.create(connection)
                    connection.execute(insert(schema.version), {"version_num": schema.HEAD})
            return
        from tunesmith.storage.migrations import upgrade  # noqa: PLC0415 - Alembic takes as long to load as all else

        upgrade(self._engine, found)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise StorageError(_explain(str(cause), shown(self.url))) from error
        except PoolTimeoutError as error:
            msg = f"The storage {shown(self.url)} gave no connection in time: too many threads share it."
            raise StorageError(msg) from error
        except OSError as error:
            msg = f"The storage {shown(self.url)} failed: {error}"
            raise StorageError(msg) from error


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(schema.version.name):
        return None
    return connection.execute(select(schema.version.c.version_num)).scalar()


def _prepare_sqlite(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # we say BEGIN ourselves
    cursor = connection.cursor()  # type: ignore[attr-defined]
    # Asking before setting keeps a read-only database readable, and spares a lock.
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA cache_size=-16000")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
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


def _close_before_forks(engine: Engine) -> None:
    """Close idle connections before a fork: a connection used on both sides damages the database."""
    still_there = weakref.ref(engine)

    def close() -> None:
        if (engine := still_there()) is not None:
            engine.dispose()

    os.register_at_fork(before=close)


def _explain(cause: str, url: str) -> str:
    advice = {
        "disk is full": "The disk is full. Free some space and run the same command again; nothing is lost.",
        "disk I/O error": "The disk failed or is full. Run the same command again once it is well.",
        "readonly": "It is read-only for you. Choose another place with --storage, or mend its permissions.",
        "unable to open": "It can't be opened. Does its folder exist, and may you write there?",
        "database is locked": f"Another process held it for {_BUSY_S:.0f} s. Is it on a network disk?",
        "not a database": "That file is no SQLite database. Choose another with --storage.",
        "malformed": "The file is damaged. Restore it from a copy; `sqlite3 FILE .recover` may save the rest.",
    }
    for sign, words in advice.items():
        if sign in cause:
            return f"The storage {url} failed ({cause}). {words}"
    return f"The storage {url} failed: {cause}"
