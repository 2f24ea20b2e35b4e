"""Serves Google's calls over gRPC."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import NoReturn, Self

import grpc

from tunesmith.errors import StorageError
from tunesmith.service.fronts.google.gateway.schema import calls
from tunesmith.service.fronts.google.gateway.transcoder import RefusedCall, Transcoder

__all__ = ["Admission", "GrpcFront", "passed_on"]

Admission = Callable[[Mapping[str, str]], Mapping[str, str]]
"""Given what a call says of itself, returns the headers of its request; raises `RefusedCall`."""

_THREADS = 64
_LARGEST = 64 * 2**20
_GRACE_S = 1.0


def passed_on(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """Return who asks as the call says it."""
    wanted = ("authorization", "tunesmith-project")
    return {name: metadata[name] for name in wanted if name in metadata}


class GrpcFront:
    """Serves on a port, until the ``with`` block ends.

    Args:
        transcoder: What makes the calls.
        admit: Who asks, and whether it may.
        address: Where to listen, such as ``127.0.0.1:0`` for a free port.
        pair: Key and certificate in PEM; None for a channel without TLS, behind a proxy that has it.

    Raises:
        StorageError: it can't listen there.
    """

    def __init__(
        self,
        transcoder: Transcoder,
        admit: Admission,
        address: str,
        pair: tuple[bytes, bytes] | None = None,
    ) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, thread_name_prefix="tunesmith-grpc"),
            handlers=[_Calls(transcoder, admit)],
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", _LARGEST),
                ("grpc.max_send_message_length", _LARGEST),
            ],
        )
        try:
            if pair is None:
                self.port = self._server.add_insecure_port(address)
            else:
                credentials = grpc.ssl_server_credentials([pair])
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            msg = f"Can't listen on {address} for gRPC: is another server running there? ({error})"
            raise StorageError(msg) from error

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop(_GRACE_S).wait()


class _Calls(grpc.GenericRpcHandler):
    """Finds what answers a call."""

    def __init__(self, transcoder: Transcoder, admit: Admission) -> None:
        self._transcoder = transcoder
        self._admit = admit

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """Return what answers a call; for a call that nobody serves, what says so."""
        name = str(details.method)

        def answered(packed: bytes, context: grpc.ServicerContext) -> bytes:
            if (call := calls().get(name)) is None:
                _abort(context, _unserved(name))
            metadata = {
                key: value
                for key, value in context.invocation_metadata() or ()
                if isinstance(value, str)
            }
            try:
                headers = self._admit(metadata)
                return self._transcoder.make(call, packed, headers, context.time_remaining())
            except RefusedCall as refusal:
                _abort(context, refusal)

        return grpc.unary_unary_rpc_method_handler(answered)


def _unserved(name: str) -> RefusedCall:
    msg = (
        f"Tunesmith does not serve {name}: of Google's services it is JobService (tuning jobs and custom"
        " jobs) and VizierService."
    )
    return RefusedCall(grpc.StatusCode.UNIMPLEMENTED, msg)


def _abort(context: grpc.ServicerContext, refusal: RefusedCall) -> NoReturn:
    context.abort(refusal.code, str(refusal))
    raise AssertionError("abort raises")
