"""The server in a world: the real app, asked without sockets, over wires that break.

Between the app and the storage stands the book, so that every call of the storage is written down with
the request that it belongs to. The client is the real one too: it waits, and sends again.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, cast
from urllib.parse import unquote

from fastapi import FastAPI

from tunesmith.errors import TunesmithError
from tunesmith.service.app import make_app
from tunesmith.service.desk import Desk
from tunesmith.service.parts import Parts
from tunesmith.service.settings import Limits, Settings
from tunesmith.storage import Changes, ServedStorage, Storage
from tunesmith.storage.address import Address
from tunesmith.storage.http_client import HttpClient
from tunesmith.storage.remote import RemoteStorage
from tunesmith.storage.transport import Answer, ConnectionFault
from tunesmith.testing.faults.clients import Client
from tunesmith.testing.faults.lines import VERBS, Book
from tunesmith.testing.faults.mishaps import Mishaps
from tunesmith.testing.faults.programs import Disk
from tunesmith.testing.faults.world import Killed, Process, World
from tunesmith.testing.seen import Call

__all__ = ["Wires"]

URL = "http://127.0.0.1:8765"
_LATE_S = 90.0
_AWAY_S = 20.0


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    wire: "Wire"
    calls: list[Call] = field(default_factory=list)  # of the storage, made while it is answered


class Server:
    """One server, which may restart.

    Attributes:
        book: The storage that it serves.
    """

    def __init__(self, book: Book) -> None:
        self.book = book
        self._loop = asyncio.new_event_loop()
        self._request: _Request | None = None
        self._known = -1
        self._deliveries = 0
        _switchboard().target = _Noted(book, self)
        self.restart()

    def restart(self) -> None:
        """Forget all that is not stored."""
        parts: Parts = _app().state.parts
        parts.desk.close()
        parts.desk = Desk(lambda _: None)

    def answer(self, request: _Request) -> Answer:
        """Answer a request; note which calls of the storage it made."""
        self._request = request
        self._deliveries += 1
        try:
            return self._loop.run_until_complete(_ask(_app(), request))
        finally:
            self._request = None

    def note(self, verb: str, arguments: Mapping[str, object]) -> Call:
        """Have the book take a call of the request that is being answered."""
        request = self._request
        assert request is not None
        key = request.headers.get("Idempotency-Key", "")
        thinks = request.path.endswith("/suggest")  # the server itself, by what it knows
        known = self._known if thinks else request.wire.known
        caller = request.wire.process.name
        call = Call(
            caller,
            verb,
            arguments,
            self.book.clock(),
            key=key,
            delivery=self._deliveries,
            known=known,
        )
        request.calls.append(call)
        self.book.take(call)
        if thinks and isinstance(call.answer, Changes):
            self._known = call.answer.record.revision
        return call

    def close(self) -> None:
        """Answer nothing any more."""
        self._loop.close()


class _Noted:
    """The storage as the app has it: what tuners ask of it is written down."""

    def __init__(self, book: Book, server: Server) -> None:
        self._book = book
        self._server = server

    def in_project(self, project: str) -> "_Noted":
        """Return this: there is one project."""
        del project
        return self

    def __getattr__(self, name: str) -> object:
        if name not in VERBS:
            return getattr(self._book.storage, name)

        def ask(*given: object, **named: object) -> object:
            arguments = self._book.arguments(name, given, named)
            call = self._server.note(name, arguments)
            if call.error is not None:
                raise call.error
            return call.answer

        return ask


class _NoTokens:
    """Leaves the door open."""

    def any(self) -> bool:
        return False

    def sweep(self) -> None:
        """Do nothing."""


class _Switchboard:
    """The storage of an app that serves one world after another: apps take long to make."""

    target: object = None
    tokens = _NoTokens()

    def __getattr__(self, name: str) -> object:
        return getattr(self.target, name)


class _Turns:
    """Gives everybody the turn: to wait for one would take real time."""

    async def take(self, topic: object, turn: str, wait_s: float) -> bool:
        del topic, turn, wait_s
        return True

    def give_back(self, topic: object, turn: str) -> None:
        del topic, turn


@cache
def _switchboard() -> _Switchboard:
    return _Switchboard()


@cache
def _app() -> FastAPI:
    limits = Limits(requests_per_s=1e9, burst=10**9)
    app = make_app(cast("ServedStorage", _switchboard()), Settings(limits=limits))
    app.state.parts.turns = _Turns()
    return app


async def _ask(app: FastAPI, request: _Request) -> Answer:
    """Ask an ASGI app, and wait for the whole answer."""
    path, _, query = request.path.partition("?")
    headers = {"Host": "127.0.0.1:8765", **request.headers}
    if request.body:
        headers["Content-Length"] = str(len(request.body))
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8765),
        "root_path": "",
        "state": {},
    }
    answered: dict[str, Any] = {"body": b""}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answered.update(status=message["status"], headers=message.get("headers", ()))
        else:
            answered["body"] += message.get("body", b"")

    await app(scope, receive, send)
    head: Iterable[tuple[bytes, bytes]] = answered["headers"]
    return Answer(
        answered["status"], {k.decode().lower(): v.decode() for k, v in head}, answered["body"]
    )


class Wire:
    """A `Transport` from one process to the server; what goes over it takes time, and may be lost.

    Attributes:
        process: Whose it is.
        known: The revision of the study that the process has read last.
    """

    def __init__(
        self, world: World, process: Process, server: Server, mishaps: Mishaps, dice: random.Random
    ) -> None:
        self.process = process
        self.known = -1
        self._world = world
        self._server = server
        self._mishaps = mishaps
        self._dice = dice
        self._cut_until = 0.0

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Answer:
        """Send a request and wait for its answer."""
        request = _Request(method, path, headers, body, self)
        changes = method not in ("GET", "HEAD")
        if self._server.book.closed:
            return self._server.answer(request)
        self._travel()
        if changes:
            self._go_wrong(request, timeout_s)
        answer = self._server.answer(request)
        self._travel()
        if changes:
            self._die("dies after")
            if self._mishaps.strikes("delivered twice", self.process.name):
                self._deliver_later(request)
            if self._mishaps.strikes("reply lost", self.process.name):
                raise ConnectionFault("the reply was lost")
        for call in request.calls:
            call.heard = True
        return answer

    def close(self) -> None:
        """Leave everything as it is."""

    def _go_wrong(self, request: _Request, timeout_s: float) -> None:
        """Perhaps lose the request, or deliver it when nobody expects it any more."""
        world, mishaps, name = self._world, self._mishaps, self.process.name
        self._die("dies before")
        if mishaps.strikes("cut off", name):
            self._cut_until = world.now + self._dice.uniform(1.0, 2 * _LATE_S)
        if world.now < self._cut_until:
            raise ConnectionFault("no route to the server")
        if mishaps.strikes("server restarts"):
            self._server.restart()
            self._cut_until = world.now + self._dice.uniform(0.1, _AWAY_S)
            raise ConnectionFault("connection refused")
        if mishaps.strikes("delivered late", name):
            self._deliver_later(request)
            world.sleep(min(timeout_s, 5.0))
            raise ConnectionFault("timed out")

    def _deliver_later(self, request: _Request) -> None:
        """Deliver a request when its sender has given it up."""

        def deliver() -> None:
            with suppress(TunesmithError):
                self._server.answer(replace(request, calls=[]))

        self._world.after(self._dice.uniform(0.0, _LATE_S), deliver)

    def _travel(self) -> None:
        slow = self._dice.random() < 0.02
        self._world.sleep(self._dice.expovariate(1 / 3.0 if slow else 1 / 0.01))

    def _die(self, kind: str) -> None:
        if self._mishaps.strikes(kind, self.process.name):
            self._world.kill(self.process)
            raise Killed


class _Following:
    """A storage that lets its wire know which revision its process has read."""

    def __init__(self, storage: Storage, wire: Wire) -> None:
        self._storage = storage
        self._wire = wire

    def __getattr__(self, name: str) -> object:
        return getattr(self._storage, name)

    def changes(self, study: str, since: int, *, curves: bool = False) -> Changes:
        """Return what changed."""
        changes = self._storage.changes(study, since, curves=curves)
        self._wire.known = changes.record.revision
        return changes


class Wires:
    """Ways over a server; see `Ways`."""

    think = True

    def __init__(self, world: World, book: Book, mishaps: Mishaps) -> None:
        self._world = world
        self._server = Server(book)
        self._mishaps = mishaps

    def storage(self, process: Process, dice: random.Random) -> Storage:
        """Return the server's storage over a wire."""
        wire = self._wire(process, dice)
        return cast("Storage", _Following(RemoteStorage(URL, transport=wire), wire))

    def ask_and_tell(self, process: Process, dice: random.Random, study: str, disk: Disk) -> None:
        """Run trials until there are no more."""
        http = HttpClient(Address.parse(URL), transport=self._wire(process, dice))
        Client(self._world, process.name, http, study, disk=disk, dice=dice).work()

    def close(self) -> None:
        """Close the server."""
        self._server.close()

    def _wire(self, process: Process, dice: random.Random) -> "Wire":
        return Wire(self._world, process, self._server, self._mishaps, dice)
