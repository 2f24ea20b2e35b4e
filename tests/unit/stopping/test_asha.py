from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tunesmith.errors import SpecError
from tunesmith.model import Constraint, Measurement, StudySpec
from tunesmith.stopping.asha import Asha
from tunesmith.testing.rules import Steps, history_of, said, study

SPEC = study(max_steps=27)


def judged(rule: Asha, trial: Steps, *others: Steps, spec: StudySpec = SPEC) -> str | None:
    history = history_of(spec, *others, trial, running=range(1, len(others) + 2))
    return rule.stop_reason(history.trials[-1], history)


def survivors(
    rule: Asha, losses: Sequence[float], spec: StudySpec = SPEC
) -> dict[int, list[float]]:
    """Return which constant curves go on from each rung, if trials run one after another."""
    gone: set[int] = set()
    found: dict[int, list[float]] = {}
    whole = spec.max_steps or 1
    for number, reach, reason in said(rule, spec, [[x] * whole for x in losses], together=1):
        if reason is not None:
            gone.add(number)
        if number not in gone and reach in (1, 3, 9):
            found.setdefault(reach, []).append(losses[number - 1])
    return found


def test_one_in_eta_goes_on_from_each_rung() -> None:
    # Bracket 0 of the paper's figure: n = 9, r = 1, R = 9, η = 3. The best come last, so none is ended
    # before a better one was seen, and a third of those there so far may always go on.
    rule, spec = Asha(), study(max_steps=9)

    history = history_of(spec, *[[float(n)] for n in range(1, 9)], [4.0], running=[9])
    assert rule.stop_reason(history.trials[8], history) == (
        "loss 4 at step 1 is not among the best 3 of 9 trials at the rung of 1 steps"
    )
    assert judged(rule, [3.0], *[[float(n)] for n in (1, 2, 4, 5, 6, 7, 8, 9)], spec=spec) is None


def test_the_first_at_a_rung_goes_on_and_the_next_if_it_is_better() -> None:
    rule = Asha()

    assert judged(rule, [5.0]) is None
    assert judged(rule, [4.0], [5.0]) is None
    assert judged(rule, [6.0], [5.0]) == (
        "loss 6 at step 1 is not the best of 2 trials at the rung of 1 steps"
    )


def test_equals_of_the_last_that_goes_on_go_on() -> None:
    assert judged(Asha(), [5.0], *[[5.0]] * 8) is None


def test_trials_are_ended_as_they_come() -> None:
    found = survivors(Asha(), [5.0, 6.0, 4.0, 3.0, 9.0, 2.0, 1.0])

    # 6 and 9 are behind at once. At the second rung 5, 4, 3, 2, 1 come one after another, each better.
    assert found[1] == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert found[3] == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert survivors(Asha(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])[1] == [1.0]


def test_rungs_lie_at_powers_of_eta_below_the_whole() -> None:
    rule = Asha(eta=3, min_steps=1)
    losses = [*[1.0] * 27], [*[2.0] * 27]

    ends = [reach for number, reach, reason in said(rule, SPEC, losses, together=1) if reason]

    assert ends == [1, 3, 9]


def test_without_an_end_rungs_go_on() -> None:
    endless = study(max_steps=None)
    losses = [*[1.0] * 30], [*[2.0] * 30]

    ends = [reach for _, reach, reason in said(Asha(), endless, losses, together=1) if reason]

    assert ends == [1, 3, 9, 27]


def test_a_trial_is_judged_by_what_it_measured_when_it_came_to_the_rung() -> None:
    rule = Asha(min_steps=3)

    # Others are better later, or were before.
    assert judged(rule, [9.0, 9.0, 5.0], [0.0, 0.0, 6.0, 0.0]) is None
    assert judged(rule, [0.0, 0.0, 5.0], [9.0, 9.0, 4.0, 9.0]) is not None


def test_a_trial_is_judged_once_at_a_rung() -> None:
    rule = Asha(min_steps=2)
    better = [0.0] * 6

    answers = [judged(rule, [1.0] * n, better) is not None for n in range(1, 7)]

    assert answers == [False, True, False, False, False, True]


def test_a_program_that_measures_seldom_is_judged_at_its_next_measurement() -> None:
    rule = Asha()

    assert judged(rule, {5: 2.0}, {5: 1.0}) == (
        "loss 2 at step 5 is not the best of 2 trials at the rung of 3 steps"
    )
    assert judged(rule, {5: 2.0}, {2: 1.0}) is None


def test_a_report_of_many_steps_is_judged_at_the_highest_rung_it_passed() -> None:
    history = history_of(SPEC, [1.0] * 12, [], running=[1, 2])
    for step in range(1, 11):
        history.measure(2, 1, Measurement(step, {"loss": 2.0}, float(step), 99))

    reason = Asha().stop_reason(history.trials[1], history)

    assert reason is not None
    assert "at step 9" in reason
    assert "at the rung of 9 steps" in reason


def test_seconds_may_be_counted_in_place_of_steps() -> None:
    rule = Asha(by="elapsed", min_steps=1.5, max_steps=4.0)

    assert judged(rule, [2.0], [1.0] * 3) is None
    assert judged(rule, [2.0, 2.0], [1.0] * 3) == (
        "loss 2 after 2 s is not the best of 2 trials at the rung of 1.5 s"
    )


def metrics(**values: float) -> Mapping[int, Mapping[str, float]]:
    return {1: values}


def test_trials_that_keep_the_constraints_come_first() -> None:
    spec = replace(SPEC, constraints=(Constraint("time", 1.0),))
    rule = Asha(eta=2)
    others = [
        metrics(loss=5.0, time=1.0),
        metrics(loss=1.0, time=2.0),
        metrics(loss=2.0, time=1.5),
    ]

    # Of four, two go on: 5 and the trial itself, or the one that breaks least.
    assert judged(rule, metrics(loss=9.0, time=0.0), *others, spec=spec) is None
    assert judged(rule, metrics(loss=9.0, time=1.2), *others, spec=spec) is None
    assert judged(rule, metrics(loss=0.0, time=1.7), *others, spec=spec) == (
        "loss 0 with broken constraints at step 1 is not among the best 2 of 4 trials"
        " at the rung of 1 steps"
    )


def test_a_constraint_that_was_not_measured_is_broken() -> None:
    spec = replace(SPEC, constraints=(Constraint("recall", 0.5, "at_least"),))

    assert judged(Asha(), metrics(loss=0.0), metrics(loss=9.0, recall=0.6), spec=spec) is not None


def test_several_objectives_are_ranked_by_fronts_then_by_the_first() -> None:
    spec = study(metrics=("loss", "size"), max_steps=27)
    front = [metrics(loss=1.0, size=9.0), metrics(loss=9.0, size=1.0)]
    second = [metrics(loss=3.0, size=10.0), metrics(loss=8.0, size=9.0)]
    others = [*front, *second, metrics(loss=20.0, size=20.0)]
    rule = Asha(eta=2)

    # Of six, three go on.
    assert judged(rule, metrics(loss=5.0, size=5.0), *others, spec=spec) is None
    assert judged(rule, metrics(loss=2.0, size=11.0), *others, spec=spec) is None
    assert judged(rule, metrics(loss=4.0, size=9.5), *others, spec=spec) == (
        "loss 4, size 9.5 at step 1 is not among the best 3 of 6 trials at the rung of 1 steps"
    )


def test_equal_points_share_a_front() -> None:
    spec = study(metrics=("loss", "size"), max_steps=27)
    same = [metrics(loss=1.0, size=1.0)] * 9

    assert judged(Asha(), same[0], *same, spec=spec) is None


def test_an_objective_that_was_not_measured_is_the_worst() -> None:
    spec = study(metrics=("loss", "size"), max_steps=27)

    assert judged(Asha(), metrics(loss=1.0), metrics(loss=1.0, size=5.0), spec=spec) is not None
    assert judged(Asha(), metrics(loss=0.5), metrics(loss=1.0, size=5.0), spec=spec) is None


def test_one_of_several_objectives_may_decide() -> None:
    spec = study(metrics=("loss", "size"), max_steps=27)
    rule = Asha(metric="size")
    rule.check(spec)

    assert judged(rule, metrics(loss=9.0, size=1.0), metrics(loss=1.0, size=2.0), spec=spec) is None


def bracket_of(number: int) -> int:
    """Return the bracket of a trial, of four for 81 steps: shares of 81, 33.75, 15 and 7.5 of 137.25."""
    place = number * (5**0.5 - 1) / 2 % 1
    return next(b for b, end in enumerate((0.59016, 0.83607, 0.94536, 1.0)) if place < end)


def test_brackets_have_the_shares_of_hyperband_and_are_spread_evenly() -> None:
    # Hyperband with R = 81 and η = 3 has brackets of 81, 34, 15 and 8 trials: n = 5/(s + 1)·3^s, rounded.
    rule, spec = Asha(brackets=4), study(max_steps=81)
    parts = rule._parts(spec)
    weights = [81, 33.75, 15, 7.5]

    assert parts == pytest.approx([sum(weights[: k + 1]) / sum(weights) for k in range(4)])
    counts = Counter(bracket_of(n) for n in range(1, 276))
    for bracket, weight in enumerate(weights):
        assert counts[bracket] == pytest.approx(275 * weight / sum(weights), abs=3)


@pytest.mark.parametrize(("bracket", "rungs"), [(0, [1, 3, 9, 27]), (1, [3, 9, 27]), (3, [27])])
def test_a_bracket_has_its_own_rungs_and_its_own_trials(bracket: int, rungs: list[int]) -> None:
    rule, spec = Asha(brackets=4), study(max_steps=81)
    mine = [n for n in range(1, 60) if bracket_of(n) == bracket][:2]
    # Trials of other brackets are better than all of this one.
    curves = [[0.0] * 81 for _ in range(mine[1])]
    curves[mine[0] - 1], curves[mine[1] - 1] = [1.0] * 81, [2.0] * 81

    answers = said(rule, spec, curves, together=1)

    ends = [(number, reach) for number, reach, reason in answers if reason is not None]
    assert ends == [(mine[1], rung) for rung in rungs]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"eta": 1}, "'eta' is a whole number from 2; given 1"),
        ({"eta": 2.5}, "'eta' is a whole number from 2; given 2.5"),
        ({"min_steps": 0}, "'min_steps' is a number above 0; given 0"),
        ({"max_steps": 0}, "'max_steps' is a number above 0; given 0"),
        ({"brackets": 0}, "'brackets' is a whole number from 1; given 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        Asha(**settings)  # type: ignore[arg-type]


def test_a_study_too_short_for_its_brackets_is_refused() -> None:
    with pytest.raises(SpecError, match="asha has 3 rungs from min_steps=1 to below max_steps=27"):
        Asha(brackets=4).check(SPEC)
    with pytest.raises(SpecError, match="asha has 0 rungs from min_steps=27"):
        Asha(min_steps=27).check(SPEC)


def test_brackets_need_an_end() -> None:
    with pytest.raises(SpecError, match="by how long a whole trial is: say max_steps"):
        Asha(brackets=2).check(study(max_steps=None))
    with pytest.raises(SpecError, match="say max_steps"):
        Asha(brackets=2, by="elapsed").check(SPEC)
    Asha(brackets=2, by="elapsed", max_steps=100).check(study(max_steps=None))
