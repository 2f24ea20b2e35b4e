"""Changes of one study that wait for each other share a transaction, and are told apart in it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import event

from tunesmith.errors import NotFoundError, StateError, TunesmithError
from tunesmith.model import Measurement, StudyState, Trial, TrialState
from tunesmith.space import Double, Space
from tunesmith.storage import Claim
from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.studies import spec_of, suggestions

LINE = Space({"x": Double(0.0, 1.0)})
ME = Claim("me", lease_s=60.0)
Call = Callable[[], object]
Together = Callable[..., Sequence[object]]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SqlStorage]:
    """A storage with a study of four running trials and four that wait."""
    with SqlStorage(f"sqlite:///{tmp_path / 'studies.db'}") as storage:
        storage.create_study("s", spec_of(LINE))
        storage.add_trials("s", suggestions(0.1, 0.2, 0.3, 0.4), after=0, claim=ME)
        storage.add_trials("s", suggestions(0.5, 0.6, 0.7, 0.8), after=4)
        yield storage


@pytest.fixture
def commits(storage: SqlStorage) -> list[object]:
    """A list that has an entry for every commit from here on."""
    found: list[object] = []
    event.listen(storage.database._engine, "commit", found.append)
    return found


@pytest.fixture
def together(storage: SqlStorage, until: Callable[..., None]) -> Together:
    """Makes calls in threads of their own, while another change of the study is under way.

    Returns what each returned or raised.
    """

    def call(*calls: Call, first: BaseException | None = None) -> Sequence[object]:
        outcomes: list[object] = [None] * len(calls)
        under_way, let_go = threading.Event(), threading.Event()

        def hold_up(*_given: object) -> None:
            under_way.set()
            assert let_go.wait(30)
            if first is not None:
                raise first

        def change() -> None:
            with suppress(type(first) if first is not None else TunesmithError):
                storage._changer.change(("default", "s"), "hold up", hold_up)

        def run(index: int, work: Call) -> None:
            try:
                outcomes[index] = work()
            except BaseException as error:
                outcomes[index] = error

        threads = [threading.Thread(target=change)]
        threads[0].start()
        assert under_way.wait(30)
        for index, work in enumerate(calls):
            threads.append(threading.Thread(target=run, args=(index, work)))
            threads[-1].start()
            until(lambda n=index + 1: len(storage._changer._waiting["default", "s"]) == n)
        let_go.set()
        for thread in threads:
            thread.join()
        return outcomes

    return call


def finish(storage: SqlStorage, number: int, attempt: int = 1) -> Call:
    return lambda: storage.finish(
        "s", number, attempt, TrialState.COMPLETED, metrics={"loss": float(number)}
    )


def test_changes_that_wait_share_a_transaction(
    storage: SqlStorage, together: Together, commits: list[object]
) -> None:
    before = storage.study("s").revision
    commits.clear()

    ended = together(
        *[finish(storage, n) for n in (3, 1, 2)],
        lambda: storage.report("s", 4, 1, [Measurement(0, {"loss": 1.0})]),
        lambda: storage.add_trials("s", suggestions(0.9), after=8, claim=ME),
    )

    assert len(commits) == 2  # that of the change that was under way, and one for all
    revisions = [t.revision for t in ended[:3] if isinstance(t, Trial)]
    assert revisions == [before + 1, before + 2, before + 3]
    assert list(ended[:3]) == [storage.trial("s", n) for n in (3, 1, 2)]
    (measured,) = storage.measured("s", 4)
    assert measured.measurement.revision == before + 4
    assert storage.trial("s", 9).revision == storage.study("s").revision == before + 5


def test_trials_claimed_together_are_handed_out_in_order_each_once(
    storage: SqlStorage, together: Together, commits: list[object]
) -> None:
    commits.clear()

    claimed = together(*[lambda n=n: storage.claim("s", Claim(f"w{n}")) for n in range(6)])

    assert len(commits) == 2
    numbers = [(t.number, t.worker) if isinstance(t, Trial) else t for t in claimed]
    assert numbers == [(5, "w0"), (6, "w1"), (7, "w2"), (8, "w3"), None, None]
    assert claimed[:4] == [storage.trial("s", n) for n in (5, 6, 7, 8)]


def test_a_claim_sees_what_was_queued_and_cancelled_before_it(
    storage: SqlStorage, together: Together
) -> None:
    outcomes = together(
        lambda: storage.claim("s", ME),
        lambda: storage.request_stop("s", 6, "no"),
        lambda: storage.claim("s", ME),
        lambda: storage.requeue("s", 1, 1, "lost"),
        lambda: storage.claim("s", ME),
        lambda: storage.add_trials("s", suggestions(0.9), after=8),
        lambda: storage.claim("s", ME),
        lambda: storage.claim("s", ME),
        lambda: storage.claim("s", ME),
    )

    claimed = [t.number for t in outcomes if isinstance(t, Trial) and t.worker == "me"]
    assert claimed == [5, 7, 1, 8, 9]


def test_who_may_not_change_anything_is_told_so_alone(
    storage: SqlStorage, together: Together, commits: list[object]
) -> None:
    commits.clear()

    outcomes = together(
        finish(storage, 1), lambda: storage.resume("s", 2), finish(storage, 99), finish(storage, 3)
    )

    assert [type(o) for o in outcomes] == [Trial, StateError, NotFoundError, Trial]
    assert len(commits) == 2


def test_what_breaks_in_the_midst_of_a_change_breaks_for_its_caller_alone(
    storage: SqlStorage, together: Together
) -> None:
    broken = Measurement(0, {"loss": object()})  # type: ignore[dict-item]

    outcomes = together(
        finish(storage, 1),
        lambda: storage.report("s", 2, 1, [broken], superseded=frozenset({"x"})),
        finish(storage, 3),
    )

    assert [type(o) for o in outcomes] == [Trial, TypeError, Trial]
    assert [t.number for t in storage.trials("s") if t.is_final] == [1, 3]
    assert outcomes[2] == storage.trial("s", 3)
    assert storage.trial("s", 2).revision == storage.trial("s", 4).revision


def test_a_request_that_came_twice_at_once_happens_once(
    storage: SqlStorage, together: Together
) -> None:
    def claim() -> object:
        with storage.once("p/key"):
            return storage.claim("s", ME)

    first, second, third = together(claim, claim, lambda: storage.claim("s", Claim("other")))

    assert isinstance(first, Trial)
    assert first == second
    assert isinstance(third, Trial)
    assert {first.number, third.number} == {5, 6}
    assert storage.trial("s", 7).state is TrialState.QUEUED


def test_reports_of_one_trial_that_came_at_once_are_stored_one_after_the_other(
    storage: SqlStorage, together: Together
) -> None:
    together(
        lambda: storage.report("s", 1, 1, [Measurement(0, {"loss": 1.0})], claim=ME),
        lambda: storage.report("s", 1, 1, [Measurement(0, {"loss": 9.0, "acc": 0.5})], claim=ME),
        lambda: storage.report(
            "s", 1, 1, [Measurement(0, {"acc": 0.75})], superseded=frozenset({"acc"})
        ),
        lambda: storage.extend("s", 1, 1, 7),
        lambda: storage.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 1.0}),
    )

    (measurement,) = storage.measurements("s", 1)
    assert measurement.metrics == {"loss": 1.0, "acc": 0.75}
    trial = storage.trial("s", 1)
    assert (trial.budget, trial.state) == (7, TrialState.COMPLETED)


def test_what_comes_after_a_deletion_does_not_find_the_study(
    storage: SqlStorage, together: Together
) -> None:
    outcomes = together(
        finish(storage, 1), lambda: storage.delete_study("s"), lambda: storage.claim("s", ME)
    )

    assert [type(o) for o in outcomes] == [Trial, type(None), NotFoundError]
    assert list(storage.study_names()) == []


def test_budgets_and_states_set_together_are_all_kept(
    storage: SqlStorage, together: Together
) -> None:
    together(
        lambda: storage.set_budget("s", max_trials=9),
        lambda: storage.add_trials("s", suggestions(0.9), after=8),
        lambda: storage.set_state("s", StudyState.PAUSED, "noon"),
        lambda: storage.touch("s", "python"),
    )

    record = storage.study("s")
    assert (record.spec.max_trials, record.size) == (9, 9)
    assert (record.state, record.reason, record.command) == (StudyState.PAUSED, "noon", "python")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), TunesmithError("no")])
def test_others_go_on_when_the_thread_that_has_the_turn_is_interrupted(
    storage: SqlStorage, together: Together, error: BaseException
) -> None:
    ended = together(finish(storage, 1), finish(storage, 2), first=error)

    assert ended == [storage.trial("s", 1), storage.trial("s", 2)]
    assert storage._changer._waiting == {}


def test_what_shared_a_transaction_with_an_interrupted_change_is_carried_out(
    storage: SqlStorage, together: Together
) -> None:
    def interrupt(*_given: object) -> None:
        raise KeyboardInterrupt

    outcomes = together(
        lambda: storage._changer.change(("default", "s"), "interrupt", interrupt),
        finish(storage, 1),
        finish(storage, 2),
    )

    assert isinstance(outcomes[0], KeyboardInterrupt)
    assert outcomes[1:] == [storage.trial("s", 1), storage.trial("s", 2)]
    assert storage._changer._waiting == {}
