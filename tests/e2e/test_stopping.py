"""Early stopping as a user has it: named, planned, seen, paused, resumed, continued, exported."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TuneFile = Callable[..., Path]
Until = Callable[..., None]

# Goes on from its checkpoint up to its budget. The first line of a second attempt says where it began.
COUNT = """
saved=$TUNESMITH_CHECKPOINT_DIR/n
n=$(cat "$saved" 2>/dev/null || echo 0)
while [ "$n" -lt "${TUNESMITH_BUDGET:-6}" ]; do
  n=$((n + 1)); echo "epoch $n: y=$((100 - n - TUNESMITH_TRIAL))"; echo $n > "$saved.part"
  mv "$saved.part" "$saved"
done
"""
# All trials but the third get stuck behind a bad first measurement.
STUCK = """
[ "$TUNESMITH_TRIAL" = 3 ] && { echo "epoch 1: y=0.25"; echo "epoch 2: y=0.125"; exit; }
echo "epoch 1: y=7"; exec sleep 600
"""


def test_faults_of_what_ends_trials_are_told_at_their_place(cli: Any, tune_file: TuneFile) -> None:
    tune_file(stopping=[{"name": "median", "min_step": 3}, "hiperband"], until={"tyme": "2h"})

    told = cli("run", "tune.yaml", status=2).stderr

    assert "tune.yaml:5:31" in told
    assert "did you mean 'min_steps'?" in told
    assert "did you mean 'hyperband'?" in told
    assert "did you mean 'time'?" in told
    assert told.endswith("3 errors. Nothing was started.\n")


def test_what_a_schedule_lacks_is_told_at_its_line_or_said_on_the_command_line(
    cli: Any, tune_file: TuneFile
) -> None:
    tune_file(COUNT, stopping="halving")

    told = cli("check", "tune.yaml", status=2).stderr
    shown = cli("check", "tune.yaml", "--max-steps", "9").stdout

    assert "tune.yaml:5:11" in told
    assert "max_steps" in told
    assert "stopping halving" in shown
    assert "up to step" in shown


def test_a_plan_has_rungs_steps_savings_and_time(cli: Any, tune_file: TuneFile) -> None:
    tune_file(COUNT, stopping="halving", max_trials=9, max_steps=9, parallel_trials=3)

    shown = cli("plan", "tune.yaml", "--step-time", "2s").stdout
    document = cli.json("plan", "tune.yaml", "--step-time", "2s")

    rows = [line.split() for line in shown.splitlines()[2:6]]
    assert rows[1:] == [["1", "9", "1", "9"], ["3", "3", "6"], ["1", "9", "6"]]
    assert "9 trials of 9 steps would take 81 steps" in shown
    assert "halving takes 21 steps: 74 % saved" in shown
    assert "time about 22s" in shown
    assert document["schema"] == "tunesmith.outlook/1"
    assert document["stopping"] == [{"name": "halving"}]
    assert document["steps"] == {"expected": 21, "worst": pytest.approx(27, abs=9), "whole": 81}
    assert document["time_s"]["expected"] == 22.0


def test_a_plan_asks_for_what_it_does_not_know(cli: Any, tune_file: TuneFile) -> None:
    tune_file(COUNT, stopping="median")

    shown = cli("plan", "tune.yaml").stdout

    assert "say max_steps" in shown
    assert "say --step-time" in shown
    assert cli.json("plan", "tune.yaml")["steps"]["whole"] is None


def test_a_plan_measures_a_step_where_the_study_has_run(cli: Any, tune_file: TuneFile) -> None:
    tune_file(COUNT, max_steps=6)
    cli("run", "tune.yaml")

    plan = cli.json("plan", "tune.yaml", "-n", "40", "-j", "2")

    assert plan["steps"]["expected"] == 240
    assert plan["step_s"] > 0
    assert plan["time_s"]["expected"] == pytest.approx(120 * plan["step_s"])


def test_a_rule_ends_trials_and_says_why_where_and_what_that_saved(
    cli: Any, tune_file: TuneFile
) -> None:
    tune_file(STUCK, stopping={"name": "threshold", "upper": 5}, max_steps=2)

    told = cli("run", "tune.yaml").stderr
    shown = cli("show", "s").stdout

    assert "s started, 4 trials, 1 parallel, stopping threshold (upper=5)" in told
    assert "trial 1 stopped with 7 at step 1/2: y is 7 at step 1, above 5" in told
    assert "completed 1, stopped 3" in told
    assert told.rstrip().endswith("early stopping saved 38 %")
    assert "stopping threshold (upper=5); early stopping saved 38 %" in shown
    assert cli.json("show", "s")["training"] == {
        "trials": 4, "stopped": 3, "steps": 5, "whole": 2, "saved": 0.375
    }  # fmt: skip


def test_how_long_trials_trained_is_in_tables_documents_and_exports(
    cli: Any, tune_file: TuneFile
) -> None:
    tune_file(STUCK, stopping={"name": "threshold", "upper": 5}, max_steps=2)
    cli("run", "tune.yaml")

    table = cli("trials", "s", "--where", "steps=2").stdout.splitlines()
    sheet = cli("export", "s").stdout.splitlines()

    assert table[0].split()[:4] == ["#", "state", "y", "steps"]
    assert [line.split()[0] for line in table[1:]] == ["3"]
    assert {"steps", "budget", "parent", "reason"} < set(sheet[0].split(","))
    assert [t["steps"] for t in cli.trials("s")] == [1, 1, 2, 1]
    assert [t["budget"] for t in cli.trials("s")] == [2, 2, 2, 2]
    assert cli.trials("s")[0]["reason"].startswith("y is 7")


def test_a_study_ends_at_its_target_and_says_so(cli: Any, tune_file: TuneFile) -> None:
    tune_file(until={"no_improvement": 50})

    told = cli("run", "tune.yaml", "--target", "2", "-n", "50").stderr
    shown = cli("show", "s").stdout

    assert "until y <= 2 or 50 trials in a row without a better one" in told
    assert "finished (trial 1 has reached the target 2 with y 1)" in shown
    assert "until y <= 2 or 50 trials in a row without a better one" in shown


def test_a_study_that_ends_when_it_gets_no_better_needs_no_number_of_trials(
    cli: Any, tune_file: TuneFile
) -> None:
    path = tune_file()
    path.write_text(path.read_text().replace("max_trials: 4\n", ""))

    refused = cli("run", "tune.yaml", status=2).stderr
    cli("run", "tune.yaml", "--no-improvement", "2")

    assert "would never end" in refused
    assert len(cli.trials("s")) == 3


def test_other_rules_are_kept_out_of_a_study_and_said_to_be(cli: Any, tune_file: TuneFile) -> None:
    tune_file(stopping="median", max_steps=5)
    cli("run", "tune.yaml")

    told = cli("run", "tune.yaml", "--stopping", "none", "--max-steps", "7", "-n", "5").stderr

    assert "study s keeps what stops its trials: median" in told
    assert "study s keeps its max_steps: 5" in told


def test_events_tell_of_pauses_and_trials_go_on_from_their_checkpoints(
    cli: Any, tune_file: TuneFile
) -> None:
    tune_file(COUNT, stopping="halving", max_trials=9, max_steps=9)

    told = cli("run", "tune.yaml", "--json").stdout
    events = [json.loads(line) for line in told.splitlines()]
    best = cli.json("show", "s/best")

    paused = [e["trial"] for e in events if e["event"] == "trial_paused"]
    assert {t["state"] for t in paused} == {"paused"}
    assert best["state"] == "completed"
    assert best["steps"] == best["budget"] == 9
    assert [m["step"] for m in best["measurements"]] == list(range(1, 10))
    assert best["attempt"] > 1
    assert sum(t["steps"] for t in cli.trials("s")) < 81


def test_a_person_pauses_a_trial_and_lets_it_go_on(
    cli: Any, tune_file: TuneFile, until: Until
) -> None:
    wait = 'echo "epoch 1: y=1"; test -e go || exec sleep 600; echo "epoch 2: y=0.5"'
    tune_file(f"cd {cli.folder}; {wait}", max_trials=1)
    tuner = cli.start("run", "tune.yaml")
    until(lambda: '"step": 1' in cli("show", "s/1", "--json", status=None).stdout, timeout_s=60)

    asked = cli("pause", "s/1", "--reason", "the machine is wanted").stderr
    tuner.communicate(timeout=60)
    paused = cli("show", "s/1").stdout
    cli.write("go", "")
    resumed = cli.json("resume", "s/1")
    cli("run", "tune.yaml")

    assert "trial s/1 is asked to pause; go on with: tunesmith resume s/1" in asked
    assert "trial s/1: paused, attempt 1" in paused
    assert "reason the machine is wanted" in paused
    assert resumed["schema"] == "tunesmith.trial/1"
    assert resumed["state"] == "queued"
    (trial,) = cli.trials("s")
    assert (trial["state"], trial["attempt"], trial["metrics"]) == ("completed", 2, {"y": 0.5})


def test_a_study_is_paused_and_resumed_as_a_document(cli: Any, tune_file: TuneFile) -> None:
    tune_file()
    cli("run", "tune.yaml", "-n", "1")
    cli("set", "s", "trials=2")

    paused = cli.json("pause", "s")
    resumed = cli.json("resume", "s")

    assert (paused["state"], paused["reason"]) == ("paused", "a person paused it")
    assert resumed["state"] == "active"


def test_an_ended_trial_is_trained_further_as_a_child(cli: Any, tune_file: TuneFile) -> None:
    tune_file(COUNT, max_trials=1, max_steps=3)
    cli("run", "tune.yaml")
    cli("set", "s", "trials=+1")

    said = cli("resume", "s/1", "--steps", "5").stderr
    cli("run", "tune.yaml")

    parent, child = cli("show", "s/1").stdout, cli("show", "s/2").stdout
    assert "queued as s/2; it goes on from trial 1 up to 5 steps" in said
    assert "children 2" in parent
    assert "lineage 1 ← 2" in child
    assert "steps 5 done, 5 wanted for now, 3 make a whole trial" in child
    assert re.search(r"^4 +94 ", child, re.MULTILINE)  # trial 2 at step 4, and no step before it
    assert not re.search(r"^3 +\d+ ", child, re.MULTILINE)
    assert [t["parent"] for t in cli.trials("s")] == [None, 1]
    assert cli.json("show", "s/2")["lineage"] == [1, 2]
    assert cli.json("show", "s/1")["children"] == [2]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["resume", "s/1"], 2, "tunesmith resume s/1 --steps N"),
        (["resume", "s/1", "--steps", "2"], 2, "Trial 1 has trained 3 steps"),
        (["resume", "s/1", "--steps", "9"], 2, "tunesmith set s trials=+1"),
        (["resume", "s", "--steps", "9"], 2, "--steps is for a trial: tunesmith resume s/7"),
        (["resume", "s/9"], 3, "has no trial 9"),
        (["pause", "s/1"], 2, "only a trial that has not ended can be paused"),
        (["pause", "s"], 2, "It can't be paused"),
        (["pause", "t/1"], 3, "There is no study 't'"),
    ],
)
def test_what_can_not_be_paused_or_resumed_is_refused_with_what_can_be_done(
    cli: Any, tune_file: TuneFile, words: list[str], status: int, told: str
) -> None:
    tune_file(COUNT, max_trials=1, max_steps=3)
    cli("run", "tune.yaml")

    assert told in cli(*words, status=status).stderr


def test_a_smoke_test_of_a_schedule_trains_as_long_as_its_first_trial(
    cli: Any, tune_file: TuneFile
) -> None:
    tune_file(COUNT, stopping="halving", max_trials=9, max_steps=9)

    told = cli("check", "tune.yaml", "--smoke").stderr

    assert "y 98 arrived, 1 measurements" in told
    assert "9 trials, 1 at a time, would take about" in told
