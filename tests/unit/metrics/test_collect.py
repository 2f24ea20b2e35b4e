import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from tensorboardX import SummaryWriter

from tunesmith.errors import NotFoundError
from tunesmith.metrics import Batch, Collector, MetricRequest, Reading, Remarks
from tunesmith.model import Measurement
from tunesmith.plugins import load_plugin

BUILT_IN = ("stdout", "tensorboard", "report", "hypertune")


def collector(workdir: Path, *metrics: str, sources: tuple[str, ...] = BUILT_IN) -> Collector:
    wanted = metrics or ("accuracy",)
    request = MetricRequest(wanted, frozenset({"lr"}), started=1000.0, now=lambda: 1003.0)
    return Collector(workdir, request, sources)


def prints(workdir: Path, text: str) -> None:
    with (workdir / "stdout").open("a") as file:
        file.write(text + "\n")


def reports(workdir: Path, step: int | None, **metrics: float) -> None:
    line = {"step": step, "elapsed_s": 5.0, "metrics": metrics}
    with (workdir / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def hypertunes(workdir: Path, step: int, **metrics: float) -> None:
    (workdir / "hypertune").mkdir(exist_ok=True)
    with (workdir / "hypertune" / "output.metrics").open("a") as file:
        for tag, value in metrics.items():
            entry = {"timestamp": 1004.0, "trial": "1", tag: str(value), "global_step": str(step)}
            file.write(json.dumps(entry) + "\n")


def summarises(folder: Path, step: int, **metrics: float) -> None:
    writer = SummaryWriter(str(folder))
    for tag, value in metrics.items():
        writer.add_scalar(tag, value, step, walltime=1002.0)
    writer.close()


def values(batch: Batch) -> dict[int, Mapping[str, float]]:
    return {m.step: dict(m.metrics) for m in batch.measurements}


def test_a_program_that_wrote_nothing_has_an_empty_batch(tmp_path: Path) -> None:
    assert collector(tmp_path / "later").read(final=True) == Batch()


def test_readings_of_one_step_are_one_measurement_in_the_order_of_steps(tmp_path: Path) -> None:
    reports(tmp_path, 2, accuracy=0.2)
    prints(tmp_path, "step=1 accuracy=0 loss=1")
    reports(tmp_path, 1, accuracy=0.1, f1=0.3)

    batch = collector(tmp_path).read()

    assert batch.measurements == (
        Measurement(1, {"accuracy": 0.1, "f1": 0.3, "loss": 1.0}, 5.0),
        Measurement(2, {"accuracy": 0.2}, 5.0),
    )


def test_each_value_is_passed_on_once(tmp_path: Path) -> None:
    metrics = collector(tmp_path)
    reports(tmp_path, 1, accuracy=0.1)
    metrics.read()

    reports(tmp_path, 1, accuracy=0.9)
    reports(tmp_path, 2, accuracy=0.2)

    assert values(metrics.read()) == {2: {"accuracy": 0.2}}


def test_of_a_repeated_step_the_first_value_counts(tmp_path: Path) -> None:
    prints(tmp_path, "step=1 accuracy=0.1\nstep=1 accuracy=0.9")

    assert values(collector(tmp_path).read()) == {1: {"accuracy": 0.1}}


def test_a_metric_belongs_to_the_best_source_that_reports_it(tmp_path: Path) -> None:
    prints(tmp_path, "step=1 accuracy=0.4")
    summarises(tmp_path / "logs", 1, accuracy=0.3, loss=3)
    hypertunes(tmp_path, 1, accuracy=0.2, f1=0.2)
    reports(tmp_path, 1, accuracy=0.1)

    batch = collector(tmp_path).read()

    assert values(batch) == {1: {"accuracy": 0.1, "f1": 0.2, "loss": 3.0}}
    assert batch.superseded == frozenset()


def test_a_better_source_supersedes_what_was_read_before(tmp_path: Path) -> None:
    metrics = collector(tmp_path)
    prints(tmp_path, "step=1 accuracy=0.4 loss=1")
    first = metrics.read()

    hypertunes(tmp_path, 1, accuracy=0.2)
    prints(tmp_path, "step=2 accuracy=0.5 loss=2")
    second = metrics.read()
    prints(tmp_path, "step=3 accuracy=0.6 loss=3")
    third = metrics.read()

    assert values(first) == {1: {"accuracy": 0.4, "loss": 1.0}}
    assert second.superseded == {"accuracy"}
    assert values(second) == {1: {"accuracy": 0.2}, 2: {"loss": 2.0}}
    assert third.superseded == frozenset()
    assert values(third) == {3: {"loss": 3.0}}


def test_a_metric_can_change_hands_more_than_once(tmp_path: Path) -> None:
    metrics = collector(tmp_path)

    prints(tmp_path, "accuracy=1")
    batches = [metrics.read()]
    hypertunes(tmp_path, 1, accuracy=2)
    batches.append(metrics.read())
    reports(tmp_path, 1, accuracy=3)
    batches.append(metrics.read())

    assert [sorted(batch.superseded) for batch in batches] == [[], ["accuracy"], ["accuracy"]]
    assert values(batches[2]) == {1: {"accuracy": 3.0}}


def test_a_folder_for_evaluation_supersedes_one_for_training(tmp_path: Path) -> None:
    metrics = collector(tmp_path)
    summarises(tmp_path / "train", 1, accuracy=0.9)
    metrics.read()

    summarises(tmp_path / "validation", 1, accuracy=0.7)
    summarises(tmp_path / "train", 2, accuracy=0.95)
    batch = metrics.read()

    assert batch.superseded == {"accuracy"}
    assert values(batch) == {1: {"accuracy": 0.7}}
    assert len(metrics.notes) == 1


def test_folders_for_training_and_evaluation_read_at_once_supersede_nothing(tmp_path: Path) -> None:
    summarises(tmp_path / "train", 1, accuracy=0.9)
    summarises(tmp_path / "validation", 1, accuracy=0.7)

    batch = collector(tmp_path).read()

    assert batch.superseded == frozenset()
    assert values(batch) == {1: {"accuracy": 0.7}}


def test_only_the_named_sources_are_read(tmp_path: Path) -> None:
    prints(tmp_path, "accuracy=0.4")
    reports(tmp_path, 0, accuracy=0.1)

    assert values(collector(tmp_path, sources=("stdout",)).read()) == {0: {"accuracy": 0.4}}


def test_all_installed_sources_are_read_where_none_is_named(tmp_path: Path) -> None:
    prints(tmp_path, "accuracy=0.4")

    assert values(collector(tmp_path, sources=()).read()) == {0: {"accuracy": 0.4}}


def test_a_source_that_is_not_installed_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="'carrier pigeon'"):
        collector(tmp_path, sources=("carrier pigeon",))


def test_infeasible_is_said_in_every_batch_from_then_on(tmp_path: Path) -> None:
    metrics = collector(tmp_path)
    before = metrics.read()

    (tmp_path / "metrics.jsonl").write_text('{"infeasible": "too large"}\n')

    assert [before.infeasible, metrics.read().infeasible, metrics.read().infeasible] == [
        "",
        "too large",
        "too large",
    ]


@pytest.mark.parametrize("name", ["", "\\ud800", "a\\u0000b", "n" * 201])
def test_a_metric_without_a_storable_name_is_passed_over(tmp_path: Path, name: str) -> None:
    line = f'{{"step": 1, "metrics": {{"{name}": 1, "accuracy": 2}}}}\n'
    (tmp_path / "metrics.jsonl").write_text(line)

    assert values(collector(tmp_path).read()) == {1: {"accuracy": 2.0}}


class Pigeons:
    """A metric source as a plug-in might bring it."""

    def __init__(self, workdir: Path, request: MetricRequest) -> None:
        self.remarks = Remarks(seen=["feathers"], notes=["A pigeon was late."])
        self._fault = (workdir / "storm").exists()

    def read(self, *, final: bool = False) -> list[Reading]:
        if self._fault:
            raise OSError(5, "Input/output error")
        return [Reading("accuracy", 1, 0.5, 0.0), Reading("pigeons", 1, 12.0, 0.0)]


@pytest.fixture
def pigeons(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    def load(role: str, name: str) -> object:
        return Pigeons if name == "airmail" else load_plugin(role, name)

    monkeypatch.setattr("tunesmith.metrics.collect.load_plugin", load)
    return ("airmail", *BUILT_IN)


def test_a_plugin_comes_after_the_built_in_sources(
    tmp_path: Path, pigeons: tuple[str, ...]
) -> None:
    prints(tmp_path, "step=1 accuracy=0.4")
    metrics = collector(tmp_path, sources=pigeons)

    assert values(metrics.read()) == {1: {"accuracy": 0.4, "pigeons": 12.0}}
    assert metrics.seen == ("pigeons", "feathers")
    assert metrics.notes == ("A pigeon was late.",)


def test_a_source_that_cannot_read_is_noted_and_hides_no_other(
    tmp_path: Path, pigeons: tuple[str, ...]
) -> None:
    (tmp_path / "storm").touch()
    prints(tmp_path, "step=1 accuracy=0.4")
    metrics = collector(tmp_path, sources=pigeons)

    assert values(metrics.read()) == {1: {"accuracy": 0.4}}
    assert "The metric source 'airmail' can't read: [Errno 5] Input/output error." in metrics.notes


def test_no_sentence_is_said_while_no_metric_is_missing(tmp_path: Path) -> None:
    metrics = collector(tmp_path)
    prints(tmp_path, "accuracy=0.4")
    metrics.read()

    assert metrics.missing_sentence() == ""


def test_the_sentence_tells_what_was_seen_what_was_meant_and_what_to_do(tmp_path: Path) -> None:
    metrics = collector(tmp_path)
    prints(tmp_path, "loss=0.1 val_accuracy=0.9")
    metrics.read(final=True)

    assert metrics.missing_sentence() == (
        "The program ended well but never reported 'accuracy'. It reported: loss, val_accuracy. "
        "Did you mean 'val_accuracy'? "
        "Print a line like 'accuracy=0.93', or call tunesmith.report(step=1, accuracy=0.93)."
    )


def test_the_sentence_of_a_program_that_reported_nothing(tmp_path: Path) -> None:
    metrics = collector(tmp_path, "val/acc", "loss")
    metrics.read(final=True)

    assert metrics.missing_sentence() == (
        "The program ended well but never reported 'val/acc' and 'loss'. It reported no numbers. "
        "Print a line like 'val/acc=0.93', "
        "or call tunesmith.report(step=1, **{'val/acc': 0.93})."
    )


def test_another_case_is_a_likely_slip(tmp_path: Path) -> None:
    metrics = collector(tmp_path)
    reports(tmp_path, 1, loss=1, ACCURACY=0.5)
    metrics.read(final=True)

    assert "Did you mean 'ACCURACY'?" in metrics.missing_sentence()


def test_a_long_list_of_names_is_cut(tmp_path: Path) -> None:
    metrics = collector(tmp_path)
    reports(tmp_path, 1, **{f"m{n:02}": 1.0 for n in range(13)})
    metrics.read(final=True)

    assert ", m08, m09 and 3 more." in metrics.missing_sentence()


def test_the_advice_is_about_the_sources_that_are_read(tmp_path: Path) -> None:
    sentence = collector(tmp_path, sources=("hypertune", "tensorboard")).missing_sentence()

    assert sentence.endswith(
        "Write a TensorBoard scalar with the tag 'accuracy', "
        "or report it by cloudml-hypertune with the tag 'accuracy'."
    )


def test_the_advice_names_the_pattern(tmp_path: Path) -> None:
    request = MetricRequest(("accuracy",), pattern=r"acc (\S+)")

    sentence = Collector(tmp_path, request, ("stdout",)).missing_sentence()

    assert sentence.endswith(r"Print a line that 'acc (\\S+)' matches.")
