import math
import struct

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event as EventMessage
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.proto.tensor_pb2 import TensorProto

from tunesmith.metrics.summaries import Event, parse_event, shortest

FLOAT, DOUBLE, INT32, UINT8, STRING, INT64, HALF = 1, 2, 3, 4, 7, 9, 19


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def value_of(tensor: bytes) -> float | None:
    """Return what is read from an event whose only value is this encoded tensor."""
    event = parse_event(field(5, field(1, field(1, b"t") + field(8, tensor))))
    assert event is not None
    return event.scalars[0][1] if event.scalars else None


def test_a_simple_value_is_read_as_the_decimal_it_was() -> None:
    summary = Summary(value=[Summary.Value(tag="val/é", simple_value=0.91)])
    message = EventMessage(wall_time=12.5, step=3, summary=summary)

    assert parse_event(message.SerializeToString()) == Event(12.5, 3, [("val/é", 0.91)])


def test_an_event_without_time_and_step_is_at_step_zero() -> None:
    event = parse_event(EventMessage(file_version="brain.Event:2").SerializeToString())

    assert event is not None
    assert math.isnan(event.wall_time)
    assert (event.step, event.scalars) == (0, [])


def test_all_values_of_a_summary_are_read() -> None:
    values = [Summary.Value(tag=tag, simple_value=0.0) for tag in ("a", "b")]
    message = EventMessage(step=2**40, summary=Summary(value=values))

    event = parse_event(message.SerializeToString())

    assert event is not None
    assert (event.step, event.scalars) == (2**40, [("a", 0.0), ("b", 0.0)])


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        (TensorProto(dtype=FLOAT, tensor_content=struct.pack("<f", 0.91)), 0.91),
        (TensorProto(dtype=FLOAT, float_val=[0.91]), 0.91),
        (TensorProto(dtype=FLOAT, float_val=[math.inf]), math.inf),
        (TensorProto(dtype=FLOAT), 0.0),
        (TensorProto(dtype=DOUBLE, tensor_content=struct.pack("<d", 0.1)), 0.1),
        (TensorProto(dtype=DOUBLE, double_val=[1 / 3]), 1 / 3),
        (TensorProto(dtype=INT32, tensor_content=struct.pack("<i", -7)), -7.0),
        (TensorProto(dtype=INT32, int_val=[-7]), -7.0),
        (TensorProto(dtype=UINT8, int_val=[200]), 200.0),
        (TensorProto(dtype=INT64, int64_val=[-(2**40)]), -(2.0**40)),
        (TensorProto(dtype=HALF, tensor_content=struct.pack("<e", 0.91)), 0.91),
        (TensorProto(dtype=HALF, half_val=[struct.unpack("<H", struct.pack("<e", 0.1))[0]]), 0.1),
    ],
)
def test_a_tensor_of_one_number_is_that_number(tensor: TensorProto, value: float) -> None:
    assert value_of(tensor.SerializeToString()) == value


def test_a_tensor_may_list_its_number_unpacked() -> None:
    assert value_of(b"\x08\x01" + b"\x2d" + struct.pack("<f", 0.91)) == 0.91
    assert value_of(b"\x08\x03" + b"\x38\x07") == 7.0


def test_a_tensor_whose_dimensions_are_all_one_is_a_number() -> None:
    tensor = TensorProto(dtype=FLOAT, float_val=[0.5])
    tensor.tensor_shape.dim.add(size=1)

    assert value_of(tensor.SerializeToString()) == 0.5


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(dtype=STRING, string_val=[b"text"]),
        TensorProto(float_val=[1.0]),
    ],
)
def test_a_tensor_of_no_numbers_is_no_scalar(tensor: TensorProto) -> None:
    assert value_of(tensor.SerializeToString()) is None


def test_a_tensor_of_several_numbers_is_no_scalar() -> None:
    tensor = TensorProto(dtype=FLOAT, float_val=[0.5, 0.6])
    tensor.tensor_shape.dim.add(size=2)

    assert value_of(tensor.SerializeToString()) is None


@pytest.mark.parametrize(
    ("plugin", "scalars"), [("scalars", 1), ("", 1), ("histograms", 0), ("hparams", 0)]
)
def test_the_plugin_tells_whether_a_tensor_is_a_scalar(plugin: str, scalars: int) -> None:
    value = Summary.Value(tag="t", tensor=TensorProto(dtype=FLOAT, float_val=[0.5]))
    value.metadata.plugin_data.plugin_name = plugin
    message = EventMessage(summary=Summary(value=[value]))

    event = parse_event(message.SerializeToString())

    assert event is not None
    assert len(event.scalars) == scalars


def test_a_histogram_is_passed_over() -> None:
    value = Summary.Value(tag="h")
    value.histo.bucket.extend([1.0, 2.0])
    values = [value, Summary.Value(tag="a", simple_value=1.0)]

    event = parse_event(EventMessage(summary=Summary(value=values)).SerializeToString())

    assert event is not None
    assert event.scalars == [("a", 1.0)]


def test_damaged_data_is_no_event_or_another_event_but_never_an_error() -> None:
    value = Summary.Value(tag="t", tensor=TensorProto(dtype=FLOAT, float_val=[0.5]))
    data = EventMessage(wall_time=1.0, step=300, summary=Summary(value=[value])).SerializeToString()
    rng = np.random.default_rng(0)

    for end in range(len(data)):
        parse_event(data[:end])
    for _ in range(3000):
        damaged = bytearray(data)
        for at in rng.integers(len(data), size=2):
            damaged[at] = rng.integers(256)
        parse_event(bytes(damaged))

    assert parse_event(b"\xff" * 20) is None


def test_the_shortest_decimal_is_numpys() -> None:
    bits = np.random.default_rng(0).integers(2**32, size=5000, dtype=np.uint32)
    edges = np.array([0x7F7FFFFF, 0xFF7FFFFF, 0x00800000, 0x3F800001], dtype=np.uint32)
    values = np.concatenate([bits, edges]).view(np.float32)
    normal = np.isfinite(values) & (np.abs(values) >= np.finfo(np.float32).tiny)

    for value in values[normal]:
        assert shortest(float(value), "<f", 9) == float(str(value))


@pytest.mark.parametrize("value", [0.0, 2.0**-149, -(2.0**-140)])
def test_the_shortest_decimal_of_a_tiny_number_is_still_that_number(value: float) -> None:
    assert np.float32(shortest(value, "<f", 9)) == value
