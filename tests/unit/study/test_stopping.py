"""How a study stops, pauses, resumes and continues trials, asked and told by hand."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.errors import SpecError, StateError, StudyEnded, StudyWaiting
from tunesmith.model import (
    Algorithm,
    Ending,
    History,
    StudyState,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.space import Double, Integer, Space
from tunesmith.storage.sql import SqlStorage
from tunesmith.study import Study, refuse_endless
from tunesmith.study.ending import end_reason
from tunesmith.testing.clock import Clock

SPACE = {"x": Double(0.0, 1.0)}


def make(folder: Path | None = None, **settings: object) -> Study:
    settings = {"minimize": "loss", "algorithm": "random", "seed": 1, "max_trials": 9} | settings
    storage = "sqlite://" if folder is None else f"sqlite:///{folder / 's.db'}"
    return Study(SPACE, name="s", storage=storage, **settings)  # type: ignore[arg-type]


Timed = Callable[[Ending], tuple[Study, Clock]]


@pytest.fixture
def timed() -> Iterator[Timed]:
    """Make a study with a given end, and the clock that it goes by."""
    clock = Clock(1e9)
    with SqlStorage("sqlite://", clock=clock) as storage:
        yield lambda ending: (
            Study(SPACE, minimize="loss", storage=storage, algorithm="random", ending=ending),
            clock,
        )


def loss_of(trial: Trial, step: int) -> float:
    return abs(float(trial.values["x"]) - 0.3) + 1.0 / step


def run(study: Study, *, steps: int = 9) -> dict[int, list[int]]:
    """Train trials one after another until the study ends; return the steps each one trained."""
    trained: dict[int, list[int]] = {}
    while True:
        try:
            trial = study.ask()
        except StudyEnded:
            return trained
        done = trained.setdefault(trial.number, [])
        first = done[-1] + 1 if done else 1
        for step in range(first, steps + 1):
            done.append(step)
            if study.report(trial, step, loss=loss_of(trial, step)):
                break
        study.tell(trial)


def reasons(study: Study) -> list[str]:
    return [t.reason for t in study.trials if t.state is TrialState.STOPPED]


# Rules


def test_a_rule_stops_a_trial_with_its_sentence() -> None:
    study = make(stopping={"name": "median", "min_trials": 2, "min_steps": 1})
    for x in (0.3, 0.35):
        study.enqueue({"x": x})
        good = study.ask()
        for step in (1, 2, 3):
            assert not study.report(good, step, loss=loss_of(good, step))
        study.tell(good)
    study.enqueue({"x": 1.0})
    bad = study.ask()

    verdict = study.report(bad, 1, loss=loss_of(bad, 1))
    ended = study.stopped(bad, verdict.reason, by_rule=True)

    assert not verdict.pause
    assert "worse than the median" in verdict.reason
    assert (ended.state, ended.step, ended.reason) == (TrialState.STOPPED, 1, verdict.reason)


def test_what_another_process_reports_is_judged_by(tmp_path: Path) -> None:
    settings = {"stopping": {"name": "median", "min_trials": 2, "min_steps": 1}}
    here, there = make(tmp_path, **settings), make(tmp_path, **settings)
    for x in (0.3, 0.35):
        there.enqueue({"x": x})
        good = there.ask()
        there.report(good, 1, loss=loss_of(good, 1))
        there.tell(good)
    here.enqueue({"x": 1.0})

    assert here.report(here.ask(), 1, loss=1.7)


def test_a_trial_whose_value_is_nan_when_a_rule_stops_it_has_failed() -> None:
    study = make(stopping="threshold")
    trial = study.ask()

    verdict = study.report(trial, 1, loss=math.nan)
    ended = study.stopped(trial, verdict.reason, by_rule=True)

    assert verdict
    assert ended.state is TrialState.FAILED


@pytest.mark.parametrize(
    ("stopping", "words"),
    [
        ("medain", "did you mean 'median'"),
        ({"name": "median", "min_trial": 3}, "has these settings"),
        (["hyperband", "pbt"], "one schedule"),
        ("hyperband", "max_steps"),
        (["median", "median"], "named once"),
    ],
)
def test_stopping_that_makes_no_sense_is_refused_before_anything_is_made(
    stopping: object, words: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=words):
        make(tmp_path, stopping=stopping)

    assert not (tmp_path / "s.db").exists()


# Schedules


def test_a_trial_that_has_trained_its_budget_pauses_and_is_resumed_with_a_larger_one() -> None:
    study = make(stopping={"name": "halving", "min_steps": 3}, max_steps=9, max_trials=3)

    trained = run(study)

    trials = study.trials
    assert sorted(len(steps) for steps in trained.values()) == [3, 3, 9]
    assert all(steps == list(range(1, len(steps) + 1)) for steps in trained.values())
    best = min(trials, key=lambda t: abs(float(t.values["x"]) - 0.3))
    assert (best.state, best.step, best.attempt, best.budget) == (TrialState.COMPLETED, 9, 2, 9)
    assert {t.state for t in trials if t is not best} == {TrialState.STOPPED}
    assert all("not" in reason for reason in reasons(study))
    assert study.record.state is StudyState.FINISHED


def test_those_who_train_to_the_budget_they_are_given_tell_what_came_of_it() -> None:
    study = make(stopping={"name": "hyperband", "min_steps": 3}, max_steps=9)
    spent = 0
    trained: dict[int, int] = {}

    while True:
        try:
            trial = study.ask()
        except StudyEnded:
            break
        assert trial.budget is not None
        spent += trial.budget - trained.get(trial.number, 0)
        trained[trial.number] = trial.budget
        study.tell(trial, loss=loss_of(trial, trial.budget))

    assert spent < 9 * len(trained)
    completed = [t for t in study.trials if t.state is TrialState.COMPLETED]
    assert completed
    assert all(trained[t.number] == 9 for t in completed)
    assert study.record.state is StudyState.FINISHED


_POPULATION = {"population": 3, "interval": 3}


@pytest.mark.parametrize(
    "stopping",
    [
        {"name": "halving"},
        {"name": "hyperband"},
        {"name": "asha-promotion"},
        {"name": "pbt", **_POPULATION},
        {"name": "pb2", **_POPULATION},
    ],
    ids=lambda stopping: str(stopping["name"]),
)
def test_another_process_goes_on_with_a_schedule_where_the_first_was_lost(
    stopping: dict[str, object], tmp_path: Path
) -> None:
    settings = {"stopping": stopping, "max_steps": 9}
    first = make(tmp_path, **settings)
    for _ in range(3):
        trial = first.ask()
        for step in range(1, 4):
            if first.report(trial, step, loss=loss_of(trial, step)):
                break
        first.tell(trial)
    seen = {t.number: t.values for t in first.trials}
    first.close()

    second = make(tmp_path, **settings)
    run(second)

    trials = second.trials
    assert {t.number: t.values for t in trials if t.number in seen} == seen
    assert all(t.is_final for t in trials)
    assert second.record.state is StudyState.FINISHED
    assert any(t.state is TrialState.COMPLETED for t in trials)


def test_with_nothing_to_run_until_others_report_one_is_told_to_wait(tmp_path: Path) -> None:
    study = make(tmp_path, stopping={"name": "halving", "min_steps": 3}, max_steps=9, max_trials=3)
    running = study.ask(3)
    for trial in running[:2]:
        study.tell(trial, loss=loss_of(trial, 3))

    with pytest.raises(StudyWaiting, match="1 that run"):
        study.ask()
    study.tell(running[2], loss=loss_of(running[2], 3))

    assert study.ask().budget == 9


def test_a_point_of_the_users_own_begins_with_the_schedules_first_budget() -> None:
    study = make(stopping={"name": "asha-promotion", "min_steps": 3}, max_steps=9)

    study.enqueue({"x": 0.3})

    assert study.ask().budget == 3


# A person


def test_a_person_pauses_a_trial_and_resumes_it_later() -> None:
    study = make(max_trials=1)
    trial = study.ask()
    assert not study.report(trial, 1, loss=1.0)

    study.request_pause(trial, "lunch")
    verdict = study.report(trial, 2, loss=0.9)
    paused = study.pause_running(trial, verdict.reason)

    assert verdict.pause
    assert (paused.state, paused.reason, paused.step) == (TrialState.PAUSED, "lunch", 2)
    with pytest.raises(StudyEnded, match="tunesmith resume s/1"):
        study.ask()
    assert study.record.state.value == "active"

    study.resume_trial(1)
    again = study.ask()
    study.report(again, 3, loss=0.8)
    ended = study.tell(again)

    assert (again.number, again.attempt) == (1, 2)
    assert [m.step for m in study.measurements(1)] == [1, 2, 3]
    assert (ended.state, ended.step) == (TrialState.COMPLETED, 3)
    assert study.record.state is StudyState.FINISHED


def test_a_schedule_leaves_alone_what_a_person_holds() -> None:
    study = make(stopping={"name": "asha-promotion", "min_steps": 3}, max_steps=9, max_trials=4)
    study.enqueue({"x": 0.3})
    held = study.ask()
    study.report(held, 1, loss=1.0)
    study.request_pause(held, "mine")
    study.pause_running(held, "mine")

    run(study)

    assert study.storage.trial("s", held.number).state is TrialState.PAUSED
    study.request_stop(held.number)
    with pytest.raises(StudyEnded):
        study.ask()
    assert study.record.state is StudyState.FINISHED


def test_a_paused_trial_that_is_stopped_counts_with_what_it_measured() -> None:
    study = make()
    trial = study.ask()
    study.report(trial, 1, loss=0.5)
    study.request_pause(trial)
    study.pause_running(trial, "a person paused it")

    stopped = study.request_stop(1, "no more")

    assert (stopped.state, stopped.metrics, stopped.step) == (TrialState.STOPPED, {"loss": 0.5}, 1)
    assert study.best_trial.number == 1


def test_a_trial_that_waits_in_the_queue_can_be_held() -> None:
    study = make(max_trials=1)
    study.enqueue({"x": 0.5})

    study.request_pause(1)
    with pytest.raises(StudyEnded):
        study.ask()
    study.resume_trial(1)

    assert study.ask().number == 1


def test_only_what_is_paused_is_resumed_and_only_what_has_not_ended_is_paused() -> None:
    study = make()
    trial = study.ask()

    with pytest.raises(StateError, match="running, not paused"):
        study.resume_trial(trial)
    study.tell(trial, 0.5)
    with pytest.raises(StateError, match="has not ended"):
        study.request_pause(trial)


def test_an_ended_trial_is_continued_by_a_new_one_that_begins_from_its_checkpoint() -> None:
    study = make(max_trials=2)
    trial = study.ask()
    study.report(trial, 5, loss=0.5)
    study.tell(trial)

    further = study.continue_trial(trial, steps=8)

    assert (further.number, further.parent, further.budget) == (2, 1, 8)
    assert further.values == trial.values
    assert study.storage.trial("s", 1).state is TrialState.COMPLETED
    with pytest.raises(SpecError, match="trained 5 steps"):
        study.continue_trial(trial, steps=5)
    with pytest.raises(StateError, match="queued"):
        study.continue_trial(further, steps=9)


# Curves


def test_a_restart_without_a_checkpoint_replaces_the_curve_from_where_it_begins() -> None:
    study = make()
    first = study.ask()
    for step in (1, 2, 3):
        study.report(first, step, loss=float(step))
    study.requeue(first, "its machine went")

    second = study.ask()
    study.report(second, 1, loss=9.0)

    assert [(m.step, m.metrics["loss"]) for m in study.measurements(1)] == [(1, 9.0)]


def test_seconds_go_on_over_a_pause(tmp_path: Path) -> None:
    from tunesmith.model import Measurement

    study = make(tmp_path)
    first = study.ask()
    study.record_measurements(first, [Measurement(1, {"loss": 1.0}, 10.0)])
    study.request_pause(first)
    study.pause_running(first, "x")
    study.resume_trial(first)
    second = study.ask()
    study.record_measurements(second, [Measurement(2, {"loss": 0.5}, 4.0)])

    assert [m.elapsed_s for m in study.measurements(1)] == [10.0, 14.0]


def test_what_supersedes_a_metric_is_seen_by_other_processes(tmp_path: Path) -> None:
    from tunesmith.model import Measurement

    settings = {"stopping": "median"}
    here, there = make(tmp_path, **settings), make(tmp_path, **settings)
    trial = here.ask()
    here.record_measurements(trial, [Measurement(1, {"loss": 5.0}), Measurement(2, {"loss": 5.0})])
    there.refresh()
    assert list(there.history.curve(1).steps) == [1, 2]

    here.record_measurements(trial, [Measurement(1, {"loss": 1.0})], frozenset({"loss"}))
    there.refresh()

    series = there.history.curve(1).series(there.spec.objective)
    assert list(series.losses) == [1.0]


# The end of the study


def test_a_study_ends_when_its_target_is_reached() -> None:
    study = make(ending=Ending(target=0.5))
    study.tell(study.ask(), 0.7)
    trial = study.ask()
    other = study.ask()

    study.tell(trial, 0.4)

    assert "trial 2 has reached the target" in study.overrun()
    verdict = study.report(other, 1, loss=0.9)
    assert verdict
    assert not verdict.pause
    study.stopped(other, verdict.reason)
    with pytest.raises(StudyEnded, match="target"):
        study.ask()
    assert study.record.state is StudyState.FINISHED
    assert "target" in study.record.reason


def test_a_study_ends_when_its_time_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make(ending=Ending(time_s=60.0))
    trial = study.ask()
    now = trial.queued
    monkeypatch.setattr("time.time", lambda: now + 59.0)
    assert not study.overrun()

    monkeypatch.setattr("time.time", lambda: now + 61.0)

    assert "its time of 1m00s is spent" in study.overrun()
    study.tell(trial, 0.5)
    with pytest.raises(StudyEnded, match="time"):
        study.ask()


def test_a_study_ends_when_nothing_gets_better() -> None:
    study = make(ending=Ending(no_improvement=3), max_trials=100)
    values = iter([0.5, 0.4, 0.6, 0.4, 0.9, 0.1])

    for _ in range(5):
        study.tell(study.ask(), next(values))
    with pytest.raises(StudyEnded, match="3 trials in a row were no better than trial 2"):
        study.ask()

    assert study.record.state is StudyState.FINISHED


def test_a_study_ends_when_the_model_expects_little() -> None:
    study = make(algorithm="bayesian", ending=Ending(expected_gain=0.02), max_trials=60)

    ended = ""
    while not ended:
        try:
            trial = study.ask()
        except StudyEnded as end:
            ended = str(end)
        else:
            study.tell(trial, (float(trial.values["x"]) - 0.3) ** 2)

    assert "one more trial is expected to gain" in ended
    assert len(study.trials) < 30


def test_paused_trials_are_ended_with_the_study() -> None:
    study = make(
        stopping={"name": "asha-promotion", "min_steps": 3}, max_steps=9, ending=Ending(target=0.5)
    )
    study.enqueue({"x": 1.0})
    waits, good = study.ask(), study.ask()
    study.tell(waits, loss=5.0)
    study.storage.extend("s", good.number, good.attempt, 9)
    study.report(good, 9, loss=0.1)

    study.tell(good)
    with pytest.raises(StudyEnded):
        study.ask()

    trials = study.trials
    assert [t.state for t in trials] == [TrialState.STOPPED, TrialState.COMPLETED]
    assert "the study has ended" in trials[0].reason
    assert study.record.state is StudyState.FINISHED


def test_a_study_that_has_enough_is_over_even_if_a_paused_trial_was_better() -> None:
    study = make(
        stopping={"name": "asha-promotion", "min_steps": 3},
        max_steps=9,
        ending=Ending(no_improvement=1),
    )
    waits, *others = study.ask(3)
    study.tell(waits, loss=0.1)
    for trial, loss in zip(others, (0.5, 0.6), strict=True):
        study.storage.extend("s", trial.number, trial.attempt, 9)
        study.report(trial, 9, loss=loss)
        study.tell(trial)

    with pytest.raises(StudyEnded, match="1 trial was no better than trial 2"):
        study.ask()

    assert study.best_trial.number == 1
    assert study.record.state is StudyState.FINISHED
    assert study.record.reason.startswith("1 trial was no better than trial 2")


def test_who_continues_a_study_may_raise_its_target(tmp_path: Path) -> None:
    study = make(tmp_path, ending=Ending(target=0.5))
    study.tell(study.ask(), 0.4)
    with pytest.raises(StudyEnded):
        study.ask()

    again = make(tmp_path, ending=Ending(target=0.3))

    assert again.record.state is StudyState.ACTIVE
    assert again.ask().number == 2


def test_a_study_ends_when_nothing_got_better_for_some_time(timed: Timed) -> None:
    study, clock = timed(Ending(no_improvement_for_s=60.0))
    clock.now += 30
    study.tell(study.ask(), 0.5)
    clock.now += 50
    study.tell(study.ask(), 0.4)
    clock.now += 50
    study.tell(study.ask(), 0.6)

    clock.now += 10

    with pytest.raises(StudyEnded, match="for 1m00s no trial was better than trial 2"):
        study.ask()


def test_a_study_in_which_no_trial_counts_gets_no_better_either(timed: Timed) -> None:
    study, clock = timed(Ending(no_improvement_for_s=60.0))
    study.tell(study.ask(), error="it broke")

    clock.now += 60

    with pytest.raises(StudyEnded, match="for 1m00s no trial has counted"):
        study.ask()


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (Ending(target=0.5), "target"),
        (Ending(time_s=60.0), "time"),
        (Ending(no_improvement=1), "no better"),
        (Ending(no_improvement_for_s=60.0), "no trial was better"),
    ],
)
def test_nothing_ends_a_study_before_its_least_number_of_trials_has_ended(
    timed: Timed, ending: Ending, reason: str
) -> None:
    study, clock = timed(replace(ending, min_trials=3))
    running = study.ask()
    study.tell(study.ask(), 0.1)
    study.tell(study.ask(), 0.2)
    clock.now += 61
    assert not study.overrun()
    study.request_stop(study.enqueue({"x": 0.9}))  # one that is cancelled does not count

    last = study.ask()
    study.tell(last, error="it broke")

    with pytest.raises(StudyEnded, match=reason):
        study.ask()
    hard = ending.target is not None or ending.time_s is not None
    assert bool(study.overrun()) is hard
    study.tell(running, 0.3)
    assert reason in study.record.reason


def test_nothing_ends_a_study_before_its_least_time(timed: Timed) -> None:
    study, clock = timed(Ending(target=0.5, min_time_s=60.0))
    study.tell(study.ask(), 0.1)
    clock.now += 59
    study.tell(study.ask(), 0.2)

    clock.now += 1

    with pytest.raises(StudyEnded, match="trial 1 has reached the target"):
        study.ask()


def test_a_least_number_of_trials_does_not_raise_the_number_that_a_study_may_have() -> None:
    study = make(ending=Ending(target=0.0, min_trials=5), max_trials=2)
    for _ in range(2):
        study.tell(study.ask(), 0.5)

    with pytest.raises(StudyEnded, match="2 trials"):
        study.ask()

    assert study.record.reason == "all 2 trials have ended"


@pytest.mark.parametrize(("algorithm", "trials"), [({}, 3), ({"repeat": True}, 7)])
def test_a_small_space_bounds_a_study_unless_points_may_be_repeated(
    algorithm: dict[str, Any], trials: int
) -> None:
    space = {"n": Integer(1, 3)}
    study = Study(
        space, minimize="loss", algorithm={"name": "random", **algorithm}, max_trials=7, seed=0
    )

    for _ in range(trials):
        study.tell(study.ask(), 0.5)
    with pytest.raises(StudyEnded):
        study.ask()

    assert study.limit == len(study.trials) == trials
    assert study.record.state is StudyState.FINISHED


def test_a_schedule_that_may_repeat_points_is_not_ended_by_a_small_space() -> None:
    study = Study(
        {"n": Integer(1, 2)},
        minimize="loss",
        algorithm={"name": "random", "repeat": True},
        stopping={"name": "pbt", "population": 4, "interval": 3},
        max_steps=9,
        seed=0,
    )

    ended = ""
    while not ended:
        try:
            trial = study.ask()
        except StudyEnded as end:
            ended = str(end)
        else:
            assert trial.budget is not None
            study.tell(trial, loss=float(trial.values["n"]) + 1 / trial.budget)

    assert len(study.trials) > 4
    assert "pbt has run its course" in ended


def test_a_study_that_may_repeat_points_has_to_end_otherwise() -> None:
    study = make(max_trials=None, algorithm={"name": "random", "repeat": True})
    spec = replace(study.spec, space=Space({"n": Integer(1, 3)}))

    refuse_endless(replace(spec, algorithm=Algorithm("random")))
    with pytest.raises(SpecError, match="would never end"):
        refuse_endless(spec)


def test_trials_that_run_end_with_the_study_where_that_is_wanted() -> None:
    study = make(ending=Ending(no_improvement=1, stop_running=True))
    running = study.ask()
    for value in (0.1, 0.2):
        study.tell(study.ask(), value)

    verdict = study.report(running, 1, loss=0.5)

    assert verdict.reason == "1 trial was no better than trial 2"
    assert study.stopped(running, verdict.reason).state is TrialState.STOPPED
    assert study.record.state is StudyState.FINISHED


def test_trials_that_run_go_on_after_the_time_where_that_is_wanted(timed: Timed) -> None:
    study, clock = timed(Ending(time_s=60.0, stop_running=False))
    running = study.ask()

    clock.now += 61

    assert not study.report(running, 1, loss=0.5)
    assert not study.overrun()
    with pytest.raises(StudyEnded, match="time"):
        study.ask()
    study.tell(running)
    assert "its time of 1m00s is spent" in study.record.reason


class Read(dict[str, float]):
    """Metrics that count how often any of them is read."""

    times = 0

    def get(self, key: str, default: object = None, /) -> Any:
        Read.times += 1
        return super().get(key, default)


def test_whether_a_study_has_enough_is_known_without_looking_at_all_its_trials() -> None:
    ending = Ending(
        target=-1.0, no_improvement=999, no_improvement_for_s=1e9, expected_gain=1e-9, min_trials=2
    )
    ended = [
        Trial(n, {"x": 0.5}, TrialState.COMPLETED, metrics=Read(loss=n / 100), finished=float(n))
        for n in range(1, 101)
    ]
    history = History(replace(make().spec, ending=ending), ended)
    before = Read.times

    for hard in (False, True):
        assert not end_reason(history, 200.0, hard=hard)

    assert Read.times == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"no_improvement_for_s": 0.0},
        {"min_trials": 0},
        {"min_time_s": math.inf},
        {"min_time_s": 2.0, "time_s": 1.0},
        {"stop_running": 1},
    ],
)
def test_conditions_of_an_ending_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=next(iter(wrong))):
        Ending(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"time_s": 0.0}, {"no_improvement": 0}, {"target": math.nan}, {"expected_gain": -1.0}]
)
def test_endings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SpecError, match=next(iter(wrong))):
        Ending(**wrong)  # type: ignore[arg-type]


def test_a_schedules_own_values_and_parents_are_stored(tmp_path: Path) -> None:
    study = make(tmp_path)
    study.tell(study.ask(), 0.5)

    added = study.storage.add_trials(
        "s", [Suggestion({"x": 0.5}, "pbt", budget=4, parent=1)], after=1
    )

    assert study.storage.trials("s")[1] == added[0]
    assert (added[0].budget, added[0].parent) == (4, 1)


def test_a_study_that_has_its_trials_says_what_one_more_might_gain() -> None:
    study = make(algorithm="bayesian", max_trials=9)
    for _ in range(9):
        trial = study.ask()
        study.tell(trial, (float(trial.values["x"]) - 0.3) ** 2)

    assert study.record.reason.startswith("all 9 trials have ended; one more is expected to gain ")
    assert float(study.record.reason.split()[-1]) < 0.05


def test_without_a_model_nothing_is_said_of_what_one_more_might_gain() -> None:
    study = make(max_trials=4)
    for _ in range(4):
        study.tell(study.ask(), 0.5)

    assert study.record.reason == "all 4 trials have ended"


def test_a_sweep_of_hyperband_ends_a_study_that_names_no_number_of_trials() -> None:
    study = make(stopping="hyperband", max_steps=9, max_trials=None)

    run(study)

    # R = 9 and eta = 3: 9, 5 and 3 trials begin at 1, 3 and 9 steps.
    assert len(study.trials) == 17
    assert study.record.state is StudyState.FINISHED
    assert study.record.reason == "all 17 trials have ended"


def test_what_a_rule_told_to_stop_is_stopped_when_it_is_told() -> None:
    study = make(stopping={"name": "patience", "steps": 1})
    trial = study.ask()
    for step in (1, 2, 3):
        verdict = study.report(trial, step, loss=float(step))

    ended = study.tell(trial)

    assert verdict
    assert (ended.state, ended.reason) == (TrialState.STOPPED, verdict.reason)


def test_a_copy_with_nothing_left_to_train_is_what_its_parent_was() -> None:
    study = make(
        stopping={"name": "pbt", "population": 2, "interval": 3}, max_steps=9, max_trials=9
    )
    trained: dict[int, int] = {}
    copies = 0

    while True:
        try:
            trial = study.ask()
        except StudyEnded:
            break
        # Its parent has run far ahead by the time its checkpoint is copied.
        done = trained.get(trial.number) or (8 if trial.parent else 0)
        copies += trial.parent is not None and trial.number not in trained
        assert trial.budget is not None
        for step in range(done + 1, trial.budget + 1):
            study.report(trial, step, loss=loss_of(trial, step))
        trained[trial.number] = max(done, trial.budget)
        study.tell(trial) if done < trial.budget else study.complete(trial)

    assert copies
    assert not [t.reason for t in study.trials if t.state is TrialState.FAILED]
    assert study.record.state is StudyState.FINISHED


def test_a_trial_that_a_person_continues_past_the_whole_completes_and_so_does_the_study() -> None:
    study = make(stopping="asha-promotion", max_steps=3, max_trials=1)
    trial = study.ask()
    for step in (1, 2, 3):
        study.report(trial, step, loss=1.0)
    study.tell(trial)
    study.set_budget(max_trials=2)

    study.continue_trial(trial, steps=5)
    further = study.ask()
    for step in (4, 5):
        study.report(further, step, loss=0.5)
    ended = study.tell(further)

    assert ended.state is TrialState.COMPLETED
    assert study.record.state is StudyState.FINISHED
