"""Makes of a call a request to the REST front, and of its answer the call's."""

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import grpc

from tunesmith.service.fronts.google.gateway.schema import Call, UnreadableError
from tunesmith.storage.transport import Answer, ConnectionFault, Transport

__all__ = ["Nap", "RefusedCall", "Transcoder"]

Nap = Callable[[float], bool]
"""Waits so many seconds; returns whether nobody waits for the answer any more."""

_PATIENCE_S = 120.0
_SILENCE_S = 60.0
_NAP_S = 0.25
# Before the client's own deadline, so that it hears why.
_MARGIN_S = 0.25
_AWAY = frozenset({502, 503, 504})
_NAME = re.compile(r"projects(/[\w.~:@%+-]+)+")
_BY_STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ALREADY_EXISTS,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
}


class RefusedCall(Exception):  # noqa: N818 - a refusal is what it is
    """A call that ends in an error.

    Attributes:
        code: Google's code of it.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Transcoder:
    """Makes calls by requests to a server.

    Args:
        transport: What sends a request to the server.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def make(
        self,
        call: Call,
        packed: bytes,
        headers: Mapping[str, str],
        left_s: float | None,
        nap: Nap,
    ) -> bytes:
        """Make a call and return its answer.

        Args:
            call: The call.
            packed: The request.
            headers: Who asks.
            left_s: How long the client waits for the answer; None for as long as it takes.
            nap: Lets time go by while the server is away.

        Raises:
            RefusedCall: it ends in an error.
        """
        try:
            document = call.read(packed)
        except UnreadableError as error:
            raise RefusedCall(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        verb, path, body = _request(call, document)
        answer = self._answered(verb, path, headers, body, left_s=left_s, nap=nap)
        if answer.status >= 300:
            raise _refusal(answer)
        try:
            return call.write(json.loads(answer.body))
        except (UnreadableError, ValueError) as error:
            msg = f"The server's answer to {verb} {path} is none: {error}"
            raise RefusedCall(grpc.StatusCode.INTERNAL, msg) from error

    def _answered(
        self,
        verb: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        left_s: float | None,
        nap: Nap,
    ) -> Answer:
        """Send a request until it is answered, also while the server starts anew; return the answer."""
        sent = {"Content-Type": "application/json", **headers}
        if verb != "GET":
            # The same each time it is sent, so that a change is made once.
            sent["Idempotency-Key"] = secrets.token_urlsafe(18)
        end = time.monotonic() + min(
            _PATIENCE_S, _PATIENCE_S if left_s is None else left_s - _MARGIN_S
        )
        while True:
            try:
                silence_s = max(_MARGIN_S, min(_SILENCE_S, end - time.monotonic()))
                answer = self._transport.send(verb, path, sent, body, timeout_s=silence_s)
            except ConnectionFault as fault:
                why, hopeless = str(fault), fault.hopeless
            else:
                if answer.status not in _AWAY:
                    return answer
                why, hopeless = str(_refusal(answer)), False
            if hopeless or time.monotonic() + _NAP_S >= end or nap(_NAP_S):
                msg = f"The server of Tunesmith can't be reached: {why}"
                raise RefusedCall(grpc.StatusCode.UNAVAILABLE, msg)


def _request(call: Call, document: dict[str, Any]) -> tuple[str, str, bytes]:
    """Return a request's verb, path and body."""
    rule, fields = call.rule, call.request.DESCRIPTOR.fields_by_name
    given = document.pop(fields[rule.name].json_name, "")
    # Dots would lead out of the front's paths.
    if not _NAME.fullmatch(given) or any(part in (".", "..") for part in given.split("/")):
        msg = f"{rule.name}: a name such as projects/P/locations/L is needed; given {given!r}"
        raise RefusedCall(grpc.StatusCode.INVALID_ARGUMENT, msg)
    path = rule.path.format(quote(given, safe="/:@"))
    if rule.body == "*":
        return rule.verb, path, json.dumps(document).encode()
    body = b""
    if rule.body:
        body = json.dumps(document.pop(fields[rule.body].json_name, {})).encode()
    query = urlencode(document)
    return rule.verb, f"{path}?{query}" if query else path, body


def _refusal(answer: Answer) -> RefusedCall:
    """Return the error that an answer tells of."""
    try:
        error = json.loads(answer.body)["error"]
        message, status = str(error["message"]), str(error.get("status", ""))
    except (ValueError, TypeError, LookupError):
        message, status = f"The server answered {answer.status}", ""
    code = getattr(grpc.StatusCode, status, None) if status.isupper() else None
    if code is None:
        away = answer.status in _AWAY
        code = grpc.StatusCode.UNAVAILABLE if away else grpc.StatusCode.INTERNAL
        code = _BY_STATUS.get(answer.status, code)
    return RefusedCall(code, message)
