"""The API's description: what FastAPI finds out, and what holds for all routes, said once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from tunesmith.storage.tokens import Role

__all__ = ["Operation", "describe", "operations"]

Operation = tuple[str, str, Role | None]
"""A method, a path, and the role it needs; None for what anybody may ask."""

_ERROR = {
    "type": "object",
    "description": "What went wrong.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "description": "One word for programs."},
                "message": {"type": "string", "description": "A sentence for people."},
            },
            "required": ["type", "message"],
            "additionalProperties": True,
        }
    },
    "required": ["error"],
}
_FAULTS = {
    "400": "The body is no sound JSON, or the request is malformed.",
    "401": "There is no token, or it is unknown, expired or revoked.",
    "403": "The token's role or project does not allow this.",
    "404": "There is no such study, trial or file.",
    "409": "The study or trial is in a state that does not allow this, or others were faster.",
    "413": "The body is larger than the server takes.",
    "421": "The server does not know itself by the name in Host.",
    "422": "The request does not have the form that is expected, or its values make no sense.",
    "429": "Too many requests; see Retry-After.",
    "503": "The database can't be reached now; see Retry-After.",
}
_ANYBODYS = ("400", "421", "422", "429", "503")
_RAW = {
    "in": "header",
    "required": False,
}
_KEY = {
    **_RAW,
    "name": "Idempotency-Key",
    "description": "A name for this request. However often it is sent under it, it happens once, and"
    " the first answer is given again. Kept for three days.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,100}$"},
}
_PROJECT = {
    **_RAW,
    "name": "Tunesmith-Project",
    "description": "The project, for a token that opens all of them; default by default.",
    "schema": {"type": "string", "maxLength": 100},
}
_TAGS = {
    "tune": "Make studies; ask for trials, report and complete them; steer. The server thinks.",
    "storage": "What a tuner that thinks itself needs: the storage's verbs, as Tunesmith's own client"
    " calls them.",
    "look": "Columns, curves, what is best, what matters, and events to stay up to date.",
    "files": "Files of trials, by the hash of their content.",
    "logs": "What trials print.",
    "jobs": "Whole jobs that the server runs.",
    "google": "What clients of Google's call the studies and jobs that they made.",
    "access": "Who one is; logging in; tokens.",
    "health": "For those who watch over the server.",
}
_ABOUT = (
    "Studies over HTTP. Send a token with every request: `Authorization: Bearer ts_…`."
    ' Numbers that are not finite are written `"nan"`, `"inf"` and `"-inf"`.'
    ' Times are seconds since the epoch. Errors are `{"error": {"type": …, "message": …}}`.'
)


def operations(routers: Sequence[tuple[str, APIRouter]]) -> Iterator[Operation]:
    """Yield what the routes of some routers offer, each with the role it needs.

    Args:
        routers: The routers, each with what stands before its paths.
    """
    for prefix, router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute):
                for method in sorted(set(route.methods or ()) - {"HEAD"}):
                    yield method, prefix + route.path_format, _role(route)


def describe(app: FastAPI, routers: Sequence[tuple[str, APIRouter]]) -> None:
    """Have an app describe itself in full.

    Args:
        app: The app.
        routers: As for `operations`.
    """
    roles = {(method.lower(), path): role for method, path, role in operations(routers)}

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, roles)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI, roles: Mapping[tuple[str, str], Role | None]) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=_ABOUT,
        routes=app.routes,
        tags=[{"name": name, "description": words} for name, words in _TAGS.items()],
    )
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Error"] = _ERROR
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "tunesmith_session"},
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _complete(operation, path, method, roles.get((method, path)))
    return document


def _complete(operation: dict[str, Any], path: str, method: str, role: Role | None) -> None:
    """Add to an operation what holds for all."""
    wanted = _ANYBODYS if role is None else tuple(_FAULTS)
    responses = operation["responses"]
    schema = {"schema": {"$ref": "#/components/schemas/Error"}}
    for status in wanted:
        response = {"description": _FAULTS[status], "content": {"application/json": schema}}
        if status == "422" or status not in responses:
            responses[status] = response
    if path.endswith("/login"):
        responses["401"] = {"description": _FAULTS["401"], "content": {"application/json": schema}}
    if role is None:
        operation["security"] = []
        return
    operation["security"] = [{"token": []}, {"session": []}]
    operation["description"] = f"{operation.get('description', '')}\n\nRole: {role}.".strip()
    parameters = operation.setdefault("parameters", [])
    parameters.append(_PROJECT)
    if method not in ("get", "head"):
        parameters.append(_KEY)


def _role(route: APIRoute) -> Role | None:
    for dependency in route.dependant.dependencies:
        role = getattr(dependency.call, "role", None)
        if role is not None:
            found: Role = role
            return found
    return None
