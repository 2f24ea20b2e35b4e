from collections.abc import Sequence

import pytest

from tunesmith.errors import SpecError
from tunesmith.execution.cluster import replicas
from tunesmith.execution.shares import Shares
from tunesmith.model import Resources
from tunesmith.model.job import Job, Machine, Pool

GPUS = Machine("n1-standard-4", "NVIDIA_TESLA_V100", 2)


def given(job: Job, gpus: Sequence[str], resources: Resources | None = None) -> list[str]:
    """Return the GPUs of each replica of a job's first trial."""
    shares = Shares(job, resources or Resources(), gpus=gpus)
    slot = shares.slots.take()
    return [" ".join(shares.of(member, slot).gpus) for member in replicas(job)]


@pytest.fixture
def job() -> Job:
    """A chief and two workers, each with two GPUs, and an evaluator without."""
    return Job((Pool(machine=GPUS), Pool(2, machine=GPUS), Pool(0), Pool()), "vertex")


def test_each_replica_has_what_it_wishes_for(job: Job) -> None:
    there = [str(n) for n in range(13)]

    assert given(job, there) == ["0 1", "2 3", "4 5", ""]
    assert Shares(job, Resources(), gpus=there).slots.count == 2


def test_with_fewer_a_trial_has_all_and_its_replicas_share_them(job: Job) -> None:
    assert given(job, ["a", "b", "c"]) == ["a b", "c a", "b c", ""]
    assert given(job, ["a"]) == ["a", "a", "a", ""]
    assert Shares(job, Resources(), gpus=["a", "b", "c"]).slots.count == 1


def test_with_none_trials_run_without(job: Job) -> None:
    assert given(job, []) == ["", "", "", ""]
    assert Shares(job, Resources(), gpus=[]).slots.count is None


def test_what_was_set_for_this_machine_comes_before_the_wish(job: Job) -> None:
    there = ["a", "b", "c", "d"]

    assert Shares(job, Resources(gpus=2), gpus=there).slots.count == 2
    assert given(job, there, Resources(gpus=2)) == ["a b", "a b", "a b", ""]
    with pytest.raises(SpecError, match="Each trial needs 5 GPUs"):
        Shares(job, Resources(gpus=5), gpus=there)


def test_gpus_that_the_job_does_not_wish_for_are_the_primarys() -> None:
    job = Job((Pool(), Pool()), "vertex")

    assert given(job, ["a", "b"], Resources(gpus=1)) == ["a", ""]
