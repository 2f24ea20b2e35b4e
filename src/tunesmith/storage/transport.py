"""Sends one HTTP request and returns its answer, over connections that are kept open."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NameResolutionError, SSLError

__all__ = ["Answer", "ConnectionFault", "Transport", "Wires"]

_CONNECT_S = 10.0
_THREADS = 16  # so many connections are kept open at most; more are made when needed


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: The headers, their names in lower case.
        body: The body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class ConnectionFault(Exception):  # noqa: N818 - a fault is what it is
    """No answer came, or not all of it.

    Attributes:
        hopeless: Whether the next try would fail likewise.
    """

    def __init__(self, message: str, *, hopeless: bool = False) -> None:
        super().__init__(message)
        self.hopeless = hopeless


class Transport(Protocol):
    """Sends requests to one server; from several threads."""

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Answer:
        """Send a request and read the whole answer; raise `ConnectionFault` if that fails.

        Args:
            method: Such as ``"GET"``.
            path: What follows the server's base URL, quoted, with its query.
            headers: What the request says of itself.
            body: What it sends.
            timeout_s: How long the server may be silent.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class Wires:
    """Connections to one server, kept open and shared by the threads of a process.

    Args:
        base: The server's URL without a slash at the end.
        threads: How many threads use them; for so many they are kept open.
    """

    def __init__(self, base: str, threads: int = _THREADS) -> None:
        parts = urlsplit(base)
        self._base = parts.path
        self._host = f"{parts.scheme}://{parts.netloc}"
        self._tls = parts.scheme == "https"
        self._threads = threads
        self._pool: urllib3.PoolManager | None = None
        self._owner = 0

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Answer:
        """Send a request and read the whole answer; raise `ConnectionFault` if that fails."""
        try:
            answer = self._connections().request(
                method,
                f"{self._host}{self._base}{path}",
                headers=headers,
                body=body or None,
                timeout=urllib3.Timeout(connect=min(_CONNECT_S, timeout_s), read=timeout_s),
                redirect=False,
                retries=False,
            )
        except SSLError as error:
            raise ConnectionFault(_tls_fault(str(error)), hopeless=True) from error
        except NameResolutionError as error:
            msg = f"there is no host {urlsplit(self._host).hostname!r}"
            raise ConnectionFault(msg) from error
        except (HTTPError, OSError) as error:
            raise ConnectionFault(_cause(error)) from error
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, named, answer.data)

    def close(self) -> None:
        """Close the connections."""
        if self._pool is not None and self._owner == os.getpid():
            self._pool.clear()
        self._pool = None

    def _connections(self) -> urllib3.PoolManager:
        # A connection that is used on both sides of a fork mixes up the answers.
        if self._pool is None or self._owner != os.getpid():
            context = ssl.create_default_context() if self._tls else None
            self._pool = urllib3.PoolManager(maxsize=self._threads, ssl_context=context)
            self._owner = os.getpid()
        return self._pool


def _cause(error: BaseException) -> str:
    """Return the words of the system's error that lies beneath, which are the shortest."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.strerror:
            return below.strerror.lower()
        below = below.__cause__ or below.__context__
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return "it did not answer in time"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return "it can't be reached in time"
    return str(error)


def _tls_fault(cause: str) -> str:
    if "WRONG_VERSION_NUMBER" in cause or "RECORD_LAYER_FAILURE" in cause:
        return "it does not speak TLS; for a server without, write http://"
    if "CERTIFICATE_VERIFY_FAILED" in cause:
        why = cause.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        return (
            f"its certificate is not to be trusted ({why or cause}); for one of your own authority,"
            " set SSL_CERT_FILE to that authority's certificate"
        )
    return f"TLS failed: {cause}"
