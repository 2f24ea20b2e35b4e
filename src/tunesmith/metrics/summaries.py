"""Scalars out of TensorBoard's events, which are protocol buffers (`tensorflow.Event`).

Only what leads to a scalar is read, by field numbers: an Event has a wall_time (1), a step (2) and
a Summary (5), a Summary has Values (1), and a Value has a tag (1) and either a simple_value (2), as
tensorboardX, PyTorch and TensorFlow 1 write it, or a tensor (8), as TensorFlow 2 does.
"""

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Event", "parse_event", "shortest"]


class Event(NamedTuple):
    """One moment of a training.

    Attributes:
        wall_time: Seconds since the epoch.
        step: As the program counted; 0 where it did not.
        scalars: Tags and values, in the order in which they were written.
    """

    wall_time: float
    step: int
    scalars: list[tuple[str, float]]


class _Number(NamedTuple):
    """How a tensor holds numbers of one type.

    Attributes:
        layout: The `struct` format of one number in ``tensor_content``.
        field: The field that otherwise lists them.
        digits: How many significant digits tell apart any two of them; 0 where all are exact.
    """

    layout: str
    field: int
    digits: int = 0


_NUMBERS = {
    1: _Number("<f", 5, 9),
    2: _Number("<d", 6),
    3: _Number("<i", 7),
    4: _Number("<B", 7),
    5: _Number("<h", 7),
    6: _Number("<b", 7),
    9: _Number("<q", 10),
    17: _Number("<H", 7),
    19: _Number("<e", 13, 5),
    22: _Number("<I", 16),
    23: _Number("<Q", 17),
}
"""By the number of TensorFlow's DataType."""


def parse_event(data: bytes) -> Event | None:
    """Return the event that ``data`` encodes, or None if it encodes none."""
    wall_time, step = math.nan, 0
    scalars: list[tuple[str, float]] = []
    try:
        for field, whole, content in _fields(data):
            if field == 1:
                (wall_time,) = struct.unpack("<d", content)
            elif field == 2:
                step = _signed(whole)
            elif field == 5:
                scalars += _scalars(content)
    except (ValueError, IndexError, struct.error):
        return None
    return Event(wall_time, step, scalars)


def shortest(value: float, layout: str, digits: int) -> float:
    """Return the decimal number that was probably meant by ``value``, a float of a narrower type.

    TensorBoard holds 0.91 as the nearest float32, which as a float is 0.9100000262260437. Of all
    decimals that the narrower type can't tell from ``value``, the one of fewest digits is returned;
    but subnormal numbers, which hold fewer digits than others, may get a few too many.

    Args:
        value: Exactly representable in the narrower type.
        layout: That type's `struct` format.
        digits: How many significant digits always suffice.
    """
    if not math.isfinite(value):
        return value
    for count in range(digits - 3, digits):
        short = float(f"{value:.{count}g}")
        if struct.unpack(layout, struct.pack(layout, short))[0] == value:
            return short
    return float(f"{value:.{digits}g}")


def _scalars(summary: bytes) -> Iterator[tuple[str, float]]:
    for field, _, content in _fields(summary):
        if field == 1:
            tag, value = _tag_and_value(content)
            if tag and value is not None:
                yield tag, value


def _tag_and_value(data: bytes) -> tuple[str, float | None]:
    tag, value, tensor, plugin = "", None, b"", ""
    for field, _, content in _fields(data):
        if field == 1:
            tag = content.decode()
        elif field == 2:
            value = shortest(struct.unpack("<f", content)[0], "<f", 9)
        elif field == 8:
            tensor = content
        elif field == 9:
            plugin = _inner(_inner(content)).decode()
    # Histograms, texts and hyperparameters are tensors too; their plug-in's name tells.
    if tensor and plugin in ("", "scalars"):
        value = _tensor_value(tensor)
    return tag, value


def _inner(message: bytes) -> bytes:
    """Return the first field of a message, which in metadata leads to the plug-in's name."""
    return next((content for field, _, content in _fields(message) if field == 1), b"")


def _tensor_value(tensor: bytes) -> float | None:
    """Return the only number in a tensor; None if it holds several, or none."""
    parts = list(_fields(tensor))
    number = _NUMBERS.get(next((whole for field, whole, _ in parts if field == 1), 0))
    shape = next((content for field, _, content in parts if field == 2), b"")
    if number is None or _element_count(shape) != 1:
        return None
    value = 0.0  # TensorFlow leaves out values that are all zero
    for field, whole, content in parts:
        if field == 4:
            (value,) = struct.unpack(number.layout, content)
        elif field == number.field:
            value = _listed(number, whole, content)
    return shortest(value, number.layout, number.digits) if number.digits else float(value)


def _listed(number: _Number, whole: int, content: bytes) -> float:
    if number.layout in ("<f", "<d"):
        return float(struct.unpack(number.layout, content)[0])
    if content:  # packed, as proto3 writes lists of whole numbers
        whole, end = _varint(content, 0)
        if end != len(content):
            raise ValueError
    if number.layout == "<e":  # listed by its bits
        return float(struct.unpack("<e", whole.to_bytes(2, "little"))[0])
    return whole if number.layout == "<Q" else _signed(whole)


def _element_count(shape: bytes) -> int:
    sizes = [
        next((_signed(whole) for inner, whole, _ in _fields(dimension) if inner == 1), 0)
        for field, _, dimension in _fields(shape)
        if field == 2
    ]
    return math.prod(sizes)


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield each field's number, its whole number or 0, and its content or ``b""``."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        whole, content = 0, b""
        wire_type = key & 7
        if wire_type == 0:
            whole, at = _varint(data, at)
        elif wire_type in (1, 2, 5):
            size = 8 if wire_type == 1 else 4
            if wire_type == 2:
                size, at = _varint(data, at)
            content = data[at : at + size]
            at += size
        else:
            raise ValueError
        if at > len(data):
            raise ValueError
        yield key >> 3, whole, content


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the whole number at ``at``, seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise ValueError


def _signed(whole: int) -> int:
    """Return the whole number whose two's complement of 64 bits ``whole`` is."""
    return whole - 2**64 if whole >= 2**63 else whole
