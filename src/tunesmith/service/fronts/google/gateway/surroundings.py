"""What makes one program's gRPC calls come to a server: variables of its environment, and what stands behind them."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import grpc

from tunesmith.errors import StorageError
from tunesmith.service.fronts.google.gateway.account import Account, Certificate
from tunesmith.service.fronts.google.gateway.front import Admission, GrpcFront
from tunesmith.service.fronts.google.gateway.transcoder import RefusedCall, Transcoder
from tunesmith.service.fronts.google.gateway.tunnel import Tunnel, upstream
from tunesmith.storage.transport import Transport

__all__ = ["surroundings"]

_ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"


@contextmanager
def surroundings(
    transport: Transport, headers: Mapping[str, str], project: str
) -> Iterator[dict[str, str]]:
    """Give the variables of a program whose calls come to a server, as long as the ``with`` block lasts.

    Args:
        transport: What sends requests to the server.
        headers: Who asks the server.
        project: Google's project, for a program that names none.

    Raises:
        StorageError: the file of roots that gRPC believes can't be read.
    """
    with tempfile.TemporaryDirectory(prefix="tunesmith-") as name:
        folder = Path(name)
        account, certificate = Account(folder, project), Certificate(folder, _roots())
        with (
            GrpcFront(
                Transcoder(transport), _admission(account, headers), "127.0.0.1:0", certificate.pair
            ) as front,
            Tunnel(front.port, upstream(os.environ)) as tunnel,
        ):
            yield {
                "GOOGLE_APPLICATION_CREDENTIALS": str(account.file),
                _ROOTS: str(certificate.roots),
                "grpc_proxy": tunnel.url,
                # What stands in no_proxy counts no longer: the tunnel itself looks there.
                "no_grpc_proxy": "localhost,127.0.0.1",
            }


def _admission(account: Account, headers: Mapping[str, str]) -> Admission:
    """Return who may ask: the program alone, in the user's name, whoever else uses the machine."""

    def admit(metadata: Mapping[str, str]) -> Mapping[str, str]:
        kind, _, signed = metadata.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not account.signed(signed):
            msg = (
                "This is for the program that `tunesmith google-env` runs, with the credentials that"
                " it was given (GOOGLE_APPLICATION_CREDENTIALS)."
            )
            raise RefusedCall(grpc.StatusCode.UNAUTHENTICATED, msg)
        return headers

    return admit


def _roots() -> bytes:
    """Return the roots that the program's gRPC would believe."""
    if own := os.environ.get(_ROOTS):
        try:
            return Path(own).read_bytes()
        except OSError as error:
            msg = f"{_ROOTS} names {own}, which can't be read: {error.strerror}."
            raise StorageError(msg) from error
    return (files("grpc._cython") / "_credentials" / "roots.pem").read_bytes()
