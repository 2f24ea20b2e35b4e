"""Where a server is, as a storage's URL says it.

http://127.0.0.1:8765                 a server on this machine
https://TOKEN@tune.example.org/base   one behind a proxy, under a base path, with a token
https://tune.example.org?project=nlp  one project of several, for a token that may use them all
"""

from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tunesmith.errors import StorageError

__all__ = ["Address"]

_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Address:
    """A server, and what else its URL said.

    Attributes:
        base: Its URL without a token, a query and a slash at the end.
        token: The token in the URL; ``""`` without one.
        project: The project in the URL; ``""`` without one.
        patience_s: How long a request waits for a server that is away.
    """

    base: str
    token: str = ""
    project: str = ""
    patience_s: float = _PATIENCE_S

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL; raise `StorageError` if it names no server."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise _fault(f"it is no URL: {error}") from error
        if parts.scheme not in ("http", "https") or not host:
            raise _fault("a host is missing")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        project = query.pop("project", "")
        patience = query.pop("patience_s", str(_PATIENCE_S))
        if query or parts.fragment:
            raise _fault(
                f"it may say project and patience_s, not {', '.join(query) or 'a fragment'}"
            )
        try:
            patience_s = max(0.0, float(patience))
        except ValueError:
            raise _fault(f"patience_s is a number of seconds, not {patience!r}") from None
        shown = f"[{host}]" if ":" in host else host
        where = shown if port is None else f"{shown}:{port}"
        base = f"{parts.scheme}://{where}{parts.path.rstrip('/')}"
        token = unquote(parts.password or parts.username or "")
        return cls(base, token, project, patience_s)

    @property
    def url(self) -> str:
        """The URL that names the same studies, without the token."""
        query = {"project": self.project} if self.project else {}
        if self.patience_s != _PATIENCE_S:
            query["patience_s"] = f"{self.patience_s:g}"
        return f"{self.base}?{urlencode(query, quote_via=quote)}" if query else self.base

    def of_project(self, project: str) -> Self:
        """Return the address of a project there."""
        return replace(self, project=project)


def _fault(what: str) -> StorageError:
    # Without the URL itself: it may hold a token.
    return StorageError(
        f"Can't read the URL of the server: {what}. It looks like https://tune.example.org or"
        " http://127.0.0.1:8765."
    )
