import json
import math
import os
from collections.abc import Iterable
from pathlib import Path

import hypertune
import pytest

from tunesmith.metrics import HypertuneFile, MetricRequest


@pytest.fixture
def source(tmp_path: Path) -> HypertuneFile:
    return HypertuneFile(tmp_path, MetricRequest(("accuracy",), started=1000.0))


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hypertune.HyperTune:
    path = tmp_path / "hypertune" / "output.metrics"
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(path))
    return hypertune.HyperTune()


def write(workdir: Path, entries: Iterable[dict[str, object]]) -> None:
    (workdir / "hypertune").mkdir(exist_ok=True)
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    (workdir / "hypertune" / "output.metrics").write_text(text)


def entry(
    value: str, *, tag: str = "accuracy", step: int = 0, at: float = 1000.0
) -> dict[str, object]:
    return {
        "timestamp": at,
        "trial": "0",
        tag: value,
        "global_step": str(step),
        "checkpoint_path": "",
    }


def test_nothing_is_read_before_the_first_report(source: HypertuneFile) -> None:
    assert source.read() == []


def test_every_report_of_the_package_is_read_once(
    source: HypertuneFile, program: hypertune.HyperTune
) -> None:
    read = []
    for step in range(1, 251):
        program.report_hyperparameter_tuning_metric("accuracy", step / 250, global_step=step)
        if step % 40 == 0:
            read += source.read()

    read += source.read(final=True)

    assert [(r.step, r.value) for r in read] == [(step, step / 250) for step in range(1, 251)]
    assert source.read(final=True) == []


def test_more_than_a_hundred_reports_between_two_looks_leave_the_last_hundred(
    source: HypertuneFile, program: hypertune.HyperTune
) -> None:
    for step in range(1, 251):
        program.report_hyperparameter_tuning_metric("accuracy", 0.5, global_step=step)

    assert [r.step for r in source.read()] == list(range(151, 251))


def test_several_tags_are_read_with_values_that_are_not_finite(
    source: HypertuneFile, program: hypertune.HyperTune
) -> None:
    program.report_hyperparameter_tuning_metric("accuracy", math.nan, global_step=1)
    program.report_hyperparameter_tuning_metric("val/перте", -math.inf, global_step=1)

    accuracy, other = source.read()

    assert math.isnan(accuracy.value)
    assert (other.metric, other.value) == ("val/перте", -math.inf)


def test_a_program_that_counts_no_steps_loses_no_value(
    source: HypertuneFile, program: hypertune.HyperTune
) -> None:
    for value in (0.1, 0.2, 0.3):
        program.report_hyperparameter_tuning_metric("accuracy", value)
        program.report_hyperparameter_tuning_metric("loss", -value)

    accuracy = [(r.step, r.value) for r in source.read() if r.metric == "accuracy"]

    assert accuracy == [(0, 0.1), (1, 0.2), (2, 0.3)]


def test_a_step_that_does_not_advance_is_counted_on(source: HypertuneFile, tmp_path: Path) -> None:
    write(tmp_path, [entry(str(value), step=10, at=1000.0 + value) for value in range(3)])

    assert [r.step for r in source.read()] == [10, 11, 12]


def test_steps_out_of_order_stay_as_they_are(source: HypertuneFile, tmp_path: Path) -> None:
    write(tmp_path, [entry("0.5", step=step) for step in (5, 3, 4)])

    assert [r.step for r in source.read()] == [5, 3, 4]


@pytest.mark.parametrize("tag", ["", None])
def test_a_report_without_a_tag_is_the_objective(
    source: HypertuneFile, program: hypertune.HyperTune, tag: str | None
) -> None:
    program.report_hyperparameter_tuning_metric(tag, 0.5, global_step=1)

    assert [r.metric for r in source.read()] == ["accuracy"]


def test_the_default_tag_keeps_its_name_where_it_is_wanted(
    tmp_path: Path, program: hypertune.HyperTune
) -> None:
    wanted = ("loss", "training/hptuning/metric")
    source = HypertuneFile(tmp_path, MetricRequest(wanted))

    program.report_hyperparameter_tuning_metric("", 0.5, global_step=1)

    assert [r.metric for r in source.read()] == ["training/hptuning/metric"]


def test_a_file_cut_off_at_any_byte_gives_its_whole_entries_and_later_the_rest(
    tmp_path: Path,
) -> None:
    whole = "".join(json.dumps(entry(f"0.{n}", step=n)) + "\n" for n in (1, 2, 3))
    path = tmp_path / "hypertune" / "output.metrics"
    path.parent.mkdir()

    for end in range(len(whole)):
        source = HypertuneFile(tmp_path, MetricRequest(("accuracy",)))
        path.write_text(whole[:end])
        early = source.read()
        path.write_text(whole)
        late = source.read(final=True)

        assert [r.step for r in early + late] == [1, 2, 3]


def test_the_time_of_a_report_is_the_programs(source: HypertuneFile, tmp_path: Path) -> None:
    write(tmp_path, [entry("1", step=1, at=1002.5), entry("1", step=2, at=900.0)])

    assert [r.elapsed_s for r in source.read()] == [2.5, 0.0]


def test_a_file_that_did_not_change_is_not_read_again(
    source: HypertuneFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, [entry("1")])
    source.read()

    def unreadable(path: Path) -> bytes:
        raise AssertionError(path)

    monkeypatch.setattr(Path, "read_bytes", unreadable)

    assert source.read() == []


def test_the_last_look_reads_what_the_clock_of_the_disk_did_not_show(
    source: HypertuneFile, tmp_path: Path
) -> None:
    path = tmp_path / "hypertune" / "output.metrics"
    write(tmp_path, [entry("1", step=1)])
    before = path.stat()
    source.read()

    write(tmp_path, [entry("2", step=2)])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert source.read() == []
    assert [r.step for r in source.read(final=True)] == [2]


@pytest.mark.parametrize(
    "garbage", [b"\xff\x00\n", b"[]\n", b'{"accuracy": "fast", "global_step": "x"}\n', b"{}\n{"]
)
def test_garbage_is_passed_over(source: HypertuneFile, tmp_path: Path, garbage: bytes) -> None:
    write(tmp_path, [entry("0.5", step=1)])
    path = tmp_path / "hypertune" / "output.metrics"
    path.write_bytes(garbage + b"\n" + path.read_bytes())

    assert [r.value for r in source.read()] == [0.5]
