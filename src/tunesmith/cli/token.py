"""``tunesmith token``: makes, lists and revokes the tokens of a server, in its database or over HTTP."""

import re
import time
from collections.abc import Sequence
from typing import Any, Protocol, cast

import click

from tunesmith.cli.console import out, say, table
from tunesmith.cli.options import storage_option
from tunesmith.cli.serve import open_served
from tunesmith.reporting import duration, iso_time, json_text
from tunesmith.specs import parse_duration
from tunesmith.storage import DEFAULT_PROJECT, default_url, is_remote
from tunesmith.storage.tokens import ALL_PROJECTS, Role, Token

__all__ = ["token_command"]


class _Place(Protocol):
    """Where tokens are."""

    def create(
        self, name: str, role: Role, project: str | None, expires_s: float | None
    ) -> tuple[Token, str]: ...
    def all(self, project: str | None) -> Sequence[Token]: ...
    def revoke(self, id: str) -> Token: ...  # noqa: A002 - the attribute's name


class _Database:
    """Tokens in the server's database."""

    def __init__(self, url: str) -> None:
        self._tokens = open_served(url).tokens

    def create(
        self, name: str, role: Role, project: str | None, expires_s: float | None
    ) -> tuple[Token, str]:
        expires = None if expires_s is None else time.time() + expires_s
        return self._tokens.create(name, role, project or DEFAULT_PROJECT, expires=expires)

    def all(self, project: str | None) -> Sequence[Token]:
        return self._tokens.all(project)

    def revoke(self, id: str) -> Token:  # noqa: A002 - as above
        return self._tokens.revoke(id)


class _Server:
    """Tokens over HTTP, for who administers a project."""

    def __init__(self, url: str) -> None:
        from tunesmith.storage.address import Address  # noqa: PLC0415 - the client loads only when it is used
        from tunesmith.storage.http_client import HttpClient  # noqa: PLC0415

        self._client = HttpClient(Address.parse(url))

    def create(
        self, name: str, role: Role, project: str | None, expires_s: float | None
    ) -> tuple[Token, str]:
        wanted = {"name": name, "role": role, "project": project, "expires_s": expires_s}
        made = self._client.document("POST", "/tokens", wanted)
        secret = made.pop("secret")
        return Token(**made), cast("str", secret)

    def all(self, project: str | None) -> Sequence[Token]:
        found = [Token(**token) for token in self._client.document("GET", "/tokens")["tokens"]]
        return [token for token in found if project in (None, token.project)]

    def revoke(self, id: str) -> Token:  # noqa: A002 - as above
        return Token(**self._client.document("DELETE", f"/tokens/{id}"))


@click.group("token", short_help="make, list and revoke the tokens of a server")
def token_command() -> None:
    """Make, list and revoke the tokens of a server.

    --storage names its database; or the server itself, for who has a token with the role admin.
    """


@token_command.command("create")
@click.option("--name", required=True, help="What it is for: a person, a machine, a program.")
@click.option(
    "--role",
    type=click.Choice(["read", "worker", "write", "admin"]),
    default="write",
    show_default=True,
    help="read looks; worker runs trials; write makes and steers studies; admin makes tokens.",
)
@click.option(
    "--project",
    metavar="NAME",
    help=f"The project it opens; {DEFAULT_PROJECT!r} by default, {ALL_PROJECTS!r} for all.",
)
@click.option("--expires", metavar="TIME", help="When it ends: 12h, 90d; never, by default.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@storage_option
def create_command(
    *,
    name: str,
    role: str,
    project: str | None,
    expires: str | None,
    as_json: bool,
    storage: str | None,
) -> None:
    """Make a token; its secret is printed this once."""
    expires_s = None
    if expires is not None:
        try:
            expires_s = parse_duration(expires)
        except ValueError as error:
            msg = f"--expires: {error}"
            raise click.UsageError(msg) from error
    if project not in (None, ALL_PROJECTS) and not re.fullmatch(r"[^\W_][\w.-]{0,99}", project):
        msg = f"--project: {project!r} can't name a project. Use letters, digits, '_', '-' and '.'."
        raise click.UsageError(msg)
    made, secret = _place(storage).create(name, cast("Role", role), project, expires_s)
    if as_json:
        out(json_text({"schema": "tunesmith.token/1", **_document(made), "secret": secret}))
        return
    say(f"token {made.id} for {made.name}: {made.role} in {_project(made)}, {_end(made)}")
    say("This is its secret; it is shown this once. Give it to: tunesmith login URL")
    out(secret)


@token_command.command("ls")
@click.option("--project", metavar="NAME", help="Only those of this project.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@storage_option
def ls_command(project: str | None, as_json: bool, storage: str | None) -> None:
    """List the tokens, also those that have ended; their secrets are nowhere."""
    found = _place(storage).all(project)
    if as_json:
        out(json_text({"schema": "tunesmith.tokens/1", "tokens": [_document(t) for t in found]}))
    elif found:
        head = ["id", "name", "role", "project", "made", "last used", "state"]
        out(table([head, *map(_row, found)]))
    else:
        say("There are no tokens yet. `tunesmith token create` makes one.")


@token_command.command("revoke")
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@storage_option
def revoke_command(id: str, as_json: bool, storage: str | None) -> None:  # noqa: A002 - the argument's name
    """Take a token back for good; servers notice within seconds."""
    revoked = _place(storage).revoke(id)
    if as_json:
        out(json_text({"schema": "tunesmith.token/1", **_document(revoked)}))
    else:
        say(f"token {revoked.id} for {revoked.name} is revoked")


def _place(storage: str | None) -> _Place:
    url = storage or default_url()
    return _Server(url) if is_remote(url) else _Database(url)


def _document(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "project": token.project,
        "created": iso_time(token.created),
        "expires": iso_time(token.expires),
        "used": iso_time(token.used),
        "revoked": iso_time(token.revoked),
    }


def _row(token: Token) -> list[str]:
    used = "never" if token.used is None else _ago(token.used)
    state = "revoked" if token.revoked is not None else _end(token)
    cells = [token.id, token.name, token.role, _project(token)]
    return [*cells, _ago(token.created), used, state]


def _ago(then: float) -> str:
    return f"{duration(max(0.0, time.time() - then))} ago"


def _end(token: Token) -> str:
    if token.expires is None:
        return "never expires"
    left_s = token.expires - time.time()
    return f"expires in {duration(left_s)}" if left_s > 0 else "expired"


def _project(token: Token) -> str:
    return "all projects" if token.project == ALL_PROJECTS else token.project
