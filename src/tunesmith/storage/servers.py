"""PostgreSQL, MySQL and MariaDB: their drivers, sessions, snapshots and locks.

Changes run at READ COMMITTED: each begins by locking its study's row, and what it reads after that is
what the last holder of the lock committed. At a stricter level PostgreSQL would refuse to lock a row
that changed while one waited, and MySQL would lock gaps between rows that other studies write into.
Reads run at REPEATABLE READ: a study's record and its trials are of one moment, so that who asks what
changed since a revision is told neither of a trial beyond the record's size nor too little.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from importlib.util import find_spec
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from tunesmith.errors import MissingExtraError

__all__ = ["MySql", "PostgreSql", "Server", "ServerDatabase"]

_PATIENCE_S = 5  # longer than a searcher thinks
_ASKERS = 8  # connections that wait for a turn; all others are for work
_UPGRADE_S = 600  # for how long another process may take to migrate the tables

# A connection is used for milliseconds at a time, so few of them serve a hundred threads, and a
# server's bound on connections (100, on PostgreSQL) is left to others. The last used is used next:
# what the busiest moment needed and nobody else does is idle, and closed by the server in the end.
_POOL = {"pool_size": 30, "max_overflow": 0, "pool_timeout": 30.0, "pool_use_lifo": True}


class Server(Protocol):
    """A kind of database server."""

    def open(self) -> Engine:
        """Return an engine for it; nothing is connected yet."""
        ...

    def lock(self, connection: Connection, name: str, wait_s: int) -> None:
        """Take a lock of the server's for this connection; raise if it takes too long."""
        ...

    def unlock(self, connection: Connection, name: str) -> None:
        """Let go of it."""
        ...


class ServerDatabase:
    """What `Sqlite` is for a file: a database on a server."""

    loses_connections = True
    forks_well = True
    write_turn = read_turn = nullcontext()

    def __init__(self, server: Server) -> None:
        self._server = server
        self._turns: dict[str, threading.Lock] = {}
        self._askers = threading.BoundedSemaphore(_ASKERS)

    def open(self) -> Engine:
        """Return the engine."""
        return self._server.open()

    @contextmanager
    def alone(self, engine: Engine, topic: str) -> Iterator[None]:
        """Let one thread of one process in at a time, wherever it runs, as far as that can be had.

        The threads of this process wait for each other first, so that one of them at most holds a
        connection. Who dies lets go; who takes long is not waited for.
        """
        turn = self._turns.setdefault(topic, threading.Lock())
        mine = turn.acquire(timeout=_PATIENCE_S)
        try:
            with self._alone_among_processes(engine, topic) if mine else nullcontext():
                yield
        finally:
            if mine:
                turn.release()

    @contextmanager
    def _alone_among_processes(self, engine: Engine, topic: str) -> Iterator[None]:
        if not self._askers.acquire(blocking=False):
            yield
            return
        try:
            # A fault here costs the turn only; the verbs that follow will say what is wrong.
            with ExitStack() as held:
                with suppress(SQLAlchemyError, OSError):
                    connection = held.enter_context(engine.connect())
                    held.enter_context(self._locked(connection, topic, _PATIENCE_S))
                yield
        finally:
            self._askers.release()

    @contextmanager
    def _locked(self, connection: Connection, name: str, wait_s: int) -> Iterator[None]:
        self._server.lock(connection, name, wait_s)
        connection.commit()  # the lock is the connection's; a transaction would only grow old
        try:
            yield
        finally:
            try:
                self._server.unlock(connection, name)
                connection.commit()
            except (SQLAlchemyError, OSError):
                connection.invalidate()  # nobody gets this connection together with its lock

    def forget(self, topic: str) -> None:
        """Remove what `alone` left behind for a topic that is no more."""
        self._turns.pop(topic, None)

    def upgrading(self, connection: Connection) -> AbstractContextManager[None]:
        """Let one process at a time make or change tables: MySQL knows no transaction that would."""
        return self._locked(connection, "the tables", _UPGRADE_S)


class PostgreSql:
    """PostgreSQL 15 and newer, by psycopg 3."""

    def __init__(self, url: str) -> None:
        _require("psycopg", "postgresql", "PostgreSQL")
        self._url = _with_driver(url, "psycopg")

    def open(self) -> Engine:
        """Return the engine."""
        defaults = {
            "connect_timeout": "10",
            "application_name": "tunesmith",
            "keepalives_idle": "30",
            "keepalives_interval": "10",
            "keepalives_count": "3",
            "tcp_user_timeout": "60000",
        }
        query = {**defaults, **self._url.query}
        engine = create_engine(self._url.set(query=query), **_POOL)
        event.listen(engine, "connect", self._prepare)
        event.listen(engine, "begin", self._begin)
        return engine

    def lock(self, connection: Connection, name: str, wait_s: int) -> None:
        """Take a lock that belongs to the connection."""
        connection.execute(text(f"SET LOCAL lock_timeout = {wait_s * 1000}"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _number(name)})

    def unlock(self, connection: Connection, name: str) -> None:
        """Let go of it."""
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _number(name)})

    @staticmethod
    def _prepare(connection: Any, _record: object) -> None:
        # A process that is suspended in the midst of a change must not hold up all others for ever.
        with connection.cursor() as cursor:
            cursor.execute(
                "SET idle_in_transaction_session_timeout = 30000; SET lock_timeout = 40000"
            )
        connection.commit()

    @staticmethod
    def _begin(connection: Connection) -> None:
        from psycopg import Error, IsolationLevel  # noqa: PLC0415 - an extra

        driver: Any = connection.connection.dbapi_connection
        reads = connection.get_execution_options().get("tunesmith_write") is None
        try:
            driver.isolation_level = (
                IsolationLevel.REPEATABLE_READ if reads else IsolationLevel.READ_COMMITTED
            )
        except Error as error:  # only when the connection is gone
            connection.invalidate(error)
            raise OperationalError("BEGIN", None, error, connection_invalidated=True) from error


class MySql:
    """MySQL 8 and MariaDB 10.6 and newer, by PyMySQL."""

    def __init__(self, url: str) -> None:
        _require("pymysql", "mysql", "MySQL and MariaDB")
        self._url = _with_driver(url, "pymysql")

    def open(self) -> Engine:
        """Return the engine, which connects once to learn which of the two it is: their collations differ."""
        query = {"charset": "utf8mb4", **self._url.query}
        arguments = {"connect_timeout": 10, "read_timeout": 90, "write_timeout": 90}
        arguments = {k: v for k, v in arguments.items() if k not in query}
        url = self._url.set(drivername="mysql+pymysql", query=query)
        look = create_engine(url, connect_args=arguments, pool_size=1)
        with look.connect():
            is_mariadb = getattr(look.dialect, "is_mariadb", False)
        look.dispose()
        if is_mariadb:
            url = url.set(drivername="mariadb+pymysql")
        engine = create_engine(url, connect_args=arguments, **_POOL)
        event.listen(engine, "connect", self._prepare_mariadb if is_mariadb else self._prepare)
        event.listen(engine, "begin", self._begin)
        return engine

    def lock(self, connection: Connection, name: str, wait_s: int) -> None:
        """Take a lock that belongs to the connection."""
        key = {"name": _short(name), "wait_s": wait_s}
        if connection.execute(text("SELECT GET_LOCK(:name, :wait_s)"), key).scalar() != 1:
            raise TimeoutError(f"{name} was held by another process for {wait_s} s")

    def unlock(self, connection: Connection, name: str) -> None:
        """Let go of it."""
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": _short(name)})

    @classmethod
    def _prepare(cls, connection: Any, _record: object) -> None:
        cls._say(connection, "SET SESSION innodb_lock_wait_timeout = 40")

    @classmethod
    def _prepare_mariadb(cls, connection: Any, record: object) -> None:
        cls._prepare(connection, record)
        # A process that is suspended in the midst of a change must not hold up all others for ever.
        cls._say(connection, "SET SESSION idle_transaction_timeout = 30")

    @staticmethod
    def _say(connection: Any, last: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO'")
            cursor.execute(last)

    @staticmethod
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("tunesmith_write") is None:
            # This holds for the next transaction, which is the one that begins here.
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _require(module: str, extra: str, what: str) -> None:
    if find_spec(module) is None:
        msg = f"For {what}, Tunesmith needs {module}: pip install 'tunesmith[{extra}]'"
        raise MissingExtraError(msg)


def _with_driver(url: str, driver: str) -> URL:
    parsed = make_url(url)
    backend, _, named = parsed.drivername.partition("+")
    return parsed.set(drivername=f"{backend}+{named or driver}")


def _number(name: str) -> int:
    """Return a number for a name, as PostgreSQL's locks have."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _short(name: str) -> str:
    """Return a name of at most 64 characters, as MySQL's locks have."""
    return f"tunesmith {hashlib.sha256(name.encode()).hexdigest()[:40]}"
