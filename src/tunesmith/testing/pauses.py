"""What every storage keeps of trials that are paused, resumed, extended and copied, and of their curves."""
# ruff: noqa: D102 - a test's name is its sentence

import pytest

from tunesmith.errors import LeaseLostError, StateError
from tunesmith.model import Ending, Measurement, Suggestion, Trial, TrialState
from tunesmith.space import Double, Space
from tunesmith.storage import Claim, Storage
from tunesmith.testing.clock import Clock
from tunesmith.testing.studies import spec_of, suggestions

__all__ = ["StoragePausesContract"]

_ME, _OTHER = Claim("me", lease_s=60.0), Claim("other", lease_s=60.0)


def _running(storage: Storage, *, budget: int | None = None) -> Trial:
    """Make the study ``s`` with one running trial."""
    storage.create_study("s", spec_of(Space({"x": Double(0.0, 1.0)}), max_trials=None))
    point = Suggestion({"x": 0.5}, "model", budget=budget)
    (trial,) = storage.add_trials("s", [point], after=0, claim=_ME)
    return trial


def _paused(storage: Storage) -> Trial:
    _running(storage, budget=3)
    return storage.pause("s", 1, 1, "it waits", metrics={"loss": 0.5}, step=3)


class StoragePausesContract:
    """Give the fixtures ``storage``, empty, and ``clock``, which it reads."""

    # Pausing and resuming

    def test_a_pause_keeps_what_was_measured_and_does_not_rank_it(self, storage: Storage) -> None:
        paused = _paused(storage)

        assert paused == storage.trial("s", 1)
        assert (paused.state, paused.reason) == (TrialState.PAUSED, "it waits")
        assert (paused.metrics, paused.step, paused.lease_until) == ({"loss": 0.5}, 3, None)
        assert storage.trials("s", order="best") == []

    def test_a_second_delivery_of_a_pause_changes_nothing(self, storage: Storage) -> None:
        paused = _paused(storage)

        again = storage.pause("s", 1, 1, "it waits", metrics={"loss": 9.0}, step=9)

        assert again == paused

    def test_who_has_lost_a_trial_can_neither_pause_nor_extend_it(self, storage: Storage) -> None:
        _running(storage)
        storage.requeue("s", 1, 1, "")
        storage.claim("s", _OTHER)

        with pytest.raises(LeaseLostError):
            storage.pause("s", 1, 1, "", metrics={})
        with pytest.raises(LeaseLostError):
            storage.extend("s", 1, 1, 9)
        assert storage.trial("s", 1).state is TrialState.RUNNING

    def test_a_resumed_trial_is_claimed_as_another_attempt_with_its_new_budget(
        self, storage: Storage
    ) -> None:
        _paused(storage)

        queued = storage.resume("s", 1, "among the best", budget=9)
        claimed = storage.claim("s", _OTHER)

        assert (queued.state, queued.reason, queued.budget) == (
            TrialState.QUEUED,
            "among the best",
            9,
        )
        assert not queued.metrics
        assert claimed is not None
        assert (claimed.number, claimed.attempt, claimed.budget) == (1, 2, 9)

    def test_resuming_without_a_budget_keeps_the_old_one(self, storage: Storage) -> None:
        _paused(storage)

        assert storage.resume("s", 1).budget == 3

    def test_only_a_paused_trial_is_resumed(self, storage: Storage) -> None:
        _running(storage)

        with pytest.raises(StateError, match="running, not paused"):
            storage.resume("s", 1)

    def test_a_paused_trial_is_ended_with_a_measurement(self, storage: Storage) -> None:
        _paused(storage)

        ended = storage.finish("s", 1, 1, TrialState.STOPPED, metrics={"loss": 0.5}, step=3)

        assert (ended.state, ended.metrics) == (TrialState.STOPPED, {"loss": 0.5})
        assert [t.number for t in storage.trials("s", order="best")] == [1]

    def test_an_extended_trial_has_a_new_budget_and_is_among_the_changes(
        self, storage: Storage
    ) -> None:
        _running(storage, budget=3)
        seen = storage.study("s").revision

        extended = storage.extend("s", 1, 1, 9)

        assert (extended.budget, extended.state) == (9, TrialState.RUNNING)
        assert storage.changes("s", seen).trials == [extended]

    # A person's word

    def test_the_worker_of_a_running_trial_hears_that_it_should_pause(
        self, storage: Storage
    ) -> None:
        _running(storage)

        asked = storage.request_pause("s", 1, "lunch")

        assert (asked.state, asked.pause_requested) == (TrialState.RUNNING, "lunch")
        assert storage.report("s", 1, 1, []).pause == "lunch"
        paused = storage.pause("s", 1, 1, "lunch", metrics={})
        assert paused.pause_requested == "lunch"
        assert storage.resume("s", 1).pause_requested == ""

    def test_a_waiting_trial_is_held_and_not_handed_out(self, storage: Storage) -> None:
        _running(storage)
        storage.requeue("s", 1, 1, "")

        held = storage.request_pause("s", 1, "lunch")

        assert (held.state, held.reason, held.pause_requested) == (
            TrialState.PAUSED,
            "lunch",
            "lunch",
        )
        assert storage.claim("s", _OTHER) is None

    def test_what_a_person_wants_paused_is_held_when_its_worker_is_lost(
        self, storage: Storage, clock: Clock
    ) -> None:
        _running(storage)
        storage.request_pause("s", 1, "lunch")

        clock.now += 61.0

        assert storage.claim("s", _OTHER) is None
        assert storage.trial("s", 1).state is TrialState.PAUSED

    def test_what_a_person_wants_paused_is_held_when_it_is_put_back(self, storage: Storage) -> None:
        _running(storage)
        storage.request_pause("s", 1, "lunch")

        storage.requeue("s", 1, 1, "the tuner was interrupted")

        assert storage.trial("s", 1).state is TrialState.PAUSED

    def test_a_stop_wins_over_a_pause(self, storage: Storage) -> None:
        _running(storage)
        storage.request_stop("s", 1, "hopeless")

        ended = storage.pause("s", 1, 1, "its turn comes", metrics={"loss": 0.5}, step=3)

        assert (ended.state, ended.reason) == (TrialState.STOPPED, "hopeless")
        assert [t.number for t in storage.trials("s", order="best")] == [1]

    def test_a_paused_trial_that_a_person_stops_counts_with_what_it_measured(
        self, storage: Storage
    ) -> None:
        _paused(storage)

        stopped = storage.request_stop("s", 1, "no more")

        assert (stopped.state, stopped.metrics) == (TrialState.STOPPED, {"loss": 0.5})
        assert storage.summary("s").best == stopped

    def test_only_what_has_not_ended_is_paused(self, storage: Storage) -> None:
        _running(storage)
        storage.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 1.0})

        with pytest.raises(StateError, match="completed"):
            storage.request_pause("s", 1, "lunch")

    # Copies and endings

    def test_a_parent_and_a_first_budget_are_kept(self, storage: Storage) -> None:
        _running(storage)

        (child,) = storage.add_trials(
            "s", [Suggestion({"x": 0.1}, "pbt", budget=4, parent=1)], after=1
        )

        assert storage.trial("s", 2) == child
        assert (child.parent, child.budget) == (1, 4)

    def test_when_a_study_has_enough_can_be_changed(self, storage: Storage) -> None:
        _running(storage)

        storage.set_budget("s", ending=Ending(target=0.5, time_s=60.0))

        assert storage.study("s").spec.ending == Ending(target=0.5, time_s=60.0)
        storage.set_budget("s", max_trials=9)
        spec = storage.study("s").spec
        assert (spec.max_trials, spec.ending.target) == (9, 0.5)

    # Curves

    def test_what_was_measured_since_is_read_in_the_order_in_which_it_came(
        self, storage: Storage
    ) -> None:
        _running(storage)
        storage.add_trials("s", suggestions(0.1), after=1, claim=_OTHER)
        storage.report("s", 1, 1, [Measurement(1, {"loss": 1.0})])
        seen = storage.study("s").revision

        reply = storage.report("s", 2, 1, [Measurement(1, {"loss": 2.0, "acc": 0.5}, 3.0)])
        storage.report("s", 1, 1, [Measurement(2, {"loss": 0.9})])

        changes = storage.changes("s", seen, curves=True)
        assert [(m.number, m.attempt, m.measurement) for m in changes.measurements] == [
            (2, 1, Measurement(1, {"loss": 2.0, "acc": 0.5}, 3.0)),
            (1, 1, Measurement(2, {"loss": 0.9})),
        ]
        assert changes.measurements[0].measurement.revision == reply.revision
        assert not storage.changes("s", seen).measurements
        assert not changes.trials

    def test_attempts_that_go_on_make_one_curve(self, storage: Storage) -> None:
        _running(storage)
        storage.report("s", 1, 1, [Measurement(s, {"loss": 1.0 / s}, float(s)) for s in (1, 2)])
        storage.pause("s", 1, 1, "", metrics={"loss": 0.5}, step=2)
        storage.resume("s", 1)
        storage.claim("s", _ME)

        storage.report("s", 1, 2, [Measurement(3, {"loss": 0.1}, 1.0)])

        curve = storage.measurements("s", 1)
        assert [(m.step, m.elapsed_s) for m in curve] == [(1, 1.0), (2, 2.0), (3, 3.0)]
        assert [m.step for m in storage.measurements("s", 1, attempt=2)] == [3]
        assert [(m.attempt, m.measurement.step) for m in storage.measured("s", 1)] == [
            (1, 1),
            (1, 2),
            (2, 3),
        ]

    def test_who_holds_a_trial_may_add_what_an_earlier_attempt_had_measured(
        self, storage: Storage
    ) -> None:
        _running(storage)
        storage.report("s", 1, 1, [Measurement(1, {"loss": 1.0})])
        storage.requeue("s", 1, 1, "its worker died")
        storage.claim("s", _OTHER)
        seen = storage.study("s").revision

        late = [Measurement(1, {"loss": 7.0}), Measurement(2, {"loss": 0.5})]
        storage.report("s", 1, 2, late, of_attempt=1)

        assert [(m.step, m.metrics["loss"]) for m in storage.measurements("s", 1)] == [
            (1, 1.0),
            (2, 0.5),
        ]
        assert [t.number for t in storage.changes("s", seen).trials] == [1]

    def test_a_trial_whose_metric_was_superseded_is_among_the_changes(
        self, storage: Storage
    ) -> None:
        _running(storage)
        storage.report("s", 1, 1, [Measurement(1, {"loss": 5.0})])
        seen = storage.study("s").revision

        storage.report("s", 1, 1, [Measurement(2, {"loss": 1.0})], superseded=frozenset({"loss"}))

        assert [t.number for t in storage.changes("s", seen).trials] == [1]
        assert [m.measurement.step for m in storage.measured("s", 1)] == [2]
