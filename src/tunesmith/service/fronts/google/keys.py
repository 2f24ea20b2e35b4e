"""Requests with a key, as Tunesmith's own routes take them: what one makes is made once, however often it is sent.

Google's clients have no keys, and send what makes something once only; who stands between them and the
server may have one. The storage keeps its own changes under a key; here is what a front needs beside: ids
that are the same for the same key, and papers that know which request they are of.
"""

import hashlib
import secrets

from tunesmith.service.call import Call
from tunesmith.service.fronts.google.papers import Paper, new_id
from tunesmith.storage import KeyReusedError

__all__ = ["id_of", "is_of", "job_id_of", "mark_of"]

_DIGITS = 10**18


def id_of(call: Call) -> str:
    """Return the number of what a request makes; the same for the same key."""
    if not call.key:
        return new_id()
    return str(int(_hash(call, call.key), 16) % (9 * _DIGITS) + _DIGITS)


def job_id_of(call: Call) -> str:
    """Return the name of the server's job that a request makes; the same for the same request."""
    return _hash(call, f"{call.key}/{call.asked}")[:16] if call.key else secrets.token_hex(8)


def mark_of(call: Call) -> str:
    """Return what tells a request from all others; ``""`` for one without a key."""
    return f"{call.key}/{call.asked}" if call.key else ""


def is_of(call: Call, paper: Paper) -> bool:
    """Return whether a paper is of this very request.

    Raises:
        KeyReusedError: it is of another request with the same key.
    """
    if not call.key or not paper.request.startswith(f"{call.key}/"):
        return False
    if paper.request != mark_of(call):
        msg = f"The key {call.key!r} was used for another request. Use a new key for every new request."
        raise KeyReusedError(msg)
    return True


def _hash(call: Call, text: str) -> str:
    return hashlib.sha256(f"{call.caller.project}/{text}".encode()).hexdigest()
