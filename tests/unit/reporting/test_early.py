"""What ends trials and studies early, in words, in tables and in documents."""

from dataclasses import replace

import pytest

from tunesmith.model import (
    Ending,
    Objective,
    Stopping,
    StudyRecord,
    StudySpec,
    StudyState,
    StudySummary,
    Trial,
    TrialState,
)
from tunesmith.reporting import (
    Training,
    Trials,
    early_document,
    ending_text,
    part_text,
    step_text,
    stopped_text,
    stopping_text,
    study_card,
    study_document,
    study_text,
    trial_document,
    trials_csv,
    trials_document,
    trials_jsonl,
)
from tunesmith.space import Double, Space

SPEC = StudySpec(Space({"lr": Double(0.0, 1.0)}), (Objective("acc", "maximize"),))
EARLY = replace(
    SPEC,
    stopping=(Stopping("median", {"min_steps": 2}), Stopping("patience")),
    max_steps=20,
    ending=Ending(0.98, 7200.0, 20, 0.001),
)
STOPPED = Trial(
    7, {"lr": 0.5}, TrialState.STOPPED, metrics={"acc": 0.61234}, step=3, reason="it was hopeless"
)
TRAINING = Training(trials=10, stopped=6, steps=132, whole=20)


def test_a_part_is_shown_with_its_settings() -> None:
    assert part_text("grid", {"points": 3, "fast": True}) == "grid (points=3, fast=True)"
    assert part_text("random", {}) == "random"


def test_all_that_ends_trials_early_is_named() -> None:
    assert stopping_text(EARLY) == "median (min_steps=2), patience"
    assert stopping_text(SPEC) == ""


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (Ending(), ""),
        (Ending(target=0.98), "acc >= 0.98"),
        (Ending(time_s=90.0), "1m30s"),
        (Ending(no_improvement=20), "20 trials in a row without a better one"),
        (Ending(expected_gain=1e-3), "an expected gain below 0.001"),
        (Ending(target=1.0, time_s=60.0), "acc >= 1 or 1m00s"),
        (Ending(no_improvement_for_s=7200.0), "2h00m without a better trial"),
        (Ending(target=1.0, min_trials=5), "acc >= 1 (not before 5 trials)"),
        (
            Ending(target=1.0, min_trials=1, min_time_s=60.0, stop_running=True),
            "acc >= 1 (not before 1 trial and 1m00s, trials that run end, too)",
        ),
        (Ending(time_s=60.0, stop_running=False), "1m00s (trials that run go on to their end)"),
        (Ending(min_trials=5), ""),
    ],
)
def test_when_a_study_has_enough_is_said(ending: Ending, text: str) -> None:
    assert ending_text(replace(SPEC, ending=ending)) == text


def test_a_target_to_minimize_is_reached_from_above() -> None:
    spec = replace(SPEC, objectives=(Objective("loss", "minimize"),), ending=Ending(target=0.1))

    assert ending_text(spec) == "loss <= 0.1"


@pytest.mark.parametrize(
    ("budget", "max_steps", "text"),
    [(None, None, "3"), (9, None, "3/9"), (9, 27, "3/27"), (None, 27, "3/27")],
)
def test_a_step_is_shown_with_the_whole_where_that_is_known(
    budget: int | None, max_steps: int | None, text: str
) -> None:
    trial = replace(STOPPED, budget=budget)

    assert step_text(3, trial, replace(SPEC, max_steps=max_steps)) == text


def test_a_stopped_trial_is_told_with_its_value_its_step_and_its_reason() -> None:
    assert stopped_text(STOPPED, EARLY) == "stopped with 0.6123 at step 3/20: it was hopeless"
    assert stopped_text(Trial(1, {}, TrialState.STOPPED), EARLY) == "stopped"


def test_a_study_says_what_ends_its_trials_and_what_that_saved() -> None:
    reached = "trial 3 has reached the target 0.98 with acc 0.99"
    record = StudyRecord("s", EARLY, StudyState.FINISHED, reached, 10)
    summary = StudySummary(record, {TrialState.STOPPED: 6, TrialState.COMPLETED: 4}, STOPPED)
    stopping = "stopping median (min_steps=2), patience; early stopping saved 34 %"
    until = "until acc &gt;= 0.98 or 2h00m or 20 trials in a row without a better one"

    text, card = study_text(summary, TRAINING), study_card(summary, [STOPPED], TRAINING)

    assert text.startswith(f"study s: finished ({reached}), maximize acc, default")
    assert stopping in text.splitlines()
    assert until.replace("&gt;", ">") in text
    assert f"<div>{stopping}</div>" in card
    assert until in card
    assert reached in card


def test_a_study_in_which_nothing_ends_early_says_nothing_of_it() -> None:
    text = study_text(StudySummary(StudyRecord("s", SPEC), {}, None))

    assert "stopping" not in text
    assert "until" not in text


def test_documents_hold_what_ends_trials_and_the_study() -> None:
    summary = StudySummary(StudyRecord("s", EARLY), {}, None)

    document = study_document(summary, TRAINING)

    assert document["stopping"] == [{"name": "median", "min_steps": 2}, {"name": "patience"}]
    assert document["max_steps"] == 20
    assert document["ending"] == {
        "target": 0.98, "time_s": 7200.0, "no_improvement": 20, "expected_gain": 0.001,
        "no_improvement_for_s": None, "min_trials": None, "min_time_s": None, "stop_running": None,
    }  # fmt: skip
    assert document["training"] == {
        "trials": 10, "stopped": 6, "steps": 132, "whole": 20, "saved": pytest.approx(0.34)
    }  # fmt: skip
    assert study_document(summary)["training"] is None
    assert early_document(SPEC)["stopping"] == []


def test_how_far_a_trial_has_trained_is_in_tables_where_it_is_known() -> None:
    child = Trial(2, {"lr": 0.5}, TrialState.RUNNING, budget=27, parent=1)
    trials, steps = [STOPPED, child], {7: 3, 2: 12}

    (stopped, running) = Trials(trials, EARLY, steps).records()
    document = trials_document(trials, steps)["trials"]

    assert (stopped["steps"], stopped["budget"], stopped["parent"]) == (3, None, None)
    assert (running["steps"], running["budget"], running["parent"]) == (12, 27, 1)
    assert "steps" not in Trials(trials, SPEC)[1:].records()[0]
    assert "steps" in Trials(trials, EARLY, steps)[1:].records()[0]
    assert "steps" in repr(Trials(trials, EARLY, steps))
    assert document == [trial_document(STOPPED, 3), trial_document(child, 12)]
    assert trial_document(child, 12)["steps"] == 12
    assert "steps" not in trial_document(child)
    assert "steps" in trials_csv(trials, EARLY, steps).splitlines()[0].split(",")
    assert '"steps": 12' in trials_jsonl(trials, steps)
