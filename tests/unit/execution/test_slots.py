import os
from pathlib import Path

import pytest

from tunesmith.errors import SpecError
from tunesmith.execution import visible_gpus
from tunesmith.execution.slots import Slot, Slots
from tunesmith.model import Resources


@pytest.mark.parametrize(
    ("shown", "gpus"),
    [
        ("0,1", ["0", "1"]),
        ("", []),
        ("-1", []),
        ("GPU-8a1f,MIG-77", ["GPU-8a1f", "MIG-77"]),
        (" 2 , 3 ", ["2", "3"]),
    ],
)
def test_the_gpus_are_those_that_the_tuner_was_shown(shown: str, gpus: list[str]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": shown}) == gpus


def test_the_gpus_are_else_those_that_nvidia_smi_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    assert visible_gpus({}) == ["0", "1"]


def test_a_broken_nvidia_smi_means_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    assert visible_gpus({}) == []


def test_no_two_trials_share_a_gpu() -> None:
    slots = Slots(Resources(gpus=2), gpus=["0", "1", "2", "3", "4"])

    taken = [slots.take() for _ in range(slots.count or 0)]

    assert [slot.gpus for slot in taken] == [("0", "1"), ("2", "3")]


def test_gpus_and_cpus_together_allow_what_the_scarcer_allows() -> None:
    slots = Slots(Resources(gpus=1, cpus=3), gpus=["a", "b", "c"], cpus=range(8))

    assert slots.count == 2
    assert slots.take() == Slot(("a",), (0, 1, 2))
    assert slots.take() == Slot(("b",), (3, 4, 5))


def test_a_slot_given_back_is_handed_out_again() -> None:
    slots = Slots(Resources(gpus=1), gpus=["0"])
    slot = slots.take()

    slots.give_back(slot)

    assert slots.take() == slot


def test_without_wishes_there_is_no_bound() -> None:
    slots = Slots(Resources())

    assert slots.count is None
    assert slots.take() == slots.take() == Slot()


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (
            Resources(gpus=3),
            "Each trial needs 3 GPUs, but this machine shows 2. Lower resources.gp",
        ),
        (
            Resources(cpus=9),
            "Each trial needs 9 CPUs, but this machine shows 4. Lower resources.cp",
        ),
    ],
)
def test_a_trial_that_needs_more_than_there_is_is_refused(
    resources: Resources, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        Slots(resources, gpus=["0", "1"], cpus=range(4))


def test_a_slot_tells_libraries_how_many_threads_they_may_start() -> None:
    variables = Slot(("5",), (1, 3)).variables()

    assert variables["CUDA_VISIBLE_DEVICES"] == "5"
    assert variables["OMP_NUM_THREADS"] == variables["MKL_NUM_THREADS"] == "2"


def test_cpus_that_were_taken_away_since_hold_no_program_up() -> None:
    before = os.sched_getaffinity(0)

    Slot(cpus=(1000,)).pin(os.getpid())

    assert os.sched_getaffinity(0) == before
