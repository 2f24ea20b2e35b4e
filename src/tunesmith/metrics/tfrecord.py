"""Reads the records of a growing TFRecord file, the frame around TensorBoard's events.

A record is its length (eight bytes, little endian), the length's checksum (four bytes), the data,
and the data's checksum. Both are CRC-32C, rotated by 15 bits plus a constant.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from tunesmith.metrics.tail import Tail

__all__ = ["RecordFile", "masked_crc32c"]

_FRAME = 16
_LONGEST = 256 * 2**10  # longer ones hold images or graphs and are stepped over
_BLOCK = _LONGEST + _FRAME  # so that any record that is read fits


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = tuple(_table_entry(byte) for byte in range(256))


def masked_crc32c(data: bytes) -> int:
    """Return the checksum of ``data`` as TFRecord stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


class RecordFile:
    """The records of one file that are still to be read.

    Attributes:
        damaged_at: The byte at which the last look met a wrong checksum, or None. Each look tries
            again there: on a network file system a tail may look damaged before all has arrived.
    """

    def __init__(self, path: Path) -> None:
        self.damaged_at: int | None = None
        self._tail = Tail(path)

    @property
    def restarts(self) -> int:
        """How often the file was replaced by another one."""
        return self._tail.restarts

    def read(self, *, final: bool) -> Iterator[bytes]:
        """Yield the data of new whole records; about one block of them unless ``final``."""
        read_bytes = 0
        while final or read_bytes < _BLOCK:
            block = self._tail.read(_BLOCK)
            self.damaged_at = None
            at = 0
            while (end := self._end(block, at)) is not None:
                if end <= len(block):
                    yield block[at + 12 : end - 4]
                    read_bytes += end - at
                at = end
            self._tail.offset += at - len(block)
            if at == 0 or self.damaged_at is not None or at == len(block) < _BLOCK:
                break

    def _end(self, block: bytes, at: int) -> int | None:
        """Return where the sound record at ``at`` ends, or None if there is none, or none yet.

        The end of a record that is stepped over may lie behind the block.
        """
        if len(block) - at < _FRAME:
            return None
        length, checksum = struct.unpack_from("<QI", block, at)
        sound = checksum == masked_crc32c(block[at : at + 8])
        end: int = at + length + _FRAME
        begins = self._tail.offset - len(block)
        if sound and length > _LONGEST:
            return end if begins + end <= self._tail.size else None
        if sound and end > len(block):
            return None
        if sound:
            (checksum,) = struct.unpack_from("<I", block, end - 4)
            sound = checksum == masked_crc32c(block[at + 12 : end - 4])
        if not sound:
            self.damaged_at = begins + at
            return None
        return end
