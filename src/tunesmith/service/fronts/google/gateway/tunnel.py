"""A proxy for one program: it leads Google's tuning hosts to the front, and all others where they are.

It knows CONNECT alone, which is what gRPC asks of a proxy. What goes through is TLS, and stays untouched. Who
does not know its address, in which there is a secret, gets nowhere: others who use the machine would go out by
the program's own proxy, in its name.
"""

import asyncio
import base64
import contextlib
import hmac
import re
import secrets
import socket
import threading
import urllib.request
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["Tunnel", "upstream"]

_OURS = re.compile(r"([\w-]+-)?(aiplatform|cloudresourcemanager)\.googleapis\.com")
_LOGIN = re.compile(rb"\r\nproxy-authorization:\s*basic\s+(\S+)", re.IGNORECASE)
_LONGEST = 64 * 2**10
_PIECE = 64 * 2**10
_HEAD_S, _CONNECT_S = 30.0, 30.0
_CUT_SHORT = (asyncio.IncompleteReadError, asyncio.LimitOverrunError)


class Tunnel:
    """Listens on a free port of this machine's own, until the ``with`` block ends.

    Args:
        front: The port of the front.
        proxy: The proxy through which this machine reaches others; ``""`` for none.
    """

    def __init__(self, front: int, proxy: str = "") -> None:
        self._front = front
        self._proxy = proxy
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._end = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="tunesmith-tunnel", daemon=True)
        self.url = f"http://tunesmith:{secrets.token_urlsafe()}@127.0.0.1:{self.port}"
        self._login = _packed(urlsplit(self.url)).encode()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, sock=self._listening, limit=_LONGEST)
        await self._end.wait()
        server.close()  # without waiting for what still goes through

    async def _connected(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with contextlib.closing(back), contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                async with asyncio.timeout(_HEAD_S):
                    head = await near.readuntil(b"\r\n\r\n")
            except (TimeoutError, *_CUT_SHORT):
                return
            found = re.match(rb"CONNECT \[?([^\s\]]+?)\]?:(\d{1,5}) HTTP/1\.[01]\r\n", head)
            if found is None:
                back.write(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n")
                return
            login = _LOGIN.search(head)
            if login is None or not hmac.compare_digest(login[1], self._login):
                back.write(b"HTTP/1.1 407 Not for you\r\nContent-Length: 0\r\n\r\n")
                return
            host, port = found[1].decode("latin-1"), int(found[2])
            try:
                async with asyncio.timeout(_CONNECT_S):
                    far, forth = await self._reach(host, port)
            except (OSError, TimeoutError, ValueError, *_CUT_SHORT):
                back.write(b"HTTP/1.1 502 Can't be reached\r\nContent-Length: 0\r\n\r\n")
                return
            with contextlib.closing(forth):
                back.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                await asyncio.gather(_pump(near, forth), _pump(far, back))

    async def _reach(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection to a host, or to the front in its place."""
        if _OURS.fullmatch(host):
            return await asyncio.open_connection("127.0.0.1", self._front)
        if not self._proxy or urllib.request.proxy_bypass(host):
            return await asyncio.open_connection(host, port)
        proxy = urlsplit(self._proxy)
        far, forth = await asyncio.open_connection(proxy.hostname, proxy.port or 80)
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        login = f"Proxy-Authorization: Basic {_packed(proxy)}\r\n" if proxy.username else ""
        try:
            forth.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n".encode())
            answer = await far.readuntil(b"\r\n\r\n")
            if not re.match(rb"HTTP/1\.[01] 2\d\d", answer):
                raise ValueError("the proxy refuses")
        except BaseException:
            forth.close()
            raise
        return far, forth


def upstream(environment: Mapping[str, str]) -> str:
    """Return the proxy through which gRPC would go; ``""`` for none.

    It is the first that gRPC finds, and none if that is not one that gRPC knows how to speak to.
    """
    names = ("grpc_proxy", "https_proxy", "http_proxy")
    found = next((environment[name] for name in names if environment.get(name)), "")
    with contextlib.suppress(ValueError):
        proxy = urlsplit(found)
        if proxy.scheme == "http" and proxy.hostname and proxy.port != 0:
            return found
    return ""


def _packed(proxy: SplitResult) -> str:
    """Return the name and password for a proxy, as its clients say them."""
    pair = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
    return base64.b64encode(pair.encode()).decode()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Pass on what comes, until its end."""
    try:
        while piece := await source.read(_PIECE):
            sink.write(piece)
            await sink.drain()
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            sink.write_eof()
