from collections.abc import Callable

import pytest

from tunesmith.execution import Ended, Outcome
from tunesmith.execution.cluster import Replica, replicas
from tunesmith.execution.crew import Crew
from tunesmith.execution.guard import Guard
from tunesmith.model import Resources
from tunesmith.model.job import Job, Pool, Restart

CHIEF, WORKER, SERVER = replicas(Job((Pool(), Pool(), Pool()), "vertex"))

Make = Callable[..., Crew]


@pytest.fixture
def crew() -> Make:
    """Makes crews of a chief, a worker and a parameter server, whose processes are none."""

    def make(restart: Restart = "replica") -> Crew:
        resources = Resources()
        crew = Crew(7, Guard([], resources), resources, restart)
        for replica in (CHIEF, WORKER, SERVER):
            crew.begin(replica)
        return crew

    return make


def end(crew: Crew, replica: Replica, outcome: Outcome, reason: str = "") -> bool:
    return crew.end(replica, Ended(7, outcome, reason))


def end_all(crew: Crew) -> Ended:
    for replica in (CHIEF, WORKER, SERVER):
        if replica.rank in crew._living:
            end(crew, replica, Outcome.LOST, "killed")
    ended = crew.take_end()
    assert ended is not None
    return ended


def test_the_primary_decides_and_what_others_do_later_does_not_count(crew: Make) -> None:
    made = crew()

    end(made, CHIEF, Outcome.SUCCEEDED)
    end(made, WORKER, Outcome.FAILED, "lost its chief")

    assert end_all(made) == Ended(7, Outcome.SUCCEEDED)


def test_the_end_is_told_once_and_not_before_all_have_ended(crew: Make) -> None:
    made = crew()
    end(made, CHIEF, Outcome.SUCCEEDED)

    early = made.take_end()
    told = end_all(made)

    assert early is None
    assert told == Ended(7, Outcome.SUCCEEDED)
    assert made.take_end() is None


def test_a_worker_that_has_done_its_part_changes_nothing(crew: Make) -> None:
    made = crew()

    end(made, WORKER, Outcome.SUCCEEDED)

    assert made.guard.outcome is None
    end(made, CHIEF, Outcome.FAILED, "exit status 1")
    assert end_all(made) == Ended(7, Outcome.FAILED, "exit status 1")


def test_the_first_fault_is_the_reason(crew: Make) -> None:
    made = crew()

    end(made, WORKER, Outcome.FAILED, "no data")
    end(made, CHIEF, Outcome.FAILED, "lost a worker")

    assert end_all(made) == Ended(7, Outcome.FAILED, "workerpool1-0: no data")


def test_a_replica_is_started_again_alone_no_more_than_three_times(crew: Make) -> None:
    made = crew()

    again = [end(made, WORKER, Outcome.LOST, "killed") for _ in range(4)]

    assert again == [True, True, True, False]
    assert end_all(made) == Ended(7, Outcome.LOST, "workerpool1-0: killed")


def test_a_replica_that_cannot_be_started_again_ends_the_trial(crew: Make) -> None:
    made = crew()
    assert end(made, WORKER, Outcome.PREEMPTED, "preempted")

    made.lost(WORKER, Ended(7, Outcome.LOST, "no memory"))

    assert end_all(made) == Ended(7, Outcome.LOST, "workerpool1-0: no memory")


@pytest.mark.parametrize(
    ("restart", "outcome", "becomes"),
    [
        ("replica", Outcome.LOST, Outcome.LOST),
        ("trial", Outcome.PREEMPTED, Outcome.PREEMPTED),
        ("never", Outcome.LOST, Outcome.FAILED),
        ("never", Outcome.PREEMPTED, Outcome.FAILED),
    ],
)
def test_a_primary_killed_from_outside_is_the_whole_trial(
    restart: Restart, outcome: Outcome, becomes: Outcome, crew: Make
) -> None:
    made = crew(restart)

    assert not end(made, CHIEF, outcome, "killed")

    assert end_all(made) == Ended(7, becomes, "killed")


def test_who_is_stopped_is_not_started_again(crew: Make) -> None:
    made = crew()

    made.guard.stop(Outcome.STOPPED, "hopeless")

    assert not end(made, WORKER, Outcome.LOST, "killed")
    assert end_all(made) == Ended(7, Outcome.STOPPED, "hopeless")
