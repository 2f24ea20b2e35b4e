"""Studies in a simulated world: nothing breaks them, and what would be broken is found."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from tunesmith.model import Measurement, Trial, TrialState
from tunesmith.storage import Changes, Claim, Reply
from tunesmith.storage.sql import SqlStorage
from tunesmith.testing.faults import Outcome, simulate
from tunesmith.testing.faults.__main__ import main
from tunesmith.testing.faults.scenario import RATES, draw

SCHEDULES = 50  # in each test, of which there are as many as keep every core busy for a while


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 400, SCHEDULES))
def test_no_schedule_of_faults_breaks_a_study(first: int) -> None:
    broken = [
        outcome for seed in range(first, first + SCHEDULES) if (outcome := simulate(seed)).problems
    ]

    assert [(o.seed, o.mishaps, o.problems) for o in broken] == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 30, 10))
def test_no_schedule_of_faults_breaks_a_study_on_a_server(first: int) -> None:
    broken = [
        outcome
        for seed in range(first, first + 10)
        if (outcome := simulate(seed, served=True)).problems
    ]

    assert [(o.seed, o.mishaps, o.problems) for o in broken] == []


def test_a_few_schedules_of_faults_break_nothing() -> None:
    outcomes = [simulate(seed) for seed in range(8)] + [
        simulate(seed, served=True) for seed in range(3)
    ]

    assert [problem for outcome in outcomes for problem in outcome.problems] == []


@pytest.mark.parametrize("served", [False, True], ids=["direct", "served"])
def test_a_seed_tells_the_same_story_every_time(served: bool) -> None:
    first, again = simulate(4, served=served), simulate(4, served=served)

    assert list(first.story) == list(again.story)
    assert first.digest == again.digest
    assert first.mishaps == again.mishaps


def test_with_fewer_mishaps_the_story_is_the_same_until_the_next_one() -> None:
    seed = next(seed for seed in count() if len(simulate(seed).mishaps) > 4)

    whole, shorter = simulate(seed), simulate(seed, limit=2)

    assert shorter.mishaps == whole.mishaps[:2]
    same = [a == b for a, b in zip(whole.story, shorter.story, strict=False)]
    assert same[0]
    assert same.index(False) > 1


@pytest.mark.slow
def test_schedules_have_mishaps_of_all_kinds() -> None:
    schedules = [*((seed, True) for seed in range(15)), *((seed, False) for seed in range(60))]

    missing = set(RATES)
    for seed, served in schedules:
        mishaps = simulate(seed, served=served).mishaps
        missing -= {kind for kind in missing if any(m.startswith(kind) for m in mishaps)}
        if not missing:
            break

    assert not missing


def test_every_kind_of_study_is_drawn() -> None:
    drawn = [draw(random.Random(seed)) for seed in range(200)]

    names = {s.spec.stopping[0].name for s in drawn if s.spec.stopping}
    assert names == {"median", "asha", "asha-promotion", "hyperband", "pbt"}
    assert any(not s.spec.stopping for s in drawn)
    assert {s.tuners for s in drawn} == {1, 2, 3, 4}
    assert any(s.files for s in drawn)
    assert any(not s.rates for s in drawn)


# What would be broken is found: storages that keep one promise less than they should


class WithoutFences(SqlStorage):
    """Takes everybody's word for a trial, whoever has it by now."""

    def report(
        self,
        study: str,
        number: int,
        attempt: int,
        measurements: Sequence[Measurement],
        **more: Any,
    ) -> Reply:
        return super().report(study, number, self._now(study, number), measurements, **more)

    def finish(
        self, study: str, number: int, attempt: int, state: TrialState, **more: Any
    ) -> Trial:
        return super().finish(study, number, self._now(study, number), state, **more)

    def _now(self, study: str, number: int) -> int:
        return self.trial(study, number).attempt


class WithoutLeases(SqlStorage):
    """Hands out what others are running."""

    def __init__(self, url: str, *, clock: Callable[[], float]) -> None:
        self._ahead_s = 0.0
        super().__init__(url, clock=lambda: clock() + self._ahead_s)

    def claim(self, study: str, claim: Claim) -> Trial | None:
        self._ahead_s = 1e6
        try:
            return super().claim(study, claim)
        finally:
            self._ahead_s = 0.0


class Forgetful(SqlStorage):
    """Says that it has stored what it has not."""

    reports = 0

    def report(
        self,
        study: str,
        number: int,
        attempt: int,
        measurements: Sequence[Measurement],
        **more: Any,
    ) -> Reply:
        self.reports += 1
        kept = measurements if self.reports % 5 else []
        return super().report(study, number, attempt, kept, **more)


class Hiding(SqlStorage):
    """Leaves a trial out of the changes now and then."""

    asked = 0

    def changes(self, study: str, since: int, *, curves: bool = False) -> Changes:
        changes = super().changes(study, since, curves=curves)
        self.asked += 1
        if (
            self.asked % 7
            or len(changes.trials) < 1
            or changes.trials[-1].state is TrialState.RUNNING
        ):
            return changes
        return replace(changes, trials=changes.trials[:-1])


class Amnesiac(SqlStorage):
    """Does a request that is sent again once more."""

    deliveries = count()

    @contextmanager
    def once(self, key: str, request: str = "") -> Iterator[Sequence[Trial]]:
        with super().once(f"{key}/{next(self.deliveries)}", request) as before:
            yield before


LATE = {"frozen": 0.12, "database's clock jumps": 0.1}
TWICE = {"delivered twice": 0.3, "reply lost": 0.1}


@pytest.mark.parametrize(
    ("broken", "rates", "invariant"),
    [
        (WithoutFences, LATE, "fences_hold"),
        (WithoutLeases, LATE, "leases_exclude"),
        (Forgetful, {}, "reports_are_kept"),
        (Hiding, {}, "replay_is_the_same"),
        (Amnesiac, TWICE, "requests_happen_once"),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
def test_a_storage_that_breaks_a_promise_is_found_within_a_few_schedules(
    broken: type[SqlStorage], rates: Mapping[str, float], invariant: str
) -> None:
    found: set[str] = set()

    for seed in range(20):
        drawn = draw(random.Random(seed))
        pace = 8.0 if rates == LATE else 1.0
        scenario = replace(drawn, rates=rates, tuners=3, machines=3, pace=pace, acts=0, clients=0)
        outcome = simulate(
            seed,
            scenario=scenario,
            served=broken is Amnesiac,
            most_turns=1000,
            open_storage=lambda clock: broken("sqlite://", clock=clock),
        )
        found |= {problem.partition(":")[0] for problem in outcome.problems}
        if invariant in found:
            break

    assert invariant in found, found


def test_the_command_says_how_many_schedules_it_ran(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--seeds", "0:3"])

    assert status == 0
    assert "3 schedules, 0 broken" in capsys.readouterr().out


def test_the_command_tells_the_shortest_story_of_what_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(seed: int, **how: Any) -> Outcome:
        outcome = simulate(seed, **how)
        outcome.problems += ["it broke"] if len(outcome.mishaps) > 1 else []
        return outcome

    monkeypatch.setattr("tunesmith.testing.faults.__main__.simulate", broken)
    seed = next(seed for seed in count() if len(simulate(seed).mishaps) > 4)

    status = main(["--seed", str(seed)])

    said = capsys.readouterr().out
    assert status == 1
    assert f"seed {seed} is broken after 2 mishaps" in said
    assert f"again: --seed {seed} --limit 2 --verbose" in said
