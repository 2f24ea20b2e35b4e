"""Serves Google's calls over gRPC."""

import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import quote, unquote

import grpc

from tunesmith.errors import StorageError
from tunesmith.service.fronts.google.gateway.schema import calls
from tunesmith.service.fronts.google.gateway.transcoder import RefusedCall, Transcoder

__all__ = ["CALLS", "Admission", "GrpcFront", "passed_on"]

Admission = Callable[[Mapping[str, str]], Mapping[str, str]]
"""Given what a call says of itself, returns the headers of its request; raises `RefusedCall`."""

CALLS = 256
"""How many calls there may be at once; each has a thread."""

_LARGEST_REQUEST = 8 * 2**20  # as the server has it
_LARGEST_ANSWER = 64 * 2**20
_LONGEST_MESSAGE = 4000  # of an error: it comes in a head, of which clients take 8 KiB
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_GRACE_S = 1.0


def passed_on(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """Return who asks as the call says it."""
    wanted = ("authorization", "tunesmith-project")
    headers = {name: metadata[name] for name in wanted if name in metadata}
    # Without tokens the server answers nobody who comes through a proxy; so it has to be told.
    if any("forwarded" in name or name in ("via", "x-real-ip") for name in metadata):
        headers["via"] = "2 grpc"
    return headers


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
            _Threads(),
            handlers=[_Calls(transcoder, admit)],
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", _LARGEST_REQUEST),
                ("grpc.max_send_message_length", _LARGEST_ANSWER),
            ],
            maximum_concurrent_rpcs=CALLS,
        )
        try:
            if pair is None:
                self.port = self._server.add_insecure_port(address)
            else:
                credentials = grpc.ssl_server_credentials([pair])
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            or_else = "" if pair is None else ", or its key not that of the certificate"
            msg = f"Can't listen on {address} for gRPC: is another server running there{or_else}? ({error})"
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


class _Threads(ThreadPoolExecutor):
    """A thread for each call. When the process ends, none is waited for that still waits for a server."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **named: Any) -> "Future[Any]":
        """Run a function."""
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **named))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, name="tunesmith-grpc", daemon=True).start()
        return future


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
            gone = threading.Event()
            if not context.add_callback(gone.set):
                gone.set()
            try:
                headers, left_s = self._admit(metadata), context.time_remaining()
                return self._transcoder.make(call, packed, headers, left_s, gone.wait)
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
    context.abort(refusal.code, _shortened(str(refusal)))
    raise AssertionError("abort raises")


def _shortened(message: str) -> str:
    """Return as much of an error's message as a client takes."""
    sent = quote(message, safe=_PLAIN, errors="replace")
    if len(sent) <= _LONGEST_MESSAGE:
        return unquote(sent)
    return unquote(re.sub(r"%.?$", "", sent[:_LONGEST_MESSAGE]), errors="ignore") + "..."
