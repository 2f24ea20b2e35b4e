"""What trials printed: read in pieces, and sent in pieces by whoever runs the trial."""

from pathlib import Path
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from typing_extensions import TypedDict

from tunesmith.errors import NotFoundError, StateError
from tunesmith.execution import earlier_directory, trial_directory
from tunesmith.model import Trial
from tunesmith.service.call import Call, Reader, Worker, answer
from tunesmith.service.outputs import Output, read_output
from tunesmith.service.routes.files import Number
from tunesmith.service.strict import Router
from tunesmith.storage import DEFAULT_PROJECT, files_root
from tunesmith.storage.manifest import OutputName, Stream

__all__ = ["router"]

router = Router(tags=["logs"])

_LIMIT = 2**20
_Attempt = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="By default the last.")]
_Offset = Annotated[int, Query(ge=0, le=2**50)]
_BYTES = {"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}}


class OffsetDocument(TypedDict):
    """Where the next bytes must begin."""

    offset: int


@router.get("/studies/{study}/trials/{number}/logs/{stream}")
def get_log(
    study: str,
    number: Number,
    stream: Stream,
    call: Reader,
    *,
    attempt: _Attempt = None,
    offset: _Offset = 0,
    limit: Annotated[int, Query(ge=1, le=8 * _LIMIT, description="Bytes at most.")] = _LIMIT,
    tail: Annotated[int | None, Query(ge=1, le=100_000, description="The last lines.")] = None,
) -> Response:
    """Give a piece of what a trial printed: ``Log-Offset`` is where it begins, ``Log-Size`` the whole's size."""
    trial = call.storage.trial(study, number)
    wanted = OutputName(number, attempt or trial.attempt, stream)
    outputs = call.parts.shelves.of(call.caller.project).outputs
    record = call.storage.study(study)
    try:
        output = outputs.read(record, wanted, offset=offset, limit=limit, tail=tail)
    except NotFoundError:
        output = _output_here(call, study, trial, wanted, offset=offset, limit=limit, tail=tail)
    headers = {
        "Log-Offset": str(output.offset),
        "Log-Size": str(output.size),
        "Log-Attempt": str(wanted.attempt),
    }
    return Response(output.data, headers=headers, media_type="text/plain; charset=utf-8")


@router.post(
    "/studies/{study}/trials/{number}/logs/{stream}",
    openapi_extra=_BYTES,
    response_model=OffsetDocument,
)
async def append_log(
    study: str,
    number: Number,
    stream: Stream,
    call: Worker,
    *,
    request: Request,
    attempt: Annotated[int, Query(ge=1, le=2**31 - 1)],
    offset: _Offset,
) -> Response:
    """Add what a trial printed from ``offset`` on; the same bytes again change nothing."""
    data = await request.body()
    output = OutputName(number, attempt, stream)
    size = await run_in_threadpool(_append, call, study, output, offset, data)
    return answer({"offset": size})


def _append(call: Call, study: str, output: OutputName, offset: int, data: bytes) -> int:
    trial = call.storage.trial(study, output.number)
    if output.attempt > trial.attempt:
        msg = f"Trial {study}/{output.number} is at attempt {trial.attempt}, not {output.attempt}."
        raise StateError(msg)
    outputs = call.parts.shelves.of(call.caller.project).outputs
    return outputs.append(call.storage.study(study), output, offset, data)


def _output_here(
    call: Call,
    study: str,
    trial: Trial,
    wanted: OutputName,
    *,
    offset: int,
    limit: int,
    tail: int | None,
) -> Output:
    """Return what a trial printed that ran on this machine, directly on the server's SQLite file."""
    url = call.storage.url
    if not url.startswith("sqlite:///") or call.caller.project != DEFAULT_PROJECT:
        msg = f"Nothing is here of what attempt {wanted.attempt} of trial {study}/{trial.number} printed."
        raise NotFoundError(msg)
    directory: Path = trial_directory(files_root(url), study, trial.number)
    if wanted.attempt != trial.attempt:
        directory = earlier_directory(directory, wanted.attempt)
    return read_output(directory / wanted.stream, offset=offset, limit=limit, tail=tail)
