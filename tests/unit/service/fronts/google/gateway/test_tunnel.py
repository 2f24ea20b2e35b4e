"""The proxy of one program."""

import base64
import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tunesmith.service.fronts.google.gateway.tunnel import Tunnel, upstream


class _Echo(socketserver.BaseRequestHandler):
    """Sends back what comes, behind a word of its own."""

    word = b""

    def handle(self) -> None:
        while piece := self.request.recv(4096):
            self.request.sendall(self.word + piece)


@contextmanager
def echoing(word: bytes) -> Iterator[int]:
    """Serve an echo; give its port."""
    handler = type("Echo", (_Echo,), {"word": word})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def asked(url: str, first: str, then: bytes = b"") -> tuple[bytes, bytes]:
    """Ask a proxy; return its answer, and what came back of what was sent then."""
    proxy = urlsplit(url)
    login = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
    place = str(proxy.hostname), proxy.port or 80
    with contextlib.closing(socket.create_connection(place, timeout=10)) as to:
        to.sendall(f"{first}\r\nHost: x\r\nProxy-Authorization: Basic {login}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head and (piece := to.recv(4096)):
            head += piece
        back = b""
        if then:
            to.sendall(then)
            back = to.recv(4096)
        return head.partition(b"\r\n")[0], back


OK = b"HTTP/1.1 200 Connected"


@pytest.mark.parametrize(
    "host",
    [
        "us-central1-aiplatform.googleapis.com",
        "aiplatform.googleapis.com",
        "cloudresourcemanager.googleapis.com",
    ],
)
def test_google_s_hosts_of_tuning_lead_to_the_front(host: str) -> None:
    with echoing(b"front:") as front, Tunnel(front) as tunnel:
        assert asked(tunnel.url, f"CONNECT {host}:443 HTTP/1.1", b"x") == (OK, b"front:x")


def test_all_others_are_led_where_they_are() -> None:
    with echoing(b"front:") as front, echoing(b"other:") as other, Tunnel(front) as tunnel:
        found = asked(tunnel.url, f"CONNECT 127.0.0.1:{other} HTTP/1.1", b"x")

    assert found == (OK, b"other:x")


def test_they_go_through_the_machine_s_own_proxy_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("no_proxy", "localhost")
    with (
        echoing(b"front:") as front,
        echoing(b"other:") as other,
        Tunnel(front) as outer,
        Tunnel(front, outer.url) as tunnel,
    ):
        found = asked(tunnel.url, f"CONNECT 127.0.0.1:{other} HTTP/1.1", b"x")

    assert found == (OK, b"other:x")


def test_what_cannot_be_reached_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with Tunnel(port) as tunnel:
        head, _ = asked(tunnel.url, f"CONNECT 127.0.0.1:{port} HTTP/1.1")

    assert head.startswith(b"HTTP/1.1 502")


@pytest.mark.parametrize("first", ["GET http://x/ HTTP/1.1", "CONNECT x HTTP/1.1", "nonsense"])
def test_nothing_but_connect_is_understood(first: str) -> None:
    with Tunnel(1) as tunnel:
        head, _ = asked(tunnel.url, first)

    assert head.startswith(b"HTTP/1.1 405")


def test_a_client_that_says_nothing_holds_up_nobody() -> None:
    with (
        echoing(b"front:") as front,
        Tunnel(front) as tunnel,
        contextlib.closing(socket.create_connection(("127.0.0.1", tunnel.port))),
    ):
        found = asked(tunnel.url, "CONNECT aiplatform.googleapis.com:443 HTTP/1.1", b"x")

    assert found == (OK, b"front:x")


def test_whoever_does_not_know_its_secret_gets_nowhere() -> None:
    with echoing(b"front:") as front, echoing(b"other:") as other, Tunnel(front) as tunnel:
        there = f"127.0.0.1:{tunnel.port}"
        found = [
            asked(f"http://{login}@{there}", f"CONNECT 127.0.0.1:{other} HTTP/1.1")[0]
            for login in ("tunesmith:guess", "tunesmith:")
        ]

    assert found == [b"HTTP/1.1 407 Not for you"] * 2


@contextmanager
def answering(text: bytes) -> Iterator[tuple[int, threading.Event]]:
    """Serve a proxy that answers with this; give its port, and what is set when its client is gone."""
    gone = threading.Event()

    class Proxy(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(text)
            with contextlib.suppress(ConnectionError):
                while self.request.recv(4096):
                    pass
            gone.set()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1], gone
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 No\r\n\r\n", b"x" * 2**17])
def test_a_proxy_that_leads_nowhere_is_told_and_let_go(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setenv("no_proxy", "localhost")
    with answering(answer) as (port, gone), Tunnel(1, f"http://127.0.0.1:{port}") as tunnel:
        head, _ = asked(tunnel.url, "CONNECT example.org:443 HTTP/1.1")
        let_go = gone.wait(10)

    assert head == b"HTTP/1.1 502 Can't be reached"
    assert let_go


@pytest.mark.parametrize("url", ["proxy:3128", "https://proxy:3128", "http://", "http://p:x", ""])
def test_what_grpc_takes_for_no_proxy_is_none(url: str) -> None:
    assert upstream({"grpc_proxy": url, "HTTP_PROXY": "http://other"}) == ""


def test_the_proxy_is_the_one_that_grpc_would_take() -> None:
    environment = {"http_proxy": "http://a", "https_proxy": "http://b"}

    assert upstream(environment) == "http://b"
    assert upstream({**environment, "grpc_proxy": "http://c:1"}) == "http://c:1"
    assert upstream({}) == ""
