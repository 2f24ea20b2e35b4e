"""Files: contents by their hash, and which of them each trial has under which names."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import Field
from starlette.requests import ClientDisconnect
from typing_extensions import TypedDict

from tunesmith.errors import NotFoundError
from tunesmith.service.blobs import Upload
from tunesmith.service.call import Reader, Worker, answer
from tunesmith.service.faults import Refused
from tunesmith.service.parts import Parts
from tunesmith.service.paths import check_path
from tunesmith.service.shelves import Shelf
from tunesmith.service.strict import Router
from tunesmith.storage import Storage
from tunesmith.storage.manifest import Manifest, StoredFile

__all__ = ["Attempt", "Number", "prepare", "router"]

router = Router(tags=["files"])

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="The trial's number.")]
Attempt = Annotated[int, Field(ge=1, le=2**31 - 1)]
_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Size = Annotated[int, Field(ge=0, le=2**50)]
_Name = Annotated[str, Field(min_length=1, max_length=500)]

_GRACE_S = 600.0  # checkpoints that are sent often are replaced as often
_UNFINISHED_S = 24 * 3600.0
_BUFFER = 2**20
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
_BYTES = {"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}}


class FileDocument(TypedDict):
    """A file of a trial."""

    path: _Name
    sha256: _Hash
    size: _Size


class ContentDocument(TypedDict):
    """The content that a file of an attempt is to have."""

    attempt: Attempt
    sha256: _Hash
    size: _Size


class ManifestDocument(TypedDict):
    """All files of a trial."""

    attempt: Annotated[int, Field(ge=0, le=2**31 - 1)]
    files: Annotated[list[FileDocument], Field(max_length=20_000)]


class MissingDocument(TypedDict):
    """The contents that have to be sent before a trial can have them; nothing was changed if there are any."""

    missing: list[str]


class OffsetDocument(TypedDict):
    """How many bytes have come."""

    offset: int


# Contents


@router.head("/blobs/{digest}")
@router.get("/blobs/{digest}", response_class=FileResponse)
def get_blob(digest: str, request: Request, call: Reader) -> Response:
    """Give a content, or a range of it; while it is on its way, ``Upload-Offset`` says how much has come."""
    blobs = _shelf(call.parts, call.caller.project).blobs
    try:
        path = blobs.path(digest)
    except NotFoundError as error:
        offset = str(blobs.received(digest))
        raise Refused(404, "NotFoundError", str(error), headers={"Upload-Offset": offset}) from None
    return _content(request, path, digest, name=digest)


@router.put("/blobs/{digest}", openapi_extra=_BYTES, response_model=OffsetDocument)
async def put_blob(digest: str, request: Request, call: Worker) -> Response:
    """Take a content, whole or from where it broke off (``Content-Range``); 201 when it is complete."""
    blobs = _shelf(call.parts, call.caller.project).blobs
    offset, total = _announced(request)
    if await run_in_threadpool(blobs.has, digest):
        with contextlib.suppress(ClientDisconnect):
            async for _ in request.stream():
                pass
        return _so_far(200, total)
    begin = partial(blobs.upload, digest, offset=offset, total=total)
    upload = await run_in_threadpool(begin)
    try:
        await _take(upload, request.stream())
        complete = await run_in_threadpool(upload.finish)
    except ClientDisconnect:  # nobody will read the answer
        raise Refused(400, "RequestError", "The connection broke.") from None
    finally:
        await asyncio.shield(run_in_threadpool(upload.close))
    return _so_far(201 if complete else 202, upload.size)


# Files of trials


@router.get("/studies/{study}/trials/{number}/files", response_model=ManifestDocument)
def get_files(study: str, number: Number, call: Reader) -> Response:
    """List a trial's files."""
    manifest = call.storage.files.manifest(study, number)
    files = [
        {"path": path, "sha256": file.sha256, "size": file.size}
        for path, file in manifest.files.items()
    ]
    return answer({"attempt": manifest.attempt, "files": files})


@router.put("/studies/{study}/trials/{number}/files", response_model=MissingDocument)
def put_files(study: str, number: Number, body: ManifestDocument, call: Worker) -> Response:
    """Have a trial's files be these and no others, if all their contents are here."""
    files = {check_path(f["path"]): StoredFile(f["sha256"], f["size"]) for f in body["files"]}
    if len(files) < len(body["files"]):
        raise Refused(422, "RequestError", "A path is there twice in the list.")
    with _shelf(call.parts, call.caller.project).blobs.keeping(
        {f.sha256 for f in files.values()}
    ) as missing:
        if not missing:
            call.storage.files.replace(study, number, Manifest(body["attempt"], files))
    return answer({"missing": missing})


@router.head("/studies/{study}/trials/{number}/files/{path:path}")
@router.get("/studies/{study}/trials/{number}/files/{path:path}", response_class=FileResponse)
def get_file(study: str, number: Number, path: str, request: Request, call: Reader) -> Response:
    """Give a file of a trial, or a range of it."""
    found = call.storage.files.manifest(study, number).files.get(check_path(path))
    if found is None:
        msg = f"Trial {study}/{number} has no file {path!r} here."
        raise NotFoundError(msg)
    place = _shelf(call.parts, call.caller.project).blobs.path(found.sha256)
    return _content(request, place, found.sha256, name=path.rpartition("/")[2])


@router.put("/studies/{study}/trials/{number}/files/{path:path}", response_model=MissingDocument)
def put_file(
    study: str, number: Number, path: str, body: ContentDocument, call: Worker
) -> Response:
    """Give a trial a file, if its content is here."""
    file = StoredFile(body["sha256"], body["size"])
    with _shelf(call.parts, call.caller.project).blobs.keeping([file.sha256]) as missing:
        if not missing:
            call.storage.files.put(study, number, check_path(path), file, body["attempt"])
    return answer({"missing": missing})


@router.delete("/studies/{study}/trials/{number}/files", status_code=204)
def delete_files(study: str, number: Number, call: Worker) -> None:
    """Forget all files of a trial."""
    call.storage.files.remove(study, number)


@router.delete("/studies/{study}/trials/{number}/files/{path:path}", status_code=204)
def delete_file(study: str, number: Number, path: str, call: Worker) -> None:
    """Forget a file of a trial."""
    if not call.storage.files.remove(study, number, check_path(path)):
        msg = f"Trial {study}/{number} has no file {path!r} here."
        raise NotFoundError(msg)


def prepare(parts: Parts) -> None:
    """Have a server delete, now and then, what no study needs any more."""

    def sweep() -> None:
        for project in parts.shelves.projects():
            storage, shelf = parts.storage.in_project(project), parts.shelves.of(project)
            used = partial(_used, storage.files.digests, storage.jobs.digests)
            shelf.blobs.sweep(used, grace_s=_GRACE_S, unfinished_s=_UNFINISHED_S)
            shelf.outputs.forget(partial(_made, storage))
            shelf.allowance.recount()

    parts.chores.append(sweep)


def _used(*askers: Callable[[], frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*(ask() for ask in askers))


def _made(storage: Storage, study: str) -> float | None:
    try:
        return storage.study(study).created
    except NotFoundError:
        return None


def _shelf(parts: Parts, project: str) -> Shelf:
    return parts.shelves.of(project)


def _content(request: Request, path: FilePath, digest: str, *, name: str) -> Response:
    """Return a file as a response that browsers save rather than show, and never ask for twice."""
    headers = {"ETag": f'"{digest}"', "Cache-Control": "private, max-age=31536000, immutable"}
    if digest in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return FileResponse(path, headers=headers, media_type="application/octet-stream", filename=name)


def _announced(request: Request) -> tuple[int, int]:
    """Return where the bytes of a request begin in the content, and how many it has in all."""
    length = request.headers.get("content-length", "")
    if not length.isascii() or not length.isdigit() or len(length) > 15:
        raise Refused(411, "RequestError", "Say how many bytes come: Content-Length.")
    given = request.headers.get("content-range")
    if given is None:
        return 0, int(length)
    match = _RANGE.fullmatch(given)
    if match is not None:
        first, last, total = (int(digits) for digits in match.groups())
        if first <= last < total and last - first + 1 == int(length):
            return first, total
    message = (
        f"Content-Range: bytes FIRST-LAST/TOTAL, for as many bytes as come; given {given[:60]!r}"
        f" for {length} bytes."
    )
    raise Refused(400, "RequestError", message)


async def _take(upload: Upload, pieces: AsyncIterator[bytes]) -> None:
    """Write what comes; what has come before a connection breaks is kept."""
    buffer = bytearray()
    try:
        async for piece in pieces:
            buffer += piece
            if len(buffer) >= _BUFFER:
                data, buffer = bytes(buffer), bytearray()
                await run_in_threadpool(upload.write, data)
    except ClientDisconnect:
        await run_in_threadpool(upload.write, bytes(buffer))
        raise
    await run_in_threadpool(upload.write, bytes(buffer))


def _so_far(status: int, size: int) -> Response:
    response = answer({"offset": size}, status)
    response.headers["Upload-Offset"] = str(size)
    return response
