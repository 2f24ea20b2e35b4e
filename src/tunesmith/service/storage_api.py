"""A small imitation of Cloud Storage's JSON API over the folders that stand for buckets.

For programs that use google-cloud-storage: with ``STORAGE_EMULATOR_HOST`` in their environment they
come here. It has what such programs do with objects: list, read in whole or in part, write in one
piece or many, copy and delete. Every bucket of a sound name is there; its folder is made by the first
object.
"""

import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse
from fastapi.routing import APIRoute

from tunesmith.service.multipart import cut_out
from tunesmith.service.objects import Objects, RefusedError, StoredObject, Upload

__all__ = ["storage_router"]

_MOST = 1000  # objects in one page
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(?:(\d+)|\*)")
_COPY = re.compile(r"/b/([^/]+)/o/([^/]+)/(copyTo|rewriteTo)/b/([^/]+)/o/([^/]+)$")
_OBJECT = re.compile(r"/b/[^/]+/o/([^/]+)$")


def storage_router(root: Path) -> APIRouter:
    """Return the routes; they belong at the top of a server.

    Args:
        root: The folder with a folder for each bucket.
    """
    api = _StorageApi(Objects(root))
    router = APIRouter(route_class=_GoogleRoute, include_in_schema=False)
    bucket, objects = "/storage/v1/b/{bucket}", "/storage/v1/b/{bucket}/o"
    router.get("/storage/v1/b")(api.list_buckets)
    router.post("/storage/v1/b")(api.create_bucket)
    router.get(bucket)(api.get_bucket)
    router.get(objects)(api.list_objects)
    router.get(objects + "/{name:path}")(api.get_object)
    router.get("/download" + objects + "/{name:path}")(api.download)
    router.delete(objects + "/{name:path}")(api.delete)
    router.post(objects + "/{name:path}")(api.copy)
    router.patch(objects + "/{name:path}")(api.get_object)  # of what may change, nothing is kept
    router.post("/upload" + objects)(api.upload)
    router.put("/upload" + objects)(api.take_piece)
    return router


class _GoogleRoute(APIRoute):
    """A route whose refusals have Google's form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except RefusedError as error:
                fault = {"message": str(error), "domain": "global", "reason": "invalid"}
                document = {"code": error.status, "message": str(error), "errors": [fault]}
                return JSONResponse({"error": document}, error.status)

        return answer


class _StorageApi:
    """The routes' functions.

    Args:
        objects: What they are about.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def list_buckets(self, request: Request) -> Response:
        """Answer with the buckets there are."""
        items = [_bucket(request, name) for name in self._objects.buckets()]
        return JSONResponse({"kind": "storage#buckets", "items": items})

    async def create_bucket(self, request: Request) -> Response:
        """Make a bucket's folder."""
        document = await request.json()
        name = document.get("name") if isinstance(document, dict) else None
        if not isinstance(name, str):
            raise RefusedError(400, "Required: the bucket's name")
        try:
            self._objects.bucket(name).mkdir(parents=True)
        except FileExistsError:
            raise RefusedError(409, "You already own this bucket.") from None
        return JSONResponse(_bucket(request, name))

    def get_bucket(self, request: Request, bucket: str) -> Response:
        """Answer with a bucket."""
        self._objects.bucket(bucket)
        return JSONResponse(_bucket(request, bucket))

    def list_objects(
        self,
        request: Request,
        *,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        pageToken: str = "",  # noqa: N803 - Google's name
        maxResults: int = _MOST,  # noqa: N803 - likewise
    ) -> Response:
        """Answer with a page of objects, and of what stands for those behind the delimiter."""
        entries: dict[str, bool] = {}  # in order; True for a prefix
        for name in self._objects.names(bucket, prefix):
            head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            entries[prefix + head + found if found else name] = bool(found)
        left = [entry for entry in entries if entry > unquote(pageToken)]
        page = left[: max(1, min(maxResults, _MOST))]
        document: dict[str, object] = {
            "kind": "storage#objects",
            "items": [
                _object(request, self._objects.get(bucket, n)) for n in page if not entries[n]
            ],
        }
        if prefixes := [name for name in page if entries[name]]:
            document["prefixes"] = prefixes
        if len(page) < len(left):
            document["nextPageToken"] = quote(page[-1])
        return JSONResponse(document)

    def get_object(self, request: Request, bucket: str, alt: str = "json") -> Response:
        """Answer with what an object is, or with its content."""
        if alt == "media":
            return self.download(request, bucket)
        return JSONResponse(_object(request, self._objects.get(bucket, _name(request))))

    def download(self, request: Request, bucket: str) -> Response:
        """Answer with an object's content, or with the part of it that was asked for."""
        found = self._objects.get(bucket, _name(request))
        md5, crc = found.hashes()
        headers = {
            "X-Goog-Hash": f"crc32c={crc},md5={md5}",
            "X-Goog-Generation": str(found.generation),
            "X-Goog-Metageneration": "1",
            "X-Goog-Storage-Class": "STANDARD",
            "X-Goog-Stored-Content-Length": str(found.size),
        }
        if found.size == 0:  # of nothing, no part can be asked for
            status = 416 if "range" in request.headers else 200
            return Response(b"", status, headers, found.content_type)
        return FileResponse(found.path, headers=headers, media_type=found.content_type)

    def delete(
        self,
        request: Request,
        bucket: str,
        ifGenerationMatch: int | None = None,  # noqa: N803 - Google's name
    ) -> Response:
        """Delete an object."""
        self._objects.delete(bucket, _name(request), ifGenerationMatch)
        return Response(status_code=204)

    def copy(self, request: Request) -> Response:
        """Copy an object; also the server's part in renaming one."""
        match = _COPY.search(_raw_path(request))
        if match is None:
            raise RefusedError(404, "Not Found")
        bucket, name, how, to_bucket, to_name = (unquote(part) for part in match.groups())
        source = self._objects.get(bucket, name)
        upload = self._objects.begin(to_bucket, to_name, None)
        upload.path.write_bytes(source.path.read_bytes())
        copied = _object(request, self._objects.finish(upload))
        if how == "copyTo":
            return JSONResponse(copied)
        size = str(source.size)
        document = {"kind": "storage#rewriteResponse", "done": True, "resource": copied}
        return JSONResponse({**document, "totalBytesRewritten": size, "objectSize": size})

    async def upload(
        self,
        request: Request,
        *,
        bucket: str,
        uploadType: str = "media",  # noqa: N803 - Google's name
        name: str = "",
        ifGenerationMatch: int | None = None,  # noqa: N803 - likewise
    ) -> Response:
        """Take an object in one piece, or begin to take it in several."""
        if uploadType == "multipart":
            return await self._take_multipart(request, bucket, name, ifGenerationMatch)
        if uploadType == "resumable":
            return await self._begin(request, bucket, name, ifGenerationMatch)
        upload = await run_in_threadpool(self._objects.begin, bucket, name, ifGenerationMatch)
        await _append(request, upload, 0)
        return await self._finish(request, upload)

    async def take_piece(self, request: Request, upload_id: str) -> Response:
        """Take a piece of an object, or answer how much of it has come."""
        upload = self._objects.upload(upload_id)
        have = upload.path.stat().st_size
        match = _RANGE.fullmatch(request.headers.get("content-range", "bytes */*"))
        if match is None:
            raise RefusedError(400, "Invalid Content-Range")
        if match[1] is None and "content-range" in request.headers:
            if match[3] is None or int(match[3]) != have:
                return _unfinished(have)
            return await self._finish(request, upload)
        first = int(match[1] or 0)
        if first > have:
            raise RefusedError(400, f"The piece begins at {first}, but only {have} bytes are here")
        have = await _append(request, upload, first)
        if match[1] is None or (match[3] is not None and int(match[3]) == have):
            return await self._finish(request, upload)
        return _unfinished(have)

    async def _take_multipart(
        self, request: Request, bucket: str, name: str, generation: int | None
    ) -> Response:
        staged = await run_in_threadpool(self._objects.begin, bucket, name or "unnamed", None)
        try:
            await _append(request, staged, 0)
            kind = request.headers.get("content-type", "")
            said, content = await run_in_threadpool(cut_out, staged.path, kind)
            named = said.get("name")
            real = name or (named if isinstance(named, str) else "")
            upload = await run_in_threadpool(self._objects.begin, bucket, real, generation)
            await run_in_threadpool(content.save, upload.path)
        except ValueError as error:
            raise RefusedError(400, str(error)) from error
        finally:
            self._objects.drop(staged)
        return await self._finish(request, upload)

    async def _begin(
        self, request: Request, bucket: str, name: str, generation: int | None
    ) -> Response:
        said = await request.json() if await request.body() else {}
        named = said.get("name", "") if isinstance(said, dict) else ""
        upload = self._objects.begin(bucket, name or str(named), generation)
        place = f"{_base(request)}/upload/storage/v1/b/{bucket}/o"
        place += f"?uploadType=resumable&upload_id={upload.identity}"
        return Response(headers={"Location": place, "X-GUploader-UploadID": upload.identity})

    async def _finish(self, request: Request, upload: Upload) -> Response:
        found = await run_in_threadpool(self._objects.finish, upload)
        return JSONResponse(await run_in_threadpool(_object, request, found))


async def _append(request: Request, upload: Upload, first: int) -> int:
    """Write what a request brings from byte ``first`` on; return the upload's size then."""
    with upload.path.open("r+b") as file:
        file.seek(first)
        async for chunk in request.stream():
            await run_in_threadpool(file.write, chunk)
        file.truncate()
        return file.tell()


def _unfinished(have: int) -> Response:
    headers = {"Range": f"bytes=0-{have - 1}"} if have else {}
    return Response(status_code=308, headers=headers)


def _name(request: Request) -> str:
    """Return the object's name in the path, in which a slash of its own is written %2F."""
    match = _OBJECT.search(_raw_path(request))
    return unquote(match[1]) if match is not None else str(request.path_params["name"])


def _raw_path(request: Request) -> str:
    raw = request.scope.get("raw_path") or request.url.path.encode()
    return raw.decode("ascii", "replace").partition("?")[0]


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _bucket(request: Request, name: str) -> dict[str, object]:
    return {
        "kind": "storage#bucket",
        "id": name,
        "name": name,
        "selfLink": f"{_base(request)}/storage/v1/b/{name}",
        "location": "US-CENTRAL1",
        "locationType": "region",
        "storageClass": "STANDARD",
        "metageneration": "1",
        "projectNumber": "0",
        "etag": "CAE=",
    }


def _object(request: Request, found: StoredObject) -> dict[str, object]:
    md5, crc = found.hashes()
    place = f"/storage/v1/b/{found.bucket}/o/{quote(found.name, safe='')}"
    generation = str(found.generation)
    return {
        "kind": "storage#object",
        "id": f"{found.bucket}/{found.name}/{generation}",
        "name": found.name,
        "bucket": found.bucket,
        "selfLink": _base(request) + place,
        "mediaLink": f"{_base(request)}/download{place}?generation={generation}&alt=media",
        "generation": generation,
        "metageneration": "1",
        "contentType": found.content_type,
        "size": str(found.size),
        "md5Hash": md5,
        "crc32c": crc,
        "etag": f"C{generation}",
        "storageClass": "STANDARD",
        "timeCreated": found.updated,
        "updated": found.updated,
        "timeStorageClassUpdated": found.updated,
    }
