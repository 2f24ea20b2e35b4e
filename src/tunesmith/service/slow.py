"""Connections of clients that send next to nothing are closed, before they are all there are.

uvicorn bounds how long a connection rests between two requests. Here is bounded how long the head of a
request may take, and how long nothing of its body may come.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from tunesmith.service.settings import Limits

__all__ = ["protocol"]


def protocol(limits: Limits) -> type[asyncio.Protocol]:
    """Return the fastest protocol that is installed, with bounds on the client's time and its head's size."""
    base: type[Any] = H11Protocol
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415 - an extra
    except ImportError:
        pass
    else:
        base = HttpToolsProtocol
    return type("BoundedProtocol", (_Bounds, base), {"limits": limits})


class _Bounds(asyncio.Protocol):
    """Closes the connection of who is too slow, or says too much before a request begins.

    Stands before one of uvicorn's protocols, whose attributes the following are.
    """

    limits: Limits
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    cycle: Any
    flow: Any
    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wait(self.limits.header_s)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:  # a head has come whole
            self._head_bytes = 0
            if self.cycle.more_body:
                self._wait(self.limits.body_s)
            else:
                self._stop_waiting()
            return
        self._head_bytes += len(data)
        if self._head_bytes > self.limits.header_bytes:
            self._answer(b"431 Request Header Fields Too Large")
        elif self._timer is None:
            self._wait(self.limits.header_s)

    def on_response_complete(self) -> None:
        super().on_response_complete()  # type: ignore[misc]  # uvicorn's
        self._stop_waiting()  # uvicorn's own bound is in force between requests

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self.flow.read_paused:  # it is we who are slow
            self._wait(self.limits.body_s)
        elif self.cycle is None or self.cycle.response_complete:
            self._answer(b"408 Request Timeout")
        else:  # a route waits for the rest of the body: it learns that there is none
            self.transport.abort()

    def _answer(self, status: bytes) -> None:
        head = b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        self.transport.write(head)
        self.transport.close()
