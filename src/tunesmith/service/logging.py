"""The server's log: a line for each request and each thing worth knowing, for people or for programs.

Every line that is written while a request is served carries the request's id, and who asked for what. A
client may name its request (``X-Request-ID``), so that its own log and the server's can be laid side by
side. What is secret has no way in: neither headers nor queries nor bodies are written.
"""

import contextvars
import itertools
import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.service.gate import CALLER
from tunesmith.service.roles import Caller

__all__ = ["Format", "RequestLog", "configure_logging"]

Format = Literal["text", "json"]

_LOG = logging.getLogger("tunesmith.requests")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADER = b"x-request-id"
_PROCESS = secrets.token_hex(5)
_numbers = itertools.count(1)  # a random name each would cost more than all else here
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds, for ever

_request: contextvars.ContextVar[Mapping[str, object]] = contextvars.ContextVar("tunesmith_request")


def configure_logging(form: Format = "text", *, stream: TextIO | None = None) -> None:
    """Have this process log to ``stream``, standard error by default."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in ("tunesmith", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)


class RequestLog:
    """Names every request, and writes a line when it has been answered; stands before an ASGI app.

    Args:
        app: The app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        about: dict[str, object] = {"request": _name(scope)}
        token = _request.set(about)
        status = 500

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_caller(about, scope)
                named = (_HEADER, str(about["request"]).encode())
                message["headers"] = [*message["headers"], named]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        finally:
            _add_caller(about, scope)
            about |= {
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round((time.perf_counter() - began) * 1000, 1),
            }
            for name in ("study", "number"):
                if (value := scope.get("path_params", {}).get(name)) is not None:
                    about["trial" if name == "number" else name] = value
            quiet = status < 400 and str(scope["path"]).endswith(tuple(_QUIET))
            level = logging.DEBUG if quiet else logging.ERROR if status >= 500 else logging.INFO
            _LOG.log(level, "request")
            _request.reset(token)


def _name(scope: Scope) -> str:
    """Return the name that the client gave the request, if it is a sane one; else a new one."""
    given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
    text = given.decode("latin-1")
    return text if _ID.fullmatch(text) else f"{_PROCESS}-{next(_numbers):x}"


def _add_caller(about: dict[str, object], scope: Scope) -> None:
    caller = scope.get(CALLER)
    if isinstance(caller, Caller):
        about["project"] = caller.project
        if caller.token:
            about["token"] = caller.token


def _fields() -> Mapping[str, object]:
    return _request.get({})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone()
        fields = dict(_fields())
        words = f"{at:%Y-%m-%d %H:%M:%S} {record.levelname.lower()}: "
        if record.name == _LOG.name:
            keys = ("method", "path", "status", "ms")
            method, path, status, ms = (fields.pop(key, "") for key in keys)
            words += f"{method} {_plain(path)} {status} {ms} ms"
        else:
            words += _plain(record.getMessage())
        words += "".join(f" {name}={_plain(value)}" for name, value in fields.items())
        if record.exc_info:
            words += "\n" + self.formatException(record.exc_info)
        return words


def _plain(value: object) -> str:
    """Return a value without characters that could end the line or steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(value))
