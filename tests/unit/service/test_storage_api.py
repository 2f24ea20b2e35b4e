import io
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tunesmith.service.storage_server import StorageServer


@pytest.fixture
def buckets(tmp_path: Path) -> Path:
    """The folder of buckets that the server has."""
    return tmp_path / "buckets"


@pytest.fixture
def url(buckets: Path) -> Iterator[str]:
    with StorageServer(buckets) as server:
        yield server.url


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


@pytest.fixture
def google(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Google's own client, pointed at the server by the environment alone."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    client = import_module("google.cloud.storage").Client()
    yield client
    client._http.close()


def test_googles_client_writes_lists_reads_and_deletes(google: Any, buckets: Path) -> None:
    bucket = google.bucket("my-bucket")
    assert bucket.exists()

    bucket.blob("a/b c/ü.txt").upload_from_string("hello")
    bucket.blob("top.txt").upload_from_string("")

    assert (buckets / "my-bucket" / "a" / "b c" / "ü.txt").read_text() == "hello"
    assert bucket.blob("a/b c/ü.txt").download_as_bytes() == b"hello"
    assert bucket.blob("top.txt").download_as_bytes() == b""
    assert [b.name for b in google.list_blobs("my-bucket")] == ["a/b c/ü.txt", "top.txt"]
    listed = google.list_blobs("my-bucket", delimiter="/")
    assert [b.name for b in listed] == ["top.txt"]
    assert listed.prefixes == {"a/"}
    blob = bucket.get_blob("a/b c/ü.txt")
    assert (blob.size, blob.md5_hash, blob.crc32c) == (5, "XUFAKrxLKna5cZ2REBfFkg==", "mnG7TA==")
    blob.delete()
    assert not blob.exists()


def test_googles_client_sends_and_fetches_large_files_in_pieces(google: Any) -> None:
    content = os.urandom(3 * 2**20 + 17)
    bucket = google.bucket("my-bucket")
    blob = bucket.blob("model.bin", chunk_size=2**20)

    blob.upload_from_file(io.BytesIO(content), size=len(content))

    assert blob.size == len(content)
    assert bucket.blob("model.bin", chunk_size=2**20).download_as_bytes() == content
    part = bucket.blob("model.bin").download_as_bytes(start=100, end=199)
    assert part == content[100:200]
    with bucket.blob("stream.bin").open("wb", chunk_size=2**18) as stream:
        stream.write(content)
    assert bucket.blob("stream.bin").download_as_bytes() == content


def test_googles_client_pages_renames_and_makes_buckets(google: Any, buckets: Path) -> None:
    bucket = google.create_bucket("made")
    for number in range(5):
        bucket.blob(f"{number}.txt").upload_from_string(str(number))

    bucket.rename_blob(bucket.blob("0.txt"), "sub/0.txt")

    pages = google.list_blobs("made", page_size=2).pages
    assert [[b.name for b in page] for page in pages] == [
        ["1.txt", "2.txt"],
        ["3.txt", "4.txt"],
        ["sub/0.txt"],
    ]
    assert [b.name for b in google.list_buckets()] == ["made"]
    bucket.blob("folder/").upload_from_string("")
    assert (buckets / "made" / "folder").is_dir()


def test_googles_client_is_told_of_what_is_not_there_and_of_what_is(google: Any) -> None:
    faults = import_module("google.api_core.exceptions")
    bucket = google.bucket("my-bucket")
    bucket.blob("a.txt").upload_from_string("a")

    with pytest.raises(faults.NotFound):
        bucket.blob("b.txt").download_as_bytes()
    with pytest.raises(faults.PreconditionFailed):
        bucket.blob("a.txt").upload_from_string("b", if_generation_match=0)
    with pytest.raises(faults.BadRequest, match="leads out of its bucket"):
        bucket.blob("../other/a.txt").upload_from_string("b")
    assert bucket.blob("a.txt").download_as_bytes() == b"a"


def test_a_trials_folder_behind_a_link_is_listed(
    url: str, http: urllib3.PoolManager, buckets: Path, tmp_path: Path
) -> None:
    trial = tmp_path / "trial"
    (trial / "model").mkdir(parents=True)
    (trial / "model" / "m.bin").write_bytes(b"1")
    (trial / "circle").symlink_to(trial)
    (buckets / "b-1" / "job").mkdir(parents=True)
    (buckets / "b-1" / "job" / "7").symlink_to(trial)

    listed = http.request("GET", f"{url}/storage/v1/b/b-1/o?prefix=job/7/mo").json()

    assert [item["name"] for item in listed["items"]] == ["job/7/model/m.bin"]


def test_an_upload_in_one_piece_needs_no_more_than_its_name(
    url: str, http: urllib3.PoolManager, buckets: Path
) -> None:
    place = f"{url}/upload/storage/v1/b/b-1/o?uploadType=media&name=a%2Fb.txt"

    answer = http.request("POST", place, body=b"words")

    assert answer.json()["name"] == "a/b.txt"
    assert (buckets / "b-1" / "a" / "b.txt").read_bytes() == b"words"
    assert not list((buckets / ".uploads").iterdir())


def test_an_upload_goes_on_where_it_was_broken_off(
    url: str, http: urllib3.PoolManager, buckets: Path
) -> None:
    begin = f"{url}/upload/storage/v1/b/b-1/o?uploadType=resumable&name=a.bin"
    place = http.request("POST", begin).headers["Location"]
    http.request("PUT", place, body=b"0123", headers={"Content-Range": "bytes 0-3/10"})

    asked = http.request("PUT", place, headers={"Content-Range": "bytes */10"})
    assert (asked.status, asked.headers["Range"]) == (308, "bytes=0-3")
    ahead = http.request("PUT", place, body=b"9", headers={"Content-Range": "bytes 9-9/10"})
    assert ahead.status == 400

    last = http.request("PUT", place, body=b"456789", headers={"Content-Range": "bytes 4-9/10"})
    assert last.status == 200
    assert (buckets / "b-1" / "a.bin").read_bytes() == b"0123456789"
    assert http.request("PUT", place, body=b"x").status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/storage/v1/b/NOT_A_BUCKET", 400),
        ("GET", "/storage/v1/b/b-1/o/none", 404),
        ("DELETE", "/storage/v1/b/b-1/o/none", 404),
        ("GET", "/storage/v1/b/b-1/o/..%2F..%2Fetc%2Fpasswd?alt=media", 400),
        ("GET", "/storage/v1/b/../o/etc", 404),
        ("POST", "/upload/storage/v1/b/b-1/o?uploadType=media", 400),
        ("POST", "/upload/storage/v1/b/b-1/o?uploadType=multipart&name=a", 400),
        ("PUT", "/upload/storage/v1/b/b-1/o?upload_id=..%2Fx", 404),
        ("POST", "/upload/storage/v1/b/b-1/o?uploadType=media&name=file/below", 409),
    ],
)
def test_what_cannot_be_is_refused(
    method: str, path: str, status: int, url: str, http: urllib3.PoolManager
) -> None:
    http.request("POST", f"{url}/upload/storage/v1/b/b-1/o?uploadType=media&name=file")

    answer = http.request(method, url + path)

    assert answer.status == status
    if "/../" not in path:
        assert answer.json()["error"]["code"] == status


@pytest.mark.parametrize("ending", ["", "--==b==", "--==b==--trailing"])
def test_an_upload_of_two_parts_that_is_broken_is_refused_or_taken_whole(
    ending: str, url: str, http: urllib3.PoolManager, buckets: Path
) -> None:
    head = b'--==b==\r\ncontent-type: application/json\r\n\r\n{"name": "a.bin"}\r\n'
    content = b"--==b==\r\ncontent-type: text/plain\r\n\r\nline\r\n\r\nmore\r\n"

    answer = http.request(
        "POST",
        f"{url}/upload/storage/v1/b/b-1/o?uploadType=multipart",
        body=head + content + ending.encode(),
        headers={"Content-Type": 'multipart/related; boundary="==b=="'},
    )

    if ending:
        assert answer.status == 200
        assert (buckets / "b-1" / "a.bin").read_bytes() == b"line\r\n\r\nmore"
    else:
        assert answer.status == 400
