import json
import math
from pathlib import Path

import pytest

from tunesmith.metrics import MetricRequest, Reading, StandardOutput


class Printed:
    """A trial's standard output, and its reader."""

    def __init__(self, workdir: Path, *metrics: str, pattern: str = "") -> None:
        self.path = workdir / "stdout"
        self.now = 100.0
        wanted = metrics or ("accuracy",)
        request = MetricRequest(wanted, frozenset({"lr"}), pattern, 100.0, lambda: self.now)
        self.source = StandardOutput(workdir, request)

    def write(self, data: str | bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data.encode() if isinstance(data, str) else data)

    def read(self, *, final: bool = False) -> list[tuple[str, int, float]]:
        return [(r.metric, r.step, r.value) for r in self.source.read(final=final)]


def test_nothing_is_read_before_anything_is_printed(tmp_path: Path) -> None:
    assert Printed(tmp_path).read() == []


def test_metrics_are_read_while_the_program_prints(tmp_path: Path) -> None:
    out = Printed(tmp_path)

    out.write("Epoch 1/2\nstep=1 accuracy=0.5 loss=1\nstep=2 accu")
    first = out.read()
    out.write("racy=0.6\n")

    assert first == [("accuracy", 1, 0.5), ("loss", 1, 1.0)]
    assert out.read() == [("accuracy", 2, 0.6)]
    assert out.read() == []


def test_the_time_of_a_reading_is_that_of_the_look(tmp_path: Path) -> None:
    out = Printed(tmp_path)
    out.write("accuracy=0.5\n")

    out.now = 103.0

    assert out.source.read() == [Reading("accuracy", 0, 0.5, 3.0)]


def test_parameters_are_not_metrics(tmp_path: Path) -> None:
    out = Printed(tmp_path)

    out.write('lr=0.1 accuracy=0.5\n{"lr": 0.1, "accuracy": 0.6}\nlr=0.1\n')

    assert out.read() == [("accuracy", 0, 0.5), ("accuracy", 1, 0.6)]
    assert "lr" not in out.source.remarks.seen


def test_values_without_a_step_are_counted_for_each_metric(tmp_path: Path) -> None:
    out = Printed(tmp_path, "accuracy", "loss")

    out.write("loss=3\naccuracy=0.1\nloss=2\naccuracy=0.2\n")

    assert out.read() == [
        ("loss", 0, 3.0),
        ("accuracy", 0, 0.1),
        ("loss", 1, 2.0),
        ("accuracy", 1, 0.2),
    ]


def test_steps_out_of_order_and_repeated_stay_as_printed(tmp_path: Path) -> None:
    out = Printed(tmp_path)

    out.write("".join(f"step={step} accuracy=1\n" for step in (5, 3, 3)) + "accuracy=1\n")

    assert [step for _, step, _ in out.read()] == [5, 3, 3, 6]


def test_a_progress_bar_is_read_as_it_is_redrawn(tmp_path: Path) -> None:
    out = Printed(tmp_path)

    out.write("\r10% accuracy=0.1\r20% accuracy=0.2\r30% accuracy=0.3")

    assert [value for _, _, value in out.read()] == [0.1, 0.2]
    assert [value for _, _, value in out.read(final=True)] == [0.3]


@pytest.mark.parametrize("name", ["accuracy", "准确率", "val/é"])
def test_output_cut_at_any_byte_gives_the_same_readings(tmp_path: Path, name: str) -> None:
    line = f"epoch=1 {name}=0.5 \U0001f600\n".encode()

    for cut in range(len(line)):
        workdir = tmp_path / str(cut)
        workdir.mkdir()
        out = Printed(workdir, name)
        out.write(line[:cut])
        early = out.read()
        out.write(line[cut:])

        assert early + out.read() == [(name, 1, 0.5)]


def test_a_name_that_json_escapes_is_found(tmp_path: Path) -> None:
    out = Printed(tmp_path, "précision")

    out.write(json.dumps({"précision": math.inf}) + "\n" + '{"précision": 2}\n')

    assert [value for _, _, value in out.read()] == [math.inf, 2.0]


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    out = Printed(tmp_path)

    out.write(bytes(range(256)) * 4 + b"\n\xff\xfe accuracy=0.5 \xc3\n")

    assert out.read() == [("accuracy", 0, 0.5)]


def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    out = Printed(tmp_path)

    out.write("accuracy=0.5")

    assert out.read() == []
    assert out.read(final=True) == [("accuracy", 0, 0.5)]


def test_metrics_are_found_in_much_output(tmp_path: Path) -> None:
    out = Printed(tmp_path)
    noise = "processed another batch of images without a thought\n" * 40_000
    for step in range(5):
        out.write(f"{noise}step={step} accuracy=0.{step}\n")

    first = out.read()
    rest = out.read(final=True)

    assert [step for _, step, _ in first + rest] == [0, 1, 2, 3, 4]
    assert 0 < len(first) < 5


def test_a_line_is_read_up_to_eight_kibibytes(tmp_path: Path) -> None:
    out = Printed(tmp_path)

    out.write("accuracy=0.1 " + "." * 20_000_000 + " accuracy=0.2\n")
    out.write("." * 8192 + " accuracy=0.3\naccuracy=0.4\n")

    assert [value for _, _, value in out.read(final=True)] == [0.1, 0.4]


def test_output_that_was_cut_short_is_read_anew(tmp_path: Path) -> None:
    out = Printed(tmp_path)
    out.write("step=1 accuracy=0.5 first\n")
    out.read()

    out.path.write_text("step=2 accuracy=0.6\n")

    assert out.read() == [("accuracy", 2, 0.6)]


def test_names_on_other_lines_are_remembered(tmp_path: Path) -> None:
    out = Printed(tmp_path)

    out.write("Epoch 3\nloss=1\nval_accuracy: 0.5\nAccuracy=0.5\n")

    assert out.read() == []
    assert set(out.source.remarks.seen) == {"loss", "val_accuracy", "Accuracy"}


def test_no_more_than_fifty_names_are_remembered(tmp_path: Path) -> None:
    out = Printed(tmp_path)

    out.write("".join(f"name_{n}=1\n" for n in range(1000)))
    out.read()

    assert len(out.source.remarks.seen) == 50


def test_a_pattern_stands_in_for_pairs_and_json(tmp_path: Path) -> None:
    out = Printed(tmp_path, pattern=r"\[(?P<step>\d+)\] (?P<name>\w+) -> (?P<value>\S+)")

    out.write('accuracy=0.1\n{"accuracy": 0.2}\n[4] accuracy -> 0.5 [4] lr -> 1 [4] loss -> nan?\n')
    out.write("[5] loss -> 2\n")

    assert out.read() == [("accuracy", 4, 0.5), ("loss", 5, 2.0)]


def test_a_pattern_with_one_group_gives_the_first_objective(tmp_path: Path) -> None:
    out = Printed(tmp_path, "accuracy", "loss", pattern=r"result (\S+)")

    out.write("result 0.5\nresult 0.6\n")

    assert out.read() == [("accuracy", 0, 0.5), ("accuracy", 1, 0.6)]


def test_a_pattern_that_cannot_be_used_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a regular expression"):
        Printed(tmp_path, pattern="(")
