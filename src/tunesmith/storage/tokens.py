"""Tokens: who may talk to a server, in which role and for which project.

A secret is ``ts_<id>_<random>``: the id finds the token, the random part proves that one has it. At
rest there is only the SHA-256 of the random part. A slow hash, as passwords need it, would defend
against guessing; 256 random bits can't be guessed, and a fast hash can be checked with every request.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["ALL_PROJECTS", "Role", "Secret", "Token", "Tokens"]

Role = Literal["read", "worker", "write", "admin"]

ALL_PROJECTS = "*"
"""Stands for the project of a token that opens every project."""

_MARK = "ts"


@dataclass(frozen=True, slots=True)
class Token:
    """A token, without its secret.

    Attributes:
        id: Its public name.
        name: What it is for, in its maker's words.
        role: What it allows.
        project: The project it opens; ``"*"`` for all.
        created: When it was made, in seconds since the epoch; likewise the next three.
        expires: When it ends; None for never.
        used: When it was last used, to about a minute; None for never.
        revoked: When it was taken back; None while it is good.
        parent: The id of the token of which this is a session; ``""`` for a token of its own. It is
            good no longer than its parent.
    """

    id: str
    name: str
    role: Role
    project: str
    created: float
    expires: float | None = None
    used: float | None = None
    revoked: float | None = None
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Secret:
    """The two parts of what the owner of a token keeps."""

    id: str
    proof: str

    @classmethod
    def new(cls) -> "Secret":
        """Return a secret that nobody has."""
        return cls(secrets.token_hex(6), secrets.token_urlsafe(32))

    @classmethod
    def read(cls, text: str) -> "Secret | None":
        """Return the secret that ``text`` is; None if it is none."""
        mark, _, rest = text.partition("_")
        id, _, proof = rest.partition("_")  # noqa: A001 - the attribute's name
        return cls(id, proof) if mark == _MARK and id and proof else None

    def __str__(self) -> str:
        return f"{_MARK}_{self.id}_{self.proof}"

    def __repr__(self) -> str:
        return f"Secret({self.id!r}, ...)"  # so that no log shows it

    @property
    def digest(self) -> str:
        """What is kept of the proof."""
        return hashlib.sha256(self.proof.encode()).hexdigest()

    def proves(self, digest: str) -> bool:
        """Return whether this is the proof kept as ``digest``, in a time that tells nothing."""
        return hmac.compare_digest(self.digest, digest)


class Tokens(Protocol):
    """The tokens of a storage, those of all projects."""

    def create(
        self,
        name: str,
        role: Role,
        project: str,
        *,
        expires: float | None = None,
        parent: str = "",
    ) -> tuple[Token, str]:
        """Make a token; return it with its secret, which is shown this once."""
        ...

    def find(self, secret: str) -> Token | None:
        """Return the token that has this secret; None if it is unknown, expired or revoked.

        A session is also bad when its parent is.
        """
        ...

    def all(self, project: str | None = None) -> Sequence[Token]:
        """Return a project's tokens, or all projects', the oldest first; also bad ones, but no sessions."""
        ...

    def revoke(self, id: str) -> Token:  # noqa: A002 - the attribute's name
        """Take a token back for good; a second time changes nothing.

        Raises:
            NotFoundError: there is no such token.
        """
        ...

    def any(self) -> bool:
        """Return whether there has ever been a token, good or bad."""
        ...

    def sweep(self) -> int:
        """Forget sessions that are good no longer; return how many."""
        ...

    def used(self, id: str) -> None:  # noqa: A002 - the attribute's name
        """Note that the token is in use; writes at most once a minute."""
        ...
