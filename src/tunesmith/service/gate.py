"""What every request passes first: is it for us, of a size we take, and who asks.

Refused here is a request of which no more than its head was read.
"""

from collections.abc import Mapping
from importlib.metadata import version

from fastapi import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.errors import TunesmithError
from tunesmith.service.access import Access
from tunesmith.service.faults import Refused, error_response, fault_response
from tunesmith.service.hosts import Hosts, is_same_site
from tunesmith.service.settings import Settings

__all__ = ["CALLER", "Gate"]

CALLER = "tunesmith.caller"
"""Where the scope of a request has who asks."""

_PUBLIC = frozenset({"/healthz", "/readyz", "/api/v1/login", "/api/v1/openapi.json"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_FILES = ("/api/v1/blobs/", "/upload/storage/")  # read in pieces, with limits of their own


class Gate:
    """Stands before an ASGI app.

    Args:
        app: The app.
        settings: The server's settings.
        access: Knows the tokens.
    """

    def __init__(self, app: ASGIApp, settings: Settings, access: Access) -> None:
        self._app = app
        self._settings = settings
        self._access = access
        self._hosts = Hosts(settings.allowed_hosts, settings.host)
        self._heads = {
            scheme: [(name.encode(), value.encode()) for name, value in _security(scheme).items()]
            for scheme in ("http", "https")
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        heads = self._heads.get(scope["scheme"], self._heads["http"])

        async def send_with_heads(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(pair for pair in heads if pair[0] not in given),
                ]
            await send(message)

        try:
            receive = await self._let_in(scope, receive)
        except Refused as refused:
            response: Response = fault_response(
                refused.status_code,
                refused.document,
                {**(refused.headers or {}), "Connection": "close"},
            )
            await response(scope, receive, send_with_heads)
            return
        except TunesmithError as error:  # the tokens are in a database that is away, perhaps
            await error_response(error)(scope, receive, send_with_heads)
            return
        await self._app(scope, receive, send_with_heads)

    async def _let_in(self, scope: Scope, receive: Receive) -> Receive:
        limits, base = self._settings.limits, self._settings.base_path
        if base:
            scope["root_path"] = base
        path = _route(scope["path"], base)
        if len(scope["headers"]) > limits.headers:
            message = f"A request may have {limits.headers} headers; given {len(scope['headers'])}."
            raise Refused(431, "TooLarge", message)
        headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}
        host = headers.get("host", "")
        if not self._hosts.allows(host):
            message = (
                f"This server does not know itself as {host[:100]!r}. If that is its name, start it"
                " with --allowed-host."
            )
            raise Refused(421, "WrongHost", message)
        changing = scope["method"] not in _READING
        if path not in _PUBLIC:
            caller = await self._access.caller(headers, _address(scope))
            scope[CALLER] = caller
            if changing and (caller.by_cookie or not caller.token):
                _check_site(headers, host, scope["scheme"])
        elif changing:
            _check_site(headers, host, scope["scheme"])
        if not changing or path.startswith(_FILES):
            return receive
        return _bounded(receive, _length(headers, limits.body_bytes), limits.body_bytes)


def _bounded(receive: Receive, announced: int, most: int) -> Receive:
    """Return a ``receive`` that refuses a body which turns out too large."""
    came = 0

    async def bounded() -> Message:
        nonlocal came
        message = await receive()
        if message["type"] == "http.request":
            came += len(message.get("body", b""))
            if came > most:
                raise _too_large(most)
        return message

    return receive if 0 <= announced <= most else bounded


def _length(headers: Mapping[str, str], most: int) -> int:
    """Return the announced length of the body; -1 if none was."""
    text = headers.get("content-length")
    if text is None:
        return -1
    if not text.isascii() or not text.isdigit():
        raise Refused(400, "RequestError", "Content-Length is a whole number of bytes.")
    if len(text) > 15 or int(text) > most:
        raise _too_large(most)
    return int(text)


def _too_large(most: int) -> Refused:
    message = f"A body may have {most} bytes. Send it in several requests."
    return Refused(413, "TooLarge", message, headers={"Connection": "close"})


def _check_site(headers: Mapping[str, str], host: str, scheme: str) -> None:
    """Refuse what a page of another site has a browser send."""
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site", "same-origin")
    own = origin is None or is_same_site(origin, host, scheme)
    if not own or site not in ("same-origin", "none"):
        raise Refused(403, "WrongOrigin", "A page of another site can't change anything here.")


def _route(path: str, base: str) -> str:
    return path[len(base) :] if base and path.startswith(f"{base}/") else path


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _security(scheme: str) -> dict[str, str]:
    headers = {
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none';"
        " form-action 'none'",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-store",
        "tunesmith-version": version("tunesmith"),
    }
    if scheme == "https":
        headers["strict-transport-security"] = "max-age=31536000"
    return headers
