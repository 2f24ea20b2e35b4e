import math
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboardX import SummaryWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.proto.tensor_pb2 import TensorProto

from tunesmith.metrics import EventFiles, MetricRequest
from tunesmith.metrics.tfrecord import masked_crc32c

Found = list[tuple[str, int, float]]


def source(workdir: Path, *metrics: str) -> EventFiles:
    return EventFiles(workdir, MetricRequest(metrics or ("accuracy",), started=1000.0))


def read(events: EventFiles, *, final: bool = False) -> Found:
    return [(r.metric, r.step, r.value) for r in events.read(final=final)]


def write(folder: Path, *scalars: tuple[str, float, int | None]) -> Path:
    """Write scalars (tag, value, step) by tensorboardX; return the event file."""
    writer = SummaryWriter(str(folder))
    for tag, value, step in scalars:
        writer.add_scalar(tag, value, step, walltime=1000.0 + (step or 0))
    writer.close()
    return max(folder.glob("*tfevents*"))


def framed(event: Event) -> bytes:
    data: bytes = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    checksums = [struct.pack("<I", masked_crc32c(part)) for part in (length, data)]
    return length + checksums[0] + data + checksums[1]


def simple(tag: str, value: float, step: int) -> bytes:
    values = [Summary.Value(tag=tag, simple_value=value)]
    return framed(Event(wall_time=1000.0 + step, step=step, summary=Summary(value=values)))


def tensor(tag: str, value: float, step: int) -> bytes:
    """Return a scalar as TensorFlow 2 writes it."""
    content = TensorProto(dtype=1, tensor_content=struct.pack("<f", value))
    content.tensor_shape.SetInParent()
    held = Summary.Value(tag=tag, tensor=content)
    held.metadata.plugin_data.plugin_name = "scalars"
    return framed(Event(wall_time=1000.0 + step, step=step, summary=Summary(value=[held])))


def test_nothing_is_read_where_no_event_was_written(tmp_path: Path) -> None:
    assert read(source(tmp_path / "later")) == []


def test_scalars_of_tensorboardx_are_read_once_from_step_zero(tmp_path: Path) -> None:
    events = source(tmp_path)

    write(tmp_path / "runs/now", ("accuracy", 0.91, 0), ("loss/val", 0.1, 0), ("accuracy", 0.92, 1))

    assert read(events) == [("accuracy", 0, 0.91), ("loss/val", 0, 0.1), ("accuracy", 1, 0.92)]
    assert read(events) == []


def test_readings_have_the_time_of_their_event(tmp_path: Path) -> None:
    write(tmp_path, ("accuracy", 0.5, 7))

    assert [r.elapsed_s for r in source(tmp_path).read()] == [7.0]


@pytest.mark.parametrize("encoded", [simple, tensor])
def test_both_encodings_are_read(
    tmp_path: Path, encoded: Callable[[str, float, int], bytes]
) -> None:
    values = [0.91, math.inf, -0.0]
    data = b"".join(encoded("précision/val", value, step) for step, value in enumerate(values))
    (tmp_path / "events.out.tfevents.1").write_bytes(data)

    assert read(source(tmp_path)) == [
        ("précision/val", step, value) for step, value in enumerate(values)
    ]


def test_a_file_cut_at_any_byte_is_read_on_from_there(tmp_path: Path) -> None:
    whole = b"".join(tensor("accuracy", step / 8, step) for step in range(3))
    path = tmp_path / "events.out.tfevents.1"

    for cut in range(0, len(whole), 5):
        events = source(tmp_path)
        path.write_bytes(whole[:cut])
        early = read(events)
        path.write_bytes(whole)

        assert early + read(events, final=True) == [("accuracy", s, s / 8) for s in range(3)]
        assert events.remarks.notes == []


def test_a_damaged_file_is_read_up_to_the_damage_which_is_noted(tmp_path: Path) -> None:
    at = len(simple("accuracy", 0.5, 0))
    data = bytearray(b"".join(simple("accuracy", 0.5, step) for step in range(3)))
    data[at + 20] ^= 1
    (tmp_path / "run").mkdir()
    (tmp_path / "run/events.out.tfevents.1").write_bytes(data)
    events = source(tmp_path)

    found = read(events, final=True)

    assert found == [("accuracy", 0, 0.5)]
    (note,) = events.remarks.notes
    assert note == (
        f"The event file run/events.out.tfevents.1 is damaged at byte {at}; "
        "what it holds behind that is not read."
    )


def test_a_replaced_file_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(simple("accuracy", 0.1, 0) + simple("accuracy", 0.2, 1))
    events = source(tmp_path)
    read(events)

    (tmp_path / "new").write_bytes(b"".join(simple("accuracy", 0.3, step) for step in range(4)))
    (tmp_path / "new").replace(path)

    assert [step for _, step, _ in read(events)] == [0, 1, 2, 3]


def test_several_files_of_one_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1").write_bytes(simple("accuracy", 0.1, 1))
    events = source(tmp_path)
    first = read(events)

    (tmp_path / "events.out.tfevents.2").write_bytes(simple("accuracy", 0.2, 2))

    assert (first, read(events)) == ([("accuracy", 1, 0.1)], [("accuracy", 2, 0.2)])


def test_a_program_that_counts_no_steps_loses_no_value(tmp_path: Path) -> None:
    write(tmp_path, *(("accuracy", value / 8, None) for value in range(3)))

    assert read(source(tmp_path)) == [
        ("accuracy", 0, 0.0),
        ("accuracy", 1, 0.125),
        ("accuracy", 2, 0.25),
    ]


def test_steps_that_start_again_stay_as_they_are(tmp_path: Path) -> None:
    data = b"".join(simple("accuracy", 0.5, step) for step in (0, 1, 2, 0, 1))
    (tmp_path / "events.out.tfevents.1").write_bytes(data)

    assert [step for _, step, _ in read(source(tmp_path))] == [0, 1, 2, 0, 1]


def test_a_negative_step_is_passed_over(tmp_path: Path) -> None:
    data = simple("accuracy", 0.5, -1) + simple("accuracy", 0.6, 1)
    (tmp_path / "events.out.tfevents.1").write_bytes(data)

    assert read(source(tmp_path)) == [("accuracy", 1, 0.6)]


@pytest.mark.parametrize(
    ("folder", "rank"),
    [
        ("validation", 0),
        ("logs/eval_holdout", 0),
        ("Val/1", 0),
        ("train/val", 0),
        (".", 1),
        ("logs", 1),
        ("evaluator", 1),
        ("interval", 1),
        ("train", 2),
        ("logs/Training", 2),
        ("constrained", 1),
    ],
)
def test_folders_for_evaluation_come_first_and_for_training_last(
    tmp_path: Path, folder: str, rank: int
) -> None:
    write(tmp_path / folder, ("accuracy", 0.5, 1))

    assert [r.rank for r in source(tmp_path).read()] == [rank]


def test_it_is_noted_when_a_wanted_tag_stands_in_two_kinds_of_folder(tmp_path: Path) -> None:
    write(tmp_path / "logs/train", ("accuracy", 0.9, 1), ("loss", 0.9, 1))
    events = source(tmp_path)
    read(events)

    write(tmp_path / "logs/validation", ("accuracy", 0.8, 1), ("loss", 0.8, 1))
    read(events)

    (note,) = events.remarks.notes
    assert note == (
        "'accuracy' was written in 'logs/validation' and in 'logs/train'; "
        "the values in 'logs/validation' count."
    )


def test_two_hundred_tags_are_read_and_the_wanted_ones_always(tmp_path: Path) -> None:
    data = b"".join(simple(f"tag{n}", 0.5, 1) for n in range(300)) + simple("accuracy", 0.5, 1)
    (tmp_path / "events.out.tfevents.1").write_bytes(data)
    events = source(tmp_path)

    names = [name for name, _, _ in read(events)]

    assert names == [*(f"tag{n}" for n in range(200)), "accuracy"]
    assert events.remarks.seen[0] == "tag200"


def test_many_scalars_arrive_in_several_looks(tmp_path: Path) -> None:
    data = b"".join(simple("accuracy", 0.5, step) for step in range(15_000))
    (tmp_path / "events.out.tfevents.1").write_bytes(data)
    events = source(tmp_path)

    first = read(events)
    rest = read(events, final=True)

    assert [step for _, step, _ in first + rest] == list(range(15_000))
    assert 0 < len(first) < 15_000


def test_a_file_that_cannot_be_read_is_noted_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1.tfevents").write_bytes(simple("accuracy", 0.1, 1))
    (tmp_path / "2.tfevents").write_bytes(simple("accuracy", 0.2, 2))
    opened = Path.open

    def forbidding(path: Path, *args: object, **kwargs: object) -> object:
        if path.name == "1.tfevents":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", forbidding)
    events = source(tmp_path)

    assert read(events) == [("accuracy", 2, 0.2)]
    assert events.remarks.notes == ["The event file 1.tfevents can't be read: Permission denied."]


def test_a_folder_that_disappears_does_no_harm(tmp_path: Path) -> None:
    write(tmp_path / "run", ("accuracy", 0.5, 1))
    events = source(tmp_path)
    read(events)

    shutil.rmtree(tmp_path / "run")

    assert read(events, final=True) == []
