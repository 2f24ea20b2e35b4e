"""The server as a process or a thread: the app on uvicorn, begun and ended in good order."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI

from tunesmith.errors import StorageError
from tunesmith.service.parts import Parts
from tunesmith.service.settings import Settings
from tunesmith.service.slow import protocol

__all__ = ["Running", "address", "listen", "run"]


def run(
    app: FastAPI, settings: Settings, listening: socket.socket, ready: Callable[[], None]
) -> None:
    """Serve until the process is told to end by SIGINT or SIGTERM, then end in good order.

    Args:
        app: The app.
        settings: How it is served.
        listening: The socket that `listen` gave.
        ready: Is called when it serves, and can be told to end.
    """
    parts: Parts = app.state.parts
    parts.address = address(settings, listening.getsockname()[1])
    server = _Server(_configuration(app, settings), parts, ready)
    server.run(sockets=[listening])


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises:
        StorageError: the address is taken, or is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    place = settings.host.strip("[]"), settings.port
    try:
        return socket.create_server(place, family=family, backlog=1024)
    except OSError as error:
        msg = (
            f"Can't listen on {settings.host}:{settings.port}: {error.strerror or error}. Is another"
            " server running there? Choose another port with --port."
        )
        raise StorageError(msg) from error


class Running:
    """A server in a thread of this process, until the ``with`` block ends.

    Args:
        app: The app.
        settings: Where it listens.
    """

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        self._socket = listen(settings)
        parts: Parts = app.state.parts
        parts.address = self._address = address(settings, self.port)
        self._server = _Server(_configuration(app, settings), parts)
        self._thread = threading.Thread(target=self._run, name="tunesmith-server", daemon=True)

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """The address that clients are given."""
        return self._address

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as runner:
            runner.run(self._server.serve([self._socket]))


def address(settings: Settings, port: int) -> str:
    """Return the address of a server that clients on this machine are given."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{settings.base_path}"


class _Server(uvicorn.Server):
    """uvicorn's server, which says that it ends before it does, and ends without a fault."""

    def __init__(
        self, config: uvicorn.Config, parts: Parts, ready: Callable[[], None] | None = None
    ) -> None:
        super().__init__(config)
        self._parts = parts
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready is not None:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._parts.is_ready = False
        self._parts.watch.end()  # streams would never end by themselves
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals as a wish to end; uvicorn's own way is to die of them once all is done."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = (signal.SIGINT, signal.SIGTERM)
        before: dict[signal.Signals, Callable[..., object] | int | None] = {
            number: signal.signal(number, self.handle_exit) for number in wanted
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol(settings.limits),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        limit_concurrency=settings.limits.connections,
        timeout_graceful_shutdown=round(settings.grace_s),
        timeout_keep_alive=75,
        h11_max_incomplete_event_size=settings.limits.header_bytes,
    )
