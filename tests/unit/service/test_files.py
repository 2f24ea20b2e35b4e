import hashlib
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tunesmith.model import TrialState
from tunesmith.service.settings import Limits
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, ServedStorage
from tunesmith.storage.address import Address
from tunesmith.storage.http_client import HttpClient
from tunesmith.storage.manifest import FileRefusedError, Manifest, StoredFile
from tunesmith.storage.remote_files import RemoteFiles
from tunesmith.testing.studies import spec_of, suggestions

Serve = Callable[..., Any]

DATA = b"weights" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()
BLOB = f"/blobs/{DIGEST}"
FILES = "/studies/s/trials/1/files"


@pytest.fixture(autouse=True)
def trial(storage: ServedStorage) -> None:
    """A running trial 1 of the study ``s``."""
    storage.create_study("s", spec_of(Space({"x": Double(0.0, 1.0)})))
    storage.add_trials("s", suggestions(0.5), after=0, claim=Claim("me", 60.0))


def put(client: Any, data: bytes = DATA, **headers: str) -> Any:
    return client("PUT", f"/blobs/{hashlib.sha256(data).hexdigest()}", raw=data, **headers)


def manifest(*paths: str, attempt: int = 1, digest: str = DIGEST) -> dict[str, Any]:
    files = [{"path": path, "sha256": digest, "size": len(DATA)} for path in paths]
    return {"attempt": attempt, "files": files}


# Contents


def test_a_content_comes_back_as_it_was_sent(client: Any) -> None:
    sent = put(client)

    got = client.get(BLOB)

    assert (sent.status, sent.json()) == (201, {"offset": len(DATA)})
    assert (got.status, got.body) == (200, DATA)
    assert got.headers["ETag"] == f'"{DIGEST}"'
    assert got.headers["Content-Disposition"].startswith("attachment")


def test_a_content_that_is_sent_again_is_there_already(client: Any) -> None:
    put(client)

    assert put(client).status == 200


def test_a_part_of_a_content_is_given(client: Any) -> None:
    put(client)

    got = client.get(BLOB, Range="bytes=7-13")

    assert (got.status, got.body) == (206, DATA[7:14])
    assert got.headers["Content-Range"] == f"bytes 7-13/{len(DATA)}"


def test_a_range_beyond_the_end_is_refused(client: Any) -> None:
    put(client)

    assert client.get(BLOB, Range="bytes=999999-").status == 416


def test_a_content_that_one_has_is_not_sent_again(client: Any) -> None:
    put(client)

    got = client.get(BLOB, If_None_Match=f'"{DIGEST}"')

    assert (got.status, got.body) == (304, b"")


def test_how_much_has_come_is_told(client: Any) -> None:
    part = client("PUT", BLOB, raw=DATA[:100], Content_Range=f"bytes 0-99/{len(DATA)}")

    head = client("HEAD", BLOB)

    assert (part.status, part.headers["Upload-Offset"]) == (202, "100")
    assert (head.status, head.headers["Upload-Offset"]) == (404, "100")


def test_a_content_goes_on_where_it_broke_off(client: Any) -> None:
    size = len(DATA)
    client("PUT", BLOB, raw=DATA[:100], Content_Range=f"bytes 0-99/{size}")

    wrong = client("PUT", BLOB, raw=DATA[50:], Content_Range=f"bytes 50-{size - 1}/{size}")
    right = client("PUT", BLOB, raw=DATA[100:], Content_Range=f"bytes 100-{size - 1}/{size}")

    assert (wrong.status, wrong.error["wanted"]) == (409, 100)
    assert right.status == 201
    assert client.get(BLOB).body == DATA


def test_what_came_before_a_connection_broke_is_kept(
    client: Any, until: Callable[..., None]
) -> None:
    data = DATA * 300
    path = f"/blobs/{hashlib.sha256(data).hexdigest()}"
    address = urlsplit(client.url)

    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        head = f"PUT /api/v1{path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data[:-1])
        until(lambda: int(client("HEAD", path).headers["Upload-Offset"]) >= 2**20)

    def go_on() -> bool:
        offset = int(client("HEAD", path).headers["Upload-Offset"])
        rest = f"bytes {offset}-{len(data) - 1}/{len(data)}"
        return bool(client("PUT", path, raw=data[offset:], Content_Range=rest).status == 201)

    until(go_on)
    assert client.get(path).body == data


def test_another_content_than_was_named_is_refused(client: Any) -> None:
    refused = client("PUT", BLOB, raw=b"something else")

    assert refused.status == 422
    assert DIGEST in refused.error["message"]
    assert client.get(BLOB).status == 404


def test_names_that_are_no_hashes_are_refused(client: Any) -> None:
    names = ["abc", "%2e%2e%2fsecret", DIGEST.upper(), "x" * 9000]

    statuses = [client.get(f"/blobs/{name}").status for name in names]

    assert statuses == [422, 404, 422, 422]


def test_ranges_that_make_no_sense_are_refused(client: Any) -> None:
    ranges = [
        "bytes 0-10",
        "bytes 5-4/100",
        "bytes 0-99/50",
        "lines 0-9/10",
        "bytes 0-9/" + "9" * 20,
    ]

    statuses = {
        given: client("PUT", BLOB, raw=DATA[:10], Content_Range=given).status for given in ranges
    }

    assert statuses == dict.fromkeys(ranges, 400)


def test_a_content_that_is_too_large_is_refused(serve: Serve) -> None:
    client = serve(limits=replace(Limits(), upload_bytes=100))

    refused = put(client)

    assert refused.status == 413
    assert "100 bytes" in refused.error["message"]


def test_a_project_keeps_to_its_quota(serve: Serve) -> None:
    client = serve(limits=replace(Limits(), project_bytes=len(DATA)))
    put(client)

    refused = put(client, b"one too many")

    assert refused.status == 413
    assert "quota" in refused.error["message"]


def test_another_project_does_not_find_a_content(serve: Serve, secret: Callable[..., str]) -> None:
    ours, theirs = secret("worker"), secret("worker", "other")
    client = serve()
    put(client, Authorization=f"Bearer {ours}")

    got = [client.get(BLOB, Authorization=f"Bearer {token}").status for token in (ours, theirs)]

    assert got == [200, 404]


# Files of trials


def test_a_trial_has_the_files_it_was_given(client: Any) -> None:
    put(client)

    kept = client("PUT", FILES, manifest("checkpoints/model.pt", "artifacts/größe.txt"))

    assert (kept.status, kept.json()) == (200, {"missing": []})
    listed = client.get(FILES).json()
    assert listed["attempt"] == 1
    assert [f["path"] for f in listed["files"]] == ["artifacts/größe.txt", "checkpoints/model.pt"]
    assert client.get(f"{FILES}/checkpoints/model.pt").body == DATA
    assert client.get(f"{FILES}/artifacts/gr%C3%B6%C3%9Fe.txt", Range="bytes=0-6").body == DATA[:7]


def test_a_list_replaces_the_one_before(client: Any) -> None:
    put(client)
    client("PUT", FILES, manifest("a", "b"))

    client("PUT", FILES, manifest("b", "c"))

    assert [f["path"] for f in client.get(FILES).json()["files"]] == ["b", "c"]


def test_a_list_whose_contents_are_not_there_changes_nothing(client: Any) -> None:
    put(client)
    client("PUT", FILES, manifest("a"))

    answer = client("PUT", FILES, manifest("b", digest="0" * 64))

    assert answer.json() == {"missing": ["0" * 64]}
    assert [f["path"] for f in client.get(FILES).json()["files"]] == ["a"]


def test_single_files_are_added_and_removed(client: Any) -> None:
    put(client)
    content = {"attempt": 1, "sha256": DIGEST, "size": len(DATA)}
    for path in ("a", "b/c"):
        client("PUT", f"{FILES}/{path}", content)

    statuses = [client("DELETE", f"{FILES}/{path}").status for path in ("a", "a")]

    assert statuses == [204, 404]
    assert [f["path"] for f in client.get(FILES).json()["files"]] == ["b/c"]
    assert client("DELETE", FILES).status == 204
    assert client.get(FILES).json() == {"attempt": 0, "files": []}


def test_paths_that_could_lead_astray_are_refused(client: Any) -> None:
    put(client)
    paths = ["", "/etc/passwd", "../up", "a/../../b", "a//b", "./a", "a/", "nul\0l", "back\\slash"]
    paths += ["x" * 501, "y" * 256, "line\nbreak"]

    statuses = {path: client("PUT", FILES, manifest(path)).status for path in paths}

    assert statuses == dict.fromkeys(paths, 422)
    assert client.get(FILES).json()["files"] == []


def test_a_path_can_be_in_a_list_once(client: Any) -> None:
    put(client)

    assert client("PUT", FILES, manifest("a", "a")).status == 422


def test_an_attempt_that_lost_the_trial_changes_no_files(
    client: Any, storage: ServedStorage
) -> None:
    put(client)
    storage.requeue("s", 1, 1, "lost")
    storage.claim("s", Claim("other", 60.0))

    refused = client("PUT", FILES, manifest("a", attempt=1))

    assert (refused.status, refused.error["type"]) == (409, "LeaseLostError")
    assert client("PUT", FILES, manifest("a", attempt=2)).status == 200


def test_files_of_what_there_is_not_are_not_found(client: Any) -> None:
    put(client)
    places = ["none/trials/1", "s/trials/2", "s/trials/0", "s/trials/-1", "s/trials/" + "9" * 20]

    statuses = [client.get(f"/studies/{place}/files").status for place in places]

    assert statuses[:2] == [404, 404]
    assert set(statuses) <= {404, 422}
    assert client("PUT", "/studies/s/trials/2/files", manifest("a")).status == 404


def test_reading_needs_less_than_sending(serve: Serve, secret: Callable[..., str]) -> None:
    reader, worker = (f"Bearer {secret(role)}" for role in ("read", "worker"))
    client = serve()

    statuses = [put(client, Authorization=token).status for token in (reader, worker)]

    assert statuses == [403, 201]
    assert client.get(BLOB, Authorization=reader).status == 200


def test_the_files_of_a_deleted_study_go_with_it(client: Any, storage: ServedStorage) -> None:
    put(client)
    client("PUT", FILES, manifest("a"))

    storage.delete_study("s")

    assert storage.files.digests() == frozenset()


# The client


@pytest.fixture
def remote(client: Any) -> RemoteFiles:
    return RemoteFiles(HttpClient(Address.parse(client.url)))


def test_files_go_there_and_back_in_pieces(remote: RemoteFiles, tmp_path: Path) -> None:
    data = bytes(i % 251 for i in range(1000)) * 9500
    pieces = [data[:size] for size in (0, 100, 9 * 2**20 + 1)]

    for number, piece in enumerate(pieces):
        (tmp_path / f"there-{number}").write_bytes(piece)
        file = StoredFile(hashlib.sha256(piece).hexdigest(), len(piece))
        remote.send(tmp_path / f"there-{number}", file)
        remote.fetch(file, tmp_path / f"back-{number}")

    assert [(tmp_path / f"back-{number}").read_bytes() for number in range(3)] == pieces


def test_a_file_is_fetched_from_where_it_broke_off(
    remote: RemoteFiles, client: Any, tmp_path: Path
) -> None:
    put(client)
    (tmp_path / "back").write_bytes(DATA[:1000])

    remote.fetch(StoredFile(DIGEST, len(DATA)), tmp_path / "back")

    assert (tmp_path / "back").read_bytes() == DATA


def test_a_file_is_sent_from_where_it_broke_off(
    remote: RemoteFiles, client: Any, tmp_path: Path
) -> None:
    (tmp_path / "there").write_bytes(DATA)
    client("PUT", BLOB, raw=DATA[:100], Content_Range=f"bytes 0-99/{len(DATA)}")

    remote.send(tmp_path / "there", StoredFile(DIGEST, len(DATA)))

    assert client.get(BLOB).body == DATA


def test_what_the_server_does_not_take_is_told_from_what_it_does_not_take_now(
    serve: Serve, tmp_path: Path
) -> None:
    client = serve(limits=replace(Limits(), upload_bytes=100))
    remote = RemoteFiles(HttpClient(Address.parse(client.url)))
    (tmp_path / "there").write_bytes(DATA)

    with pytest.raises(FileRefusedError, match="100 bytes"):
        remote.send(tmp_path / "there", StoredFile(DIGEST, len(DATA)))


def test_a_list_of_files_goes_there_and_back(remote: RemoteFiles, client: Any) -> None:
    put(client)
    wanted = Manifest(1, {"a/b": StoredFile(DIGEST, len(DATA))})

    missing = remote.keep("s", 1, wanted)

    assert missing == []
    assert remote.manifest("s", 1) == wanted


def test_files_may_be_added_after_the_end(client: Any, storage: ServedStorage) -> None:
    put(client)
    storage.finish("s", 1, 1, TrialState.COMPLETED, metrics={"y": 1.0})

    assert client("PUT", FILES, manifest("artifacts/plot.png")).status == 200
