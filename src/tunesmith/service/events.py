"""Server-sent events: a response that goes on until the client leaves, or the server ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from fastapi import Response
from starlette.types import Receive, Scope, Send

__all__ = ["Event", "EventStream"]

_SLOW_S = 30.0  # who does not read for so long is let go, and may come again


@dataclass(frozen=True, slots=True)
class Event:
    """What is sent at once.

    Attributes:
        kind: What kind of event it is; ``""`` for a sign of life, which programs do not see.
        data: What it says.
        id: What the client names when it comes again, to go on from there.
    """

    kind: str = ""
    data: Mapping[str, object] | None = None
    id: str = ""

    def __bytes__(self) -> bytes:
        if not self.kind:
            return b": \n\n"
        # JSON has no line breaks of its own.
        data = json.dumps(self.data, ensure_ascii=True, separators=(",", ":"))
        head = f"id: {self.id}\n" if self.id else ""
        return f"{head}event: {self.kind}\ndata: {data}\n\n".encode()


class EventStream(Response):
    """A response of events.

    Args:
        events: The events.
        status_code: The response's status.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[Event], status_code: int = 200) -> None:
        super().__init__(
            status_code=status_code,
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-cache"},
        )
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        """Send events until there are no more, or nobody reads them."""
        head = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        await send(head)
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_gone(receive))
        done, pending = await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()

    async def _send(self, send: Send) -> None:
        try:
            async for event in self._events:
                body = {"type": "http.response.body", "body": bytes(event), "more_body": True}
                await asyncio.wait_for(send(body), _SLOW_S)
        except TimeoutError:
            return
        finally:
            await self._events.aclose()  # type: ignore[attr-defined]  # it is a generator
        await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
