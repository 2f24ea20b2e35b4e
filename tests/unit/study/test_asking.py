import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import (
    ConflictError,
    LeaseLostError,
    MismatchError,
    NotFoundError,
    SpaceError,
    SpecError,
    StateError,
    StorageError,
    StudyEnded,
)
from tunesmith.model import StudyState, Suggestion, Trial, TrialState
from tunesmith.space import Categorical, Discrete, Double, Integer, Space
from tunesmith.storage.sql import SqlStorage
from tunesmith.study import Study, worker
from tunesmith.testing.clock import Clock

Make = Callable[..., Study]
THREE = Space({"n": Integer(1, 3)})


def state(study: Study) -> StudyState:
    """Return the study's state as last read."""
    return study.record.state


def tell_all(study: Study) -> list[Trial]:
    """Ask and tell to the end."""
    told: list[Trial] = []
    while True:
        try:
            trial = study.ask()
        except StudyEnded:
            return told
        told.append(study.tell(trial, 1.0))


# Asking


def test_one_trial_or_a_list_is_asked_for(make: Make) -> None:
    study = make()

    one, two, none = study.ask(), study.ask(2), study.ask(0)

    assert (one.number, one.state, one.attempt) == (1, TrialState.RUNNING, 1)
    assert [t.number for t in two] == [2, 3]
    assert none == []
    assert set(one.values) == {"x"}


def test_fewer_are_given_when_the_budget_ends(make: Make) -> None:
    study = make(max_trials=5)

    first, second = study.ask(3), study.ask(8)

    assert (len(first), len(second)) == (3, 2)
    with pytest.raises(StudyEnded, match="has its 5 trials"):
        study.ask(8)
    assert state(study) is StudyState.ACTIVE


def test_a_study_is_finished_when_its_last_trial_ended(make: Make) -> None:
    study = make(max_trials=2)
    first, second = study.ask(2)

    study.tell(second, 1.0)
    assert state(study) is StudyState.ACTIVE
    study.tell(first, 1.0)

    assert state(study) is StudyState.FINISHED
    assert study.record.reason == "all 2 trials have ended"
    with pytest.raises(StudyEnded, match="finished: all 2 trials have ended"):
        study.ask()


def test_an_exhausted_space_ends_a_study_with_its_reason(make: Make) -> None:
    study = make(THREE, max_trials=10)

    told = tell_all(study)

    assert sorted(t.values["n"] for t in told) == [1, 2, 3]
    assert state(study) is StudyState.FINISHED
    assert study.record.reason == "all 3 points of the space have been tried"
    with pytest.raises(StudyEnded, match="all 3 points"):
        study.ask()


def test_an_exhausted_study_is_finished_when_its_last_trial_ends(make: Make) -> None:
    study = make(THREE)
    trials = study.ask(8)

    with pytest.raises(StudyEnded, match="exhausted: all 3 points"):
        study.ask()
    for trial in trials:
        assert state(study) is StudyState.ACTIVE
        study.tell(trial, 1.0)

    assert state(study) is StudyState.FINISHED


def test_a_grid_over_a_continuous_space_says_that_it_is_done(make: Make) -> None:
    study = make(algorithm={"name": "grid", "points": 3})

    assert [t.values["x"] for t in tell_all(study)] == [0.0, 0.5, 1.0]
    assert study.record.reason == "grid has no more points to try"


def test_initial_points_come_first_then_defaults_then_the_searcher(make: Make) -> None:
    space = Space(
        {"lr": Double(0.0, 1.0, default=0.25), "kind": Categorical(["a", "b"], default="b")}
    )
    initial = [{"lr": 0.5}, {"kind": "a", "lr": 0.75}, {"lr": 0.5, "kind": "b"}, {}]
    study = make(space, initial=initial)

    trials = study.ask(5)

    assert [t.values for t in trials[:3]] == [
        {"lr": 0.5, "kind": "b"},
        {"lr": 0.75, "kind": "a"},
        {"lr": 0.25, "kind": "b"},
    ]
    assert [t.origin for t in trials] == ["user", "user", "user", "sobol", "sobol"]


def test_defaults_come_from_the_space_and_are_not_repeated(make: Make) -> None:
    space = Space({"n": Discrete([1, 2, 3], default=2)})
    study = make(space)

    told = tell_all(study)

    assert (told[0].values, told[0].origin) == ({"n": 2}, "default")
    assert sorted(t.values["n"] for t in told) == [1, 2, 3]


# The same again


@pytest.mark.parametrize("algorithm", ["random", "sobol", "default"])
def test_the_same_seed_gives_the_same_suggestions(make: Make, algorithm: str) -> None:
    one, same, other = (make(algorithm=algorithm, seed=s) for s in (3, 3, 4))

    assert [one.ask().values for _ in range(9)] == [same.ask().values for _ in range(9)]
    assert [one.ask().values for _ in range(3)] != [other.ask().values for _ in range(3)]


@pytest.mark.parametrize("algorithm", ["random", "sobol", "grid", "default"])
def test_a_study_in_pieces_gives_what_an_uninterrupted_one_gives(
    make: Make, url: str, algorithm: str
) -> None:
    space = Space({"n": Integer(1, 9), "k": Categorical(["a", "b"])})
    whole = [t.values for t in tell_all(make(space, algorithm=algorithm, max_trials=15))]

    pieces = []
    for _ in range(5):
        study = make(space, algorithm=algorithm, max_trials=15, name="s", storage=url, seed=0)
        for _ in range(3):
            trial = study.ask()
            pieces.append(trial.values)
            study.tell(trial, 1.0)
        study.close()

    assert pieces == whole


def test_a_seed_that_was_not_given_is_drawn_and_kept(make: Make, url: str) -> None:
    first = make(seed=None, name="s", storage=url)
    again = make(seed=None, name="s", storage=url)

    assert again.spec.seed == first.spec.seed
    assert make(seed=None).spec.seed != make(seed=None).spec.seed


# Opening


def test_a_study_is_loaded_by_name(make: Make, url: str) -> None:
    made = make(name="größe", storage=url, max_trials=4)
    made.tell(made.ask(), 0.5)

    with Study.load("größe", url) as study:
        assert study.spec == made.spec
        assert study.best_trial.metrics == {"loss": 0.5}
        assert study.ask().number == 2


def test_a_study_that_is_not_there_is_not_loaded(make: Make, url: str) -> None:
    make(storage=url)

    with pytest.raises(NotFoundError, match="no study 'other'"):
        Study.load("other", url)


def test_studies_without_a_name_are_counted(make: Make, url: str) -> None:
    assert [make(storage=url).name for _ in range(3)] == ["study-1", "study-2", "study-3"]


def test_two_studies_without_a_name_are_never_the_same(make: Make) -> None:
    class Racing(SqlStorage):
        """A storage in which somebody else is faster to take the first name."""

        raced = False

        def study_names(self) -> list[str]:
            names = list(super().study_names())
            if not self.raced:
                self.raced = True
                make(storage=self)
            return names

    storage = Racing("sqlite://")

    assert make(storage=storage).name == "study-2"
    assert sorted(storage.study_names()) == ["study-1", "study-2"]


def test_another_space_or_metric_is_refused_with_the_difference(make: Make, url: str) -> None:
    make(name="s", storage=url)

    with pytest.raises(MismatchError) as caught:
        make(Space({"x": Double(0.0, 2.0)}), maximize="acc", name="s", storage=url)

    first, space, objective, *ways_out = str(caught.value).splitlines()
    assert "'s' exists with another space or metric" in first
    assert "x: was double 0..1, is now double 0..2" in space
    assert "was minimize loss, is now maximize acc" in objective
    assert "another name" in ways_out[0]


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"minimize": ()}, SpecError, "needs a metric"),
        ({"minimize": "a  b"}, SpecError, "name can't be"),
        ({"name": "a/b"}, SpecError, "can't be called"),
        ({"algorithm": "bayes-o-matic"}, SpecError, "sobol"),
        ({"algorithm": "grid"}, SpecError, "continuous"),
        ({"initial": [{"y": 1}]}, SpaceError, "'y'"),
        ({"seed": 1.5}, SpecError, "seed"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_before_anything_is_stored(
    make: Make, url: str, settings: dict[str, object], error: type[Exception], words: str
) -> None:
    make(name="other", storage=url)

    with pytest.raises(error, match=words):
        make(storage=url, **settings)

    with SqlStorage(url) as storage:
        assert storage.study_names() == ["other"]


# Others at the same time


def test_who_was_overtaken_thinks_again(make: Make, url: str) -> None:
    slow, quick = (make(name="s", storage=url, max_trials=4) for _ in range(2))
    suggest = slow._live.advisor._searcher.suggest
    overtaken: list[int] = []

    class Overtaken:
        def suggest(self, *args: object) -> object:
            suggestions = suggest(*args)  # type: ignore[arg-type]
            if not overtaken:
                after = len(slow.history.trials)
                quick.storage.add_trials("s", [Suggestion({"x": 0.123})], after=after)
                overtaken.append(after)
            return suggestions

    slow._live.advisor._searcher = Overtaken()  # type: ignore[assignment]

    trials = slow.ask(9)

    assert overtaken == [0]
    assert [t.number for t in trials] == [1, 2, 3, 4]
    assert trials[0].values == {"x": 0.123}


def test_a_finished_study_is_not_finished_over_a_trial_queued_meanwhile(
    make: Make, url: str
) -> None:
    study, other = (make(name="s", storage=url, max_trials=1) for _ in range(2))
    trial = study.ask()
    set_state = study.storage.set_state

    def overtaken(*args: object, **settings: object) -> None:
        study.storage.set_state = set_state  # type: ignore[method-assign]
        other.set_budget(max_trials=2)
        other.enqueue({"x": 0.5})
        set_state(*args, **settings)  # type: ignore[arg-type]

    study.storage.set_state = overtaken  # type: ignore[method-assign]
    study.tell(trial, 1.0)

    assert state(study) is StudyState.ACTIVE
    assert study.ask().values == {"x": 0.5}


def test_threads_ask_one_object_without_a_repetition(make: Make) -> None:
    study = make(Space({"a": Integer(1, 8), "b": Integer(1, 8)}))
    told: list[Trial] = []

    threads = [threading.Thread(target=lambda: told.extend(tell_all(study))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(t.number for t in told) == list(range(1, 65))
    assert len({(t.values["a"], t.values["b"]) for t in told}) == 64
    assert state(study) is StudyState.FINISHED


def test_observers_hear_of_every_change_and_once(make: Make) -> None:
    study = make()
    heard: list[tuple[int, str]] = []
    study.observers.append(lambda t: heard.append((t.number, t.state)))

    first, second = study.ask(2)
    study.tell(first, 1.0)
    study.requeue(second, "later")

    assert heard == [(1, "running"), (2, "running"), (1, "completed"), (2, "queued")]


# Workers that vanish


ASK_AND_HANG = """
import sys
from tunesmith.study import Study
print(Study.load("s", sys.argv[1]).ask().number, flush=True)
sys.stdin.read()
"""


def test_the_trial_of_a_killed_process_is_handed_out_again(make: Make, url: str) -> None:
    study = make(name="s", storage=url, max_trials=2)
    command = [sys.executable, "-c", ASK_AND_HANG, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        while_it_lives = study.ask()

        process.kill()
        process.wait()

    again = study.ask()
    assert (while_it_lives.number, again.number) == (2, 1)
    assert again.attempt == 2
    assert again.values == study.trials[0].values
    study.tell(again, 1.0)
    study.tell(while_it_lives, 1.0)
    assert state(study) is StudyState.FINISHED


def test_a_lease_that_ran_out_gives_the_trial_to_others(make: Make, clock: Clock) -> None:
    storage = SqlStorage("sqlite://", clock=clock)
    first = make(name="s", storage=storage, worker="first", lease_s=60)
    second = make(name="s", storage=storage, worker="second", lease_s=60)
    trial = first.ask()

    clock.now += 50
    first.report(trial, 0, loss=3.0)  # this renews it
    clock.now += 50
    assert second.ask().number == 2
    clock.now += 20
    taken = second.ask()

    assert (taken.number, taken.attempt, taken.worker) == (1, 2, "second")
    with pytest.raises(LeaseLostError):
        first.report(trial, 1, loss=2.0)
    with pytest.raises(LeaseLostError):
        first.tell(trial, 2.0)
    second.tell(taken, 1.0)
    assert first.best_trial.metrics == {"loss": 1.0}


def test_a_worker_that_comes_back_under_its_name_gets_what_it_let_run_out(
    make: Make, clock: Clock
) -> None:
    storage = SqlStorage("sqlite://", clock=clock)
    make(name="s", storage=storage, worker="gpu-1", lease_s=60).ask()

    clock.now += 61
    again = make(name="s", storage=storage, worker="gpu-1", lease_s=60).ask()

    assert (again.number, again.attempt) == (1, 2)


def test_renewing_keeps_what_runs(make: Make, clock: Clock) -> None:
    storage = SqlStorage("sqlite://", clock=clock)
    first, second = (make(name="s", storage=storage, lease_s=60) for _ in range(2))
    first.ask()

    for _ in range(4):
        clock.now += 40
        first.renew()

    assert second.ask().number == 2


def test_the_last_trials_of_a_budget_are_waited_for_not_lost(make: Make, url: str) -> None:
    numbers = itertools.count(1)
    study = make(name="s", storage=url, max_trials=3)
    study.tell(study.ask(), 1.0)  # it has just looked for the dead
    command = [sys.executable, "-c", ASK_AND_HANG, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    study.tell(study.ask(), 1.0)

    study.tell(study.ask(), 1.0)

    assert [t.number for t in study.trials] == [next(numbers) for _ in range(3)]
    assert state(study) is StudyState.FINISHED


def test_the_name_of_a_worker_is_ones_own_or_made_up(make: Make, url: str) -> None:
    named, first, second = (make(name="s", storage=url, worker=w) for w in ("gpu-1", None, None))

    assert named.worker == named.ask().worker == "gpu-1"
    assert len({first.worker, second.worker}) == 2
    assert first.ask().worker == first.worker


# Queueing


def test_a_queued_point_comes_first(make: Make) -> None:
    study = make(Space({"x": Double(0.0, 1.0), "k": Categorical(["a", "b"], default="b")}))
    study.ask()

    queued = study.enqueue({"x": 0.25})
    trial = study.ask()

    assert (queued.state, queued.origin) == (TrialState.QUEUED, "user")
    assert (trial.number, trial.values) == (queued.number, {"x": 0.25, "k": "b"})


def test_a_point_that_was_tried_is_queued_again_only_on_request(make: Make) -> None:
    study = make()
    study.enqueue({"x": 0.5})

    with pytest.raises(SpaceError, match=r"Trial 1 has these values already; .*repeat=True"):
        study.enqueue({"x": 0.5})

    assert study.enqueue({"x": 0.5}, repeat=True).number == 2


@pytest.mark.parametrize(
    ("values", "words"), [({"x": 2.0}, "'x'"), ({"y": 1}, "'y'"), ({"x": "a"}, "'x'")]
)
def test_a_point_outside_the_space_is_not_queued(
    make: Make, values: dict[str, object], words: str
) -> None:
    study = make()

    with pytest.raises(SpaceError, match=words):
        study.enqueue(values)

    assert len(study.trials) == 0


def test_queueing_does_not_exceed_the_budget(make: Make) -> None:
    study = make(max_trials=1)
    tell_all(study)

    with pytest.raises(StudyEnded, match="1 trials"):
        study.enqueue({"x": 0.5})
    study.set_budget(max_trials=2)

    assert study.enqueue({"x": 0.5}).number == study.ask().number == 2


def test_a_queued_point_wakes_an_exhausted_study(make: Make) -> None:
    study = make(THREE)
    tell_all(study)
    assert state(study) is StudyState.FINISHED

    study.enqueue({"n": 2}, repeat=True)

    assert [t.values for t in tell_all(study)] == [{"n": 2}]
    assert state(study) is StudyState.FINISHED


def test_queueing_takes_its_place_behind_what_others_add(make: Make, url: str) -> None:
    study, other = (make(name="s", storage=url) for _ in range(2))
    add_trials = study.storage.add_trials
    conflicts: list[ConflictError] = []

    def overtaken(*args: object, **settings: object) -> object:
        if not conflicts:
            other.ask()
        try:
            return add_trials(*args, **settings)  # type: ignore[arg-type]
        except ConflictError as error:
            conflicts.append(error)
            raise

    study.storage.add_trials = overtaken  # type: ignore[method-assign, assignment]

    assert study.enqueue({"x": 0.5}).number == 2
    assert len(conflicts) == 1


# What a person may change


def test_a_paused_study_gives_nothing_until_it_is_resumed(make: Make) -> None:
    study = make()
    running = study.ask()

    study.pause("Zoë is on holiday")
    with pytest.raises(StudyEnded, match="paused: Zoë is on holiday"):
        study.ask()
    study.tell(running, 1.0)
    study.resume()

    assert study.ask().number == 2
    assert study.record.reason == ""


def test_a_stopped_study_gives_nothing(make: Make) -> None:
    study = make()

    study.stop()

    with pytest.raises(StudyEnded, match="stopped: a person stopped it"):
        study.ask()


def test_a_resumed_study_that_has_all_its_trials_is_finished(make: Make) -> None:
    study = make(max_trials=1)
    tell_all(study)

    study.resume()

    assert state(study) is StudyState.FINISHED


def test_a_waiting_trial_is_cancelled_and_not_counted(make: Make) -> None:
    study = make(max_trials=2)
    study.enqueue({"x": 0.1})
    study.enqueue({"x": 0.2})

    cancelled = study.request_stop(1)

    assert cancelled.state is TrialState.CANCELLED
    assert [t.number for t in tell_all(study)] == [2, 3]
    assert state(study) is StudyState.FINISHED


def test_a_running_trial_hears_that_it_should_stop(make: Make) -> None:
    study = make()
    trial = study.ask()
    assert not study.report(trial, 0, loss=1.0)

    study.request_stop(trial, "it diverges")
    verdict = study.report(trial, 1, loss=2.0)
    stopped = study.stopped(trial, verdict.reason)

    assert verdict
    assert str(verdict) == "it diverges"
    assert (stopped.state, stopped.reason) == (TrialState.STOPPED, "it diverges")
    assert (stopped.metrics, stopped.step) == ({"loss": 2.0}, 1)


@pytest.mark.parametrize("measured", [None, float("nan")])
def test_a_trial_that_is_stopped_without_a_value_is_cancelled(
    make: Make, measured: float | None
) -> None:
    study = make()
    trial = study.ask()
    if measured is not None:
        study.report(trial, 0, loss=measured)

    assert study.stopped(trial, "enough").state is TrialState.CANCELLED


def test_a_failed_trial_is_tried_again_with_the_same_values(make: Make) -> None:
    study = make(max_trials=1)
    first = study.ask()
    study.tell(first, error="no space left")
    assert state(study) is StudyState.FINISHED

    waiting = study.retry(1)
    again = study.ask()

    assert waiting.state is TrialState.QUEUED
    assert (again.number, again.attempt, again.values) == (1, 2, first.values)
    study.tell(again, 1.0)
    assert state(study) is StudyState.FINISHED


def test_a_raised_budget_lets_a_finished_study_go_on(make: Make) -> None:
    study = make(max_trials=1)
    tell_all(study)

    study.set_budget(max_trials=3)

    assert state(study) is StudyState.ACTIVE
    assert study.history.spec.max_trials == 3
    assert [t.number for t in tell_all(study)] == [2, 3]


def test_a_study_run_again_continues_up_to_the_greater_total(make: Make) -> None:
    study = make(max_trials=2)
    tell_all(study)

    study.continue_up_to(2)
    assert state(study) is StudyState.FINISHED
    study.continue_up_to(1)
    assert study.spec.max_trials == 2
    study.continue_up_to(None)
    assert study.spec.max_trials == 2
    study.continue_up_to(3)

    assert len(tell_all(study)) == 1


@pytest.mark.parametrize("hold", [Study.pause, Study.stop, Study.give_up])
def test_a_study_that_was_held_goes_on_when_it_is_run_again(
    make: Make, hold: Callable[[Study, str], None]
) -> None:
    study = make(max_trials=3)
    hold(study, "so")

    study.continue_up_to(3)

    assert state(study) is StudyState.ACTIVE
    assert study.ask().number == 1


def test_a_finished_study_with_a_waiting_trial_goes_on_when_it_is_run_again(make: Make) -> None:
    study = make(max_trials=1)
    tell_all(study)
    study.storage.set_budget(study.name, max_trials=2)
    study.storage.add_trials(study.name, [Suggestion({"x": 0.5})], after=1)  # and then it died

    study.continue_up_to(2)

    assert [t.number for t in tell_all(study)] == [2]


def test_too_many_failures_end_the_study(make: Make) -> None:
    study = make(max_failed_trials=1, max_trials=9)

    study.tell(study.ask(), error="first")
    assert state(study) is StudyState.ACTIVE
    study.tell(study.ask(), error="second")

    assert state(study) is StudyState.FAILED
    with pytest.raises(StudyEnded, match=r"failed: 2 trials failed, more than max_failed_trials"):
        study.ask()


def test_a_study_that_failed_is_continued_until_the_next_failure(make: Make) -> None:
    study = make(max_failed_trials=0, max_trials=4)
    study.tell(study.ask(), error="first")
    assert state(study) is StudyState.FAILED

    study.continue_up_to(4)
    study.tell(study.ask(), 1.0)
    assert state(study) is StudyState.ACTIVE
    study.tell(study.ask(), error="second")

    assert state(study) is StudyState.FAILED


def test_infeasible_trials_are_no_failures(make: Make) -> None:
    study = make(max_failed_trials=0)

    study.tell(study.ask(), infeasible="too wide")

    assert state(study) is StudyState.ACTIVE


def test_a_study_that_is_opened_with_a_larger_budget_goes_on_up_to_it(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 's.db'}"
    space = {"x": Double(0, 1)}
    with Study(space, minimize="y", name="s", storage=storage, max_trials=1) as first:
        first.tell(first.ask(), y=1.0)

    with Study(space, minimize="y", name="s", storage=storage, max_trials=2) as again:
        assert again.ask().number == 2
    with Study(space, minimize="y", name="s", storage=storage, max_trials=1) as smaller:
        assert smaller.spec.max_trials == 2


def test_what_was_taken_is_handed_out_although_the_storage_fails_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = Study({"x": Double(0, 1)}, minimize="y", max_trials=5)
    study.enqueue({"x": 0.5})

    def broken(*_: object, **__: object) -> None:
        msg = "the disk is full"
        raise StorageError(msg)

    monkeypatch.setattr(study.storage, "add_trials", broken)

    assert [t.number for t in study.ask(2)] == [1]
    with pytest.raises(StorageError):
        study.ask(2)


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_a_study_that_is_over_is_neither_paused_nor_stopped(verb: str) -> None:
    study = Study({"x": Double(0, 1)}, minimize="y", max_trials=1)
    study.tell(study.ask(), y=1.0)

    with pytest.raises(StateError, match="is finished: all 1 trials have ended"):
        getattr(study, verb)()


def test_an_algorithm_that_is_not_installed_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="did you mean 'sobol'"):
        Study({"x": Double(0, 1)}, minimize="y", algorithm="sobl")


def test_a_process_that_can_not_be_looked_at_is_not_taken_for_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = worker.own_name()
    monkeypatch.setattr(worker, "_birth", lambda _: worker._UNKNOWN)

    assert not worker.is_dead(name)
