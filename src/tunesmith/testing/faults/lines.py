"""The way from a process to the storage: every call is written down, and may go wrong on its way."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from inspect import Signature, signature
from typing import Protocol, cast

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from tunesmith.errors import StorageError, TunesmithError
from tunesmith.storage import Changes, Storage
from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.faults.mishaps import Mishaps
from tunesmith.testing.faults.programs import Disk
from tunesmith.testing.faults.world import Killed, Machine, Process, World
from tunesmith.testing.seen import Call

__all__ = ["VERBS", "Book", "Lines", "Ways"]

_READS = frozenset(
    {"study", "study_names", "summary", "changes", "trial", "trials", "measurements", "measured"}
)
_WRITES = frozenset(
    {
        "create_study",
        "delete_study",
        "set_state",
        "set_budget",
        "touch",
        "add_trials",
        "claim",
        "renew",
        "report",
        "finish",
        "pause",
        "resume",
        "extend",
        "requeue",
        "retry",
        "request_stop",
        "request_pause",
    }
)
VERBS = _READS | _WRITES
"""What tuners and people ask of a storage."""


class Book:
    """The storage, and every call that it was asked, in order.

    Args:
        world: Where it stands.
        open_storage: Opens the storage, on a clock.
        mishaps: What goes wrong inside it.
    """

    def __init__(
        self,
        world: World,
        open_storage: Callable[[Callable[[], float]], SqlStorage],
        mishaps: Mishaps,
    ) -> None:
        self.machine = Machine("database")
        self.calls: list[Call] = []
        self.closed = False  # then lines are what they lead to, and nothing is written down
        self._world = world
        self.storage = open_storage(self.clock)
        self._mishaps = mishaps
        self._armed = False
        self._revisions: dict[str, int] = {}
        database = self.storage.database
        database._kind.loses_connections = bool(mishaps.may("commit unheard"))  # noqa: SLF001 - as those over a network
        engine = database._engine  # noqa: SLF001 - its statements are to fail in between
        event.listen(engine, "do_execute", self._statement)
        event.listen(engine, "do_executemany", self._statement)
        event.listen(engine, "commit", self._commit)

    def clock(self) -> float:
        """Return the time by the storage's clock, by which leases end."""
        return self._world.now + self.machine.ahead_s

    def take(self, call: Call) -> Call:
        """Do what is asked; note the answer, and what it changed."""
        if not self.closed:
            self.calls.append(call)
        self._armed = call.verb not in _READS
        try:
            call.answer = getattr(self.storage, call.verb)(**call.arguments)
        except TunesmithError as error:
            call.error = error
        finally:
            self._armed = False
        if call.verb not in _READS:
            call.changes = self._news(cast("str", call.arguments.get("study", "")))
        return call

    def arguments(
        self, verb: str, given: tuple[object, ...], named: dict[str, object]
    ) -> dict[str, object]:
        """Return the arguments of a verb by name."""
        arguments = dict(_signature(verb).bind(None, *given, **named).arguments)
        del arguments["self"]
        return arguments

    def _news(self, study: str) -> Changes | None:
        if not study:
            return None
        known = self._revisions.get(study, 0)
        changes = self.storage.changes(study, known, curves=True)
        self._revisions[study] = changes.record.revision
        return changes if changes.record.revision != known else None

    def _statement(self, *_: object) -> None:
        if self._armed and self._mishaps.strikes("statement fails"):
            raise sqlite3.OperationalError("disk I/O error")
        if self._armed and self._mishaps.strikes("connection lost"):
            raise _lost("SELECT")

    def _commit(self, connection: Connection) -> None:
        if not self._armed:
            return
        if self._mishaps.strikes("commit fails"):
            error = sqlite3.OperationalError("database or disk is full")
            raise OperationalError("COMMIT", None, error)
        if self._mishaps.strikes("commit unheard"):
            driver = connection.connection.dbapi_connection
            assert driver is not None
            driver.commit()
            raise _lost("COMMIT")


class _ServerGoneError(Exception):
    """As PostgreSQL's driver says that the server went away."""

    sqlstate = "57P01"


def _lost(statement: str) -> OperationalError:
    return OperationalError(statement, None, _ServerGoneError("terminating connection"))


class _Line:
    """What a process has instead of a storage."""

    url = "sqlite://"

    def __init__(
        self, world: World, process: Process, book: Book, mishaps: Mishaps, dice: random.Random
    ) -> None:
        self._world = world
        self._process = process
        self._book = book
        self._mishaps = mishaps
        self._dice = dice
        self._known = -1

    def __getattr__(self, verb: str) -> Callable[..., object]:
        if verb.startswith("_"):
            raise AttributeError(verb)
        return partial(self._ask, verb)

    def asking(self, study: str) -> AbstractContextManager[None]:
        """Let anybody in."""
        del study
        return nullcontext()

    def close(self) -> None:
        """Leave the storage open: others use it too."""

    def _ask(self, verb: str, *given: object, **named: object) -> object:
        if self._book.closed:
            return getattr(self._book.storage, verb)(*given, **named)
        arguments = self._book.arguments(verb, given, named)
        call = Call(self._process.name, verb, arguments, self._book.clock(), known=self._known)
        writes = verb not in _READS
        self._travel()
        if writes:
            self._die("dies before")
            if self._mishaps.strikes("cut off", self._process.name):
                raise StorageError("The storage can't be reached.")
        call.time = self._book.clock()
        self._book.take(call)
        if writes:
            self._travel()
            self._die("dies after")
            if self._mishaps.strikes("reply lost", self._process.name):
                raise StorageError("The connection to the storage broke.")
        call.heard = True
        if call.error is not None:
            raise call.error
        if isinstance(call.answer, Changes):
            self._known = call.answer.record.revision
        return call.answer

    def _travel(self) -> None:
        slow = self._dice.random() < 0.02
        self._world.sleep(self._dice.expovariate(1 / 3.0 if slow else 1 / 0.01))

    def _die(self, kind: str) -> None:
        if self._mishaps.strikes(kind, self._process.name):
            self._world.kill(self._process)
            raise Killed


@cache
def _signature(verb: str) -> Signature:
    return signature(getattr(SqlStorage, verb))


class Ways(Protocol):
    """How processes reach the storage."""

    think: bool
    """Whether there is a server that thinks for those who only ask and tell."""

    def storage(self, process: Process, dice: random.Random) -> Storage:
        """Return the storage as a process sees it."""
        ...

    def ask_and_tell(self, process: Process, dice: random.Random, study: str, disk: Disk) -> None:
        """Tune a study as somebody for whom the server thinks."""
        ...

    def close(self) -> None:
        """Let nobody through any more."""
        ...


class Lines:
    """Straight ways: each process has a connection to the database."""

    think = False

    def __init__(self, world: World, book: Book, mishaps: Mishaps) -> None:
        self._world = world
        self._book = book
        self._mishaps = mishaps

    def storage(self, process: Process, dice: random.Random) -> Storage:
        """Return the storage over a line that may break."""
        return cast("Storage", _Line(self._world, process, self._book, self._mishaps, dice))

    def ask_and_tell(self, process: Process, dice: random.Random, study: str, disk: Disk) -> None:
        """Raise: nobody thinks for others here."""
        raise AssertionError((process.name, dice, study, disk))

    def close(self) -> None:
        """Leave everything as it is."""
