"""What every storage keeps: the verbs of `Storage`, their errors, leases and fencing.

The storage under test reads the time from the fixture ``clock``, or from a clock of which the test
can turn the hands in another way.
"""
# ruff: noqa: D102 - a test's name is its sentence

import math
from collections.abc import Callable, Sequence

import pytest

from tunesmith.errors import (
    ConflictError,
    LeaseLostError,
    NotFoundError,
    SpecError,
    StateError,
    StudyEnded,
)
from tunesmith.model import (
    FINAL,
    MOVES,
    Algorithm,
    Constraint,
    Explanation,
    Feasibility,
    Measurement,
    Objective,
    Prediction,
    StudySpec,
    StudyState,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.space import Categorical, Discrete, Double, Integer, Space, Value
from tunesmith.storage import Claim, Storage
from tunesmith.testing.clock import Clock
from tunesmith.testing.studies import spec_of, suggestions

__all__ = ["StorageContract"]

_LINE = Space({"x": Double(0.0, 1.0)})
_ME, _OTHER = Claim("me", lease_s=60.0), Claim("other", lease_s=60.0)
_NO_STUDY_HERE = "ghost"


def _make(storage: Storage, name: str = "s", *, max_trials: int | None = None) -> None:
    storage.create_study(name, spec_of(_LINE, max_trials=max_trials))


def _running(storage: Storage, *, claim: Claim = _ME) -> Trial:
    """Make the study ``s`` with one running trial."""
    _make(storage)
    (trial,) = storage.add_trials("s", suggestions(0.5), after=0, claim=claim)
    return trial


def _finish(storage: Storage, trial: Trial, loss: float) -> Trial:
    return storage.finish(
        "s", trial.number, trial.attempt, TrialState.COMPLETED, metrics={"loss": loss}, step=3
    )


def _bring(storage: Storage, state: TrialState) -> Trial:
    """Make the study ``s`` with one trial in ``state``."""
    trial = _running(storage)
    if state is TrialState.QUEUED:
        storage.requeue("s", 1, 1, "")
    elif state in FINAL:
        storage.finish("s", 1, 1, state, metrics={"loss": 1.0})
    else:
        assert state is trial.state
    return storage.trial("s", 1)


def _end_with(storage: Storage, spec: StudySpec, *metrics: dict[str, float]) -> None:
    """Make the study ``s`` with one completed trial for each of ``metrics``."""
    storage.create_study("s", spec)
    points = suggestions(*[0.5] * len(metrics))
    added = storage.add_trials("s", points, after=0, claim=_ME)
    for trial, measured in zip(added, metrics, strict=True):
        storage.finish("s", trial.number, 1, TrialState.COMPLETED, metrics=measured)


def _steps(measurements: Sequence[Measurement], metric: str) -> dict[int, float]:
    return {m.step: m.metrics[metric] for m in measurements if metric in m.metrics}


class StorageContract:
    """Give the fixtures ``storage``, empty, and ``clock``, which it reads."""

    # Studies

    def test_a_study_is_read_as_it_was_made(self, storage: Storage, clock: Clock) -> None:
        spec = StudySpec(
            Space(
                {
                    "学习率": Double(1e-5, 0.1, scale="log", default=0.01),
                    "units": Discrete([64, 128.5]),
                    "kind": Categorical(["a b", "--c", "\"'\\", True]),
                    "depth": Integer(1, 9, step=2, when={"kind": [True]}),
                }
            ),
            (Objective("val/точность", "maximize"), Objective("cost", "minimize")),
            algorithm=Algorithm("grid", {"points": 5}),
            seed=2**40,
            max_trials=7,
            parallel_trials=3,
            max_failed_trials=2,
            measurement="best",
            initial=({"units": 64}, {"学习率": 0.003, "kind": True}),
        )
        clock.now = 1234.5

        made = storage.create_study("études", spec, command="python train.py 'ä'")

        read = storage.study("études")
        assert read == made
        assert read.spec == spec
        assert read.state is StudyState.ACTIVE
        assert (read.size, read.created, read.used) == (0, 1234.5, 1234.5)
        assert read.command == "python train.py 'ä'"

    def test_a_name_is_given_once(self, storage: Storage) -> None:
        _make(storage)

        with pytest.raises(ConflictError, match="'s'"):
            _make(storage)

    def test_names_are_told_apart_by_every_character(self, storage: Storage) -> None:
        for name in ["Lauf", "lauf", "läuf"]:
            _make(storage, name)

        assert sorted(storage.study_names()) == sorted(["Lauf", "lauf", "läuf"])

    def test_the_study_last_used_is_named_first(self, storage: Storage, clock: Clock) -> None:
        for name in ["first", "second", "third"]:
            clock.now += 1
            _make(storage, name)

        clock.now += 1
        storage.touch("first", "python train.py")
        storage.touch("first")

        assert list(storage.study_names()) == ["first", "third", "second"]
        assert storage.study("first").command == "python train.py"

    def test_a_deleted_study_leaves_nothing_behind(self, storage: Storage) -> None:
        trial = _running(storage)
        storage.report("s", 1, trial.attempt, [Measurement(0, {"loss": 1.0})])
        _make(storage, "kept")

        storage.delete_study("s")

        assert list(storage.study_names()) == ["kept"]
        _make(storage)
        assert storage.changes("s", -1).trials == []
        storage.add_trials("s", suggestions(0.1), after=0, claim=_ME)
        assert storage.measurements("s", 1) == []

    def test_studies_do_not_touch_each_other(self, storage: Storage) -> None:
        _make(storage, "a")
        _make(storage, "b")
        storage.add_trials("a", suggestions(0.1), after=0)

        assert storage.study("b").size == 0
        assert storage.claim("b", _ME) is None
        assert storage.claim("a", _ME) is not None

    def test_a_study_that_is_not_there_is_not_found_by_any_verb(self, storage: Storage) -> None:
        ghost = _NO_STUDY_HERE
        calls: list[Callable[[], object]] = [
            lambda: storage.study(ghost),
            lambda: storage.summary(ghost),
            lambda: storage.delete_study(ghost),
            lambda: storage.set_state(ghost, StudyState.PAUSED),
            lambda: storage.set_budget(ghost, max_trials=1),
            lambda: storage.touch(ghost),
            lambda: storage.add_trials(ghost, suggestions(0.1), after=0),
            lambda: storage.claim(ghost, _ME),
            lambda: storage.renew(ghost, _ME),
            lambda: storage.report(ghost, 1, 1, []),
            lambda: storage.finish(ghost, 1, 1, TrialState.FAILED, metrics={}),
            lambda: storage.requeue(ghost, 1, 1, ""),
            lambda: storage.retry(ghost, 1),
            lambda: storage.request_stop(ghost, 1, ""),
            lambda: storage.changes(ghost, -1),
            lambda: storage.trial(ghost, 1),
            lambda: storage.trials(ghost),
            lambda: storage.measurements(ghost, 1),
        ]
        for call in calls:
            with pytest.raises(NotFoundError, match=ghost):
                call()

    @pytest.mark.parametrize("name", ["a\0b", "\udcff", "x" * 300, "s "])
    def test_a_strange_name_is_that_of_no_study(self, storage: Storage, name: str) -> None:
        _make(storage)

        with pytest.raises(NotFoundError):
            storage.study(name)
        with pytest.raises(NotFoundError):
            storage.claim(name, _ME)

    def test_a_trial_that_is_not_there_is_not_found_by_any_verb(self, storage: Storage) -> None:
        _make(storage)
        calls: list[Callable[[], object]] = [
            lambda: storage.report("s", 9, 1, [Measurement(0, {"loss": 1.0})]),
            lambda: storage.finish("s", 9, 1, TrialState.FAILED, metrics={}),
            lambda: storage.requeue("s", 9, 1, ""),
            lambda: storage.retry("s", 9),
            lambda: storage.request_stop("s", 9, ""),
            lambda: storage.trial("s", 9),
            lambda: storage.measurements("s", 9),
        ]
        for call in calls:
            with pytest.raises(NotFoundError, match="no trial 9"):
                call()

    # State and budget

    def test_a_state_is_kept_with_its_reason(self, storage: Storage) -> None:
        _make(storage)

        storage.set_state("s", StudyState.PAUSED, "Zoë wants to look")

        record = storage.study("s")
        assert (record.state, record.reason) == (StudyState.PAUSED, "Zoë wants to look")

    def test_a_state_is_not_set_over_what_came_between(self, storage: Storage) -> None:
        _make(storage)
        seen = storage.study("s").revision
        storage.add_trials("s", suggestions(0.1), after=0)

        with pytest.raises(ConflictError, match="changed"):
            storage.set_state("s", StudyState.FINISHED, "all done", at=seen)
        assert storage.study("s").state is StudyState.ACTIVE

        storage.set_state("s", StudyState.FINISHED, "all done", at=storage.study("s").revision)
        assert storage.study("s").state is StudyState.FINISHED

    def test_the_budget_in_force_is_part_of_the_spec(self, storage: Storage) -> None:
        _make(storage, max_trials=3)

        storage.set_budget("s", max_trials=8)
        storage.set_budget("s", parallel_trials=4)

        spec = storage.study("s").spec
        assert (spec.max_trials, spec.parallel_trials) == (8, 4)

    def test_a_budget_that_makes_no_sense_is_refused(self, storage: Storage) -> None:
        _make(storage, max_trials=3)

        with pytest.raises(SpecError, match="max_trials"):
            storage.set_budget("s", max_trials=0)

        assert storage.study("s").spec.max_trials == 3

    # Adding trials

    def test_trials_are_numbered_from_one_in_the_order_given(
        self, storage: Storage, clock: Clock
    ) -> None:
        _make(storage)

        added = storage.add_trials("s", suggestions(0.1, 0.2), after=0)
        storage.add_trials("s", suggestions(0.3), after=2)

        assert [t.number for t in added] == [1, 2]
        stored = storage.trials("s")
        assert [(t.number, t.values["x"]) for t in stored] == [(1, 0.1), (2, 0.2), (3, 0.3)]
        assert list(stored[:2]) == list(added)
        assert {t.state for t in stored} == {TrialState.QUEUED}
        assert {t.queued for t in stored} == {clock.now}
        assert storage.study("s").size == 3

    def test_values_come_back_exactly_with_their_types(self, storage: Storage) -> None:
        _make(storage)
        values: dict[str, Value] = {
            "a": 0.1 + 0.2,
            "b": 64,
            "c": True,
            "d": "ü 'quoted' \"\\",
            "e": 1e-300,
            "f": 2.0,
        }

        storage.add_trials("s", [Suggestion(values, "someone's searcher")], after=0)

        trial = storage.trial("s", 1)
        assert trial.values == values
        assert [type(v) for v in trial.values.values()] == [type(v) for v in values.values()]
        assert list(trial.values) == list(values)
        assert trial.origin == "someone's searcher"

    def test_explanations_are_kept_with_their_trials(self, storage: Storage) -> None:
        _make(storage)
        explanations = [
            Explanation(
                searcher="bayesian",
                predictions={"loss": Prediction(0.1 + 0.2, 1e-300), "время": Prediction(-3.0, 2.0)},
                acquisition="log_ei",
                value=-12.5,
                feasible=0.75,
                note='the "model" is\n sure — 😀',
            ),
            Explanation(),
            Explanation(predictions={"loss": Prediction(0.0, 0.0)}, value=0.0, feasible=0.0),
            None,
        ]

        points = [Suggestion({"x": 0.5}, "model", explanation) for explanation in explanations]
        added = storage.add_trials("s", points, after=0)

        assert [t.explanation for t in added] == explanations
        assert [t.explanation for t in storage.trials("s")] == explanations
        assert [t.explanation for t in storage.changes("s", -1).trials] == explanations
        storage.claim("s", _ME)
        _finish(storage, storage.trial("s", 1), 0.5)
        assert storage.trial("s", 1).explanation == explanations[0]

    def test_an_explanation_may_have_values_that_are_not_finite(self, storage: Storage) -> None:
        _make(storage)
        odd = Explanation(
            predictions={"loss": Prediction(math.nan, math.inf)}, value=-math.inf, feasible=math.nan
        )

        storage.add_trials("s", [Suggestion({"x": 0.5}, "model", odd)], after=0)

        assert repr(storage.trial("s", 1).explanation) == repr(odd)  # nan is not equal to itself

    def test_claimed_trials_run_at_once(self, storage: Storage, clock: Clock) -> None:
        _make(storage)

        (added,) = storage.add_trials("s", suggestions(0.1), after=0, claim=_ME)

        assert storage.trial("s", 1) == added
        assert (added.state, added.attempt) == (TrialState.RUNNING, 1)
        assert (added.worker, added.started) == ("me", clock.now)
        assert added.lease_until == clock.now + 60
        assert storage.claim("s", _OTHER) is None

    @pytest.mark.parametrize("after", [0, 2, 7])
    def test_who_read_another_number_of_trials_adds_none(
        self, storage: Storage, after: int
    ) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1), after=0)

        with pytest.raises(ConflictError):
            storage.add_trials("s", suggestions(0.2, 0.3), after=after)

        assert storage.study("s").size == len(storage.trials("s")) == 1

    def test_no_more_trials_are_added_than_the_budget_allows(self, storage: Storage) -> None:
        _make(storage, max_trials=2)

        with pytest.raises(StudyEnded, match="2 trials"):
            storage.add_trials("s", suggestions(0.1, 0.2, 0.3), after=0)
        storage.add_trials("s", suggestions(0.1, 0.2), after=0)
        with pytest.raises(StudyEnded, match="2 trials"):
            storage.add_trials("s", suggestions(0.3), after=2)

        assert storage.study("s").size == 2

    def test_cancelled_trials_do_not_count_against_the_budget(self, storage: Storage) -> None:
        _make(storage, max_trials=2)
        storage.add_trials("s", suggestions(0.1, 0.2), after=0)

        storage.request_stop("s", 1, "not that one")
        storage.add_trials("s", suggestions(0.3), after=2)

        with pytest.raises(StudyEnded):
            storage.add_trials("s", suggestions(0.4), after=3)

    def test_a_raised_budget_lets_more_in(self, storage: Storage) -> None:
        _make(storage, max_trials=1)
        storage.add_trials("s", suggestions(0.1), after=0)

        storage.set_budget("s", max_trials=2)

        assert len(storage.add_trials("s", suggestions(0.2), after=1)) == 1

    # Claims and leases

    def test_an_empty_queue_gives_nothing(self, storage: Storage) -> None:
        _make(storage)

        assert storage.claim("s", _ME) is None

    def test_queued_trials_are_handed_out_in_order_each_once(self, storage: Storage) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1, 0.2, 0.3), after=0)

        claimed = [storage.claim("s", claim) for claim in (_ME, _OTHER, _ME, _OTHER)]

        assert [t and t.number for t in claimed] == [1, 2, 3, None]
        assert [t and t.worker for t in claimed] == ["me", "other", "me", None]
        assert all(t.attempt == 1 for t in claimed if t)

    def test_a_trial_whose_worker_vanished_is_claimed_again(
        self, storage: Storage, clock: Clock
    ) -> None:
        _running(storage)

        clock.now += 59.0
        assert storage.claim("s", _OTHER) is None
        clock.now += 2.0
        again = storage.claim("s", _OTHER)

        assert again is not None
        assert (again.number, again.attempt, again.worker) == (1, 2, "other")
        assert again.started == clock.now

    def test_a_renewed_lease_keeps_the_trial(self, storage: Storage, clock: Clock) -> None:
        _running(storage)

        for _ in range(5):
            clock.now += 50.0
            storage.renew("s", _ME)

        assert storage.claim("s", _OTHER) is None
        clock.now += 61.0
        assert storage.claim("s", _OTHER) is not None

    def test_a_report_keeps_the_trial_when_it_comes_with_a_claim(
        self, storage: Storage, clock: Clock
    ) -> None:
        _running(storage)

        clock.now += 50.0
        storage.report("s", 1, 1, [Measurement(0, {"loss": 1.0})], claim=_ME)
        clock.now += 50.0

        assert storage.claim("s", _OTHER) is None

    def test_a_worker_renews_its_own_trials_only(self, storage: Storage, clock: Clock) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1), after=0, claim=_ME)
        storage.add_trials("s", suggestions(0.2), after=1, claim=_OTHER)

        clock.now += 50.0
        storage.renew("s", _OTHER)
        clock.now += 11.0

        again = storage.claim("s", Claim("third"))
        assert again is not None
        assert again.number == 1
        assert storage.claim("s", Claim("third")) is None

    def test_a_claim_without_a_lease_never_runs_out(self, storage: Storage, clock: Clock) -> None:
        _running(storage, claim=Claim("me"))

        clock.now += 1e9

        assert storage.claim("s", _OTHER) is None
        assert storage.trial("s", 1).lease_until is None

    def test_what_waits_comes_before_what_ran_out(self, storage: Storage, clock: Clock) -> None:
        _running(storage)
        storage.add_trials("s", suggestions(0.2), after=1)

        clock.now += 100.0

        claimed = [storage.claim("s", _OTHER) for _ in range(3)]
        assert [t and t.number for t in claimed] == [2, 1, None]

    # Fencing

    def test_a_worker_that_lost_its_trial_changes_nothing(
        self, storage: Storage, clock: Clock
    ) -> None:
        _running(storage)
        clock.now += 61.0
        storage.claim("s", _OTHER)

        calls: list[Callable[[], object]] = [
            lambda: storage.report("s", 1, 1, [Measurement(0, {"loss": 9.0})]),
            lambda: storage.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 9.0}),
            lambda: storage.requeue("s", 1, 1, "mine"),
        ]
        for call in calls:
            with pytest.raises(LeaseLostError, match="attempt 2"):
                call()

        assert storage.trial("s", 1).state is TrialState.RUNNING
        assert storage.measurements("s", 1) == []
        assert storage.measurements("s", 1, attempt=1) == []

    def test_a_worker_whose_trial_was_put_back_has_lost_it(self, storage: Storage) -> None:
        _running(storage)
        storage.requeue("s", 1, 1, "the tuner restarts")

        with pytest.raises(LeaseLostError, match="queue"):
            storage.report("s", 1, 1, [Measurement(0, {"loss": 1.0})])
        with pytest.raises(LeaseLostError, match="queue"):
            storage.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 1.0})

    def test_the_end_that_counts_is_that_of_the_latest_attempt(
        self, storage: Storage, clock: Clock
    ) -> None:
        _running(storage)
        clock.now += 61.0
        second = storage.claim("s", _OTHER)
        assert second is not None

        _finish(storage, second, 0.25)
        with pytest.raises(LeaseLostError):
            storage.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 9.0})

        assert storage.trial("s", 1).metrics == {"loss": 0.25}

    # Reports

    def test_measurements_come_back_by_step(self, storage: Storage) -> None:
        _running(storage)

        storage.report("s", 1, 1, [Measurement(7, {"loss": 0.5}, elapsed_s=2.5)])
        storage.report("s", 1, 1, [Measurement(0, {"loss": 2.0}), Measurement(3, {"loss": 1.0})])

        assert storage.measurements("s", 1) == [
            Measurement(0, {"loss": 2.0}),
            Measurement(3, {"loss": 1.0}),
            Measurement(7, {"loss": 0.5}, elapsed_s=2.5),
        ]

    def test_several_metrics_of_a_step_are_one_measurement(self, storage: Storage) -> None:
        _running(storage)

        storage.report("s", 1, 1, [Measurement(1, {"loss": 2.0, "точность/val": 0.5})])
        storage.report("s", 1, 1, [Measurement(1, {"cost": 3.0})])

        (measurement,) = storage.measurements("s", 1)
        assert measurement.metrics == {"loss": 2.0, "точность/val": 0.5, "cost": 3.0}

    def test_a_metric_is_stored_once_a_step(self, storage: Storage) -> None:
        _running(storage)

        storage.report("s", 1, 1, [Measurement(1, {"loss": 2.0}), Measurement(1, {"loss": 8.0})])
        storage.report("s", 1, 1, [Measurement(1, {"loss": 9.0}), Measurement(2, {"loss": 1.0})])

        assert _steps(storage.measurements("s", 1), "loss") == {1: 2.0, 2: 1.0}

    def test_what_is_superseded_is_forgotten_first(self, storage: Storage) -> None:
        _running(storage)
        storage.report("s", 1, 1, [Measurement(step, {"loss": 5.0, "acc": 0.5}) for step in (0, 1)])

        renewed = [Measurement(0, {"loss": 3.0})]
        storage.report("s", 1, 1, renewed, superseded=frozenset({"loss"}))

        stored = storage.measurements("s", 1)
        assert _steps(stored, "loss") == {0: 3.0}
        assert _steps(stored, "acc") == {0: 0.5, 1: 0.5}

    def test_values_that_are_not_finite_are_kept(self, storage: Storage) -> None:
        _running(storage)
        values = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": -0.0, "e": 1e308, "f": 5e-324}

        storage.report("s", 1, 1, [Measurement(0, values)])

        (stored,) = storage.measurements("s", 1)
        assert math.isnan(stored.metrics["a"])
        assert {**stored.metrics, "a": 0.0} == {**values, "a": 0.0}

    def test_values_keep_their_last_digit(self, storage: Storage) -> None:
        _running(storage)
        values = [
            0.1 + 0.2,
            -1.2345678901234567e-300,
            -2.2250738585072014e-308,
            1.7976931348623157e308,
            -1.1125369292536007e-308,
            123456789.12345679,
            -5e-324,
        ]

        storage.report("s", 1, 1, [Measurement(n, {"a": v}) for n, v in enumerate(values)])

        assert [m.metrics["a"] for m in storage.measurements("s", 1)] == values

    def test_steps_may_be_large(self, storage: Storage) -> None:
        _running(storage)

        storage.report("s", 1, 1, [Measurement(2**62, {"loss": 1.0})])
        ended = storage.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 1.0}, step=2**62)

        assert storage.measurements("s", 1)[0].step == ended.step == 2**62

    def test_a_report_of_nothing_is_taken(self, storage: Storage) -> None:
        _running(storage)

        assert storage.report("s", 1, 1, []).stop == ""
        assert storage.report("s", 1, 1, [Measurement(0, {})]).stop == ""
        assert storage.measurements("s", 1) == []

    def test_attempts_have_measurements_of_their_own(self, storage: Storage) -> None:
        _running(storage)
        storage.report("s", 1, 1, [Measurement(0, {"loss": 1.0})])
        storage.requeue("s", 1, 1, "")
        storage.claim("s", _ME)

        storage.report("s", 1, 2, [Measurement(0, {"loss": 2.0})])

        assert _steps(storage.measurements("s", 1), "loss") == {0: 2.0}
        assert _steps(storage.measurements("s", 1, attempt=1), "loss") == {0: 1.0}

    def test_an_ended_trial_takes_no_more_reports(self, storage: Storage) -> None:
        _finish(storage, _running(storage), 1.0)

        with pytest.raises(StateError, match="completed"):
            storage.report("s", 1, 1, [Measurement(9, {"loss": 0.0})])

    # Ends

    @pytest.mark.parametrize("state", sorted(FINAL))
    def test_a_running_trial_ends_in_any_final_state(
        self, storage: Storage, clock: Clock, state: TrialState
    ) -> None:
        _running(storage)
        clock.now += 5

        ended = storage.finish(
            "s", 1, 1, state, metrics={"loss": 0.5, "b": math.nan}, step=4, reason="so war's"
        )

        assert (ended.state, ended.step, ended.reason) == (state, 4, "so war's")
        assert ended.metrics["loss"] == 0.5
        assert math.isnan(ended.metrics["b"])
        assert ended.finished == clock.now
        assert ended.lease_until is None
        assert repr(storage.trial("s", 1)) == repr(ended)  # nan is not equal to itself

    def test_the_same_end_delivered_again_changes_nothing(
        self, storage: Storage, clock: Clock
    ) -> None:
        trial = _running(storage)
        first = _finish(storage, trial, 0.5)

        clock.now += 10
        again = storage.finish("s", 1, 1, TrialState.COMPLETED, metrics={"loss": 7.0})

        assert again == first == storage.trial("s", 1)

    def test_another_end_is_refused(self, storage: Storage) -> None:
        first = _finish(storage, _running(storage), 0.5)

        with pytest.raises(StateError, match="completed"):
            storage.finish("s", 1, 1, TrialState.FAILED, metrics={}, reason="no")

        assert storage.trial("s", 1) == first

    @pytest.mark.parametrize("state", sorted(set(TrialState) - FINAL))
    def test_a_trial_does_not_end_in_a_state_that_is_no_end(
        self, storage: Storage, state: TrialState
    ) -> None:
        _running(storage)

        with pytest.raises(StateError, match=state):
            storage.finish("s", 1, 1, state, metrics={})

        assert storage.trial("s", 1).state is TrialState.RUNNING

    def test_reasons_may_be_long_and_strange(self, storage: Storage) -> None:
        _running(storage)
        reason = "строка\n\t'; DROP TABLE trial; -- 😀 " + "x" * 20_000

        storage.finish("s", 1, 1, TrialState.FAILED, metrics={}, reason=reason)

        assert storage.trial("s", 1).reason == reason

    def test_a_reason_that_is_no_proper_text_is_kept_as_far_as_it_is(
        self, storage: Storage
    ) -> None:
        _running(storage)

        storage.finish("s", 1, 1, TrialState.FAILED, metrics={}, reason="bad \udcff byte \0 here")

        assert storage.trial("s", 1).reason == "bad ? byte ? here"

    # Back in the queue

    def test_a_trial_that_was_put_back_starts_anew(self, storage: Storage) -> None:
        _running(storage)

        storage.requeue("s", 1, 1, "the tuner ended")
        waiting = storage.trial("s", 1)
        again = storage.claim("s", _OTHER)

        assert (waiting.state, waiting.reason) == (TrialState.QUEUED, "the tuner ended")
        assert (waiting.worker, waiting.lease_until, waiting.faults) == ("", None, 0)
        assert again is not None
        assert (again.attempt, again.reason) == (2, "")

    def test_faults_are_counted_until_a_person_asks_for_a_retry(self, storage: Storage) -> None:
        _running(storage)
        for attempt in (1, 2):
            storage.requeue("s", 1, attempt, "the node went away", fault=True)
            storage.claim("s", _ME)
        assert storage.trial("s", 1).faults == 2

        storage.finish("s", 1, 3, TrialState.FAILED, metrics={})
        storage.retry("s", 1)

        assert storage.trial("s", 1).faults == 0

    @pytest.mark.parametrize("state", sorted(set(TrialState) - {TrialState.PAUSED}))
    def test_a_retry_is_for_trials_that_ended_without_success(
        self, storage: Storage, state: TrialState
    ) -> None:
        before = _bring(storage, state)
        allowed = state in FINAL and TrialState.QUEUED in MOVES[state]

        if not allowed:
            with pytest.raises(StateError, match=state):
                storage.retry("s", 1)
            assert storage.trial("s", 1) == before
            return
        storage.retry("s", 1)

        trial = storage.trial("s", 1)
        assert (trial.state, trial.metrics, trial.step) == (TrialState.QUEUED, {}, None)
        assert trial.finished is None
        assert state in trial.reason
        assert storage.summary("s").best is None
        again = storage.claim("s", _ME)
        assert again is not None
        assert again.attempt == before.attempt + 1

    def test_a_cancelled_trial_comes_back_only_within_the_budget(self, storage: Storage) -> None:
        _make(storage, max_trials=1)
        storage.add_trials("s", suggestions(0.1), after=0)
        storage.request_stop("s", 1, "")
        storage.add_trials("s", suggestions(0.2), after=1)

        with pytest.raises(StudyEnded):
            storage.retry("s", 1)
        storage.set_budget("s", max_trials=2)
        storage.retry("s", 1)

        assert storage.trial("s", 1).state is TrialState.QUEUED

    # Stops

    def test_a_waiting_trial_is_cancelled_at_once(self, storage: Storage, clock: Clock) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1), after=0)

        trial = storage.request_stop("s", 1, "not needed")

        assert (trial.state, trial.reason) == (TrialState.CANCELLED, "not needed")
        assert trial.finished == clock.now
        assert storage.claim("s", _ME) is None

    def test_the_worker_of_a_running_trial_hears_of_a_stop_with_its_next_report(
        self, storage: Storage
    ) -> None:
        _running(storage)

        asked = storage.request_stop("s", 1, "too slow")

        assert (asked.state, asked.stop_requested) == (TrialState.RUNNING, "too slow")
        assert storage.report("s", 1, 1, [Measurement(0, {"loss": 1.0})]).stop == "too slow"
        assert storage.report("s", 1, 1, []).stop == "too slow"

    @pytest.mark.parametrize("state", sorted(FINAL - {TrialState.CANCELLED}))
    def test_an_ended_trial_is_not_stopped(self, storage: Storage, state: TrialState) -> None:
        before = _bring(storage, state)

        with pytest.raises(StateError, match=state):
            storage.request_stop("s", 1, "late")

        assert storage.trial("s", 1) == before

    def test_a_cancelled_trial_stays_as_it_is(self, storage: Storage) -> None:
        before = _bring(storage, TrialState.CANCELLED)

        assert storage.request_stop("s", 1, "again") == before

    def test_a_trial_that_a_person_wants_stopped_does_not_start_again(
        self, storage: Storage, clock: Clock
    ) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1, 0.2), after=0, claim=_ME)
        for number in (1, 2):
            storage.request_stop("s", number, "enough")

        storage.requeue("s", 1, 1, "its worker died")
        clock.now += 61
        claimed = storage.claim("s", _OTHER)

        assert claimed is None
        assert [(t.state, t.reason) for t in storage.trials("s")] == [
            (TrialState.CANCELLED, "enough")
        ] * 2

    # Reading

    def test_changes_are_the_trials_touched_since_a_revision(self, storage: Storage) -> None:
        _make(storage)
        storage.add_trials("s", suggestions(0.1, 0.2, 0.3), after=0)
        seen = storage.changes("s", -1)

        storage.claim("s", _ME)
        storage.request_stop("s", 3, "")

        changes = storage.changes("s", seen.record.revision)
        assert [t.number for t in seen.trials] == [1, 2, 3]
        assert [(t.number, t.state) for t in changes.trials] == [
            (1, TrialState.RUNNING),
            (3, TrialState.CANCELLED),
        ]
        assert list(storage.changes("s", changes.record.revision).trials) == []

    def test_no_change_of_a_trial_is_missed(self, storage: Storage, clock: Clock) -> None:
        _make(storage)
        mirror: dict[int, Trial] = {}
        seen = -1

        def follow() -> None:
            nonlocal seen
            changes = storage.changes("s", seen)
            mirror.update({t.number: t for t in changes.trials})
            seen = changes.record.revision
            assert changes.record == storage.study("s")
            assert list(mirror.values()) == list(storage.trials("s"))

        steps: list[Callable[[], object]] = [
            lambda: storage.add_trials("s", suggestions(0.1, 0.2), after=0),
            lambda: storage.claim("s", _ME),
            lambda: storage.report("s", 1, 1, [Measurement(0, {"loss": 1.0})]),
            lambda: storage.requeue("s", 1, 1, "later", fault=True),
            lambda: storage.claim("s", _ME),
            lambda: storage.request_stop("s", 1, "now"),
            lambda: storage.finish("s", 1, 2, TrialState.STOPPED, metrics={"loss": 1.0}),
            lambda: storage.retry("s", 1),
            lambda: storage.set_budget("s", max_trials=9),
            lambda: storage.set_state("s", StudyState.PAUSED, "tea"),
            lambda: storage.add_trials("s", suggestions(0.3), after=2, claim=_OTHER),
            lambda: storage.touch("s", "python"),
            lambda: storage.request_stop("s", 2, "no"),
        ]
        for step in steps:
            clock.now += 1
            step()
            follow()

    def test_changes_tell_the_time_that_leases_go_by(self, storage: Storage, clock: Clock) -> None:
        _make(storage)
        clock.now += 5.5
        first = storage.changes("s", -1)
        clock.now += 1

        nothing_new = storage.changes("s", first.record.revision)

        assert (first.now, nothing_new.now) == (clock.now - 1, clock.now)

    def test_revisions_rise(self, storage: Storage) -> None:
        _make(storage)
        revisions = [storage.study("s").revision]

        for number in range(1, 4):
            storage.add_trials("s", suggestions(0.1), after=number - 1)
            revisions.append(storage.study("s").revision)

        assert revisions == sorted(set(revisions))
        assert storage.trial("s", 3).revision == revisions[-1]

    def test_trials_are_listed_by_number_newest_or_best_first(self, storage: Storage) -> None:
        _make(storage)
        losses = [0.5, 0.1, 0.9, 0.1]
        added = storage.add_trials("s", suggestions(*losses), after=0, claim=_ME)
        for trial, loss in zip(added, losses, strict=True):
            _finish(storage, trial, loss)
        storage.add_trials("s", suggestions(0.7), after=4)

        def numbers(order: str, limit: int | None = None) -> list[int]:
            return [t.number for t in storage.trials("s", order=order, limit=limit)]  # type: ignore[arg-type]

        assert numbers("number") == [1, 2, 3, 4, 5]
        assert numbers("newest") == [5, 4, 3, 2, 1]
        assert numbers("best") == [2, 4, 1, 3]
        assert numbers("newest", 2) == [5, 4]
        assert numbers("best", 3) == [2, 4, 1]

    def test_the_best_is_the_greatest_when_maximizing_the_first_objective(
        self, storage: Storage
    ) -> None:
        objectives = (Objective("acc", "maximize"), Objective("cost", "minimize"))
        storage.create_study("s", StudySpec(_LINE, objectives))
        added = storage.add_trials("s", suggestions(0.1, 0.2, 0.3), after=0, claim=_ME)
        for trial, acc in zip(added, (-2.0, 0.5, 0.25), strict=True):
            metrics = {"acc": acc, "cost": -acc, "extra": 1.0}
            storage.finish("s", trial.number, 1, TrialState.COMPLETED, metrics=metrics)

        best = storage.summary("s").best

        assert best is not None
        assert best.number == 2
        assert best.metrics == {"acc": 0.5, "cost": -0.5, "extra": 1.0}
        assert [t.number for t in storage.trials("s", order="best")] == [2, 3, 1]

    def test_trials_that_keep_the_constraints_rank_first_and_then_the_nearest(
        self, storage: Storage
    ) -> None:
        bounds = (Constraint("ms", 20.0), Constraint("recall", 0.5, "at_least"))
        spec = StudySpec(_LINE, (Objective("loss", "minimize"),), constraints=bounds)
        _end_with(
            storage,
            spec,
            {"loss": 0.1, "ms": 21.0, "recall": 0.9},
            {"loss": 9.0, "ms": 20.0, "recall": 0.9},
            {"loss": 0.0, "recall": 0.9},
            {"loss": 0.5, "ms": 20.25, "recall": 0.25},
            {"loss": 8.0, "ms": 1.0, "recall": 0.5},
            {"loss": 0.1, "ms": math.nan, "recall": 0.9},
        )

        summary = storage.summary("s")

        assert [t.number for t in storage.trials("s", order="best")] == [5, 2, 4, 1, 3, 6]
        assert summary.best == storage.trial("s", 5)
        assert summary.front is None
        assert summary.feasibility == Feasibility(counted=6, kept=(2, 5), feasible=2)

    def test_where_no_trial_keeps_the_constraints_the_best_is_the_nearest(
        self, storage: Storage
    ) -> None:
        bounds = (Constraint("ms", 20.0),)
        spec = StudySpec(_LINE, (Objective("loss", "minimize"),), constraints=bounds)
        _end_with(storage, spec, {"loss": 0.1, "ms": 30.0}, {"loss": 9.0, "ms": 23.0})

        summary = storage.summary("s")

        assert summary.best is not None
        assert summary.best.number == 2
        assert summary.feasibility == Feasibility(counted=2, kept=(0,), feasible=0)

    def test_a_trial_that_is_tried_again_is_ranked_anew(self, storage: Storage) -> None:
        trial = _running(storage)
        storage.finish("s", 1, trial.attempt, TrialState.STOPPED, metrics={"loss": 1.0})

        storage.retry("s", 1)

        assert list(storage.trials("s", order="best")) == []
        assert storage.summary("s").best is None

    def test_a_summary_has_the_front_of_several_objectives(self, storage: Storage) -> None:
        goals = (Objective("acc", "maximize"), Objective("ms", "minimize"))
        spec = StudySpec(_LINE, goals, constraints=(Constraint("mib", 100.0),))
        _end_with(
            storage,
            spec,
            {"acc": 0.5, "ms": 30.0, "mib": 1.0},
            {"acc": 0.9, "ms": 20.0, "mib": 1.0},
            {"acc": 0.7, "ms": 10.0, "mib": 1.0},
            {"acc": 0.7, "ms": 10.0, "mib": 1.0},
            {"acc": 1.0, "ms": 1.0, "mib": 101.0},
            {"acc": 1.0, "mib": 1.0},
        )

        front = storage.summary("s").front

        assert front is not None
        assert list(front.trials) == [storage.trial("s", 2), storage.trial("s", 3)]
        assert front.reference == {"acc": 0.5, "ms": 30.0}
        assert front.hypervolume == pytest.approx(6.0)

    @pytest.mark.parametrize(
        ("searchers", "changes"),
        [
            ("", []),
            ("--", []),
            ("a", [1]),
            ("-aa-a", [2]),
            ("aaabbb", [1, 4]),
            ("a-b-a-", [1, 3, 5]),
            ("abcabbca", [1, 2, 3, 4, 5, 7, 8]),
        ],
    )
    def test_a_summary_has_the_trials_with_which_a_searcher_took_over(
        self, storage: Storage, searchers: str, changes: list[int]
    ) -> None:
        _make(storage)
        points = [
            Suggestion({"x": 0.5}, "", None if name == "-" else Explanation(searcher=name))
            for name in searchers
        ]
        if points:
            storage.add_trials("s", points, after=0)

        summary = storage.summary("s")

        assert [t.number for t in summary.choices] == changes
        assert list(summary.choices) == [storage.trial("s", n) for n in changes]

    def test_of_many_searchers_that_took_over_the_latest_are_named(self, storage: Storage) -> None:
        _make(storage)
        points = [Suggestion({"x": 0.5}, "", Explanation(searcher=s)) for s in "ab" * 30]
        storage.add_trials("s", points, after=0)

        assert [t.number for t in storage.summary("s").choices] == list(range(41, 61))

    def test_only_trials_that_count_are_ranked(self, storage: Storage) -> None:
        _make(storage)
        ends = [
            (TrialState.COMPLETED, {"loss": math.nan}),
            (TrialState.COMPLETED, {"loss": -math.inf}),
            (TrialState.COMPLETED, {"other": -5.0}),
            (TrialState.FAILED, {"loss": -9.0}),
            (TrialState.INFEASIBLE, {"loss": -9.0}),
            (TrialState.CANCELLED, {"loss": -9.0}),
            (TrialState.STOPPED, {"loss": 3.0}),
            (TrialState.COMPLETED, {"loss": 4.0}),
        ]
        points = suggestions(*[0.5] * len(ends))
        for trial, (state, metrics) in zip(
            storage.add_trials("s", points, after=0, claim=_ME), ends, strict=True
        ):
            storage.finish("s", trial.number, 1, state, metrics=metrics)

        assert [t.number for t in storage.trials("s", order="best")] == [7, 8]

    def test_a_summary_counts_by_state(self, storage: Storage) -> None:
        _make(storage)
        empty = storage.summary("s")
        first, *_ = storage.add_trials("s", suggestions(0.1, 0.2), after=0, claim=_ME)
        storage.add_trials("s", suggestions(0.3), after=2)
        _finish(storage, first, 0.5)

        summary = storage.summary("s")

        assert (empty.counts, empty.best, empty.done) == ({}, None, 0)
        assert summary.counts == {
            TrialState.COMPLETED: 1,
            TrialState.RUNNING: 1,
            TrialState.QUEUED: 1,
        }
        assert summary.best == storage.trial("s", 1)
        assert summary.done == 1
        assert summary.record == storage.study("s")

    def test_one_at_a_time_is_asking(self, storage: Storage) -> None:
        _make(storage)

        with storage.asking("s"):
            storage.add_trials("s", suggestions(0.1), after=0)
        with storage.asking("s"):
            assert storage.study("s").size == 1
