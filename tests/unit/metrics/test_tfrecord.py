import struct
from pathlib import Path

import pytest
from tensorboardX.record_writer import masked_crc32c as reference_checksum

from tunesmith.metrics.tfrecord import RecordFile, masked_crc32c

RECORDS = [b"first", b"", b"third \x00\xff" * 20]
LARGE = b"x" * (256 * 1024 + 1)


def framed(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    checksums = [struct.pack("<I", masked_crc32c(part)) for part in (length, data)]
    return length + checksums[0] + data + checksums[1]


WHOLE = b"".join(map(framed, RECORDS))


def read(file: RecordFile, *, final: bool = False) -> list[bytes]:
    return list(file.read(final=final))


@pytest.mark.parametrize("data", [b"", b"123456789", bytes(range(256)) * 5])
def test_the_checksum_is_that_of_other_writers(data: bytes) -> None:
    assert masked_crc32c(data) == reference_checksum(data)


def test_the_checksum_is_a_masked_crc32c() -> None:
    published = 0xE3069283  # of these digits, in every table of checksums

    rotated = ((published >> 15) | (published << 17)) & 0xFFFFFFFF

    assert masked_crc32c(b"123456789") == (rotated + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize("cut", range(len(WHOLE) + 1))
def test_a_file_cut_at_any_byte_gives_its_whole_records_and_later_the_rest(
    tmp_path: Path, cut: int
) -> None:
    file = RecordFile(tmp_path / "f")

    (tmp_path / "f").write_bytes(WHOLE[:cut])
    early = read(file)
    (tmp_path / "f").write_bytes(WHOLE)
    late = read(file, final=True)

    assert early + late == RECORDS
    assert file.damaged_at is None
    assert read(file) == []


@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_a_flipped_byte_anywhere_ends_the_reading_before_its_record(
    tmp_path: Path, at: int
) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= 0x55
    (tmp_path / "f").write_bytes(damaged)
    file = RecordFile(tmp_path / "f")

    records = read(file, final=True)

    begins = [0, len(framed(RECORDS[0])), len(framed(RECORDS[0]) + framed(RECORDS[1]))]
    sound = sum(begin <= at for begin in begins) - 1
    assert records == RECORDS[:sound]
    assert file.damaged_at == begins[sound]


def test_a_tail_that_looked_damaged_is_read_when_it_has_arrived(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "f")
    (tmp_path / "f").write_bytes(WHOLE[:30] + bytes(len(WHOLE) - 30))
    early = read(file)
    looked_damaged = file.damaged_at

    (tmp_path / "f").write_bytes(WHOLE)

    assert early + read(file) == RECORDS
    assert looked_damaged is not None
    assert file.damaged_at is None


def test_a_large_record_is_stepped_over_once_it_is_whole(tmp_path: Path) -> None:
    data = framed(LARGE) + framed(b"behind")
    file = RecordFile(tmp_path / "f")

    (tmp_path / "f").write_bytes(data[:1000])
    early = read(file)
    (tmp_path / "f").write_bytes(data)

    assert (early, read(file)) == ([], [b"behind"])


def test_a_large_record_at_the_end_is_stepped_over(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(framed(b"before") + framed(LARGE))

    assert read(RecordFile(tmp_path / "f"), final=True) == [b"before"]


def test_the_last_look_reads_all_and_others_about_one_block(tmp_path: Path) -> None:
    records = [bytes([n]) * 50_000 for n in range(40)]
    (tmp_path / "f").write_bytes(b"".join(map(framed, records)))
    file = RecordFile(tmp_path / "f")

    first = read(file)
    rest = read(file, final=True)

    assert first + rest == records
    assert 0 < len(first) < 15


def test_a_replaced_file_is_read_from_its_start(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(framed(b"old"))
    file = RecordFile(tmp_path / "f")
    read(file)

    (tmp_path / "new").write_bytes(framed(b"new") + framed(b"newer"))
    (tmp_path / "new").replace(tmp_path / "f")

    assert read(file) == [b"new", b"newer"]
    assert file.restarts == 1
