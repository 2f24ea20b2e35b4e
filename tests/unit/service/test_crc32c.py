import io
import random

import pytest

from tunesmith.service import crc32c as module
from tunesmith.service.crc32c import crc32c


def bit_by_bit(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def test_the_standards_own_example_comes_out() -> None:
    assert crc32c(io.BytesIO(b"123456789")) == 0xE3069283


@pytest.mark.parametrize("length", [0, 1, 2, 8191, 8192, 8193, 50_001])
def test_all_lengths_agree_with_the_definition(length: int) -> None:
    data = random.Random(length).randbytes(length)

    assert crc32c(io.BytesIO(data)) == bit_by_bit(data)


def test_blocks_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 1000)
    data = random.Random(1).randbytes(5_300)

    assert crc32c(io.BytesIO(data)) == bit_by_bit(data)
