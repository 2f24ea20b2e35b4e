import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import History, Objective, StudySpec, Suggestion, TrialState
from tunesmith.search.random import Random
from tunesmith.space import Double, Space, Value
from tunesmith.stopping import Begin, Halt, Move, Resume
from tunesmith.stopping.promotion import AshaPromotion
from tunesmith.testing.schedules import Trained, history_of
from tunesmith.testing.simulation import Simulation

SPACE = Space({"x": Double(0.0, 1.0)})
SPEC = StudySpec(SPACE, (Objective("loss", "minimize"),), max_steps=9, max_trials=9)
RUNNING, STOPPED, FAILED = TrialState.RUNNING, TrialState.STOPPED, TrialState.FAILED


class InTurn:
    """Suggests given values, one after another."""

    def __init__(self, *values: float) -> None:
        self._values = values

    def check(self, spec: StudySpec) -> None:
        """Serve every study."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        begun = len(history.trials)
        return [Suggestion({"x": x}) for x in self._values[begun : begun + count]]


def own_value(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    return {"loss": float(values["x"])}, state


def moves(
    trials: Sequence[Trained],
    *,
    count: int = 100,
    room: int = 0,
    spec: StudySpec = SPEC,
    schedule: AshaPromotion | None = None,
) -> Sequence[Move]:
    history = history_of(spec, trials)
    return (schedule or AshaPromotion()).moves(history, count, room, np.random.default_rng(0))


def resumed(found: Sequence[Move]) -> dict[int, int]:
    return {move.number: move.budget for move in found if isinstance(move, Resume)}


def halted(found: Sequence[Move]) -> dict[int, str]:
    return {move.number: move.reason for move in found if isinstance(move, Halt)}


def test_one_worker_promotes_whoever_is_among_the_best_third_so_far() -> None:
    # The bracket of Li et al. (2020), figure 1, with n = 9, r = 1, R = 9 and η = 3, and algorithm 2 by hand.
    searcher = InTurn(0.5, 0.8, 0.9, 0.7, 0.6, 0.3, 0.95, 0.1, 0.99)
    simulation = Simulation(SPEC, own_value, searcher, AshaPromotion())

    trials = simulation.run().trials

    order = [(event.number, event.step) for event in simulation.events]
    assert order == [
        *[(1, 1), (2, 1), (3, 1)],
        *[(1, 2), (1, 3)],  # the best of three
        *[(4, 1), (5, 1), (6, 1)],
        *[(6, 2), (6, 3)],  # among the best two of six, so it goes on without a pause
        *[(7, 1), (8, 1)],
        *[(8, 2), (8, 3)],  # among the best two of eight, although two have gone on already
        *[(8, step) for step in range(4, 10)],  # the best of the three at the next rung
        (9, 1),
    ]
    assert trials[7].state is TrialState.COMPLETED
    assert {t.state for t in trials if t.number != 8} == {STOPPED}
    assert [t.attempt for t in trials] == [2, 1, 1, 1, 1, 1, 1, 1, 1]
    assert trials[1].reason == ("not among the best 3 of 9 after 1 step: 0.8, the third has 0.5")


def test_nobody_goes_on_before_there_are_eta_trials() -> None:
    two = [Trained([0.1], budget=1), Trained([0.2], budget=1)]

    assert moves(two, room=7, count=1) == [Begin(1)]
    assert moves([*two, Trained([0.3], budget=1)], room=6, count=1) == [
        Resume(1, 3, "the best of 3 after 1 step")
    ]


def test_the_highest_rung_is_served_first() -> None:
    trials = [
        *(Trained([0.5, 0.5, 0.1 * n], budget=3) for n in (3, 2, 4)),
        *(Trained([0.1 * n], budget=1) for n in range(6)),
    ]

    found = moves(trials, count=2, room=0)

    assert list(resumed(found).items()) == [(2, 9), (4, 3)]


def test_new_trials_begin_where_nobody_can_be_promoted() -> None:
    trials = [Trained([0.1], 3, RUNNING), Trained([0.2], 1), Trained([0.3], 1)]

    assert moves(trials, count=3, room=2) == [Begin(1), Begin(1)]


def test_a_trial_goes_on_at_once_if_it_is_among_the_best_so_far() -> None:
    def further(loss: float) -> int | None:
        trials = [Trained([0.4], 1), Trained([0.5], 1), Trained([loss], 1, RUNNING)]
        history = history_of(SPEC, trials)
        return AshaPromotion().go_on(history.trials[2], history)

    assert further(0.3) == 3
    assert further(0.6) is None
    assert further(math.nan) is None


def test_who_has_gone_on_and_began_anew_still_counts_among_the_best() -> None:
    # Trial 1 was promoted and its program began from the first step again: its place is taken.
    trials = [Trained([], 3, RUNNING), Trained([0.5], 1), Trained([0.6], 1)]

    assert moves(trials, count=1, room=1) == [Begin(1)]


def test_failed_trials_are_no_competitors_at_rungs_that_they_did_not_reach() -> None:
    failed = [Trained([], budget=1, state=FAILED)] * 6

    assert moves([*failed, Trained([0.5], 1), Trained([0.6], 1)], count=1, room=1) == [Begin(1)]


def test_stragglers_keep_nobody_waiting() -> None:
    trials = [Trained([0.1 * n], budget=1) for n in range(6)]
    trials += [Trained([], budget=1, state=RUNNING)] * 3

    assert resumed(moves(trials, count=5)) == {1: 3, 2: 3}


def test_when_no_more_can_come_the_others_end_with_the_reason() -> None:
    trials = [
        Trained([0.1, 0.1, 0.1], 9, TrialState.COMPLETED),
        Trained([0.3], 1),
        Trained([0.25, 0.3, 0.4], 3),
        Trained([0.9], 1),
    ]

    assert halted(moves(trials)) == {
        2: "not the best of 4 after 1 step: 0.3, the best has 0.1",
        3: "not the best of 2 after 3 steps: 0.4, the best has 0.1",
        4: "not the best of 4 after 1 step: 0.9, the best has 0.1",
    }
    assert not halted(moves(trials, room=1)), "with room more may come"


def test_while_one_is_still_on_its_way_nobody_is_given_up() -> None:
    trials = [Trained([0.1], 3, RUNNING), Trained([0.3], 1), Trained([], 1, RUNNING)]

    assert moves(trials) == []


def test_a_rung_stays_open_for_who_is_about_to_come_up() -> None:
    trials = [
        *(Trained([0.5, 0.5, 0.1 * n], budget=3) for n in (2, 3)),
        *(Trained([0.1 * n], budget=1) for n in range(7)),
    ]

    found = moves(trials)

    assert resumed(found) == {3: 3, 4: 3, 5: 3}
    assert set(halted(found)) == {6, 7, 8, 9}


def test_a_small_study_trains_its_best_trial_to_the_end() -> None:
    searcher = InTurn(0.5, 0.2)
    simulation = Simulation(replace(SPEC, max_trials=2), own_value, searcher, AshaPromotion())

    trials = simulation.run().trials

    assert [t.state for t in trials] == [STOPPED, TrialState.COMPLETED]
    assert trials[0].reason == "not the best of 2 after 1 step: 0.5, the best has 0.2"


def test_held_trials_do_not_keep_a_rung_open() -> None:
    trials = [Trained([0.1], 1), Trained([0.2], 1), Trained([], 1, held=True)]

    found = moves(trials)

    assert resumed(found) == {1: 3}
    assert set(halted(found)) == {2}


def test_reports_beyond_several_rungs_are_judged_at_each_without_more_training() -> None:
    trials = [Trained([0.1 * n], budget=1, since=4) for n in range(9)]

    found = moves(trials)

    assert resumed(found) == {1: 9}
    assert len(halted(found)) == 8


def test_brackets_begin_at_higher_rungs_and_share_the_trials_evenly() -> None:
    spec = replace(SPEC, max_steps=81, max_trials=None)
    schedule = AshaPromotion(brackets=3)

    budgets = [schedule.first_budget(n, spec) for n in range(1, 131)]

    # Hyperband's 81, 34 and 15 trials, mixed.
    assert [budgets.count(b) for b in (1, 3, 9)] == [81, 34, 15]
    for begin in range(0, 104, 26):
        part = budgets[begin : begin + 26]
        assert 15 <= part.count(1) <= 18
        assert 6 <= part.count(3) <= 8


def test_trials_are_compared_within_their_bracket() -> None:
    spec = replace(SPEC, max_steps=3, max_trials=None)
    schedule = AshaPromotion(brackets=2)
    budgets = [schedule.first_budget(n, spec) for n in range(1, 6)]
    # The second bracket has trials of 3 steps only, so its trials are no competitors of the first one's.
    assert budgets.count(1) == 3
    trials = [
        Trained([0.9 - 0.1 * n], 1) if budget == 1 else Trained([0.0] * 3, 3, TrialState.COMPLETED)
        for n, budget in enumerate(budgets)
    ]

    found = moves(trials, spec=spec, schedule=schedule, room=9, count=1)

    best = max(n for n, budget in enumerate(budgets, start=1) if budget == 1)
    assert resumed(found) == {best: 3}


def test_a_plan_says_what_is_expected_and_what_is_the_worst() -> None:
    plan = AshaPromotion().plan(replace(SPEC, max_steps=81, max_trials=81))

    (bracket,) = plan.brackets
    assert [(r.trials, r.steps) for r in bracket.rungs] == [
        (81, 1),
        (27, 3),
        (9, 9),
        (3, 27),
        (1, 81),
    ]
    assert not plan.exact
    assert plan.worst_steps == 81 * (1 + 3 + 9 + 27 + 81)


def test_a_plan_without_a_number_of_trials_is_for_a_part_of_them() -> None:
    plan = AshaPromotion().plan(replace(SPEC, max_trials=None))

    assert [rung.trials for rung in plan.brackets[0].rungs] == [9, 3, 1]
    assert plan.note.startswith("these are figures for every 9 trials")
    assert AshaPromotion().trials(SPEC) is None


@pytest.mark.parametrize("brackets", [1, 3])
def test_no_slot_is_idle_while_there_are_trials_to_begin(brackets: int) -> None:
    spec = replace(SPEC, max_steps=81, max_trials=250)
    schedule = AshaPromotion(brackets=brackets)
    simulation = Simulation(
        spec,
        own_value,
        Random(),
        schedule,
        workers=8,
        step_s=lambda values: 0.5 + float(values["x"]),
    )

    simulation.run()

    assert simulation.idle_early_s == 0
    assert simulation.idle_s < 0.25 * 8 * simulation.now_s


def test_more_brackets_than_rungs_are_refused() -> None:
    AshaPromotion(brackets=3).check(SPEC)

    with pytest.raises(SpecError, match="at most 3 brackets here, with rungs at 1, 3, 9 steps"):
        AshaPromotion(brackets=4).check(SPEC)


@pytest.mark.parametrize("setting", ["min_steps", "eta", "brackets"])
def test_settings_that_make_no_sense_are_refused(setting: str) -> None:
    with pytest.raises(SpecError, match=f"asha-promotion's setting '{setting}' is a whole number"):
        AshaPromotion(**{setting: 0})
