"""What errors become on the way to a client: a status, and a document that says what was wrong."""

import logging
from collections.abc import Mapping, Sequence

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from tunesmith.errors import (
    ConflictError,
    LeaseLostError,
    MetricError,
    MismatchError,
    NotFoundError,
    SpaceError,
    SpecError,
    StateError,
    StorageError,
    StudyEnded,
    StudyWaiting,
    TunesmithError,
)
from tunesmith.service.refusals import (
    BusyError,
    OffsetError,
    PathError,
    TooLargeError,
    WrongContentError,
)
from tunesmith.storage import KeyReusedError
from tunesmith.storage.wire import error_document, pack

__all__ = ["Refused", "answer_faults", "error_response", "fault_response", "status_of"]

_LOG = logging.getLogger("tunesmith.service")

_STATUS: Sequence[tuple[type[TunesmithError], int]] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (MismatchError, 409),
    (LeaseLostError, 409),
    (StateError, 409),
    (StudyEnded, 409),
    (SpaceError, 422),
    (SpecError, 422),
    (MetricError, 422),
    (StorageError, 503),
    (KeyReusedError, 422),
    (TooLargeError, 413),
    (WrongContentError, 422),
    (PathError, 422),
    (BusyError, 409),
    (OffsetError, 409),
)
_WAIT_S = {StudyWaiting: 1, BusyError: 1, StorageError: 2}


class Refused(HTTPException):
    """A request that the server turns away, before it came to a study.

    Args:
        status: The HTTP status.
        kind: What kind of fault it is, one word for programs.
        message: What was wrong and what would be right.
        headers: What the answer's head says beside.
        more: What the error's document says beside.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.document = {"error": {"type": kind, "message": message, **more}}


def status_of(error: TunesmithError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def fault_response(status: int, document: object, headers: Mapping[str, str] = {}) -> Response:
    """Return a response with an error's document."""
    return Response(pack(document), status, dict(headers), "application/json")


def answer_faults(app: FastAPI) -> None:
    """Have an app answer every error with a document."""
    app.add_exception_handler(TunesmithError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(Exception, _unforeseen)


async def _ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, TunesmithError)
    return error_response(error)


def error_response(error: TunesmithError) -> Response:
    """Return the answer that says an error raised on purpose."""
    wait = next((s for kind, s in _WAIT_S.items() if isinstance(error, kind)), None)
    headers = {} if wait is None else {"Retry-After": str(wait)}
    document: dict[str, object] = {**error_document(error)}
    if isinstance(error, OffsetError):
        document["wanted"] = error.wanted
        headers["Upload-Offset"] = str(error.wanted)
    return fault_response(status_of(error), {"error": document}, headers)


async def _invalid(_: Request, error: Exception) -> Response:
    """Answer what does not have the form that the route expects, with the place of each fault."""
    assert isinstance(error, RequestValidationError)
    faults = [
        {"place": ".".join(map(str, fault["loc"])), "message": str(fault["msg"])}
        for fault in error.errors()[:20]
    ]
    message = "; ".join(f"{fault['place']}: {fault['message']}" for fault in faults)
    document = {"error": {"type": "RequestError", "message": message, "faults": faults}}
    return fault_response(422, document)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    headers = error.headers or {}
    if isinstance(error, Refused):
        return fault_response(error.status_code, error.document, headers)
    kinds = {404: "UnknownRoute", 405: "WrongMethod", 413: "TooLarge"}
    words = {
        404: f"There is nothing at {request.url.path}. /api/v1/openapi.json lists all there is.",
        405: f"{request.method} is not possible here; possible: {headers.get('allow', 'GET')}.",
    }
    kind = kinds.get(error.status_code, "RequestError")
    message = words.get(error.status_code, str(error.detail))
    document = {"error": {"type": kind, "message": message}}
    return fault_response(error.status_code, document, headers)


async def _unforeseen(_: Request, error: Exception) -> Response:
    _LOG.error("a request failed", exc_info=error)
    message = "A fault of Tunesmith's. The server's log says more; please report it."
    return fault_response(500, {"error": {"type": "InternalError", "message": message}})
