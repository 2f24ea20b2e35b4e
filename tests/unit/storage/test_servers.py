"""What database servers and networks do to a storage: lost connections, restarts, locks, old tables."""

import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import event

from tunesmith.errors import ConflictError, MissingExtraError, StorageError
from tunesmith.model import Measurement, StudyState, TrialState
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, migrations, open_storage, schema
from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.studies import spec_of, suggestions

Process = subprocess.Popen[str]
LINE = Space({"x": Double(0.0, 1.0)})
ME = Claim("me", lease_s=60.0)

OPEN = """
import sys
from tunesmith.storage.sql import SqlStorage
print("ready", flush=True)
sys.stdin.readline()
SqlStorage(sys.argv[1]).close()
"""


class Proxy:
    """Stands between a storage and its server, and cuts the connection at the next commit when asked.

    Args:
        target: The server's socket.
    """

    def __init__(self, target: Path) -> None:
        self.cut: Literal["", "before", "after"] = ""
        self.cuts = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=30)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._carry, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with client, server:
            server.connect(str(self._target))
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is client and b"COMMIT" in data and self.cut:
                        how, self.cut = self.cut, ""
                        self.cuts += 1
                        if how == "after":
                            server.sendall(data)
                            server.recv(65536)  # it was committed, and nobody hears of it
                        return
                    (server if ready is client else client).sendall(data)


@pytest.fixture
def proxy(server: Any) -> Iterator[Proxy]:
    proxy = Proxy(server.socket)
    yield proxy
    proxy.close()


@pytest.fixture
def storage(server_url: str, proxy: Proxy) -> Iterator[SqlStorage]:
    """A storage that reaches its server through the proxy, with a study of one running and two waiting trials."""
    backend = server_url.partition("://")[0]
    user = "postgres" if backend == "postgresql" else "root"
    options = "?sslmode=disable&gssencmode=disable" if backend == "postgresql" else ""
    url = f"{backend}://{user}@127.0.0.1:{proxy.port}/tunesmith{options}"
    with SqlStorage(url) as storage:
        storage.create_study("s", spec_of(LINE))
        storage.add_trials("s", suggestions(0.1), after=0, claim=ME)
        storage.add_trials("s", suggestions(0.2, 0.3), after=1)
        yield storage


CALLS: dict[str, Callable[[SqlStorage], object]] = {
    "create_study": lambda s: s.create_study("new", spec_of(LINE)),
    "delete_study": lambda s: s.delete_study("s"),
    "set_state": lambda s: s.set_state("s", StudyState.PAUSED, "noon", at=2),
    "add_trials": lambda s: s.add_trials("s", suggestions(0.4), after=3, claim=ME),
    "claim": lambda s: s.claim("s", ME),
    "report": lambda s: s.report("s", 1, 1, [Measurement(0, {"loss": 1.0})], claim=ME),
    "finish": lambda s: s.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 1.0}),
    "pause": lambda s: s.pause("s", 1, 1, "tea", metrics={}),
    "extend": lambda s: s.extend("s", 1, 1, 9),
    "requeue": lambda s: s.requeue("s", 1, 1, "lost", fault=True),
    "renew": lambda s: s.renew("s", ME),
    "request_stop": lambda s: s.request_stop("s", 2, "no"),
    "token": lambda s: s.tokens.create("a", "read", "p")[0],
}


def everything(storage: SqlStorage) -> object:
    """Return what the storage holds, without what lies in the nature of another run: times, ids."""
    with storage.database.read() as connection:
        rows = {
            table.name: [
                tuple(
                    value
                    for name, value in row._mapping.items()
                    if not isinstance(value, float) and name not in ("id", "study_id", "digest")
                )
                for row in connection.execute(sa.select(table))
            ]
            for table in schema.metadata.sorted_tables
            if table.name != "answer"
        }
    return {name: sorted(found, key=repr) for name, found in rows.items()}


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("verb", list(CALLS))
def test_a_change_whose_commit_was_not_heard_of_happens_once(
    storage: SqlStorage, proxy: Proxy, verb: str, cut: Literal["before", "after"], server: Any
) -> None:
    proxy.cut = cut

    answer = CALLS[verb](storage)

    assert proxy.cuts == 1
    with SqlStorage("sqlite://") as undisturbed:
        undisturbed.create_study("s", spec_of(LINE))
        undisturbed.add_trials("s", suggestions(0.1), after=0, claim=ME)
        undisturbed.add_trials("s", suggestions(0.2, 0.3), after=1)
        wanted = CALLS[verb](undisturbed)
        assert everything(storage) == everything(undisturbed)
    assert type(answer) is type(wanted)
    if verb in ("claim", "add_trials"):
        trial = answer[0] if isinstance(answer, list) else answer
        assert trial == storage.trial("s", trial.number)  # type: ignore[union-attr]


def test_many_changes_whose_commit_was_not_heard_of_happen_once_each(
    storage: SqlStorage, proxy: Proxy
) -> None:
    after = storage.study("s").size
    storage.add_trials("s", suggestions(*[0.5] * 60), after=after)
    claimed: list[int] = []
    faults: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for _ in range(4):
                trial = storage.claim("s", Claim(name))
                assert trial is not None
                claimed.append(trial.number)
                proxy.cut = "after"
                storage.report("s", trial.number, 1, [Measurement(0, {"loss": 1.0})])
                storage.finish("s", trial.number, 1, TrialState.COMPLETED, metrics={"loss": 1.0})
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert proxy.cuts > 5
    assert sorted(claimed) == list(range(2, 50))
    ended = [t for t in storage.trials("s") if t.state is TrialState.COMPLETED]
    assert [t.number for t in ended] == list(range(2, 50))
    assert {t.attempt for t in ended} == {1}
    assert storage.study("s").revision == 2 + 1 + 3 * 48


def test_a_server_that_restarts_is_waited_for(server: Any, server_url: str) -> None:
    with SqlStorage(server_url) as storage:
        storage.create_study("s", spec_of(LINE))
        storage.add_trials("s", suggestions(0.1), after=0)
        server.stop()
        starting = threading.Thread(target=server.start)
        starting.start()

        claimed = storage.claim("s", ME)
        read = storage.trial("s", 1)
        starting.join()

        assert claimed == read


def test_a_server_that_is_not_there_is_said_to_be_so(
    server: Any, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunesmith.storage.engine.SERVER_MAY_RESTART_S", 0.05)
    with SqlStorage(server_url) as storage:
        server.stop()

        with pytest.raises(StorageError, match="Is the server running there"):
            storage.study_names()
        with pytest.raises(StorageError, match="Is the server running there"):
            storage.create_study("s", spec_of(LINE))

        server.start()
        assert list(storage.study_names()) == []


@pytest.mark.parametrize("what", ["deadlock", "lock timeout", "serialisation"])
def test_who_is_turned_away_tries_again(server_url: str, what: str) -> None:
    from psycopg import errors as pg
    from pymysql import err as my

    by_server: dict[str, dict[str, Exception]] = {
        "postgresql": {
            "deadlock": pg.DeadlockDetected("deadlock detected"),
            "lock timeout": pg.LockNotAvailable("canceling statement due to lock timeout"),
            "serialisation": pg.SerializationFailure("could not serialize access"),
        },
        "mysql": {
            "deadlock": my.OperationalError(1213, "Deadlock found when trying to get lock"),
            "lock timeout": my.OperationalError(1205, "Lock wait timeout exceeded"),
            "serialisation": my.OperationalError(1020, "Record has changed since last read"),
        },
    }
    faults = [by_server[server_url.partition("://")[0]][what]] * 3

    def fail(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if faults and "UPDATE study" in statement:
            raise sa.exc.OperationalError(statement, {}, faults.pop())

    with SqlStorage(server_url) as storage:
        storage.create_study("s", spec_of(LINE))
        event.listen(storage.database._engine, "before_cursor_execute", fail)

        storage.add_trials("s", suggestions(0.1), after=0)

        assert faults == []
        assert storage.study("s").revision == 1
        assert len(storage.trials("s")) == 1


def test_threads_share_connections(server_url: str) -> None:
    with SqlStorage(server_url) as storage:
        storage.create_study("s", spec_of(LINE))
        storage.add_trials("s", suggestions(*[0.5] * 100), after=0)
        claimed: list[int] = []
        faults: list[BaseException] = []

        def work(name: str) -> None:
            try:
                trial = storage.claim("s", Claim(name))
                assert trial is not None
                storage.changes("s", -1)
                with storage.asking("s"):
                    claimed.append(trial.number)
            except BaseException as fault:
                faults.append(fault)

        threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert faults == []
        assert sorted(claimed) == list(range(1, 101))


def test_one_process_at_a_time_is_asking(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.storage.servers._PATIENCE_S", 1)
    with SqlStorage(server_url) as first, SqlStorage(server_url) as second:
        first.create_study("s", spec_of(LINE))
        entered = threading.Event()

        def enter() -> None:
            with second.asking("s"):
                entered.set()

        with first.asking("s"):
            thread = threading.Thread(target=enter)
            thread.start()
            assert not entered.wait(0.1)
            with second.asking("another"):
                pass
        assert entered.wait(30)
        thread.join()

        with first.asking("s"), second.asking("s"):  # who takes long is not waited for
            second.add_trials("s", suggestions(0.1), after=0)
        assert first.study("s").size == 1


def test_leases_go_by_the_clock_of_the_server(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqlStorage(server_url) as storage:
        storage.create_study("s", spec_of(LINE))
        storage.add_trials("s", suggestions(0.1), after=0, claim=ME)
        monkeypatch.setattr("time.time", lambda: 5e9)  # this machine's clock is wrong by a century

        claimed = storage.claim("s", Claim("other"))
        now = storage.changes("s", -1).now
        lease_until = storage.trial("s", 1).lease_until

        assert claimed is None
        assert lease_until is not None
        assert 0 < lease_until - now <= 60


def test_processes_that_open_an_empty_database_at_once_all_succeed(
    start: Callable[..., Process], release: Callable[..., None], bare_url: str
) -> None:
    processes = [start(OPEN, bare_url) for _ in range(4)]

    release(*processes)

    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors


def with_driver(url: str) -> str:
    backend, _, rest = url.partition("://")
    return f"{backend}+{'psycopg' if backend == 'postgresql' else 'pymysql'}://{rest}"


def migrate(url: str, version: str) -> None:
    """Bring the database to ``version`` by Alembic alone."""
    engine = sa.create_engine(with_driver(url))
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.commit()
    engine.dispose()


def tables(url: str) -> dict[str, list[str]]:
    engine = sa.create_engine(with_driver(url))
    inspector = sa.inspect(engine)
    found = {
        name: sorted(column["name"] for column in inspector.get_columns(name))
        for name in inspector.get_table_names()
    }
    engine.dispose()
    return found


def test_processes_that_open_an_old_database_at_once_all_succeed(
    start: Callable[..., Process], release: Callable[..., None], bare_url: str
) -> None:
    migrate(bare_url, "0003")
    processes = [start(OPEN, bare_url) for _ in range(3)]

    release(*processes)

    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert tables(bare_url).keys() - {schema.version.name} == schema.metadata.tables.keys()


def test_an_upgrade_that_broke_off_is_finished_by_the_next(bare_url: str) -> None:
    migrate(bare_url, "0003")
    stop_at, seen = 1, 0

    def fail(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal seen
        if statement.lstrip().startswith(("ALTER", "CREATE")):
            seen += 1
            if seen == stop_at:
                raise OSError("the plug was pulled")

    while (fault := opened_with(fail, bare_url)) is not None:
        assert "plug" in str(fault)
        stop_at, seen = stop_at + 1, 0

    assert tables(bare_url).keys() - {schema.version.name} == schema.metadata.tables.keys()
    with SqlStorage(bare_url) as storage:
        storage.create_study("s", spec_of(LINE))
        with pytest.raises(ConflictError, match="already"):
            storage.create_study("s", spec_of(LINE))
        storage.in_project("p").create_study("s", spec_of(LINE))


def opened_with(fail: Callable[..., None], url: str) -> StorageError | None:
    event.listen(sa.Engine, "before_cursor_execute", fail)
    try:
        SqlStorage(url).close()
    except StorageError as fault:
        return fault
    finally:
        event.remove(sa.Engine, "before_cursor_execute", fail)
    return None


def test_a_database_that_is_not_there_is_named_with_the_command_that_makes_it(
    server: Any,
) -> None:
    with pytest.raises(StorageError, match=r"ghosts.*(createdb ghosts|CREATE DATABASE `ghosts`)"):
        SqlStorage(server.url("ghosts"))


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_nobody_runs_is_said_not_to_be_there(scheme: str) -> None:
    with pytest.raises(StorageError, match=r"Is the server running there") as caught:
        SqlStorage(f"{scheme}://me:secret@127.0.0.1:1/db")

    assert "secret" not in str(caught.value)


def test_a_user_the_server_does_not_know_is_said_to_be_unknown(server: Any) -> None:
    url = server.url("tunesmith")
    user = urlsplit(url).username

    with pytest.raises(StorageError, match=r"no such user|Check the user and the password"):
        SqlStorage(url.replace(f"//{user}@", "//nobody:secret@"))


@pytest.mark.parametrize(
    ("scheme", "module", "extra"),
    [
        ("postgresql", "psycopg", "postgresql"),
        ("mysql", "pymysql", "mysql"),
        ("mariadb", "pymysql", "mysql"),
    ],
)
def test_a_missing_driver_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, scheme: str, module: str, extra: str
) -> None:
    monkeypatch.setattr("tunesmith.storage.servers.find_spec", lambda name: None)

    with pytest.raises(MissingExtraError, match=rf"{module}.*tunesmith\[{extra}\]"):
        open_storage(f"{scheme}://me@127.0.0.1:1/db")
