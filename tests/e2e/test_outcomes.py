"""What the commands show of explanations, constraints and several objectives."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunesmith.space import Double, Space
from tunesmith.study import Study

TuneFile = Callable[..., Path]

# Two of its trials are random, the others come from what it calls a model.
SEARCHER = """
from tunesmith.model import Explanation, Prediction, Suggestion

class TwoStage:
    def check(self, spec):
        pass

    def suggest(self, history, count, rng):
        n = len(history.trials)
        values = history.spec.space.decode(rng.random(len(history.spec.space)))
        if n < 2:
            return [Suggestion(values, "random", Explanation("random", note="a start"))]
        predicted = {"y": Prediction(n + 1.5, 0.25), "z": Prediction(1.0, float("inf"))}
        why = Explanation("model", predicted, "log_ei", -1.25, 0.875, "2 trials have ended")
        return [Suggestion(values, "model", why)]
"""


@pytest.fixture
def chooses(cli: Any, tune_file: TuneFile) -> Any:
    """A command line whose ``tune.yaml`` names a searcher that chooses among two."""
    cli.write("two_stage.py", SEARCHER)
    installed = cli.folder / "two_stage-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: two-stage\nVersion: 1.0\n")
    entry = "[tunesmith.searchers]\ntwo_stage = two_stage:TwoStage\n"
    (installed / "entry_points.txt").write_text(entry)
    cli.environment["PYTHONPATH"] = str(cli.folder)
    tune_file(algorithm="two_stage")
    return cli


TOOK_OVER = [
    "two_stage → random since trial 1: a start",
    "two_stage → model since trial 3: 2 trials have ended",
]


def test_show_says_why_a_trial_was_suggested_and_how_that_came_out(chooses: Any) -> None:
    chooses("run", "tune.yaml", "-q")  # trial n measures y = n

    lines = chooses("show", "s/4").stdout.splitlines()

    assert lines[0] == "trial s/4: completed, attempt 1, from model"
    assert "searcher model: 2 trials have ended" in lines
    assert "acquisition log_ei -1.25" in lines
    assert "feasible with probability 0.875" in lines
    assert "predicted y 4.5 ± 0.25, measured 4: better by 0.5, 2.0 sd" in lines
    assert "predicted z 1 ± inf, not measured" in lines
    shown = chooses.json("show", "s/4")
    assert shown["explanation"]["predictions"]["z"] == {"mean": 1.0, "sd": "inf"}
    assert shown["outcomes"][0]["deviations"] == -2.0
    assert shown["outcomes"][0]["better"] is True
    listed = [t["explanation"]["searcher"] for t in chooses.trials("s")]
    assert listed == ["random", "random", "model", "model"]


def test_show_says_which_searcher_the_algorithm_chose(chooses: Any) -> None:
    chooses("run", "tune.yaml", "-q")

    shown = chooses("show", "s").stdout.splitlines()

    assert [line for line in shown if line.startswith("algorithm")] == [
        f"algorithm {line}" for line in TOOK_OVER
    ]
    assert chooses.json("show", "s")["searchers"] == [
        {"since": 1, "searcher": "random", "note": "a start"},
        {"since": 3, "searcher": "model", "note": "2 trials have ended"},
    ]


def test_the_log_of_a_run_says_so_when_it_happens(chooses: Any) -> None:
    said = chooses("run", "tune.yaml").stderr

    told = re.findall(r"tunesmith: \S+ (.* → .*)", said)
    assert told == TOOK_OVER
    assert said.index(TOOK_OVER[1]) < said.index("finished 4/4")


def test_a_run_that_goes_on_does_not_say_it_again(chooses: Any) -> None:
    chooses("run", "tune.yaml", "-q")

    again = chooses("run", "tune.yaml", "-n", "6").stderr

    assert "finished 6/6" in again
    assert "→" not in again


def _on_a_terminal(cli: Any, *words: str) -> str:
    """Return what a command writes on a terminal, to its end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tunesmith", *words],
        cwd=cli.folder,
        env={**cli.environment, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # the end of a terminal
            break
        if not more:
            break
        printed += more
    os.close(ours)
    assert process.wait() == 0, printed
    return printed.decode()


def test_the_live_display_says_so_in_a_line_that_stays(chooses: Any) -> None:
    printed = _on_a_terminal(chooses, "run", "tune.yaml")

    for line in TOOK_OVER:
        assert line in printed


# Constraints


def test_a_best_that_breaks_a_constraint_is_shown_as_the_nearest(
    cli: Any, tune_file: TuneFile
) -> None:
    tune_file("echo y=$TUNESMITH_TRIAL; echo ms=$((30 - TUNESMITH_TRIAL))")
    told = "no trial keeps ms <= 20 yet; the nearest is trial 4, over by 6"

    ran = cli("run", "tune.yaml", "--constraint", "ms<=20", "--require", "y<=9", status=6)

    assert f"completed 4; {told}" in ran.stderr
    shown = cli("show", "s").stdout
    assert told in shown
    assert "constraint ms <= 20: kept by 0 of 4 trials" in shown
    assert "none feasible" in cli("ls").stdout
    best = cli("best", "s")
    assert best.stderr.strip() == told
    assert best.stdout.startswith("y 4 (#4)\nms 26\n")
    assert cli.json("best", "s")["is_feasible"] is False
    assert "constraint ms <= 20: broken by 6" in cli("show", "s/4").stdout


def test_trials_that_keep_the_constraints_come_first(cli: Any, tune_file: TuneFile) -> None:
    tune_file("echo y=$TUNESMITH_TRIAL; echo ms=$((22 - TUNESMITH_TRIAL))")

    ran = cli("run", "tune.yaml", "--constraint", "ms<=20")

    assert "best 2 (#2)" in ran.stderr
    assert cli("best", "s").stdout.startswith("y 2 (#2)\nms 20\n")
    ranked = cli("trials", "s", "--sort", "best", "-o", "name").stdout.split()
    assert ranked == ["s/2", "s/3", "s/4", "s/1"]
    shown = cli("show", "s").stdout
    assert "minimize y with ms <= 20" in shown
    assert "kept by 3 of 4 trials" in shown
    document = cli.json("show", "s")
    assert document["best_is_feasible"] is True
    assert document["constraints"][0]["kept"] == 3
    assert cli.json("show", "s/1")["is_feasible"] is False


# Several objectives


@pytest.fixture
def two(cli: Any) -> Any:
    """A folder with a study of two objectives, told from Python, and a running trial."""
    study = Study(
        Space({"x": Double(0.0, 1.0)}),
        minimize=["err", "ms"],
        name="two",
        storage=f"sqlite:///{cli.folder}/studies.db",
    )
    for err, ms in [(0.5, 30.0), (0.1, 20.0), (0.3, 10.0), (0.4, 25.0)]:
        study.tell(study.ask(), err=err, ms=ms)
    study.report(study.ask(), 1, err=0.9, ms=3.0)
    study.close()
    cli.environment["TUNESMITH_STORAGE"] = f"sqlite:///{cli.folder}/studies.db"
    return cli


FRONT = "front of 2 trials, hypervolume 6 against the worst measured (err=0.5 ms=30)"


def test_best_prints_the_front_with_all_objectives(two: Any) -> None:
    lines = two("best", "two").stdout.splitlines()

    assert lines[0] == FRONT
    assert lines[2].split() == ["#", "state", "err", "ms", "x"]
    assert [line.split()[:4] for line in lines[3:]] == [
        ["2", "completed", "0.1", "20"],
        ["3", "completed", "0.3", "10"],
    ]
    document = two.json("best", "two")
    assert document["schema"] == "tunesmith.front/1"
    assert [t["number"] for t in document["trials"]] == [2, 3]
    assert document["reference"] == {"err": 0.5, "ms": 30.0}
    assert document["hypervolume"] == pytest.approx(6.0)


def test_the_values_of_a_front_are_given_for_one_trial(two: Any) -> None:
    refused = two("best", "two", "--as", "args", status=2).stderr

    assert "2 trials that no other beats" in refused
    assert "tunesmith best two/2 --as args" in refused
    assert two("best", "two/3", "--as", "args").stdout.startswith("--x=")


def test_show_has_the_front_and_every_objective(two: Any) -> None:
    shown = two("show", "two").stdout

    assert FRONT in shown
    assert re.search(r"^2 +completed +0\.1 +20 ", shown, re.MULTILINE)
    assert "front of 2" in two("ls").stdout
    curve = two("show", "two/5").stdout.splitlines()
    assert curve[-2].split() == ["step", "err", "ms", "after"]
    assert curve[-1].split()[:3] == ["1", "0.9", "3"]
    assert [t["number"] for t in two.json("show", "two")["front"]["trials"]] == [2, 3]


def test_a_run_closes_with_the_front(cli: Any, tune_file: TuneFile) -> None:
    path = tune_file("echo y=$TUNESMITH_TRIAL; echo z=$((9 - TUNESMITH_TRIAL))")
    path.write_text(path.read_text().replace('minimize: "y"', "minimize: [y, z]"))
    summary = cli.write("summary.md", "")
    cli.environment["GITHUB_STEP_SUMMARY"] = str(summary)

    said = cli("run", "tune.yaml").stderr

    assert "on the front: y=2 z=7 (#2) 2/4" in said
    closing = "front of 4 trials, hypervolume 3 against the worst measured (y=4 z=8)"
    assert f"completed 4; {closing}" in said
    assert "| trial | y | z | values |" in summary.read_text()
    assert cli("run", "tune.yaml", "-n", "5", "--require", "z<=4").returncode == 0


def test_the_live_display_has_a_column_for_each_objective(cli: Any, tune_file: TuneFile) -> None:
    path = tune_file("echo y=$TUNESMITH_TRIAL; echo zz=$((9 - TUNESMITH_TRIAL))", max_trials=2)
    path.write_text(path.read_text().replace('minimize: "y"', "minimize: [y, zz]"))

    printed = _on_a_terminal(cli, "run", "tune.yaml")

    assert re.search(r"\by\b.*\bzz\b.*\bstep\b", re.sub(r"\x1b\[[\d;?]*\w", "", printed))
    assert "front of 2 trials" in printed
    assert "tunesmith best s" in printed


def test_exports_have_predictions_beside_the_metrics(chooses: Any) -> None:
    chooses("run", "tune.yaml", "-q")

    head, *rows = chooses("export", "s").stdout.splitlines()

    columns = head.split(",")
    assert {"predicted.y", "predicted_sd.y"} <= set(columns)
    assert rows[3].split(",")[columns.index("predicted.y")] == "4.5"
    lines = chooses("export", "s", "-o", "jsonl").stdout.splitlines()
    assert json.loads(lines[2])["explanation"]["acquisition"] == "log_ei"
