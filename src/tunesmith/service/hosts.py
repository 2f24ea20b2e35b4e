"""By which names a server may be addressed, and whether a page of another site is asking.

A name that somebody else controls may point to this machine (DNS rebinding), so names have to be known;
addresses can't, for with an address the browser knows whom it talks to.
"""

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["Hosts", "is_same_site"]


class Hosts:
    """The names of a server.

    Args:
        names: What is allowed beside addresses, ``localhost`` and the machine's own names.
        own: The address or name on which it listens.
    """

    def __init__(self, names: Iterable[str], own: str) -> None:
        wanted = {name.lower() for name in names}
        self._any = "*" in wanted
        self._below = tuple(name[1:] for name in wanted if name.startswith("*."))
        self._names = wanted | {"localhost", own.lower(), socket.gethostname().lower()}

    def allows(self, host: str) -> bool:
        """Whether a request with this ``Host`` is meant for us."""
        name = _name(host)
        if name is None:
            return False
        if self._any or name in self._names or name.endswith((".localhost", *self._below)):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def is_same_site(origin: str, host: str, scheme: str) -> bool:
    """Whether a page from ``origin`` is one of the server that is addressed as ``host``."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if scheme == "https" and parts.scheme != "https":
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() != ""


def _name(host: str) -> str | None:
    """Return the name in ``name:port``; None if it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    if parts.netloc != host or parts.username is not None or parts.path or parts.query:
        return None
    return (parts.hostname or "").rstrip(".") or None
