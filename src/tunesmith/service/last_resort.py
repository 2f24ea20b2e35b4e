"""What nobody foresaw: it is logged with the request's name, and answered like any other fault."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunesmith.service.faults import fault_response

__all__ = ["LastResort"]

_LOG = logging.getLogger("tunesmith.service")


class LastResort:
    """Stands before an ASGI app, behind all that name, count and adorn requests.

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
        begun = False

        async def send_noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception:
            _LOG.exception("a request failed")
            if begun:
                raise  # the connection breaks, so that nobody takes half an answer for a whole one
            message = "A fault of Tunesmith's. The server's log says more; please report it."
            response = fault_response(500, {"error": {"type": "InternalError", "message": message}})
            await response(scope, receive, send)
