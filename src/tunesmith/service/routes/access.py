"""Who one is, logging in with a browser, and tokens."""

import time
from importlib.metadata import version
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from tunesmith.errors import NotFoundError
from tunesmith.service.access import COOKIE, check_project, session_in
from tunesmith.service.call import Admin, Reader, answer
from tunesmith.service.faults import Refused
from tunesmith.service.parts import Parts
from tunesmith.service.strict import Router, read_json
from tunesmith.storage.tokens import ALL_PROJECTS, Role, Token

__all__ = ["router"]

router = Router(tags=["access"])

_FORM = "application/x-www-form-urlencoded"
_LOGIN = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {
                "schema": {
                    "type": "object",
                    "properties": {"token": {"type": "string", "maxLength": 200}},
                    "required": ["token"],
                }
            }
            for kind in ("application/json", _FORM)
        },
    }
}


class WhoamiDocument(TypedDict):
    """Who asks, and of what server."""

    project: str
    role: Role
    name: str
    version: str


class TokenDocument(TypedDict):
    """A token, without its secret; times are seconds since the epoch."""

    id: str
    name: str
    role: Role
    project: str
    created: float
    expires: float | None
    used: float | None
    revoked: float | None


class NewTokenDocument(TokenDocument):
    """A new token, with the secret that is shown this once."""

    secret: str


class TokensDocument(TypedDict):
    """Tokens, the oldest first; expired and revoked ones too."""

    tokens: list[TokenDocument]


class TokenRequest(BaseModel):
    """What a new token is to be."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100, description="What it is for.")]
    role: Role
    project: Annotated[
        str | None,
        Field(max_length=100, description="Its project; the caller's by default, * for all."),
    ] = None
    expires_s: Annotated[
        float | None, Field(gt=0, le=1e10, description="Seconds from now; null for never.")
    ] = None


@router.get("/whoami", response_model=WhoamiDocument)
async def whoami(call: Reader) -> Response:
    """Say who asks: the project and the role of the token."""
    caller = call.caller
    return answer(
        {
            "project": caller.project,
            "role": caller.role,
            "name": caller.name,
            "version": version("tunesmith"),
        }
    )


@router.post("/login", response_model=None, status_code=204, openapi_extra=_LOGIN)
async def login(request: Request) -> Response:
    """Log a browser in: a token as JSON or from a form becomes a cookie that lasts some hours.

    Who sent a form is led on to the first page.
    """
    parts: Parts = request.app.state.parts
    body = await request.body()
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM
    secret = await parts.access.log_in(_secret(body, form=form), _address(request))
    response = Response(status_code=303 if form else 204)
    if form:
        response.headers["Location"] = f"{parts.settings.base_path}/"
    response.set_cookie(
        COOKIE,
        secret,
        max_age=round(parts.settings.session_s),
        path=parts.settings.base_path or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


@router.post("/logout", response_model=None, status_code=204)
async def logout(request: Request, call: Reader) -> Response:
    """Log a browser out: its cookie is worth nothing from now on."""
    if call.caller.by_cookie:
        secret = session_in({"cookie": request.headers.get("cookie", "")})
        await call.parts.access.log_out(secret, _address(request))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path=call.parts.settings.base_path or "/")
    return response


@router.get("/tokens", response_model=TokensDocument)
def tokens(call: Admin) -> Response:
    """List the tokens of the project; of all projects for who may administer all."""
    project = None if call.caller.everywhere else call.caller.project
    found = call.parts.storage.tokens.all(project)
    return answer({"tokens": list(map(_document, found))})


@router.post("/tokens", response_model=NewTokenDocument, status_code=201)
def create_token(body: TokenRequest, call: Admin) -> Response:
    """Make a token. Its secret is shown this once; if the answer is lost, revoke it and make another."""
    project = body.project or call.caller.project
    if project != call.caller.project and not call.caller.everywhere:
        message = f"You administer {call.caller.project}; a token of {project[:100]!r} is not yours to make."
        raise Refused(403, "Forbidden", message)
    if project != ALL_PROJECTS:
        check_project(project)
    expires = None if body.expires_s is None else time.time() + body.expires_s
    made, secret = call.parts.storage.tokens.create(body.name, body.role, project, expires=expires)
    call.parts.access.forget()
    return answer({**_document(made), "secret": secret}, 201)


@router.delete("/tokens/{id}", response_model=TokenDocument)
def revoke_token(id: Annotated[str, Path(max_length=100)], call: Admin) -> Response:  # noqa: A002 - the path's word
    """Take a token back for good; the sessions that it began end too."""
    project = None if call.caller.everywhere else call.caller.project
    if all(token.id != id for token in call.parts.storage.tokens.all(project)):
        msg = f"There is no token {id!r}."
        raise NotFoundError(msg)
    revoked = call.parts.storage.tokens.revoke(id)
    call.parts.access.forget()
    return answer(_document(revoked))


def _document(token: Token) -> TokenDocument:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "project": token.project,
        "created": token.created,
        "expires": token.expires,
        "used": token.used,
        "revoked": token.revoked,
    }


def _secret(body: bytes, *, form: bool) -> str:
    found: object
    if form:
        try:
            found = parse_qs(body.decode("ascii"), max_num_fields=10).get("token", [None])[0]
        except ValueError:
            found = None
    else:
        document = read_json(body)
        found = document.get("token") if isinstance(document, dict) else None
    if not isinstance(found, str) or not 0 < len(found) <= 200:
        raise Refused(422, "RequestError", 'Send the token: {"token": "ts_…"}.')
    return found


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
