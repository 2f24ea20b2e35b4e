"""The tokens of a SQL storage."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, insert, or_, select, update

from tunesmith.errors import NotFoundError
from tunesmith.storage.engine import Database, Now
from tunesmith.storage.rows import storable
from tunesmith.storage.schema import token
from tunesmith.storage.tokens import Role, Secret, Token

__all__ = ["SqlTokens"]

_NOTED_EVERY_S = 60.0

_THE_TOKEN = select(token, Now().label("now")).where(token.c.id == bindparam("of"))
_NOTE_USE = update(token).where(token.c.id == bindparam("of"))


class SqlTokens:
    """Keeps tokens in a database; see `Tokens` for the verbs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[str, float] = {}

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
        secret = Secret.new()

        def make(connection: Connection) -> Token:
            row = connection.execute(_THE_TOKEN, {"of": secret.id}).first()
            if row is not None:  # made before, by a commit that was not heard of
                return _token(row)
            now = self._now(connection)
            made = Token(secret.id, storable(name), role, project, now, expires, parent=parent)
            columns = {
                "id": made.id,
                "name": made.name,
                "role": role,
                "project": project,
                "digest": secret.digest,
                "parent": parent,
                "created": now,
                "expires": expires,
            }
            connection.execute(insert(token).values(columns))
            return made

        return self._database.writing(make, durable=True), str(secret)

    def find(self, secret: str) -> Token | None:
        """Return the token that has this secret; None if it is unknown, expired or revoked."""
        read = Secret.read(secret)
        return None if read is None else self._database.reading(lambda c: self._find(c, read))

    def all(self, project: str | None = None) -> Sequence[Token]:
        """Return a project's tokens, or all projects', the oldest first; also bad ones, but no sessions."""
        wanted = select(token).where(token.c.parent == "").order_by(token.c.created, token.c.id)
        if project is not None:
            wanted = wanted.where(token.c.project == project)
        return self._database.reading(lambda c: [_token(row) for row in c.execute(wanted)])

    def revoke(self, id: str) -> Token:  # noqa: A002 - the attribute's name
        """Take a token back for good; a second time changes nothing."""

        def take_back(connection: Connection) -> Token:
            good = token.c.id == id, token.c.revoked.is_(None)
            connection.execute(update(token).where(*good).values(revoked=self._now(connection)))
            row = connection.execute(_THE_TOKEN, {"of": id}).first()
            if row is None:
                raise NotFoundError(f"There is no token {id!r}. `tunesmith token ls` lists them.")
            return _token(row)

        return self._database.writing(take_back, durable=True)

    def any(self) -> bool:
        """Return whether there has ever been a token, good or bad."""
        some = select(token.c.id).limit(1)
        return self._database.reading(lambda c: c.execute(some).first() is not None)

    def sweep(self) -> int:
        """Forget sessions that are good no longer; return how many."""

        def forget(connection: Connection) -> int:
            now = self._now(connection)
            parent = token.alias()
            bad_parent = exists().where(
                parent.c.id == token.c.parent, parent.c.revoked.is_not(None)
            )
            bad = or_(token.c.revoked.is_not(None), token.c.expires < now, bad_parent)
            found = select(token.c.id).where(token.c.parent != "", bad)
            ids = connection.scalars(
                found
            ).all()  # MySQL deletes nothing by a look at the same table
            connection.execute(delete(token).where(token.c.id.in_(ids)))
            return len(ids)

        return self._database.writing(forget)

    def used(self, id: str) -> None:  # noqa: A002 - the attribute's name
        """Note that the token is in use; writes at most once a minute."""
        now = time.monotonic()
        if now - self._noted.get(id, -_NOTED_EVERY_S) < _NOTED_EVERY_S:
            return
        self._noted[id] = now

        def note(connection: Connection) -> None:
            connection.execute(_NOTE_USE, {"of": id, "used": self._now(connection)})

        self._database.writing(note)

    def _find(self, connection: Connection, secret: Secret) -> Token | None:
        row = connection.execute(_THE_TOKEN, {"of": secret.id}).first()
        if row is None or not secret.proves(row.digest) or not self._is_good(row):
            return None
        if row.parent:
            parent = connection.execute(_THE_TOKEN, {"of": row.parent}).first()
            if parent is None or not self._is_good(parent):
                return None
        return _token(row)

    def _is_good(self, row: Row[Any]) -> bool:
        now = self._database.now(row.now)
        return row.revoked is None and (row.expires is None or now < row.expires)

    def _now(self, connection: Connection) -> float:
        return self._database.now(connection.execute(select(Now())).scalar())


def _token(row: Row[Any]) -> Token:
    return Token(
        row.id,
        row.name,
        row.role,
        row.project,
        row.created,
        row.expires,
        row.used,
        row.revoked,
        row.parent,
    )
