"""One database: its connections, transactions and tables, and patience with faults that pass."""

import os
import random
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine, insert, inspect, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Double

from tunesmith.errors import StorageError
from tunesmith.storage import schema
from tunesmith.storage.faults import SERVER_MAY_RESTART_S, explain, passes
from tunesmith.storage.locate import shown
from tunesmith.storage.servers import MySql, PostgreSql, ServerDatabase
from tunesmith.storage.sqlite import Sqlite

__all__ = ["Database", "Now"]

T = TypeVar("T")

_FIRST_NAP_S, _LONGEST_NAP_S = 0.02, 2.0


class Now(FunctionElement[float]):
    """The database's own time in seconds since the epoch; NULL on SQLite, which has this machine's."""

    name = "now"
    type = Double()
    inherit_cache = True  # or each statement with it would be compiled anew


@compiles(Now, "sqlite")
def _no_clock(*_args: object, **_options: object) -> str:
    return "NULL"


@compiles(Now, "postgresql")
def _clock_of_postgresql(*_args: object, **_options: object) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(Now, "mysql")
@compiles(Now, "mariadb")
def _clock_of_mysql(*_args: object, **_options: object) -> str:
    return "UNIX_TIMESTAMP(SYSDATE(6)) + 0e0"


class Database:
    """One database: gives transactions, and makes or migrates the tables when it is opened.

    Args:
        url: As SQLAlchemy takes it.
        create: Whether to make a SQLite file that is not there.
        clock: Gives the time in seconds since the epoch; None for the database's own clock, or this
            machine's on SQLite.
    """

    def __init__(self, url: str, *, create: bool, clock: Callable[[], float] | None = None) -> None:
        self.url = url
        self.fault_counts = {"retried": 0, "raised": 0}
        self._clock = clock
        with self.faults():
            self._kind = _kind(url, create=create)
            self._engine = self._open()
            # Who forgets to close a study leaves no connections behind.
            weakref.finalize(self, self._engine.dispose)
            self._prepare_tables()

    @property
    def loses_connections(self) -> bool:
        """Whether a commit may happen and yet not be heard of."""
        return self._kind.loses_connections

    def now(self, by_database: float | None) -> float:
        """Return the time, given what `Now` said."""
        if self._clock is not None:
            return self._clock()
        return time.time() if by_database is None else by_database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the database throughout."""
        with self.faults(), self._reading() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """Give a connection whose changes happen whole or not at all.

        A ``durable`` change survives even a power cut when this returns; others survive the death
        of any process at once, and a power cut within moments.
        """
        with self.faults(), self.session(durable=durable) as connection:
            yield connection

    def reading(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` reads in one state of the database; it is repeated while faults pass."""

        def once() -> T:
            with self._reading() as connection:
                return work(connection)

        with self.faults():
            return self.patiently(once)

    def writing(self, work: Callable[[Connection], T], *, durable: bool = False) -> T:
        """Return what ``work`` says that changes the database whole or not at all.

        It is repeated while faults pass, perhaps after it has happened: that must do no harm.
        """

        def once() -> T:
            with self.session(durable=durable) as connection:
                return work(connection)

        with self.faults():
            return self.patiently(once)

    def patiently(self, work: Callable[[], T]) -> T:
        """Return what the transaction ``work`` returns; repeat it while it fails for a reason that passes."""
        nap_s = _FIRST_NAP_S
        give_up_at = time.monotonic() + SERVER_MAY_RESTART_S
        while True:
            try:
                return work()
            except DBAPIError as error:
                if not passes(error) or time.monotonic() > give_up_at:
                    raise
                self.fault_counts["retried"] += 1
            time.sleep(random.uniform(nap_s / 2, nap_s))  # noqa: S311 - only to keep out of step
            nap_s = min(2 * nap_s, _LONGEST_NAP_S)

    def alone(self, topic: str) -> AbstractContextManager[None]:
        """Let one at a time in, as far as this database can; see `Storage.asking`."""
        return self._kind.alone(self._engine, topic)

    def forget(self, topic: str) -> None:
        """Remove what `alone` left behind for a topic that is no more."""
        self._kind.forget(topic)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def session(self, *, durable: bool) -> Iterator[Connection]:
        """Give what `write` gives; faults come out as they are, for `patiently` to judge."""
        options = {"tunesmith_write": "durable" if durable else "yes"}
        with (
            self._kind.write_turn,
            self._engine.connect() as connection,
            connection.execution_options(**options).begin(),
        ):
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._kind.read_turn, self._engine.connect() as connection, connection.begin():
            yield connection

    def _open(self) -> Engine:
        try:
            engine = self._kind.open()
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            msg = f"Can't open the storage {shown(self.url)}: {error}"
            raise StorageError(msg) from error
        if self._kind.forks_well:
            _close_before_forks(engine)
        return engine

    def _prepare_tables(self) -> None:
        with self._reading() as connection:
            if _version(connection) == schema.HEAD:
                return
        with (
            self._kind.write_turn,
            self._engine.connect().execution_options(tunesmith_write="durable") as connection,
            self._kind.upgrading(connection),
            connection.begin(),
        ):
            found = _version(connection)
            if found == schema.HEAD:  # another process was faster
                return
            if found is not None:
                from tunesmith.storage.migrations import upgrade  # noqa: PLC0415 - Alembic takes as long to load as all else

                upgrade(connection, found)
                return
            schema.metadata.create_all(connection)
            schema.version.create(connection, checkfirst=True)
            connection.execute(insert(schema.version), {"version_num": schema.HEAD})

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Let what the database raises come out as `StorageError`."""
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            self.fault_counts["raised"] += 1
            raise StorageError(explain(error, self.url)) from error
        except PoolTimeoutError as error:
            self.fault_counts["raised"] += 1
            msg = f"The storage {shown(self.url)} gave no connection in time: too many threads share it."
            raise StorageError(msg) from error
        except OSError as error:
            msg = f"The storage {shown(self.url)} failed: {error}"
            raise StorageError(msg) from error


def _kind(url: str, *, create: bool) -> Sqlite | ServerDatabase:
    backend = url.partition("://")[0].partition("+")[0]
    if backend == "sqlite":
        return Sqlite(url, create=create)
    try:
        return ServerDatabase(PostgreSql(url) if backend == "postgresql" else MySql(url))
    except ArgumentError as error:
        msg = f"Can't open the storage {shown(url)}: {error}"
        raise StorageError(msg) from error


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(schema.version.name):
        return None
    return connection.execute(select(schema.version.c.version_num)).scalar()


def _close_before_forks(engine: Engine) -> None:
    """Close idle connections before a fork: none works on both sides, and SQLite's would do damage."""
    still_there = weakref.ref(engine)

    def close() -> None:
        if (engine := still_there()) is not None:
            engine.dispose()

    os.register_at_fork(before=close)
