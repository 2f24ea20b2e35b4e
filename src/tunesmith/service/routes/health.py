"""Whether the server lives, and whether it can serve: for those who watch over it."""

from typing import Literal

from fastapi import Request, Response
from typing_extensions import TypedDict

from tunesmith.errors import StorageError
from tunesmith.service.call import answer
from tunesmith.service.faults import fault_response
from tunesmith.service.parts import Parts
from tunesmith.service.strict import Router

__all__ = ["router"]

router = Router(tags=["health"])


class HealthDocument(TypedDict):
    """That all is well."""

    status: Literal["ok"]


@router.get("/healthz", response_model=HealthDocument)
async def health() -> Response:
    """Say that the server lives."""
    return answer({"status": "ok"})


@router.get("/readyz", response_model=HealthDocument)
def ready(request: Request) -> Response:
    """Say whether the server can serve: it is not about to end, and its database answers."""
    parts: Parts = request.app.state.parts
    if not parts.is_ready:
        return _unready("The server is about to end.")
    try:
        parts.storage.ping()
    except StorageError:
        return _unready("The database does not answer; the server's log says more.")
    return answer({"status": "ok"})


def _unready(message: str) -> Response:
    document = {"error": {"type": "NotReady", "message": message}}
    return fault_response(503, document, {"Retry-After": "2"})
