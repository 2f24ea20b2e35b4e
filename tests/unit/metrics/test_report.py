import json
import math
from pathlib import Path

import pytest

from tunesmith.metrics import MetricRequest, Reading, ReportFile


def write(workdir: Path, *lines: object) -> None:
    with (workdir / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def source(tmp_path: Path) -> ReportFile:
    return ReportFile(tmp_path, MetricRequest(("accuracy",), started=100.0, now=lambda: 107.0))


def test_nothing_is_read_before_the_first_report(source: ReportFile) -> None:
    assert source.read() == []


def test_all_metrics_of_a_report_stand_at_its_step(source: ReportFile, tmp_path: Path) -> None:
    write(tmp_path, {"step": 3, "elapsed_s": 1.25, "metrics": {"accuracy": 0.9, "损失/val": 2}})

    readings = source.read()

    assert readings == [Reading("accuracy", 3, 0.9, 1.25), Reading("损失/val", 3, 2.0, 1.25)]
    assert source.read() == []


def test_values_that_are_not_finite_are_written_as_texts(
    source: ReportFile, tmp_path: Path
) -> None:
    write(tmp_path, {"step": 0, "metrics": {"a": "nan", "b": "inf", "c": "-inf"}})

    a, b, c = (reading.value for reading in source.read())

    assert math.isnan(a)
    assert (b, c) == (math.inf, -math.inf)


def test_reports_without_a_step_are_counted_from_zero(source: ReportFile, tmp_path: Path) -> None:
    write(tmp_path, *({"step": step, "metrics": {"accuracy": 1}} for step in (None, None, 7, None)))

    assert [reading.step for reading in source.read()] == [0, 1, 7, 8]


def test_metrics_reported_one_by_one_meet_at_the_same_steps(
    source: ReportFile, tmp_path: Path
) -> None:
    for _ in range(2):
        write(tmp_path, {"step": None, "metrics": {"loss": 1}})
        write(tmp_path, {"step": None, "metrics": {"accuracy": 1}})

    steps = [(reading.metric, reading.step) for reading in source.read()]

    assert steps == [("loss", 0), ("accuracy", 0), ("loss", 1), ("accuracy", 1)]


def test_metrics_reported_together_stay_together(source: ReportFile, tmp_path: Path) -> None:
    write(tmp_path, {"step": None, "metrics": {"loss": 1}})
    write(tmp_path, {"step": None, "metrics": {"loss": 1, "accuracy": 1}})

    assert [reading.step for reading in source.read()] == [0, 1, 1]


def test_a_half_written_report_is_waited_for(source: ReportFile, tmp_path: Path) -> None:
    line = b'{"step": 1, "metrics": {"\xc3\xa9": 0.5}}\n'
    path = tmp_path / "metrics.jsonl"

    readings = []
    for end in range(1, len(line) + 1):
        path.write_bytes(line[:end])
        readings.append(source.read())

    assert [[(r.metric, r.value) for r in read] for read in readings if read] == [[("é", 0.5)]]
    assert readings[-1]


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"{}",
        b'{"metrics": [1]}',
        b'{"metrics": {"accuracy": null}}',
        b'{"metrics": {"accuracy": true}}',
        b"[" * 50_000,
    ],
)
def test_garbage_is_passed_over(source: ReportFile, tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(garbage + b"\n")
    write(tmp_path, {"step": 4, "metrics": {"accuracy": 0.5}})

    assert [(r.step, r.value) for r in source.read()] == [(4, 0.5)]


@pytest.mark.parametrize("elapsed_s", [None, "nan", -1, "soon", True])
def test_the_clock_stands_in_for_a_time_that_makes_no_sense(
    source: ReportFile, tmp_path: Path, elapsed_s: object
) -> None:
    write(tmp_path, {"step": 0, "elapsed_s": elapsed_s, "metrics": {"accuracy": 1}})

    assert source.read()[0].elapsed_s == 7.0


@pytest.mark.parametrize("step", [-1, 2.5, "later", 2**70])
def test_a_step_that_makes_no_sense_counts_as_none(
    source: ReportFile, tmp_path: Path, step: object
) -> None:
    write(tmp_path, {"step": step, "metrics": {"accuracy": 1}})

    assert source.read()[0].step == 0


def test_a_program_can_say_that_its_values_cannot_be_tried(
    source: ReportFile, tmp_path: Path
) -> None:
    write(tmp_path, {"infeasible": "does not fit into memory"}, {"infeasible": "second thought"})

    assert source.read() == []
    assert source.remarks.infeasible == "does not fit into memory"


def test_infeasible_without_a_reason_is_still_infeasible(
    source: ReportFile, tmp_path: Path
) -> None:
    write(tmp_path, {"infeasible": ""})

    source.read()

    assert source.remarks.infeasible == "The program gave no reason."
