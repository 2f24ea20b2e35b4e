"""Trials' files and outputs on a server: sent and fetched in pieces, each of which can be repeated."""

import hashlib
import os
import time
from pathlib import Path
from urllib.parse import quote

from tunesmith.errors import NotFoundError, StorageError
from tunesmith.storage.http_client import HttpClient, decoded
from tunesmith.storage.manifest import FileRefusedError, Manifest, OutputName, StoredFile
from tunesmith.storage.transport import Answer
from tunesmith.storage.wire import error_from

__all__ = ["RemoteFiles"]

_PIECE = 4 * 2**20
_NAP_S, _NAPS = 0.1, 50
_OK, _CREATED = 200, 201
_NOT_FOUND, _CONFLICT = 404, 409
_REFUSALS = frozenset({_CONFLICT, 413, 422})
_OFFSET = "upload-offset"


class RemoteFiles:
    """The files of trials at one server; may be shared by threads.

    Args:
        client: Asks the server.
    """

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def manifest(self, study: str, number: int) -> Manifest:
        """Return the files that the server has of a trial."""
        found = self._client.document("GET", f"{_trial(study, number)}/files")
        files = {f["path"]: StoredFile(f["sha256"], f["size"]) for f in found["files"]}
        return Manifest(found["attempt"], files)

    def keep(self, study: str, number: int, manifest: Manifest) -> list[str]:
        """Replace a trial's list of files; return the hashes that have to be sent first, if any."""
        files = [
            {"path": path, "sha256": file.sha256, "size": file.size}
            for path, file in manifest.files.items()
        ]
        document = {"attempt": manifest.attempt, "files": files}
        missing = self._client.document("PUT", f"{_trial(study, number)}/files", document)
        return [str(digest) for digest in missing["missing"]]

    def send(self, path: Path, file: StoredFile) -> None:
        """Send a content, from where it broke off before."""
        with path.open("rb") as data:
            offset, naps = self._received(file), 0
            while True:
                data.seek(offset)
                piece = data.read(min(_PIECE, file.size - offset))
                if file.size and not piece:
                    msg = f"{path} has become shorter while it was sent."
                    raise NotFoundError(msg)
                answer = self._put(file, offset, piece)
                if answer.status in (_OK, _CREATED):
                    return
                if _is_busy(answer) and naps < _NAPS:  # another trial has the same file
                    naps += 1
                    time.sleep(_NAP_S)
                    continue
                offset = self._offset(answer)

    def fetch(self, file: StoredFile, path: Path) -> None:
        """Write a content to ``path``, from where that broke off before; nothing if it is there."""
        with path.open("ab") as data:
            if data.tell() > file.size:
                data.truncate(0)
                data.seek(0)
            while (offset := data.tell()) < file.size:
                last = min(offset + _PIECE, file.size) - 1
                wanted = {"Range": f"bytes={offset}-{last}"}
                answer = self._client.ask("GET", f"/blobs/{file.sha256}", headers=wanted)
                if not answer.body:
                    raise StorageError(f"The server {self._where} gave nothing of a file it has.")
                data.write(answer.body)
            data.flush()
            os.fsync(data.fileno())
        with path.open("rb") as data:
            whole = hashlib.file_digest(data, "sha256").hexdigest() == file.sha256
        if not whole:  # an earlier fetch had begun another file here
            path.unlink()
            raise StorageError(f"What came for {path} from {self._where} was not what was wanted.")

    def append(self, study: str, output: OutputName, offset: int, data: bytes) -> int:
        """Add what a trial printed from ``offset`` on; return where the next bytes must begin."""
        path = (
            f"{_trial(study, output.number)}/logs/{output.stream}"
            f"?attempt={output.attempt}&offset={offset}"
        )
        headers = {"Content-Type": "application/octet-stream"}
        answer = self._client.ask("POST", path, body=data, headers=headers, expected=_REFUSALS)
        if answer.status != _OK:
            return self._offset(answer)
        return int(decoded(answer, self._client.address)["offset"])

    def read(
        self,
        study: str,
        output: OutputName,
        *,
        offset: int = 0,
        limit: int = _PIECE,
    ) -> bytes:
        """Return a piece of what a trial printed; raise `NotFoundError` if the server has none of it.

        Of attempt 0, which there is not, the last is meant.
        """
        path = f"{_trial(study, output.number)}/logs/{output.stream}?offset={offset}&limit={limit}"
        attempt = f"&attempt={output.attempt}" if output.attempt else ""
        return self._client.ask("GET", f"{path}{attempt}").body

    def _received(self, file: StoredFile) -> int:
        if file.size <= _PIECE:  # asking would take as long as sending
            return 0
        answer = self._client.ask("HEAD", f"/blobs/{file.sha256}", expected={_NOT_FOUND})
        return self._offset(answer) if answer.status == _NOT_FOUND else 0

    def _put(self, file: StoredFile, offset: int, piece: bytes) -> Answer:
        headers = {"Content-Type": "application/octet-stream"}
        if piece:
            last = offset + len(piece) - 1
            headers["Content-Range"] = f"bytes {offset}-{last}/{file.size}"
        path = f"/blobs/{file.sha256}"
        return self._client.ask("PUT", path, body=piece, headers=headers, expected=_REFUSALS)

    @property
    def _where(self) -> str:
        return self._client.address.base

    def _offset(self, answer: Answer) -> int:
        """Return where the server wants to go on; raise what it says if it does not want to."""
        if (offset := answer.headers.get(_OFFSET, "")).isdigit():
            return int(offset)
        if _is_busy(answer):
            raise StorageError(f"The server {self._where} is given this file by another client.")
        said = decoded(answer, self._client.address)["error"]
        raise error_from(said) or FileRefusedError(said["message"])


def _trial(study: str, number: int) -> str:
    return f"/studies/{quote(study, safe='')}/trials/{number}"


def _is_busy(answer: Answer) -> bool:
    return answer.status == _CONFLICT and "retry-after" in answer.headers
