"""What a study will take, told before it runs."""

from dataclasses import replace

import pytest

from tunesmith.model import Ending, Objective, Stopping, StudySpec
from tunesmith.reporting import Outlook, outlook_document, outlook_lines, rung_rows
from tunesmith.space import Categorical, Double, Space
from tunesmith.stopping import Bracket, Plan, Rung

SPEC = StudySpec(Space({"lr": Double(0.0, 1.0)}), (Objective("acc", "maximize"),))
PLAIN = replace(SPEC, max_trials=30, max_steps=20, parallel_trials=2)
NINE = replace(SPEC, stopping=(Stopping("halving"),), max_trials=9, max_steps=9, parallel_trials=3)


def test_without_early_stopping_all_trials_train_all_steps() -> None:
    outlook = Outlook.of(PLAIN, 3.0)

    assert list(outlook_lines(outlook)) == [
        "30 trials of 20 steps: 600 steps",
        "time about 15m00s, with 3.0s a step and 2 trials at a time",
    ]


def test_rules_may_save_what_nobody_can_tell_beforehand() -> None:
    rules = (Stopping("median", {"min_steps": 3}), Stopping("patience"))

    (line,) = outlook_lines(Outlook.of(replace(PLAIN, stopping=rules)))

    assert line == (
        "30 trials of 20 steps: 600 steps at worst, less what median (min_steps=3), patience ends early"
    )


@pytest.mark.usefixtures("halving")
def test_a_schedule_tells_its_rungs_its_steps_and_what_it_saves() -> None:
    outlook = Outlook.of(NINE, 2.0)

    assert outlook.plan is not None
    assert rung_rows(outlook.plan) == [
        ["bracket", "trials", "up to step", "steps in all"],
        ["1", "9", "1", "9"],
        ["", "3", "3", "6"],
        ["", "1", "9", "6"],
    ]
    assert list(outlook_lines(outlook)) == [
        "9 trials of 9 steps would take 81 steps",
        "halving takes 21 steps: 74 % saved",
        "at worst it takes 27 steps: 67 % saved",
        "at worst if all begin anew",
        "time about 22s, with 2.0s a step and 3 trials at a time",
    ]


@pytest.mark.usefixtures("halving")
def test_a_rule_beside_a_schedule_may_save_more() -> None:
    both = (Stopping("patience"), Stopping("halving"))

    lines = list(outlook_lines(Outlook.of(replace(NINE, stopping=both))))

    assert "halving takes 21 steps: 74 % saved" in lines
    assert lines[-1] == "less what patience ends early"


@pytest.mark.usefixtures("halving")
def test_a_schedule_that_has_a_number_of_trials_bounds_a_study_that_has_none() -> None:
    assert Outlook.of(replace(NINE, max_trials=None)).trials == 9
    assert Outlook.of(replace(NINE, max_trials=20)).trials == 20


def test_a_small_space_bounds_the_trials() -> None:
    space = Space({"opt": Categorical(["sgd", "adam"])})

    assert Outlook.of(replace(PLAIN, space=space)).trials == 2


def test_what_nobody_knows_is_asked_for() -> None:
    assert list(outlook_lines(Outlook.of(SPEC, 3.0))) == [
        "how many trials there will be is not known: say max_trials (-n)",
        "how many steps a whole trial trains is not known: say max_steps (--max-steps)",
    ]


def test_a_plan_that_depends_on_results_is_expected_and_may_cost_more_than_whole_trials() -> None:
    plan = Plan((Bracket((Rung(1, 4), Rung(4, 1.25))),), exact=False, worst_steps=20)
    spec = replace(NINE, stopping=(Stopping("none-such"),), max_trials=4, max_steps=4)
    outlook = Outlook(spec, 4, plan)

    assert outlook.steps == 7.75
    assert outlook.saved(outlook.worst_steps) == -0.25
    assert rung_rows(plan)[2] == ["", "1.25", "4", "3.75"]


def test_rungs_with_equally_many_trials_share_a_row() -> None:
    rungs = [*(Rung(3 * i, 8) for i in range(1, 7)), Rung(27, 2), Rung(36, 2)]

    rows = rung_rows(Plan((Bracket(tuple(rungs)),), exact=True, worst_steps=1.0))

    assert rows[1:] == [["1", "8", "3, 6, … 18", "144"], ["", "2", "27, 36", "36"]]


def test_a_long_plan_is_cut() -> None:
    bracket = Bracket((Rung(1, 3), Rung(3, 1)))

    rows = rung_rows(Plan((bracket,) * 30, exact=True, worst_steps=1.0))

    assert len(rows) == 42
    assert rows[-1] == ["…", "20 more", "", ""]


def test_the_time_is_never_less_than_a_whole_trial_nor_more_than_the_study_may_last() -> None:
    crowded = Outlook.of(replace(PLAIN, parallel_trials=100), 3.0)
    hasty = Outlook.of(replace(PLAIN, ending=Ending(time_s=120.0)), 3.0)
    held = Outlook.of(replace(PLAIN, ending=Ending(time_s=120.0, min_trials=3)), 3.0)

    assert crowded.seconds(crowded.steps) == 60.0
    assert hasty.seconds(hasty.steps) == 120.0
    assert held.seconds(held.steps) == Outlook.of(PLAIN, 3.0).seconds(held.steps)
    assert Outlook.of(PLAIN).seconds(600) is None


@pytest.mark.usefixtures("halving")
def test_an_outlook_is_a_document() -> None:
    document = outlook_document(Outlook.of(NINE, 2.0))

    assert document == {
        "trials": 9,
        "max_steps": 9,
        "parallel_trials": 3,
        "brackets": [
            {
                "steps": 21,
                "rungs": [
                    {"steps": 1, "trials": 9},
                    {"steps": 3, "trials": 3},
                    {"steps": 9, "trials": 1},
                ],
            }
        ],
        "exact": True,
        "note": "at worst if all begin anew",
        "steps": {"expected": 21, "worst": 27, "whole": 81},
        "saved": {"expected": pytest.approx(60 / 81), "worst": pytest.approx(54 / 81)},
        "step_s": 2.0,
        "time_s": {"expected": pytest.approx(22.0), "worst": pytest.approx(22.0)},
    }


def test_a_document_says_null_where_nobody_knows() -> None:
    document = outlook_document(Outlook.of(SPEC))

    assert document["brackets"] is None
    assert document["steps"] == {"expected": None, "worst": None, "whole": None}
    assert document["saved"] == {"expected": None, "worst": None}
    assert document["time_s"] == {"expected": None, "worst": None}
