import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import History, Measurement, Objective, StudySpec, Suggestion, TrialState
from tunesmith.search.random import Random
from tunesmith.space import Categorical, Double, Space, Value
from tunesmith.stopping import Begin, Halt, Move, Resume
from tunesmith.stopping.pb2 import pb2
from tunesmith.stopping.pbt import pbt
from tunesmith.stopping.population import Population
from tunesmith.testing.schedules import Trained, history_of
from tunesmith.testing.simulation import Simulation

SPACE = Space({"x": Double(0.0, 1.0)})
SPEC = StudySpec(SPACE, (Objective("loss", "minimize"),), max_steps=100)
RUNNING, STOPPED, FAILED = TrialState.RUNNING, TrialState.STOPPED, TrialState.FAILED
COMPLETED, QUEUED = TrialState.COMPLETED, TrialState.QUEUED


def four() -> Population:
    return pbt(population=4, interval=10)


def member(
    loss: float, reach: int = 10, state: TrialState = RUNNING, *, x: float = 0.5, held: bool = False
) -> Trained:
    """Return a member that has come so far, with a budget up to its next look, or just at one."""
    budget = math.ceil(reach / 10) * 10
    return Trained([9.0] * (reach - 1) + [loss], budget, state, held=held, values={"x": x})


def moves(
    trials: Sequence[Trained],
    *,
    count: int = 10,
    room: int = 100,
    schedule: Population | None = None,
) -> Sequence[Move]:
    history = history_of(SPEC, trials)
    return (schedule or four()).moves(history, count, room, np.random.default_rng(0))


def go_on(trials: Sequence[Trained], number: int, spec: StudySpec = SPEC) -> int | None:
    history = history_of(spec, trials)
    return four().go_on(history.trials[number - 1], history)


GOOD = [member(0.1, x=0.1), member(0.2, x=0.2), member(0.3, x=0.3)]


# A member's look


def test_a_member_goes_on_at_once_unless_it_is_among_the_worst() -> None:
    assert go_on([*GOOD, member(0.4)], 3) == 20
    assert go_on([*GOOD, member(0.4)], 4) is None
    assert go_on([*GOOD, member(0.25)], 4) == 20
    assert go_on([*GOOD, member(math.nan)], 4) is None


def test_looks_are_multiples_of_the_interval_up_to_the_whole() -> None:
    assert go_on([*GOOD, member(0.0, 95)], 4, replace(SPEC, max_steps=99)) == 99
    assert go_on([*GOOD, member(0.0, 23)], 4) == 30


def test_nobody_is_replaced_before_enough_others_are_better() -> None:
    begun = Trained([], 10, RUNNING)

    assert go_on([member(0.1), member(0.4), begun, begun], 2) == 20
    assert go_on([member(0.1), member(0.2), member(0.4), begun], 3) == 20
    assert go_on([member(0.1), member(0.2), member(0.3), member(0.4)], 4) is None


def test_a_member_is_held_against_what_others_had_when_they_had_come_as_far() -> None:
    ahead = [Trained([0.5] * 19 + [0.3], 20, RUNNING)] * 3

    assert go_on([*ahead, member(0.4, 10)], 4) == 20
    assert go_on([*ahead, member(0.6, 10)], 4) is None
    assert go_on([*GOOD, member(0.4, 90)], 4) is None, "those behind count with their latest value"


def test_a_copy_stands_for_its_ancestor_where_it_had_not_begun() -> None:
    copies = [Trained([0.1], 20, RUNNING, parent=1, since=19), Trained([], 30, RUNNING, parent=1)]

    assert go_on([member(0.5, 20), *copies, member(0.4, 10)], 4) == 20
    assert go_on([replace(GOOD[0], budget=20), *copies, member(0.4, 10)], 4) is None


def test_a_copy_that_has_not_measured_the_metric_yet_stands_where_its_parent_did() -> None:
    history = history_of(SPEC, [*GOOD, Trained([], 20, RUNNING, parent=1)])
    history.measure(4, 1, Measurement(20, {"seconds": 3.0}))

    assert four().go_on(history.trials[3], history) == 30


def test_without_room_for_a_copy_members_train_to_the_end() -> None:
    full = replace(SPEC, max_trials=4)

    assert go_on([*GOOD, member(0.4)], 4, full) == 20
    assert moves([*GOOD, member(0.4, 10, TrialState.PAUSED)], room=0) == [
        Resume(4, 20, "it keeps its place in the population, up to 20 steps")
    ]


# Exploiting and exploring


def test_the_worst_ends_and_a_copy_of_one_of_the_best_begins_from_its_checkpoint() -> None:
    halt, begin = moves([*GOOD, member(0.4, 20, TrialState.PAUSED)])

    assert halt == Halt(
        4,
        "the worst of 4 after 20 steps: 0.4; replaced by a copy of trial 1, which has 0.1 after 10 steps",
    )
    assert isinstance(begin, Begin)
    assert begin.suggestion is not None
    assert begin.budget == 20, "the parent has come to 10"
    assert begin.suggestion.parent == 1
    assert begin.suggestion.origin == "pbt"
    assert begin.suggestion.values != {"x": 0.1}
    assert begin.suggestion.explanation is not None
    assert begin.suggestion.explanation.note.startswith("a copy of trial 1 after 10 steps, with x ")


def test_parents_are_drawn_from_the_best_quarter_alone() -> None:
    many = [member(0.01 * n, x=0.01 * n) for n in range(12)]
    worst = member(0.9, 10, TrialState.PAUSED)
    history = history_of(SPEC, [*many, worst])
    schedule = pbt(population=13, interval=10)

    parents: Counter[int] = Counter()
    for seed in range(80):
        (_, begin) = schedule.moves(history, 1, 100, np.random.default_rng(seed))
        assert isinstance(begin, Begin)
        assert begin.suggestion is not None
        parents[begin.suggestion.parent or 0] += 1

    assert set(parents) == {1, 2, 3, 4}
    assert min(parents.values()) > 8


def test_the_worst_of_many_are_a_quarter() -> None:
    many = [member(0.1 * n, 10, TrialState.PAUSED) for n in range(8)]

    found = moves(many, schedule=pbt(population=8, interval=10))

    assert [move.number for move in found if isinstance(move, Halt)] == [7, 8]
    reasons = [move.reason for move in found if isinstance(move, Halt)]
    assert reasons[0].startswith("among the worst 2 of 8 after 10 steps: 0.6")


def test_a_copy_of_a_member_between_looks_trains_about_an_interval_first() -> None:
    def first_look(reach: int) -> int | None:
        best = Trained([0.1] * reach, 30, RUNNING, values={"x": 0.1})
        begins = moves([best, *GOOD[1:], member(0.4, 20, TrialState.PAUSED)])
        (begin,) = (move for move in begins if isinstance(move, Begin))
        return begin.budget

    assert [first_look(reach) for reach in (20, 21, 24, 26, 29)] == [30, 30, 30, 40, 40]


def test_nobody_learns_from_a_member_that_has_no_steps_left() -> None:
    done = [member(0.1, 100, COMPLETED), member(0.2, 100, COMPLETED)]
    late = [member(0.3, 40, TrialState.PAUSED), member(0.4, 40, TrialState.PAUSED)]

    found = moves([*done, *late])

    assert {type(move) for move in found} == {Resume}


def test_nobody_learns_from_a_member_whose_value_is_no_number() -> None:
    nowhere = [member(math.nan)] * 3

    assert go_on([*nowhere, member(math.nan)], 4) == 20
    assert len(moves([*nowhere, member(math.nan, 10, TrialState.PAUSED)])) == 1


def test_at_most_half_are_the_worst() -> None:
    three = [member(0.1), member(0.2, 10, TrialState.PAUSED), member(0.3, 10, TrialState.PAUSED)]

    found = moves(three, schedule=pbt(population=3, interval=10, quantile=0.5))

    assert [move.number for move in found if isinstance(move, Halt)] == [3]
    assert [move.number for move in found if isinstance(move, Resume)] == [2]


def test_the_first_members_come_from_the_searcher_and_no_more_than_the_population() -> None:
    assert moves([], count=3) == [Begin(10)] * 3
    assert moves([], count=9) == [Begin(10)] * 4
    assert moves(GOOD, count=9) == [Begin(10)]
    assert moves([*GOOD, member(0.4)], count=9) == []


def test_a_population_is_no_larger_than_the_space_has_points() -> None:
    spec = replace(SPEC, space=Space({"kind": Categorical(["a", "b", "c"])}))

    assert len(four().moves(History(spec), 9, 100, np.random.default_rng(0))) == 3


# Crashes, failures, and persons


def test_a_crash_between_a_members_end_and_its_successors_beginning_loses_nothing() -> None:
    before = [*GOOD, member(0.4, 20, TrialState.PAUSED)]
    halt, _ = moves(before)
    assert isinstance(halt, Halt)

    after = moves([*GOOD, member(0.4, 20, STOPPED)])

    (begin,) = after
    assert isinstance(begin, Begin)
    assert begin.suggestion is not None
    assert begin.suggestion.parent == 1
    assert len(moves([*GOOD, member(0.4, 20, STOPPED), Trained([], 20, RUNNING, parent=1)])) == 0


@pytest.mark.parametrize("state", [FAILED, TrialState.INFEASIBLE, TrialState.CANCELLED])
def test_a_member_that_breaks_is_replaced_by_a_copy(state: TrialState) -> None:
    (begin,) = moves([*GOOD, Trained([], 10, state)])

    assert isinstance(begin, Begin)
    assert begin.suggestion is not None
    assert begin.suggestion.parent == 1


def test_members_that_break_before_anybody_has_a_value_are_replaced_by_new_ones() -> None:
    broken = [Trained([], 10, FAILED)] * 3

    assert moves([*broken, Trained([], 10, RUNNING)]) == [Begin(10)] * 3


def test_who_breaks_when_all_others_are_done_is_not_replaced() -> None:
    done = [member(0.1, 100, COMPLETED)] * 3

    assert moves([*done, member(0.4, 50, FAILED)]) == []


def test_held_members_are_left_alone_and_may_be_copied() -> None:
    held = member(0.1, 10, TrialState.PAUSED, held=True)
    worst = member(0.4, 10, TrialState.PAUSED)

    found = moves([held, *GOOD[1:], worst])

    assert [move.number for move in found if isinstance(move, Halt | Resume)] == [4]
    assert isinstance(found[1], Begin)
    assert found[1].suggestion is not None
    assert found[1].suggestion.parent == 1


def test_a_trial_paused_on_its_way_goes_on_to_its_look() -> None:
    resting = replace(member(0.9, 14, TrialState.PAUSED), budget=20)

    assert [m for m in moves([*GOOD, resting]) if isinstance(m, Resume)] == [
        Resume(4, 20, "it keeps its place in the population, up to 20 steps")
    ]


def test_a_copy_paused_on_its_way_goes_on_to_its_own_first_look() -> None:
    copy = Trained([0.9] * 2, 40, TrialState.PAUSED, parent=1, since=26)

    assert [m.budget for m in moves([*GOOD, copy]) if isinstance(m, Resume)] == [40]


# Fewer slots than members


def test_a_member_makes_way_for_those_that_lag_behind() -> None:
    behind = member(0.1, 10, TrialState.PAUSED)

    assert go_on([behind, *GOOD[:2], member(0.05, 20)], 4) is None
    assert go_on([behind, *GOOD[:2], member(0.05, 10)], 4) == 20
    assert go_on([replace(behind, held=True), *GOOD[:2], member(0.05, 20)], 4) == 30
    assert go_on([Trained([], 10, QUEUED), *GOOD[:2], member(0.05, 20)], 4) is None


def test_a_member_makes_way_for_those_still_to_begin() -> None:
    assert go_on(GOOD[:2], 1) is None
    assert go_on(GOOD[:2], 1, replace(SPEC, max_trials=2)) == 20


def test_those_furthest_behind_go_first() -> None:
    rest = [member(0.1, reach, TrialState.PAUSED) for reach in (30, 10, 20, 10)]

    found = moves(rest, count=2, room=0)

    assert [move.number for move in found if isinstance(move, Resume)] == [2, 4]


# The toy problem of Jaderberg et al. (2017), section 4.1 and figure 2. Training can only follow the surrogate
# 1.2 - (h₀θ₀² + h₁θ₁²); what counts is 1.2 - (θ₀² + θ₁²). Two members have h = (1, 0) and (0, 1), each of
# which leaves one of the weights as it was.

TOY = StudySpec(
    Space({"h0": Double(0.0, 1.0), "h1": Double(0.0, 1.0)}),
    (Objective("q", "maximize"),),
    max_steps=200,
)


class BothEnds:
    """Suggests the two fixed points of the toy problem in turn."""

    def check(self, spec: StudySpec) -> None:
        """Serve the toy problem."""

    def suggest(
        self, history: History, count: int, rng: np.random.Generator
    ) -> Sequence[Suggestion]:
        first = len(history.trials) % 2
        return [Suggestion({"h0": 1.0 - first, "h1": 0.0 + first})]


def ascend(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    weights = (0.9, 0.9) if state is None else state
    assert isinstance(weights, tuple)
    rates = (float(values["h0"]), float(values["h1"]))
    a, b = (w * (1.0 - 0.02 * 2.0 * h) for w, h in zip(weights, rates, strict=True))
    return {"q": 1.2 - a * a - b * b}, (a, b)


def best_of_toy(schedule: Population | None, *, workers: int, seed: int = 0) -> float:
    spec = replace(TOY, seed=seed, max_trials=400 if schedule else 2)
    simulation = Simulation(spec, ascend, BothEnds(), schedule, workers=workers)
    simulation.run()
    return max(event.metrics["q"] for event in simulation.events)


def test_fixed_hyperparameters_do_not_solve_the_toy_problem() -> None:
    assert best_of_toy(None, workers=2) == pytest.approx(1.2 - 0.81, abs=1e-3)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("make", [pbt, pb2])
def test_a_population_solves_the_toy_problem(make: type[Population], workers: int) -> None:
    for seed in range(3):
        schedule = make(population=2, interval=4)  # type: ignore[call-arg]

        assert best_of_toy(schedule, workers=workers, seed=seed) > 1.15


# Whole studies


def schedule_wanted(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    """Train best with a rate that falls while the training goes on, as learning rates have to."""
    loss = 1.0 if state is None else state
    assert isinstance(loss, float)
    wanted = 1.0 - step / 100
    loss *= 1.0 - 0.06 * max(0.0, 1.0 - 4.0 * abs(float(values["x"]) - wanted))
    return {"loss": loss}, loss


def population_study(
    schedule: Population | None, *, workers: int = 10, seed: int = 0, trials: int | None = None
) -> Simulation:
    own = schedule.trials(SPEC) if schedule else None
    spec = replace(SPEC, seed=seed, max_trials=trials or own)
    simulation = Simulation(spec, schedule_wanted, Random(), schedule, workers=workers)
    simulation.run()
    return simulation


def best(simulation: Simulation) -> float:
    return min(event.metrics["loss"] for event in simulation.events)


@pytest.mark.parametrize("make", [pbt, pb2])
def test_a_population_finds_a_schedule_that_no_fixed_value_matches(make: type[Population]) -> None:
    fixed = best(population_study(None, trials=100))

    for seed in range(3):
        varied = population_study(make(population=8, interval=5), seed=seed)  # type: ignore[call-arg]

        assert best(varied) < 0.5 * fixed
        # Its members take no more steps than so many whole trials, but for what copies of laggards repeat.
        assert len(varied.events) < 1.3 * 8 * 100


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_the_population_keeps_its_size(workers: int) -> None:
    schedule = pbt(population=8, interval=5)

    simulation = population_study(schedule, workers=workers)

    trials = simulation.history.trials
    assert Counter(t.state for t in trials)[COMPLETED] == 8
    assert Counter(t.parent is None for t in trials)[True] == 8
    replaced = [t for t in trials if t.state is STOPPED]
    assert len(replaced) == len(trials) - 8 > 0
    assert all("replaced by a copy of trial" in t.reason for t in replaced)


def test_members_keep_pace_with_each_other_when_slots_are_few() -> None:
    simulation = population_study(pbt(population=8, interval=5), workers=2)

    steps = [event.step for event in simulation.events]
    assert steps[: steps.index(6)].count(5) == 8, (
        "nobody goes on before all have had their first look"
    )
    spread = [(min(t), max(t)) for t in zip(*[iter(steps[40:])] * 40, strict=False)]
    assert all(high - low <= 25 for low, high in spread), "then they stay near each other"


def test_a_line_of_ancestors_counts_its_steps_on() -> None:
    simulation = population_study(pbt(population=8, interval=5))

    for trial in simulation.history.trials:
        steps = [event.step for event in simulation.events if event.number == trial.number]
        if trial.parent is None:
            assert steps[0] == 1
        elif steps:
            parent = [e.step for e in simulation.events if e.number == trial.parent]
            assert steps[0] - 1 in parent
        assert steps == list(range(steps[0], steps[-1] + 1))


# Settings and studies that don't fit


def test_a_plan_has_a_rung_for_each_look() -> None:
    plan = four().plan(SPEC)

    (bracket,) = plan.brackets
    assert [(r.trials, r.steps) for r in bracket.rungs] == [(4, s) for s in range(10, 101, 10)]
    assert plan.steps == 400
    assert not plan.exact
    assert plan.note == "at each look, up to 1 of 4 are replaced by new trials"
    assert four().trials(SPEC) == 40


def test_without_an_interval_there_are_twenty_looks() -> None:
    assert pbt().first_budget(1, SPEC) == 5
    assert pbt().first_budget(1, replace(SPEC, max_steps=7)) == 1


def test_a_number_of_trials_that_leaves_no_room_for_copies_is_refused() -> None:
    four().check(replace(SPEC, max_trials=5))

    with pytest.raises(SpecError, match="max_trials=4 leaves none beside its population of 4"):
        four().check(replace(SPEC, max_trials=4))


def test_an_interval_without_a_look_before_the_end_is_refused() -> None:
    with pytest.raises(SpecError, match="every 10 steps, and max_steps=10 leaves no look"):
        four().check(replace(SPEC, max_steps=10))


@pytest.mark.parametrize("make", [pbt, pb2])
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("population", 1),
        ("interval", 0),
        ("quantile", 0.6),
        ("quantile", 0),
        ("resample", 1.5),
        ("perturb", 0),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    make: type[Population], setting: str, value: float
) -> None:
    with pytest.raises(SpecError, match=f"{make.__name__}'s setting '{setting}' is a"):
        make(**{setting: value})  # type: ignore[arg-type]


def test_nothing_need_be_drawn_anew() -> None:
    assert pbt(resample=0).trials(SPEC) == 200
