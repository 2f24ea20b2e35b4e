import hashlib
import os
import time
from pathlib import Path

import pytest

from tunesmith.errors import NotFoundError
from tunesmith.service.allowance import Allowance
from tunesmith.service.blobs import Blobs
from tunesmith.service.refusals import (
    BusyError,
    OffsetError,
    PathError,
    TooLargeError,
    WrongContentError,
)

DATA = b"weights" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()
OLD_S = 100_000.0


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return make(tmp_path)


def make(folder: Path, *, largest: int = 10**6, quota: int | None = None) -> Blobs:
    return Blobs(folder, largest=largest, allowance=Allowance(folder, quota))


def put(blobs: Blobs, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    with blobs.upload(digest, offset=0, total=len(data)) as upload:
        upload.write(data)
        assert upload.finish()
    return digest


def make_older(folder: Path) -> None:
    then = time.time() - OLD_S
    for place, _, names in os.walk(folder):
        for name in names:
            os.utime(Path(place, name), (then, then))


def test_a_file_is_found_by_the_hash_of_its_content(blobs: Blobs) -> None:
    put(blobs, DATA)

    assert blobs.path(DIGEST).read_bytes() == DATA


def test_a_file_of_no_bytes_is_a_file(blobs: Blobs) -> None:
    digest = put(blobs, b"")

    assert blobs.path(digest).read_bytes() == b""


def test_a_file_that_is_not_all_there_is_not_there(blobs: Blobs) -> None:
    with blobs.upload(DIGEST, offset=0, total=len(DATA)) as upload:
        upload.write(DATA[:100])
        complete = upload.finish()

    assert not complete
    assert not blobs.has(DIGEST)
    assert blobs.received(DIGEST) == 100
    with pytest.raises(NotFoundError, match="Send it first"):
        blobs.path(DIGEST)


@pytest.mark.parametrize("after_a_restart", [False, True])
def test_a_file_goes_on_where_it_broke_off(
    blobs: Blobs, tmp_path: Path, after_a_restart: bool
) -> None:
    with blobs.upload(DIGEST, offset=0, total=len(DATA)) as upload:
        upload.write(DATA[:100])

    again = make(tmp_path) if after_a_restart else blobs
    with again.upload(DIGEST, offset=100, total=len(DATA)) as upload:
        upload.write(DATA[100:])
        upload.finish()

    assert again.path(DIGEST).read_bytes() == DATA


@pytest.mark.parametrize("offset", [0, 99, 101])
def test_bytes_that_do_not_follow_are_refused_with_the_place_that_is_wanted(
    blobs: Blobs, offset: int
) -> None:
    with blobs.upload(DIGEST, offset=0, total=len(DATA)) as upload:
        upload.write(DATA[:100])

    with pytest.raises(OffsetError) as refused:
        blobs.upload(DIGEST, offset=offset, total=len(DATA))

    assert refused.value.wanted == 100


def test_other_content_than_was_announced_is_thrown_away(blobs: Blobs) -> None:
    upload = blobs.upload(DIGEST, offset=0, total=len(DATA))
    upload.write(DATA[::-1])

    with upload, pytest.raises(WrongContentError, match=DIGEST):
        upload.finish()

    assert blobs.received(DIGEST) == 0
    assert not blobs.has(DIGEST)


def test_more_bytes_than_were_announced_are_refused(blobs: Blobs) -> None:
    with blobs.upload(DIGEST, offset=0, total=10) as upload, pytest.raises(TooLargeError):
        upload.write(DATA)


def test_one_at_a_time_sends_a_file(blobs: Blobs) -> None:
    with blobs.upload(DIGEST, offset=0, total=len(DATA)), pytest.raises(BusyError):
        blobs.upload(DIGEST, offset=0, total=len(DATA))

    assert put(blobs, DATA) == DIGEST


def test_a_file_that_is_too_large_is_refused_before_it_comes(tmp_path: Path) -> None:
    blobs = make(tmp_path, largest=100)

    with pytest.raises(TooLargeError, match="100 bytes"):
        blobs.upload(DIGEST, offset=0, total=101)


def test_a_project_keeps_to_its_quota(tmp_path: Path) -> None:
    blobs = make(tmp_path, quota=len(DATA) + 10)
    put(blobs, DATA)

    with pytest.raises(TooLargeError, match="quota"):
        blobs.upload("0" * 64, offset=0, total=11)

    assert put(blobs, b"0123456789")


def test_what_did_not_come_does_not_count(tmp_path: Path) -> None:
    blobs = make(tmp_path, quota=len(DATA))
    with blobs.upload("0" * 64, offset=0, total=len(DATA)):
        pass

    assert put(blobs, DATA) == DIGEST


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", DIGEST.upper(), DIGEST[:63], DIGEST + "\n"]
)
def test_only_a_hash_names_a_file(blobs: Blobs, name: str) -> None:
    with pytest.raises(PathError, match="SHA-256"):
        blobs.has(name)


def test_what_is_old_and_unused_is_swept(blobs: Blobs, tmp_path: Path) -> None:
    used, unused = put(blobs, b"used"), put(blobs, b"unused")
    with blobs.upload(DIGEST, offset=0, total=len(DATA)) as upload:
        upload.write(DATA[:100])
    make_older(tmp_path)
    new = put(blobs, b"new")

    freed = blobs.sweep(lambda: {used}, grace_s=OLD_S / 2, unfinished_s=OLD_S / 2)

    assert freed == len(b"unused") + 100
    assert [blobs.has(d) for d in (used, unused, new)] == [True, False, True]
    assert blobs.received(DIGEST) == 0


def test_what_somebody_is_about_to_use_is_not_swept(blobs: Blobs, tmp_path: Path) -> None:
    digest = put(blobs, DATA)
    make_older(tmp_path)

    with blobs.keeping([digest]) as missing:
        pass
    blobs.sweep(lambda: (), grace_s=OLD_S / 2, unfinished_s=OLD_S / 2)

    assert missing == []
    assert blobs.has(digest)


def test_contents_that_are_missing_are_named(blobs: Blobs) -> None:
    put(blobs, DATA)

    with blobs.keeping([DIGEST, "0" * 64]) as missing:
        pass

    assert missing == ["0" * 64]
