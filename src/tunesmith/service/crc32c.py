"""CRC-32C of large files, with numpy.

The checksum is linear over GF(2): of two pieces, it is that of the first, moved on by as many zero
bytes as the second has, plus that of the second. So a block is cut into rows that are worked on at
once, a column at a time, and the rows are then put together in pairs.

    register   the checksum so far, without the ones before and after, which belong to the whole file
    move       a linear map of registers, as the images of the 32 single bits, ``(32,)``
"""

from functools import cache
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["crc32c"]

Registers = NDArray[np.uint32]

_POLYNOMIAL = 0x82F63B78
_ONES = 0xFFFFFFFF
_ROWS = 4096
_BLOCK = _ROWS * 4096


def crc32c(file: BinaryIO) -> int:
    """Return the checksum of what is left of a file."""
    register, length = 0, 0
    while block := file.read(_BLOCK):
        register = _moved(register, len(block)) ^ _of_block(block)
        length += len(block)
    return _moved(_ONES, length) ^ register ^ _ONES


def _of_block(block: bytes) -> int:
    width = -(-len(block) // (2 * _ROWS))
    # Zeros in front change nothing: the register is 0 until the first other byte.
    padded = np.zeros(2 * _ROWS * width, np.uint8)
    padded[padded.size - len(block) :] = np.frombuffer(block, np.uint8)
    columns = np.ascontiguousarray(padded.view("<u2").reshape(_ROWS, width).T)

    registers = np.zeros(_ROWS, np.uint32)
    for column in columns:  # of two bytes each
        registers = _TABLE[(registers ^ column) & 0xFFFF] ^ (registers >> 16)

    length = 2 * width
    while registers.size > 1:
        registers = _applied(_move(length), registers[::2]) ^ registers[1::2]
        length *= 2
    return int(registers[0])


def _moved(register: int, length: int) -> int:
    """Return a register after as many zero bytes."""
    moved = np.array([register], np.uint32)
    for bit in range(length.bit_length()):
        if length >> bit & 1:
            moved = _applied(_move(1 << bit), moved)
    return int(moved[0])


@cache
def _move(length: int) -> Registers:
    """Return the map of as many zero bytes."""
    if length == 1:
        return _zeros(np.uint32(1) << np.arange(32, dtype=np.uint32), bits=8)
    half = _move(length // 2)
    twice = _applied(half, half)
    return _applied(_move(1), twice) if length % 2 else twice


def _applied(move: Registers, registers: Registers) -> Registers:
    found = np.zeros_like(registers)
    for bit in range(32):
        found ^= (registers >> np.uint32(bit) & np.uint32(1)) * move[bit]
    return found


def _zeros(registers: Registers, *, bits: int) -> Registers:
    """Return registers after as many zero bits."""
    one, polynomial = np.uint32(1), np.uint32(_POLYNOMIAL)
    for _ in range(bits):
        registers = (registers >> one) ^ (registers & one) * polynomial
    return registers


_TABLE = _zeros(np.arange(2**16, dtype=np.uint32), bits=16)
