"""Who asks: a token in the head of the request, a browser's cookie, or, on a laptop, anybody.

A browser's cookie holds the secret of a session, a token with a parent: it lasts for hours only, ends
when one logs out or its parent is revoked, and is good for nothing but a cookie.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from fastapi.concurrency import run_in_threadpool

from tunesmith.errors import SpecError
from tunesmith.model import check_study_name
from tunesmith.service.faults import Refused
from tunesmith.service.rates import Rates
from tunesmith.service.roles import Caller
from tunesmith.service.settings import Settings
from tunesmith.storage import DEFAULT_PROJECT, ServedStorage
from tunesmith.storage.tokens import ALL_PROJECTS, Token

__all__ = ["COOKIE", "Access", "check_project", "session_in"]

COOKIE = "tunesmith_session"

_REMEMBERED_S = 3.0  # so soon is a token dead that was revoked elsewhere
_KEPT = 10_000
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Access:
    """Finds out who makes a request.

    Args:
        storage: Where the tokens are.
        settings: The server's settings.
    """

    def __init__(self, storage: ServedStorage, settings: Settings) -> None:
        limits = settings.limits
        self._tokens = storage.tokens
        self._local = settings.is_local
        self._session_s = settings.session_s
        self._known: OrderedDict[str, tuple[Token, float]] = OrderedDict()
        self._closed = False
        self._look_again_at = 0.0
        self._rates = Rates(limits.requests_per_s, limits.burst)
        self._attempts = Rates(limits.attempts_per_minute / 60, limits.attempts_per_minute)

    async def caller(self, headers: Mapping[str, str], address: str) -> Caller:
        """Return who makes a request.

        Args:
            headers: The request's headers, by their names in small letters.
            address: Where it comes from.

        Raises:
            Refused: the token or cookie is missing or no good; a project is named that the token does
                not belong to; or the requests come too fast.
        """
        project = headers.get("tunesmith-project", "")
        if given := headers.get("authorization"):
            scheme, _, secret = given.partition(" ")
            if scheme.lower() != "bearer":
                raise _unauthenticated("The header Authorization is to be: Bearer, then a token.")
            caller = _caller(await self._token(secret.strip(), address), project)
        elif secret := session_in(headers):
            token = await self._token(secret, address, session=True)
            caller = _caller(token, project, by_cookie=True)
        else:
            await self._check_open(headers)
            if project not in ("", DEFAULT_PROJECT):
                raise _other_project()
            caller = Caller(DEFAULT_PROJECT, "admin")
        if wait := self._rates.wait_s(caller.token):
            raise _too_many("Too many requests come with this token.", wait)
        return caller

    async def log_in(self, secret: str, address: str) -> str:
        """Begin a browser's session for who has this secret; return the session's secret.

        Raises:
            Refused: the secret is no token's.
        """
        token = await self._token(secret, address)
        return await run_in_threadpool(self._begin, token)

    async def log_out(self, secret: str, address: str) -> None:
        """End the session with this secret."""
        session = await self._token(secret, address, session=True)
        await run_in_threadpool(self._tokens.revoke, session.id)
        self.forget()

    def forget(self) -> None:
        """Look all tokens up anew, since one was made or revoked."""
        self._known.clear()
        self._look_again_at = 0.0

    async def is_open(self) -> bool:
        """Whether anybody may do anything: on a loopback address, while there has never been a token."""
        if not self._local or self._closed:
            return False
        if time.monotonic() >= self._look_again_at:
            self._closed = await run_in_threadpool(self._tokens.any)
            self._look_again_at = time.monotonic() + 1.0
        return not self._closed

    async def _check_open(self, headers: Mapping[str, str]) -> None:
        if not await self.is_open():
            raise _unauthenticated(
                "This needs a token, in the header Authorization: Bearer. Whoever runs the server"
                " makes one: tunesmith token create."
            )
        # A proxy on this machine would open the door to whoever reaches the proxy.
        if any(name in headers for name in _FORWARDED):
            raise _unauthenticated(
                "Without tokens the server answers only those who come to it directly, not through a"
                " proxy. Make a token: tunesmith token create."
            )

    async def _token(self, secret: str, address: str, *, session: bool = False) -> Token:
        """Return the token with a secret; it is looked up once in a few seconds."""
        found, until = self._known.get(secret, (None, 0.0))
        if until < time.monotonic():
            found = await run_in_threadpool(self._look_up, secret)
        if found is None or bool(found.parent) != session:
            # Who has a good token is never kept out by who guesses from the same address.
            if wait := self._attempts.wait_s(address):
                raise _too_many("Too many wrong tokens came from there.", wait)
            raise _unauthenticated(
                "That token is not known here: it is unknown, expired or revoked."
            )
        return found

    def _look_up(self, secret: str) -> Token | None:
        token = self._tokens.find(secret)
        if token is None:
            self._known.pop(secret, None)
            return None
        self._tokens.used(token.parent or token.id)
        self._known[secret] = (token, time.monotonic() + _REMEMBERED_S)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return token

    def _begin(self, token: Token) -> str:
        expires = time.time() + self._session_s
        _, secret = self._tokens.create(
            token.name, token.role, token.project, expires=expires, parent=token.id
        )
        return secret


def check_project(name: str) -> None:
    """Raise `Refused` unless ``name`` can name a project; what can name a study can."""
    try:
        check_study_name(name)
    except SpecError:
        message = f"{name[:100]!r} can't name a project. Use letters, digits, '_', '-' and '.'."
        raise Refused(422, "RequestError", message) from None


def session_in(headers: Mapping[str, str]) -> str:
    """Return the session's secret in a request's cookies; ``""`` if there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _caller(token: Token, project: str, *, by_cookie: bool = False) -> Caller:
    everywhere = token.project == ALL_PROJECTS
    if not everywhere and project not in ("", token.project):
        raise _other_project()
    own = (project or DEFAULT_PROJECT) if everywhere else token.project
    if everywhere:
        check_project(own)
    return Caller(own, token.role, token.parent or token.id, token.name, everywhere, by_cookie)


def _unauthenticated(message: str) -> Refused:
    return Refused(401, "Unauthenticated", message, headers={"WWW-Authenticate": "Bearer"})


def _other_project() -> Refused:
    message = "This token belongs to another project than the header Tunesmith-Project names."
    return Refused(403, "Forbidden", message)


def _too_many(message: str, wait_s: float) -> Refused:
    after = max(1, round(wait_s + 0.5))
    words = f"{message} Try again in {after} s."
    return Refused(429, "TooMany", words, headers={"Retry-After": str(after)})
