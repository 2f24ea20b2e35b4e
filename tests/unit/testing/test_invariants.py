"""Every invariant is shown a history in which it holds, and one in which nothing else is done wrong."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tunesmith.errors import LeaseLostError, StorageError
from tunesmith.model import (
    Algorithm,
    History,
    Measurement,
    Objective,
    StudyRecord,
    StudySpec,
    StudyState,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.space import Double, Space
from tunesmith.storage import Changes, Claim
from tunesmith.storage.sql import SqlStorage
from tunesmith.study import Study
from tunesmith.study.advisor import Advisor
from tunesmith.testing.clock import Clock
from tunesmith.testing.invariants import INVARIANTS, check
from tunesmith.testing.seen import Call, Run, Seen, Told, look
from tunesmith.tuner import BestChanged, TrialEnded

NAME = "s"


def program(values: Any, step: int) -> dict[str, float]:
    return {"loss": float(values["x"]) + step}


class Author:
    """Writes a history: two workers run four trials, of which one is given up, lost, and taken over."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.spec = StudySpec(
            Space({"x": Double(0.0, 1.0)}),
            (Objective("loss", "minimize"),),
            seed=1,
            max_trials=4,
            parallel_trials=2,
        )
        self.storage = SqlStorage("sqlite://", clock=self.clock)
        self.storage.create_study(NAME, self.spec)
        self.calls: list[Call] = []
        self.runs: list[Run] = []
        self.told: list[Told] = []
        self.revision = 0

    def call(self, caller: str, verb: str, **arguments: Any) -> Any:
        self.clock.now += 1.0
        call = Call(caller, verb, arguments, self.clock.now, known=self.revision)
        self.calls.append(call)
        try:
            call.answer = getattr(self.storage, verb)(NAME, **arguments)
        except LeaseLostError as error:
            call.error = error
        call.heard = True
        changes = self.storage.changes(NAME, self.revision, curves=True)
        if changes.record.revision != self.revision:
            call.changes = changes
            self.revision = changes.record.revision
        return call.answer

    def begin(self, caller: str) -> Trial:
        trial: Trial
        trials = self.storage.trials(NAME)
        history = History(self.spec, trials)
        (suggestion,) = Advisor(self.spec).suggest(history, 1)
        claim = Claim(caller, lease_s=60.0)
        (trial,) = self.call(
            caller, "add_trials", suggestions=[suggestion], after=len(trials), claim=claim
        )
        self.run(caller, trial)
        return trial

    def run(self, caller: str, trial: Trial) -> None:
        now = self.clock.now
        self.runs.append(Run(trial.number, trial.attempt, trial.values, caller, now, now + 5.0))

    def report(self, caller: str, trial: Trial, step: int) -> None:
        self.call(
            caller,
            "report",
            number=trial.number,
            attempt=trial.attempt,
            measurements=[Measurement(step, program(trial.values, step))],
            claim=Claim(caller, lease_s=60.0),
        )

    def end(self, caller: str, trial: Trial, step: int) -> Trial:
        ended: Trial = self.call(
            caller,
            "finish",
            number=trial.number,
            attempt=trial.attempt,
            state=TrialState.COMPLETED,
            metrics=program(trial.values, step),
            step=step,
        )
        self.told += [Told(caller, TrialEnded(ended)), Told(caller, BestChanged(ended))]
        return ended

    def write(self) -> Seen:
        first = self.begin("one")
        self.report("one", first, 2)
        self.report("one", first, 3)
        lost = self.begin("two")
        self.report("two", lost, 1)
        self.end("one", first, 3)
        self.clock.now += 100.0  # the second worker says no more
        claim = Claim("one", lease_s=60.0)
        again = self.call("one", "claim", claim=claim)
        self.run("one", again)
        self.call("two", "report", number=2, attempt=1, measurements=[Measurement(2, {})])
        self.report("one", again, 1)
        self.end("one", again, 1)
        for _ in range(2):
            trial = self.begin("one")
            self.report("one", trial, 1)
            self.end("one", trial, 1)
        self.call("one", "set_state", state=StudyState.FINISHED, reason="all 4 trials have ended")
        study = Study.load(NAME, self.storage)
        study.refresh()
        return look(
            self.storage,
            NAME,
            program=program,
            changes=[c.changes for c in self.calls if c.changes is not None],
            calls=self.calls,
            runs=self.runs,
            told=self.told,
            readers={"a reader": study.history},
        )


@pytest.fixture
def seen() -> Seen:
    return Author().write()


def test_of_a_whole_history_nothing_is_broken(seen: Seen) -> None:
    assert check(seen) == []
    assert len(seen.calls) > 15
    assert any(call.error is not None for call in seen.calls)


def test_what_is_stored_alone_is_a_history_too(seen: Seen) -> None:
    assert check(Seen(seen.record, seen.trials, seen.measured)) == []


# How to break each: what is done to the history


def changed(seen: Seen, place: int, **fields: Any) -> None:
    """Change the last trial of one of the changes that were seen."""
    changes = list(seen.changes)
    *others, last = changes[place].trials
    changes[place] = replace(changes[place], trials=[*others, replace(last, **fields)])
    seen.changes = changes


def appended(seen: Seen, *trials: Trial, **record: Any) -> None:
    """Add one more change that was seen."""
    revision = seen.record.revision + 1
    seen.record = replace(seen.record, revision=revision, **record)
    now = [replace(t, revision=revision) for t in trials]
    seen.changes = [*seen.changes, Changes(seen.record, now)]
    seen.trials = [next((n for n in now if n.number == t.number), t) for t in seen.trials]


def stored(seen: Seen, number: int, **fields: Any) -> None:
    """Change what is stored of a trial in the end."""
    seen.trials = [replace(t, **fields) if t.number == number else t for t in seen.trials]


def first(seen: Seen, verb: str) -> Call:
    return next(call for call in seen.calls if call.verb == verb)


def a_trial_is_missing(seen: Seen) -> None:
    seen.trials = [t for t in seen.trials if t.number != 2]


def a_change_comes_late(seen: Seen) -> None:
    changes = list(seen.changes)
    changes[3], changes[4] = changes[4], changes[3]
    seen.changes = changes


def a_trial_pauses_after_its_end(seen: Seen) -> None:
    last = seen.trials[-1]
    appended(seen, replace(last, state=TrialState.PAUSED))


def an_attempt_is_skipped(seen: Seen) -> None:
    place = next(i for i, c in enumerate(seen.changes) if any(t.attempt == 2 for t in c.trials))
    changed(seen, place, attempt=3)


def a_trial_gets_other_values(seen: Seen) -> None:
    changed(seen, -2, values={"x": 0.123})


def an_end_gets_another_value(seen: Seen) -> None:
    appended(seen, replace(seen.trials[0], metrics={"loss": 0.0}))


def a_trial_too_many_is_added(seen: Seen) -> None:
    spec = replace(seen.record.spec, max_trials=3)
    seen.changes = [replace(c, record=replace(c.record, spec=spec)) for c in seen.changes]


def a_trial_too_many_is_stored(seen: Seen) -> None:
    seen.changes, seen.calls = (), ()
    seen.record = replace(seen.record, spec=replace(seen.record.spec, max_trials=3))


def a_tuner_runs_three_at_once(seen: Seen) -> None:
    began = seen.runs[0].began
    more = [Run(n, 9, {}, "one", began, began + 1.0) for n in (7, 8)]
    seen.runs = [*seen.runs, *more]


def an_attempt_goes_to_two(seen: Seen) -> None:
    call = copy.copy(first(seen, "claim"))
    call.caller, call.changes = "two", None
    seen.calls = [*seen.calls, call]


def an_attempt_is_run_twice(seen: Seen) -> None:
    run = copy.copy(seen.runs[0])
    run.tuner = "two"
    seen.runs = [*seen.runs, run]


def a_point_is_suggested_twice(seen: Seen) -> None:
    stored(seen, 4, values=seen.trials[2].values)


def a_lease_is_broken(seen: Seen) -> None:
    first(seen, "claim").time -= 90.0


def the_dead_change_something(seen: Seen) -> None:
    call = next(c for c in seen.calls if c.error is not None)
    call.error = None
    late = replace(seen.measured[0], number=2)
    call.changes = Changes(seen.changes[-2].record, (), [late])


def a_refusal_changes_something(seen: Seen) -> None:
    call = next(c for c in seen.calls if c.error is not None)
    call.changes = Changes(seen.record, [seen.trials[1]])


def a_measurement_is_stored_twice(seen: Seen) -> None:
    seen.measured = [*seen.measured, seen.measured[0]]


def a_report_is_lost(seen: Seen) -> None:
    seen.measured = seen.measured[1:]


def a_measurement_was_never_reported(seen: Seen) -> None:
    one = seen.measured[-1]
    measurement = replace(one.measurement, step=9, metrics=program(seen.trials[-1].values, 9))
    seen.measured = [*seen.measured, replace(one, number=4, measurement=measurement)]


def a_report_is_stored_as_another_value(seen: Seen) -> None:
    one = seen.measured[0]
    measurement = replace(one.measurement, metrics={"loss": 99.0})
    seen.measured = [replace(one, measurement=measurement), *seen.measured[1:]]


def a_report_goes_to_another_trial(seen: Seen) -> None:
    for call in seen.calls:
        if call.verb == "report" and call.error is None:
            call.arguments = {**call.arguments, "measurements": [Measurement(2, {"loss": 5.0})]}
            break
    one = seen.measured[0]
    measurement = replace(one.measurement, metrics={"loss": 5.0})
    seen.measured = [replace(one, measurement=measurement), *seen.measured[1:]]


def a_result_is_not_what_was_measured(seen: Seen) -> None:
    stored(seen, 1, metrics={"loss": -1.0})


def the_best_gets_worse(seen: Seen) -> None:
    best = min((t for t in seen.trials), key=lambda t: t.metrics["loss"])
    appended(seen, replace(best, metrics={"loss": 50.0}))


def a_request_happens_twice(seen: Seen) -> None:
    reports = [c for c in seen.calls if c.verb == "report" and c.changes is not None]
    for delivery, call in enumerate(reports[:2], start=1):
        call.key, call.delivery = "a request", delivery


def an_end_that_was_heard_of_is_gone(seen: Seen) -> None:
    stored(seen, 1, state=TrialState.FAILED, metrics={}, reason="it broke")


def a_trial_that_was_heard_of_is_another(seen: Seen) -> None:
    stored(seen, 1, values={"x": 0.987})


def an_observer_is_told_an_untruth(seen: Seen) -> None:
    seen.told = [*seen.told, Told("one", TrialEnded(replace(seen.trials[0], reason="so they say")))]


def an_observer_is_told_twice(seen: Seen) -> None:
    seen.told = [*seen.told, seen.told[0]]


def an_observer_hears_of_a_best_that_does_not_count(seen: Seen) -> None:
    failed = replace(seen.trials[0], state=TrialState.FAILED, metrics={})
    seen.told = [*seen.told, Told("one", BestChanged(failed))]


def a_change_is_not_told(seen: Seen) -> None:
    place = next(i for i, c in enumerate(seen.changes) if c.trials and c.trials[-1].is_final)
    seen.changes = [replace(c, trials=()) if i == place else c for i, c in enumerate(seen.changes)]


def a_reader_misses_a_trial(seen: Seen) -> None:
    seen.readers = {"a reader": History(seen.record.spec, seen.trials[:-1])}


def a_reader_misses_a_measurement(seen: Seen) -> None:
    spec = StudySpec(
        seen.record.spec.space,
        seen.record.spec.objectives,
        max_trials=4,
        max_steps=9,
        stopping=stopping("median"),
    )
    seen.record = replace(seen.record, spec=spec)
    seen.changes = ()
    history = History(spec, seen.trials)
    for m in seen.measured[:-1]:
        history.measure(m.number, m.attempt, m.measurement)
    seen.readers = {"a reader": history}


def a_suggestion_follows_from_nothing(seen: Seen) -> None:
    call = first(seen, "add_trials")
    call.arguments = {**call.arguments, "suggestions": [Suggestion({"x": 0.5}, "random")]}


def a_trial_is_left_running(seen: Seen) -> None:
    appended(seen, replace(seen.trials[0], state=TrialState.RUNNING))


def a_study_is_left_active(seen: Seen) -> None:
    appended(seen, state=StudyState.ACTIVE, reason="")


def stopping(name: str) -> Any:
    from tunesmith.model import Stopping

    return (Stopping(name),)


BREAKS: list[tuple[str, Callable[[Seen], None]]] = [
    ("numbers_have_no_gap", a_trial_is_missing),
    ("revisions_rise", a_change_comes_late),
    ("moves_are_allowed", a_trial_pauses_after_its_end),
    ("moves_are_allowed", an_attempt_is_skipped),
    ("moves_are_allowed", a_trial_gets_other_values),
    ("ends_are_final", an_end_gets_another_value),
    ("budget_is_kept", a_trial_too_many_is_added),
    ("budget_is_kept", a_trial_too_many_is_stored),
    ("slots_are_kept", a_tuner_runs_three_at_once),
    ("handed_out_once", an_attempt_goes_to_two),
    ("handed_out_once", an_attempt_is_run_twice),
    ("suggested_once", a_point_is_suggested_twice),
    ("leases_exclude", a_lease_is_broken),
    ("fences_hold", the_dead_change_something),
    ("fences_hold", a_refusal_changes_something),
    ("stored_once", a_measurement_is_stored_twice),
    ("reports_are_kept", a_report_is_lost),
    ("reports_are_kept", a_measurement_was_never_reported),
    ("reports_are_kept", a_report_is_stored_as_another_value),
    ("measured_is_true", a_report_goes_to_another_trial),
    ("results_follow", a_result_is_not_what_was_measured),
    ("best_never_worsens", the_best_gets_worse),
    ("requests_happen_once", a_request_happens_twice),
    ("ends_are_kept", an_end_that_was_heard_of_is_gone),
    ("ends_are_kept", a_trial_that_was_heard_of_is_another),
    ("told_the_truth", an_observer_is_told_an_untruth),
    ("told_the_truth", an_observer_is_told_twice),
    ("told_the_truth", an_observer_hears_of_a_best_that_does_not_count),
    ("replay_is_the_same", a_change_is_not_told),
    ("readers_miss_nothing", a_reader_misses_a_trial),
    ("readers_miss_nothing", a_reader_misses_a_measurement),
    ("suggestions_repeat", a_suggestion_follows_from_nothing),
    ("all_ended", a_trial_is_left_running),
    ("all_ended", a_study_is_left_active),
]


@pytest.mark.parametrize(
    ("invariant", "spoil"), BREAKS, ids=lambda part: getattr(part, "__name__", part)
)
def test_what_is_broken_is_named(invariant: str, spoil: Callable[[Seen], None], seen: Seen) -> None:
    spoil(seen)

    broken = list(INVARIANTS[invariant](seen))

    assert broken, f"{spoil.__name__} went unnoticed"


def test_every_invariant_is_shown_a_history_that_breaks_it() -> None:
    assert {name for name, _ in BREAKS} == set(INVARIANTS)


def test_a_fault_on_the_way_back_may_hide_that_a_change_happened(seen: Seen) -> None:
    report = first(seen, "report")
    report.error, report.heard = StorageError("The connection broke."), False

    assert check(seen) == []


def test_a_person_may_have_an_end_undone(seen: Seen) -> None:
    ended = replace(seen.trials[-1], state=TrialState.FAILED, metrics={}, step=None)
    back = replace(ended, state=TrialState.QUEUED, revision=ended.revision + 1)
    record: StudyRecord = seen.record
    retry = Call("a person", "retry", {"number": 4}, 0.0, heard=True)
    retry.changes = Changes(replace(record, revision=back.revision), [back])
    before = Changes(replace(record, revision=ended.revision), [ended])
    history = Seen(record, [back], [], changes=[before, retry.changes], calls=[retry])

    assert list(INVARIANTS["ends_are_final"](history)) == []


def test_a_searcher_that_may_repeat_points_is_allowed_to(seen: Seen) -> None:
    a_point_is_suggested_twice(seen)
    repeating = Algorithm("random", {"repeat": True})

    seen.record = replace(seen.record, spec=replace(seen.record.spec, algorithm=repeating))

    assert list(INVARIANTS["suggested_once"](seen)) == []
