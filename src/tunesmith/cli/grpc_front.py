"""Where a command speaks gRPC with Google's clients, and what has to be installed for it."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from tunesmith.cli.console import say
from tunesmith.errors import StorageError

__all__ = ["grpc_options", "missing_for_grpc", "serving_grpc"]

_MODULES = ("grpc", "google.protobuf", "trustme", "cryptography")
_OPTIONS = (
    click.option(
        "--grpc-port",
        type=click.IntRange(0, 65535),
        metavar="PORT",
        help="Serve Google's clients over gRPC, too, on this port; 0 for any.",
    ),
    click.option(
        "--grpc-certificate",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="Its certificate, with those that vouch for it, in PEM; without one, a proxy must speak TLS.",
    ),
    click.option(
        "--grpc-key",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="The certificate's key, in PEM.",
    ),
)


def grpc_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a server's gRPC."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def missing_for_grpc() -> list[str]:
    """Return the modules of the extra ``google`` that are not installed."""
    return [name for name in _MODULES if not _is_here(name)]


@contextmanager
def serving_grpc(
    place: str, server: str, certificate: Path | None, key: Path | None
) -> Iterator[None]:
    """Serve gRPC as long as the ``with`` block lasts; each call becomes a request to the server.

    Args:
        place: Where to listen.
        server: The server's address.
        certificate: The file with its certificate; None for no TLS.
        key: The file with the certificate's key.

    Raises:
        StorageError: it can't listen there, or gRPC is not installed.
    """
    if (certificate is None) != (key is None):
        raise click.UsageError("--grpc-certificate and --grpc-key come together.")
    if missing := missing_for_grpc():
        msg = f"--grpc-port needs {', '.join(missing)}: pip install 'tunesmith[google]'"
        raise StorageError(msg)
    from tunesmith.service.fronts.google.gateway.front import (  # noqa: PLC0415 - loads gRPC
        CALLS,
        GrpcFront,
        passed_on,
    )
    from tunesmith.service.fronts.google.gateway.transcoder import Transcoder  # noqa: PLC0415
    from tunesmith.storage.transport import Wires  # noqa: PLC0415 - loads an HTTP client

    pair = None
    if certificate is not None and key is not None:
        pair = key.read_bytes(), certificate.read_bytes()
    wires = Wires(server, threads=CALLS)
    with (
        closing(wires),
        GrpcFront(Transcoder(wires), passed_on, place, pair) as front,
    ):
        said = "" if pair else ", without TLS: clients of Google's need a proxy that has it"
        say(f"gRPC on port {front.port}{said}")
        yield


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is in
        return False
