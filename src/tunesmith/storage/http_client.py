"""Asks a Tunesmith server: with a token, patient while the server is away, with errors that say what to do.

A request that changes something carries an ``Idempotency-Key``, the same each time it is sent: the
server does it once and gives every copy the first answer. So any request may be sent again when
nobody knows what became of it.
"""

import json
import logging
import random
import secrets
import threading
import time
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, cast

from tunesmith.errors import StorageError
from tunesmith.storage.address import Address
from tunesmith.storage.credentials import Found, find_token
from tunesmith.storage.transport import Answer, ConnectionFault, Transport, Wires
from tunesmith.storage.wire import ErrorDocument, error_from, pack

__all__ = ["HttpClient", "NotAllowedError", "decoded", "own_version"]

_LOG = logging.getLogger("tunesmith")

_API = "/api/v1"
_VERSION = "tunesmith-version"  # the header by which a Tunesmith server is known
_AWAY = frozenset({429, 502, 503, 504})  # a proxy says so while the server behind it restarts
_TIMEOUT_S = 60.0
_FIRST_S = 10.0  # patience with a server that has never answered: its URL may be wrong
_SAY_AFTER_S = 5.0
_FIRST_NAP_S, _LONGEST_NAP_S = 0.05, 5.0
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class NotAllowedError(StorageError):
    """The token's role, or its project, does not allow what was asked."""


class HttpClient:
    """Sends requests to one server; may be shared by threads, and used on after a fork.

    Args:
        address: Where the server is, and how long to wait for it while it is away.
        found: The token; by default that of the user for this server.
        transport: What sends a request; by default connections of its own.
    """

    def __init__(
        self, address: Address, found: Found | None = None, transport: Transport | None = None
    ) -> None:
        self.address = address
        self._found = find_token(address) if found is None else found
        self._transport: Transport = Wires(address.base) if transport is None else transport
        self._outage = _Outage(address)

    def ask(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] = NO_HEADERS,
        expected: Collection[int] = (),
        timeout_s: float = _TIMEOUT_S,
        patience_s: float | None = None,
    ) -> Answer:
        """Send a request until it is answered, and return the answer.

        Args:
            method: Such as ``"GET"``.
            path: What follows ``/api/v1``, quoted, with its query.
            document: What to send, as JSON.
            body: What to send, as it is.
            headers: What the request says of itself, beside the usual.
            expected: Statuses that are answers, beside those below 300.
            timeout_s: How long the server may be silent before the request is sent anew.
            patience_s: How long to go on while the server is away; the address says it if None.

        Raises:
            TunesmithError: what the server raised.
            StorageError: it can't be reached, is no Tunesmith server, or does not allow this.
        """
        sent = self._headers(method) | dict(headers)
        if document is not None:
            body = pack(document)
            sent["Content-Type"] = "application/json"
        waiting = self._outage.waiting(patience_s)
        while True:
            try:
                answer = self._transport.send(
                    method, f"{_API}{path}", sent, body, timeout_s=timeout_s
                )
            except ConnectionFault as fault:
                if fault.hopeless:
                    raise StorageError(self._says(str(fault))) from fault
                waiting.nap(str(fault))
                continue
            if answer.status in _AWAY:
                waiting.nap(
                    _why_away(answer), _retry_after(answer), is_there=_VERSION in answer.headers
                )
                continue
            self._outage.over()
            if answer.status < 300 or answer.status in expected:
                if _VERSION not in answer.headers:
                    raise StorageError(self._no_server(answer))
                return answer
            raise self._refusal(answer)

    def document(self, method: str, path: str, document: object = None) -> Any:
        """Send a request; return the document of its answer, None if it has none."""
        answer = self.ask(method, path, document)
        return decoded(answer, self.address) if answer.body else None

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _headers(self, method: str) -> dict[str, str]:
        headers = {"User-Agent": f"tunesmith/{own_version()}", "Accept": "application/json"}
        if self._found.token:
            headers["Authorization"] = f"Bearer {self._found.token}"
        if self.address.project:
            headers["Tunesmith-Project"] = self.address.project
        if method not in ("GET", "HEAD"):
            headers["Idempotency-Key"] = secrets.token_urlsafe(18)
        return headers

    def _refusal(self, answer: Answer) -> Exception:
        """Return what a refused request raises."""
        said = _error(answer)
        if said is None or _VERSION not in answer.headers:
            return StorageError(self._no_server(answer))
        if answer.status == 401:
            return StorageError(self._no_access())
        if answer.status == 403:
            return NotAllowedError(self._says(f"does not allow this: {said['message']}"))
        return error_from(said) or StorageError(self._unknown(answer, said))

    def _unknown(self, answer: Answer, said: ErrorDocument) -> str:
        """Return what to say of a refusal that is none of our errors."""
        if said["type"] != "UnknownRoute":
            return self._says(f"refused the request ({answer.status}): {said['message']}")
        theirs = answer.headers[_VERSION]
        if theirs == own_version():
            return self._no_server(answer)
        return self._says(
            f"runs Tunesmith {theirs}, which does not know this request; here is {own_version()}."
            " Upgrade the older of the two"
        )

    def _no_access(self) -> str:
        login = f"tunesmith login {self.address.base}"
        if not self._found.token:
            return self._says(
                f"wants a token. Whoever runs it makes one with `tunesmith token create`;"
                f" then: {login}"
            )
        return self._says(
            f"does not take the token of {self._found.source}: it is wrong, revoked or has expired."
            f" With a new one: {login}"
        )

    def _no_server(self, answer: Answer) -> str:
        if 300 <= answer.status < 400 and (to := answer.headers.get("location")):
            return self._says(f"sends elsewhere, to {to.partition(_API)[0]}; use that URL")
        if answer.status == 413:
            return self._says("lies behind a proxy that takes no request so large")
        return self._says(
            f"is no Tunesmith server, or its base path is another: it answered {answer.status} to"
            f" {_API}"
        )

    def _says(self, what: str) -> str:
        return f"The server {self.address.base} {what.rstrip('.')}."


def decoded(answer: Answer, address: Address) -> Any:
    """Return the document of an answer; raise `StorageError` if it is none."""
    try:
        return json.loads(answer.body)
    except ValueError as error:
        msg = f"The server {address.base} answered with what is no JSON: is it a Tunesmith server?"
        raise StorageError(msg) from error


class _Outage:
    """What the threads of a client know of the server's absence."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._answered = False  # has it ever?
        self._given_up = False
        self._since: float | None = None
        self._said = False

    def waiting(self, patience_s: float | None) -> "_Waiting":
        """Return how a new request waits: for ``patience_s``, or as long as is usual."""
        if patience_s is not None:
            return _Waiting(self, patience_s, for_all=False)
        patience_s = self._address.patience_s
        if self._given_up:  # the last one has waited long enough for all
            patience_s = 0.0
        elif not self._answered:
            patience_s = min(patience_s, _FIRST_S)
        return _Waiting(self, patience_s, for_all=True)

    def over(self) -> None:
        """Note that the server has answered."""
        if self._answered and self._since is None and not self._given_up:
            return
        with self._lock:
            if self._said and self._since is not None:
                away_s = time.monotonic() - self._since
                _LOG.warning("The server %s is back after %.0f s.", self._address.base, away_s)
            self._answered, self._given_up, self._since, self._said = True, False, None, False

    def notice(self, why: str, *, left_s: float) -> None:
        """Note that the server did not answer; say so once it has been away for a while."""
        with self._lock:
            now = time.monotonic()
            if self._since is None:
                self._since = now
            if not self._said and now - self._since >= _SAY_AFTER_S:
                self._said = True
                _LOG.warning(
                    "The server %s is away (%s). Waiting for it, up to %.0f s more.",
                    self._address.base,
                    why,
                    left_s,
                )

    def give_up(self) -> None:
        """Let no request wait until the server has answered again."""
        self._given_up = True

    def in_vain(self, why: str, waited_s: float, *, is_there: bool) -> StorageError:
        """Return the error that the server has been waited for in vain."""
        after = f" for {waited_s:.0f} s" if waited_s >= 1 else ""
        if is_there:
            return StorageError(f"The server {self._address.base} could not do it{after}: {why}.")
        return StorageError(
            f"The server {self._address.base} can't be reached{after}: {why}. Is it running?"
            " (tunesmith serve)"
        )


class _Waiting:
    """How long one request waits for a server that is away."""

    def __init__(self, outage: _Outage, patience_s: float, *, for_all: bool) -> None:
        self._outage = outage
        self._patience_s = patience_s
        self._for_all = for_all  # whether, once it ends, nobody else need wait either
        self._began: float | None = None
        self._tries = 0

    def nap(self, why: str, at_least_s: float = 0.0, *, is_there: bool = False) -> None:
        """Sleep before the next try; raise `StorageError` when patience is at its end.

        Args:
            why: What was wrong with the last one.
            at_least_s: How long the server asked for.
            is_there: Whether it was the server itself that could not do it.
        """
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        left_s = self._patience_s - (now - self._began)
        if left_s <= 0:
            if self._for_all:
                self._outage.give_up()
            raise self._outage.in_vain(why, now - self._began, is_there=is_there)
        self._outage.notice(why, left_s=left_s)
        # A server that closed an idle connection is there: the first try anew costs no time.
        longest_s = min(_FIRST_NAP_S * 2**self._tries, _LONGEST_NAP_S) if self._tries else 0.0
        self._tries += 1
        nap_s = max(random.uniform(longest_s / 2, longest_s), at_least_s)  # noqa: S311 - out of step
        try:
            time.sleep(min(nap_s, left_s))
        except BaseException:  # Ctrl-C: who tidies up on the way out must not wait again
            self._outage.give_up()
            raise


@cache
def own_version() -> str:
    """Return the version of this Tunesmith."""
    return version("tunesmith")


def _why_away(answer: Answer) -> str:
    said = _error(answer)
    return f"it answered {answer.status}" if said is None else said["message"].rstrip(".")


def _retry_after(answer: Answer) -> float:
    try:
        return max(0.0, float(answer.headers.get("retry-after", "0")))
    except ValueError:  # it may also be a date, which nobody here sends
        return 0.0


def _error(answer: Answer) -> ErrorDocument | None:
    """Return the error that an answer tells of; None if it does not, as a proxy's page."""
    try:
        said = json.loads(answer.body)["error"]
        said["type"], said["message"]
    except (ValueError, TypeError, LookupError):
        return None
    return cast("ErrorDocument", said)
