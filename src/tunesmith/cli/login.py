"""``tunesmith login`` and ``logout``: keep a server's token, so that no command needs to name it."""

import os
import sys
from ipaddress import ip_address
from urllib.parse import urlsplit

import click

from tunesmith.cli.console import say
from tunesmith.errors import NotFoundError, StorageError

__all__ = ["login_command", "logout_command"]


@click.command("login", short_help="keep a server's token")
@click.argument("url")
def login_command(url: str) -> None:
    """Keep the token of a server for all commands; it is asked for, or read from stdin.

    \b
    tunesmith login https://tune.example.org
    tunesmith login https://tune.example.org < token.txt

    The token is made by whoever runs the server: tunesmith token create. TUNESMITH_TOKEN, where it is
    set, comes before what is kept.
    """
    from tunesmith.storage.address import Address  # noqa: PLC0415 - the client loads only when it is used
    from tunesmith.storage.credentials import Found, keep_token  # noqa: PLC0415
    from tunesmith.storage.http_client import HttpClient  # noqa: PLC0415

    address = Address.parse(url)
    token = address.token or _ask_for_token()
    if not token:
        raise click.UsageError("No token was given.")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise click.UsageError("That is no token: it has blanks or letters that no token has.")
    client = HttpClient(address, Found(token, "this login"))
    who = client.document("GET", "/whoami")
    client.close()
    if not isinstance(who, dict):
        msg = f"The server {address.base} did not say who you are: is it a Tunesmith server?"
        raise StorageError(msg)
    path = keep_token(address, token)
    say(f"logged in at {address.base}: project {who.get('project')}, role {who.get('role')}")
    say(f"the token is kept in {path}; forget it with: tunesmith logout {address.base}")
    if address.base.startswith("http://") and not _is_here(address.base):
        say("the token goes over the network as it is, for all on the way to read: use https://")
    if os.environ.get("TUNESMITH_TOKEN", token) != token:
        say("TUNESMITH_TOKEN is set to another token, which comes first")
    say(f"to use the server by default: export TUNESMITH_STORAGE={address.url}")


@click.command("logout", short_help="forget a server's token")
@click.argument("url")
def logout_command(url: str) -> None:
    """Forget the token that `tunesmith login` has kept for a server.

    The token itself stays good; its server takes it back with: tunesmith token revoke.
    """
    from tunesmith.storage.address import Address  # noqa: PLC0415 - as above
    from tunesmith.storage.credentials import forget_token  # noqa: PLC0415

    address = Address.parse(url)
    if not forget_token(address):
        msg = f"No token is kept for {address.base}."
        raise NotFoundError(msg)
    say(f"the token of {address.base} is forgotten here; it stays good until it is revoked there")


def _ask_for_token() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("token", hide_input=True, err=True)).strip()
    return sys.stdin.readline().strip()


def _is_here(base: str) -> bool:
    host = urlsplit(base).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
