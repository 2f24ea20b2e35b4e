"""Errors in Google's form: ``{"error": {"code", "message", "status"}}``, with the field that is wrong.

One layer around all of the front's paths, so that whatever refuses a request there, the gate, a route or
the last resort, is told in the words that Google's clients understand.
"""

import json
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.errors import Problem, SpecError
from tunesmith.specs.google import violations

__all__ = ["PREFIXES", "GoogleFaults", "fault", "google_error"]

PREFIXES = ("/v1/", "/v1beta1/", "/ui/", "/v2/", "/v3/")
"""What the paths of the front begin with."""

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}
_PRECONDITION = (
    "StateError",
    "LeaseLostError",
    "StudyEnded",
    "StudyWaiting",
    "NoExecutor",
    "TooMany",
)
_FIELD = re.compile(r"[\w.\[\]]+")
_INVALID = (405, 413, 421, 422, 431)


def fault(field: str, message: str) -> SpecError:
    """Return an error about one field of a request."""
    return SpecError([Problem("E101", f"{field}: {message}")])


class GoogleFaults:
    """Turns the errors of the paths below `PREFIXES` into Google's form.

    Args:
        app: What answers.
        base_path: What stands before every path.
    """

    def __init__(self, app: ASGIApp, base_path: str = "") -> None:
        self._app = app
        self._prefixes = tuple(base_path + prefix for prefix in PREFIXES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not scope["path"].startswith(self._prefixes):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Rewriter(send))


class _Rewriter:
    """Holds back the answer of a failed request until it is whole, and rewrites it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self._start = message
            return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            start, body = _rewritten(self._start, self._body)
            await self._send(start)
            await self._send({"type": "http.response.body", "body": body})


def _rewritten(start: MutableMapping[str, Any], body: bytes) -> tuple[Message, bytes]:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        error = {"message": body.decode(errors="replace")}
    if "code" in error:
        return start, body
    document = google_error(start["status"], error)
    packed = json.dumps({"error": document}, ensure_ascii=False).encode()
    kept = [pair for pair in start["headers"] if pair[0] != b"content-length"]
    headers = [*kept, (b"content-length", str(len(packed)).encode())]
    return {**start, "status": document["code"], "headers": headers}, packed


def google_error(status: int, error: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error of ours as one of Google's.

    Args:
        status: The HTTP status.
        error: Our document: its type, its message, and perhaps the problems of a specification.
    """
    kind, message = str(error.get("type", "")), str(error.get("message", ""))
    if kind in _PRECONDITION and status in (400, 409):
        return {"code": 400, "message": message, "status": "FAILED_PRECONDITION"}
    code = 400 if status in _INVALID else status
    document: dict[str, Any] = {
        "code": code,
        "message": message,
        "status": _STATUS.get(code, "INTERNAL" if code >= 500 else "INVALID_ARGUMENT"),
    }
    if problems := error.get("problems"):
        document |= _violated([Problem(**problem) for problem in problems])
    return document


def _violated(problems: list[Problem]) -> dict[str, Any]:
    found = [
        (field, text) if _FIELD.fullmatch(field) else ("", f"{field}: {text}" if field else text)
        for field, text in violations(SpecError(problems))
    ]
    told = [f"{field}: {text}" if field else text for field, text in found]
    return {
        "message": "; ".join(told),
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": f, "description": text} for f, text in found],
            }
        ],
    }
