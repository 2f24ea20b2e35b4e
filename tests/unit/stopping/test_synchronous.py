import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import Algorithm, Objective, StudySpec, Suggestion, TrialState
from tunesmith.search.random import Random
from tunesmith.space import Double, Space, Value
from tunesmith.stopping import Begin, Halt, Move, Plan, Resume
from tunesmith.stopping.synchronous import Synchronous, bohb, halving, hyperband
from tunesmith.testing.schedules import Trained, history_of
from tunesmith.testing.simulation import Simulation

SPACE = Space({"x": Double(0.0, 1.0)})
SPEC = StudySpec(SPACE, (Objective("loss", "minimize"),), max_steps=9, max_trials=9)
WHOLE = 81
RUNNING, STOPPED, FAILED = TrialState.RUNNING, TrialState.STOPPED, TrialState.FAILED


def moves(
    schedule: Synchronous,
    trials: Sequence[Trained],
    *,
    count: int = 100,
    room: int = 0,
    spec: StudySpec = SPEC,
) -> Sequence[Move]:
    return schedule.moves(history_of(spec, trials), count, room, np.random.default_rng(0))


def resumed(found: Sequence[Move]) -> dict[int, int]:
    return {move.number: move.budget for move in found if isinstance(move, Resume)}


def halted(found: Sequence[Move]) -> dict[int, str]:
    return {move.number: move.reason for move in found if isinstance(move, Halt)}


def rungs(plan: Plan) -> list[list[tuple[float, int]]]:
    return [[(rung.trials, rung.steps) for rung in bracket.rungs] for bracket in plan.brackets]


def train(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    return {"loss": abs(float(values["x"]) - 0.3) + 1.0 / step}, state


def simulated(
    schedule: Synchronous, trials: int | None, *, workers: int = 1, uneven: bool = False
) -> Simulation:
    spec = replace(SPEC, max_steps=WHOLE, max_trials=trials or schedule.trials(sized(None)))
    step_s = (lambda values: 0.5 + float(values["x"])) if uneven else (lambda _: 1.0)
    simulation = Simulation(spec, train, Random(), schedule, workers=workers, step_s=step_s)
    simulation.run()
    return simulation


def sized(trials: int | None) -> StudySpec:
    return replace(SPEC, max_steps=WHOLE, max_trials=trials)


# Hyperband's brackets


def test_the_brackets_of_hyperband_are_those_of_its_formulas() -> None:
    # Li et al. (2018), algorithm 1, with R = 81 and η = 3: n = ⌈(s_max + 1)/(s + 1)·ηˢ⌉, r = R·η⁻ˢ, and
    # nᵢ = ⌊n·η⁻ⁱ⌋. (Table 1 of the paper shows 27, 9 and 6 where the formula gives 34, 15 and 8.)
    plan = hyperband().plan(sized(None))

    assert rungs(plan) == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(34, 3), (11, 9), (3, 27), (1, 81)],
        [(15, 9), (5, 27), (1, 81)],
        [(8, 27), (2, 81)],
        [(5, 81)],
    ]


@pytest.mark.parametrize(("whole", "eta"), [(81, 3), (64, 2), (27, 3), (256, 4), (1000, 10)])
def test_hyperband_keeps_to_its_formulas_whatever_the_steps(whole: int, eta: int) -> None:
    deepest = round(math.log(whole, eta))

    plan = hyperband(eta=eta).plan(replace(SPEC, max_steps=whole, max_trials=None))

    for s, bracket in zip(range(deepest, -1, -1), plan.brackets, strict=True):
        n = math.ceil((deepest + 1) * eta**s / (s + 1))
        expected = [(n // eta**i, whole // eta ** (s - i)) for i in range(s + 1)]
        assert [(rung.trials, rung.steps) for rung in bracket.rungs] == expected


def test_min_steps_leaves_out_the_boldest_brackets() -> None:
    plan = hyperband(min_steps=9).plan(sized(None))

    assert rungs(plan) == [[(9, 9), (3, 27), (1, 81)], [(5, 27), (1, 81)], [(3, 81)]]


def test_brackets_follow_from_numbers_and_sweeps_repeat() -> None:
    schedule = hyperband()

    budgets = [schedule.first_budget(n, sized(None)) for n in range(1, 2 * 143 + 1)]

    sweep = [1] * 81 + [3] * 34 + [9] * 15 + [27] * 8 + [81] * 5
    assert budgets == sweep * 2
    assert schedule.trials(sized(None)) == 143


def test_the_last_bracket_of_a_study_has_as_many_trials_as_are_left() -> None:
    plan = hyperband().plan(sized(100))

    assert rungs(plan) == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(19, 3), (6, 9), (2, 27), (1, 81)],
    ]


def test_a_plan_counts_steps_with_and_without_checkpoints() -> None:
    plan = hyperband().plan(sized(81))

    assert plan.exact
    assert plan.steps == 81 + 27 * 2 + 9 * 6 + 3 * 18 + 54
    assert plan.worst_steps == 5 * 81
    assert "anew" in plan.note


def test_a_round_of_halving_leaves_one_at_the_end() -> None:
    assert rungs(halving().plan(sized(None))) == [[(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]]
    assert rungs(halving(min_steps=9, eta=3).plan(sized(None))) == [[(9, 9), (3, 27), (1, 81)]]
    assert halving(trials=20).trials(sized(None)) == 20
    assert rungs(halving(trials=20, min_steps=9).plan(sized(50))) == [
        [(20, 9), (6, 27), (2, 81)],
        [(20, 9), (6, 27), (2, 81)],
        [(10, 9), (3, 27), (1, 81)],
    ]


def test_even_a_small_round_trains_one_trial_to_the_end() -> None:
    assert rungs(halving().plan(sized(2))) == [[(2, 1), (1, 3), (1, 9), (1, 27), (1, 81)]]


# What goes on, and what does not

NINE = [0.78, 0.71, 0.93, 0.6, 0.9, 0.85, 0.88, 0.99, 0.91]


def test_the_best_third_goes_on_and_the_others_end_with_the_reason() -> None:
    trials = [Trained([loss], budget=1) for loss in NINE]

    found = moves(halving(), trials)

    assert resumed(found) == {4: 3, 2: 3, 1: 3}
    assert set(halted(found)) == {3, 5, 6, 7, 8, 9}
    assert halted(found)[6] == ("not among the best 3 of 9 after 1 step: 0.85, the third has 0.78")
    reasons = {move.reason for move in found if isinstance(move, Resume)}
    assert reasons == {"among the best 3 of 9 after 1 step"}


def test_a_single_place_is_for_the_best() -> None:
    trials = [
        *(Trained([0.5, 0.4, loss], budget=3) for loss in (0.3, 0.2, 0.4)),
        *[Trained([0.9], budget=1, state=STOPPED)] * 6,
    ]

    found = moves(halving(), trials)

    assert resumed(found) == {2: 9}
    assert halted(found)[1] == "not the best of 3 after 3 steps: 0.3, the best has 0.2"


def test_as_many_go_on_as_there_are_slots_and_the_rest_later() -> None:
    trials = [Trained([loss], budget=1) for loss in NINE]

    first = moves(halving(), trials, count=2)

    assert resumed(first) == {4: 3, 2: 3}
    after = [
        Trained([loss], 3 if n in resumed(first) else 1, STOPPED if n in halted(first) else RUNNING)
        if n in resumed(first) or n in halted(first)
        else Trained([loss], budget=1)
        for n, loss in enumerate(NINE, start=1)
    ]
    assert resumed(moves(halving(), after, count=2)) == {1: 3}


def test_while_others_are_to_come_those_go_on_that_are_sure_to() -> None:
    # Three places and two stragglers: only the best is among the best three in any case.
    trials = [Trained([loss], budget=1) for loss in NINE[:7]]
    trials += [Trained([], budget=1, state=RUNNING)] * 2

    found = moves(halving(), trials)

    assert resumed(found) == {4: 3}
    assert not halted(found)
    assert "whatever the 2 still to come reach" in found[0].reason  # type: ignore[union-attr]


def test_a_trial_that_is_sure_to_be_among_the_best_goes_on_without_a_pause() -> None:
    def further(*losses: float, coming: int) -> int | None:
        trials = [Trained([loss], budget=1) for loss in losses[:-1]]
        trials.append(Trained([losses[-1]], budget=1, state=RUNNING))
        trials += [Trained([], budget=1, state=RUNNING)] * coming
        history = history_of(replace(SPEC, max_trials=len(trials)), trials)
        return halving(trials=9).go_on(history.trials[len(losses) - 1], history)

    assert further(*NINE[:8], 0.1, coming=0) == 3
    assert further(*NINE[:8], 0.8, coming=0) is None
    assert further(*NINE[:6], 0.1, coming=2) == 3
    assert further(*NINE[:5], 0.1, coming=3) is None


def test_trials_that_have_not_begun_are_still_to_come() -> None:
    trials = [Trained([loss], budget=1) for loss in NINE[:8]]

    assert moves(halving(), trials, room=1, count=1) == [
        Resume(4, 3, "among the best 3 of 8 after 1 step, whatever the 1 still to come reach")
    ]
    assert len(resumed(moves(halving(), trials, room=0))) == 2, "a round of 8 has 2 places"


def test_who_fails_or_is_held_on_the_way_is_not_waited_for() -> None:
    trials = [Trained([loss], budget=1) for loss in NINE[:6]]
    trials += [
        Trained([], budget=1, state=FAILED),
        Trained([], budget=1, held=True),
        Trained([], budget=1, state=RUNNING, held=True),
    ]

    found = moves(halving(), trials)

    assert resumed(found) == {4: 3, 2: 3, 1: 3}
    assert set(halted(found)) == {3, 5, 6}


def test_who_was_held_at_a_rung_goes_on_later_if_there_is_a_place_left() -> None:
    rest = [Trained([loss], budget=1, state=STOPPED) for loss in NINE[3:]]
    on = Trained([0.7], budget=3, state=RUNNING)

    place_left = moves(halving(), [on, on, Trained([0.95], budget=1), *rest])
    none_left = moves(halving(), [on, on, Trained([0.95], budget=1), *rest[:-1], on])

    assert resumed(place_left) == {3: 3}
    assert set(halted(none_left)) == {3}


def test_a_place_is_not_given_twice_when_who_had_it_fails_further_up() -> None:
    trials = [
        Trained([0.1], budget=3, state=FAILED),
        Trained([0.2, 0.2, 0.2], budget=3),
        Trained([0.3], budget=3, state=RUNNING),
        *(Trained([0.5], budget=1) for _ in range(6)),
    ]

    found = moves(halving(), trials)

    assert not resumed(found)
    assert set(halted(found)) == {4, 5, 6, 7, 8, 9}


def test_a_trial_paused_on_its_way_goes_on_to_its_rung() -> None:
    trials = [Trained([0.5, 0.4], budget=3), *[Trained([0.9], budget=1, state=STOPPED)] * 8]

    assert moves(halving(), trials) == [Resume(1, 3, "it goes on to 3 steps, where it is compared")]


def test_values_that_are_no_numbers_go_on_last() -> None:
    trials = [Trained([loss], 1) for loss in (math.nan, 0.5, math.inf, 0.9, math.nan, 0.7)]

    found = moves(halving(), trials)

    assert set(resumed(found)) == {2, 6}
    assert halted(found)[1] == "not among the best 2 of 6 after 1 step: no number"


def test_the_next_bracket_begins_while_a_rung_waits() -> None:
    trials = [Trained([loss], budget=1) for loss in NINE[:6]]
    trials += [Trained([], budget=1, state=RUNNING)] * 3

    found = moves(halving(), trials, count=2, room=50, spec=replace(SPEC, max_trials=59))

    assert found == [Begin(1), Begin(1)]


def test_older_brackets_and_higher_rungs_go_first() -> None:
    spec = replace(SPEC, max_trials=18)
    old = [Trained([0.5, 0.5, 0.1 * n], budget=3) for n in range(3)]
    old += [Trained([1.0], budget=1, state=STOPPED)] * 6
    young = [Trained([0.1 * n], budget=1) for n in range(9)]

    found = moves(halving(), [*old, *young], count=3, spec=spec)

    starts = [move for move in found if isinstance(move, Resume)]
    assert [(move.number, move.budget) for move in starts] == [(1, 9), (10, 3), (11, 3)]


def test_within_a_bracket_higher_rungs_go_first() -> None:
    spec = replace(SPEC, max_steps=27, max_trials=27)
    upper = [Trained([0.5, 0.5, 0.1 * n], budget=3) for n in range(8)]
    lower = [Trained([0.1 * n], budget=1) for n in range(19)]

    found = moves(halving(), [*upper, *lower], count=2, spec=spec)

    # Two of three places further up are sure; the ninth that comes up may take the last.
    assert list(resumed(found).items()) == [(1, 9), (2, 9)]


def test_reports_beyond_several_rungs_are_judged_at_each_without_more_training() -> None:
    # The program reports every fifth step, so all nine were at the rung of 3 steps at their first report.
    trials = [Trained([loss], budget=1, since=4) for loss in NINE]

    found = moves(halving(), trials)

    assert resumed(found) == {4: 9}
    assert len(halted(found)) == 8
    assert halted(found)[2].startswith("not the best of 3 after 3 steps")


def test_without_a_number_of_trials_a_study_has_one_sweep() -> None:
    spec = replace(SPEC, max_trials=None)
    trials = [Trained([loss], budget=1, state=STOPPED) for loss in NINE]

    assert moves(halving(), trials, room=1_000_000, spec=spec) == []
    assert len(moves(halving(), trials[:7], room=1_000_000, spec=spec)) == 2


# Whole studies


@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize("trials", [5, 81, 143, 200])
def test_a_study_trains_exactly_what_was_planned(trials: int, workers: int) -> None:
    for schedule in (halving(), hyperband()):
        plan = schedule.plan(sized(trials))

        simulation = simulated(schedule, trials, workers=workers, uneven=True)

        assert len(simulation.events) == plan.steps
        reached = Counter(event.step for event in simulation.events)
        levels = {rung.steps for bracket in plan.brackets for rung in bracket.rungs}
        for level in levels:
            planned = sum(
                max((r.trials for r in b.rungs if r.steps >= level), default=0)
                for b in plan.brackets
            )
            assert reached[level] == planned


@pytest.mark.parametrize("workers", [1, 4, 13])
def test_the_same_trials_go_on_whatever_the_number_of_workers(workers: int) -> None:
    alone = simulated(hyperband(), 143)

    together = simulated(hyperband(), 143, workers=workers, uneven=True)

    budgets = [trial.budget for trial in alone.history.trials]
    assert [trial.budget for trial in together.history.trials] == budgets


@pytest.mark.parametrize("schedule", [halving(), hyperband()])
def test_no_slot_is_idle_while_there_are_trials_to_begin(schedule: Synchronous) -> None:
    simulation = simulated(schedule, 500, workers=8, uneven=True)

    assert simulation.idle_early_s == 0
    # What is left is the end: the last trials climb alone.
    assert simulation.idle_s < 0.2 * 8 * simulation.now_s


def test_a_bracket_that_is_halved_one_by_one_resumes_few_trials() -> None:
    simulation = simulated(halving(), 81, workers=1)

    promotions = 27 + 9 + 3 + 1
    attempts = sum(trial.attempt for trial in simulation.history.trials)
    assert attempts - 81 < promotions, "the last to come to a rung goes on without a pause"


def test_points_of_a_person_take_their_place_in_a_bracket() -> None:
    spec = replace(SPEC, max_steps=WHOLE, max_trials=81)
    own = [Suggestion({"x": 0.3}, "user"), Suggestion({"x": 1.0}, "user")]
    simulation = Simulation(spec, train, Random(), hyperband(), enqueued=own)

    trials = simulation.run().trials

    assert trials[0].state is TrialState.COMPLETED
    assert trials[1].state is STOPPED
    assert trials[1].step == 1


# Settings and studies that don't fit


@pytest.mark.parametrize("make", [halving, hyperband, bohb])
def test_settings_that_make_no_sense_are_refused(make: type[Synchronous]) -> None:
    for settings in ({"eta": 1}, {"eta": 2.5}, {"min_steps": 0}, {"min_steps": "1"}):
        with pytest.raises(SpecError, match=rf"setting '{next(iter(settings))}' is a whole number"):
            make(**settings)


def test_a_round_of_one_trial_is_refused() -> None:
    with pytest.raises(SpecError, match="'trials' is a whole number from 2"):
        halving(trials=1)


def test_bohb_is_hyperband_with_an_algorithm_that_learns() -> None:
    spec = sized(143)

    for name in ("default", "bayesian", "tpe"):
        bohb().check(replace(spec, algorithm=Algorithm(name)))
    with pytest.raises(SpecError, match="random has none: set the algorithm to bayesian, tpe or"):
        bohb().check(replace(spec, algorithm=Algorithm("random")))

    hyperband().check(replace(spec, algorithm=Algorithm("random")))
    assert bohb().plan(spec) == hyperband().plan(spec)


def test_an_error_names_the_schedule_that_was_asked_for() -> None:
    for name, schedule in {"bohb": bohb(), "halving": halving(), "hyperband": hyperband()}.items():
        with pytest.raises(SpecError, match=f"{name} shares out training steps"):
            schedule.check(replace(SPEC, max_steps=None))
