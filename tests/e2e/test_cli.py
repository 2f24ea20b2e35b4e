import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TuneFile = Callable[..., Path]
Until = Callable[..., None]

TRAIN = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--units", type=int, default=64)
a = parser.parse_args()
for epoch in range(3):
    print(f"epoch={epoch} accuracy={1 - abs(a.lr - 0.03) - epoch * 0.001}")
"""
INLINE = ["-p", "lr=log:1e-3..1e-1", "-p", "units=16,64,256", "-m", "accuracy", "--max"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, command_line: Any) -> Any:
    """A folder in which a study of six trials has ended; tests only look."""
    cli = command_line(tmp_path_factory.mktemp("done"))
    cli.write("train.py", TRAIN)
    name = ["--name", "train"]
    cli.first = cli(
        "run", *INLINE, *name, "-n", "6", "-j", "2", "--seed", "1", "--", sys.executable, "train.py"
    )
    return cli


def no_control_characters(text: str) -> bool:
    return all(c.isprintable() or c in "\n\t" for c in text)


# Running


def test_a_program_is_tuned_from_the_command_line_alone(done: Any) -> None:
    shown = done.json("show", "train")

    assert shown["schema"] == "tunesmith.study/1"
    assert shown["state"] == "finished"
    assert shown["best_trial"]["state"] == "completed"
    assert "finished 6/6" in done.first.stderr
    assert done.first.stdout == ""


def test_without_a_terminal_there_are_no_control_characters(done: Any) -> None:
    outputs = [done("ls"), done("show"), done("trials"), done("logs", "@/1"), done.first]

    assert all(no_control_characters(o.stdout + o.stderr) for o in outputs)


def test_run_json_prints_one_event_a_line_each_with_its_schema(
    cli: Any, tune_file: TuneFile
) -> None:
    tune_file("echo y=0.5; echo y=0.25", max_trials=2)

    printed = cli("run", "tune.yaml", "--json").stdout

    events = [json.loads(line) for line in printed.splitlines()]
    assert {e["schema"] for e in events} == {"tunesmith.events/1"}
    kinds = [e["event"] for e in events]
    assert kinds[0] == "study_started"
    assert kinds[-1] == "study_finished"
    assert kinds.count("trial_started") == kinds.count("trial_finished") == 2
    assert kinds.count("report") == 4
    assert "best_changed" in kinds


def test_a_finished_study_run_again_says_so(cli: Any, tune_file: TuneFile) -> None:
    tune_file(max_trials=2)
    cli("run", "tune.yaml")

    again = cli("run", "tune.yaml")

    assert "finished (all 2 trials have ended)" in again.stderr
    assert "tunesmith set s trials=+10" in again.stderr
    assert len(cli.trials()) == 2


def test_more_trials_are_not_offered_to_a_study_that_has_enough(
    cli: Any, tune_file: TuneFile
) -> None:
    tune_file("echo y=1", until={"no_improvement": 1})
    cli("run", "tune.yaml")

    again = cli("run", "tune.yaml").stderr
    more = cli("set", "s", "trials=+10").stderr

    assert "trials=+10" not in again
    assert "More: other conditions, in the file's `until` or as options" in again
    assert "it starts no new ones: 1 trial was no better than trial 1" in more


def test_a_larger_budget_in_the_file_goes_on(cli: Any, tune_file: TuneFile) -> None:
    tune_file(max_trials=2)
    cli("run", "tune.yaml")
    before = cli.trials()

    tune_file(max_trials=4)
    cli("run", "tune.yaml")

    assert cli.trials()[:2] == before
    assert [t["state"] for t in cli.trials()] == ["completed"] * 4


def test_a_changed_space_is_refused_with_the_difference_and_the_ways_out(
    cli: Any, tune_file: TuneFile
) -> None:
    path = tune_file(max_trials=2)
    cli("run", "tune.yaml")
    path.write_text(path.read_text().replace("max: 1}", "max: 2}"))

    refused = cli("run", "tune.yaml", status=2).stderr

    assert "'s' exists with another space or metric" in refused
    assert "x" in refused
    assert "0..1" in refused
    assert "0..2" in refused
    assert "another name" in refused
    cli("run", "tune.yaml", "--new")
    assert [s["name"] for s in cli.json("ls")["studies"]] == ["s-2", "s"]


def test_a_study_whose_trials_all_fail_exits_with_5(cli: Any, tune_file: TuneFile) -> None:
    tune_file("echo broken >&2; exit 3", max_trials=20)

    ran = cli("run", "tune.yaml", status=5)

    assert "logs s --errors" in ran.stderr
    grouped = cli("logs", "s", "--errors").stdout
    assert "5× exit status 3: broken" in grouped


def test_a_requirement_that_is_not_met_exits_with_6(cli: Any, tune_file: TuneFile) -> None:
    tune_file("echo y=1", max_trials=1)

    cli("run", "tune.yaml", "--require", "y<0.5", status=6)
    cli("run", "tune.yaml", "--require", "best<=1")


def test_quiet_prints_the_last_line_and_very_quiet_nothing(cli: Any, tune_file: TuneFile) -> None:
    tune_file(max_trials=1)

    assert len(cli("run", "tune.yaml", "-q").stderr.splitlines()) == 1
    assert cli("run", "tune.yaml", "-qq").stderr == ""


def test_verbose_prints_what_trials_print(cli: Any, tune_file: TuneFile) -> None:
    tune_file("echo größe; echo y=1", max_trials=1)

    ran = cli("run", "tune.yaml", "-v")

    assert "#1 | größe" in ran.stdout + ran.stderr


def test_placeholders_and_limits_are_given_on_the_command_line(cli: Any) -> None:
    sleeps = ["sh", "-c", "echo y={x}; sleep {nap}"]

    cli(
        "run", "-p", "x=0.0..1.0", "-p", "nap=60,61", "-m", "y", "--min", "-n", "3",
        "--time-limit", "0.2s", "--", *sleeps, status=5,
    )  # fmt: skip

    assert "time limit" in cli.trials()[0]["reason"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "Name a FILE, or give parameters"),
        (["run", "-p", "x=0..1", "-n", "2", "--", "true"], "Name the metric"),
        (["run", "-p", "x=0..1", "-m", "y", "-n", "2", "--", "true"], "--max"),
        (["run", "-p", "x=0.0..1.0", "-m", "y", "--min", "--", "true"], "never end"),
        (["run", "-p", "x=0..1", "-m", "y", "--min", "-n", "2"], "behind --"),
        (["run", "-p", "x=2..1", "-m", "y", "--min", "-n", "2", "--", "true"], "x"),
        (["run", "-p", "x=0..1", "-m", "y", "--min", "-n", "2", "--", "no-such-x"], "be found"),
        (["rum"], "Did you mean 'run'?"),
        (["run", "missing.yaml"], "missing.yaml"),
        (["run", "-p", "x=0..1", "-m", "y", "--min", "-n", "0", "--", "true"], "1"),
    ],
)
def test_a_mistake_on_the_command_line_exits_with_2_and_says_what_is_right(
    words: list[str], said: str, cli: Any
) -> None:
    ran = cli(*words, status=2)

    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (cli.folder / ".tunesmith").exists()


# Checking


def test_check_shows_the_plan_and_keeps_nothing(cli: Any, tune_file: TuneFile) -> None:
    tune_file()

    shown = cli("check", "tune.yaml").stdout
    plan = cli.json("check", "tune.yaml")

    assert "sh train.sh --x=" in shown
    assert plan["schema"] == "tunesmith.plan/1"
    assert len(plan["samples"]) == 4 or len(plan["samples"]) == 5
    assert not (cli.folder / ".tunesmith").exists()


def test_faults_in_a_file_have_their_place_a_caret_and_a_suggestion(cli: Any) -> None:
    cli.write(
        "tune.yaml",
        "minimize: y\nmax_trials: 3\nparameters:\n  units: {type: int, min: 16, maxx: 256}\n"
        "command: sh train.sh\n",
    )

    printed = cli("check", "tune.yaml", status=2).stderr

    assert "unknown key 'maxx'" in printed
    assert "tune.yaml:4:31" in printed
    assert "^^^^ did you mean 'max'?" in printed
    assert "error[E" in printed


def test_smoke_runs_one_trial_and_sees_the_metric_arrive(cli: Any, tune_file: TuneFile) -> None:
    tune_file("echo y=0.5")

    ran = cli("check", "tune.yaml", "--smoke")

    assert "y 0.5 arrived" in ran.stderr
    assert not (cli.folder / ".tunesmith").exists()


def test_smoke_says_what_is_missing(cli: Any, tune_file: TuneFile) -> None:
    tune_file("echo oops >&2; echo z=0.5")

    ran = cli("check", "tune.yaml", "--smoke", status=5)

    assert "| oops" in ran.stderr
    assert "never reported 'y'" in ran.stderr


def test_init_writes_a_file_that_runs(cli: Any) -> None:
    cli.write("train.py", TRAIN)

    cli("init", "train.py")
    cli("init", "train.py", status=2)
    text = cli("init", "train.py", "-o", "-").stdout

    assert "lr" in text
    assert (cli.folder / "tune.yaml").read_text().strip() == text.strip()
    assert cli("check", "tune.yaml").returncode == 0


# Looking


def test_read_only_commands_create_nothing_in_an_empty_folder(cli: Any) -> None:
    for words in (["show"], ["trials"], ["best"], ["logs"], ["stop"], ["wait"], ["export"]):
        ran = cli(*words, status=3)
        assert "There are no studies" in ran.stderr
    cli("doctor")

    assert not list(cli.folder.iterdir())


def test_ls_lists_the_studies(done: Any) -> None:
    assert "train" in done("ls").stdout
    assert done("ls", "-o", "name").stdout == "train\n"
    assert done.json("ls")["studies"][0]["name"] == "train"


def test_a_trial_has_all_that_is_known_of_it(done: Any) -> None:
    trials = done.trials()

    assert [t["number"] for t in trials] == list(range(1, 7))
    wanted = {"number", "state", "attempt", "values", "metrics", "reason", "started", "finished"}
    assert all(wanted <= set(t) for t in trials)
    shown = done.json("show", "train/3")
    assert shown["schema"] == "tunesmith.trial/1"
    assert len(shown["measurements"]) == 3
    assert "accuracy" in done("show", "@/3").stdout


def test_trials_are_sorted_limited_and_chosen(done: Any) -> None:
    best = done.json("show")["best_trial"]

    ranked = done.json("trials", "@", "--sort", "-accuracy", "--limit", "2")["trials"]
    small = done.json("trials", "--where", "state=completed and units=16")["trials"]

    assert len(ranked) == 2
    assert ranked[0]["number"] == best["number"]
    assert all(t["values"]["units"] == 16 for t in small)
    assert done("trials", "--sort", "nothing", status=2).stderr


@pytest.mark.parametrize("words", [["trials", "-o", "csv"], ["export", "-o", "csv"]])
def test_csv_has_a_row_for_each_trial(words: list[str], done: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(done(*words).stdout)))

    assert len(rows) == 6
    assert {row["state"] for row in rows} == {"completed"}


def test_an_export_goes_to_a_file_whose_ending_says_the_format(done: Any, tmp_path: Path) -> None:
    done("export", "train", "--to", str(tmp_path / "t.jsonl"))

    lines = (tmp_path / "t.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(1, 7))


def test_the_best_values_come_ready_to_paste(done: Any) -> None:
    values = done.json("show")["best_trial"]["values"]
    forms = {form: done("best", "@", "--as", form).stdout for form in
             ("args", "env", "json", "yaml", "python")}  # fmt: skip

    ran = subprocess.run(
        f"{sys.executable} train.py {forms['args']}",
        shell=True, cwd=done.folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "accuracy" in ran.stdout
    assert json.loads(forms["json"]) == values
    assert f"units={values['units']}" in forms["env"]
    assert f'"units": {values["units"]}' in forms["yaml"]
    assert repr(values) == forms["python"].strip()
    assert done.json("best")["values"] == values


def test_logs_show_what_a_trial_printed(done: Any) -> None:
    assert done("logs", "@/2").stdout.count("accuracy=") == 3
    assert done("logs", "train/2", "--tail", "1").stdout.count("accuracy=") == 1
    assert done("logs", "@/2", "--grep", "epoch=1").stdout.count("accuracy=") == 1
    assert done("logs", "@/2", "-f").stdout.count("accuracy=") == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "trian"], "Did you mean 'train'?"),
        (["show", "train/99"], "99"),
        (["show", "train/x"], "named by its number"),
        (["trials", "zzz"], "`tunesmith ls` lists them"),
    ],
)
def test_a_name_that_is_not_there_exits_with_3_and_suggests(
    words: list[str], said: str, done: Any
) -> None:
    assert said in done(*words, status=3).stderr


def test_names_shorten(done: Any) -> None:
    assert done.json("show", "tr")["name"] == done.json("show", "@")["name"] == "train"
    assert done.json("show", "@best")["number"] == done.json("show")["best_trial"]["number"]


def test_doctor_and_completion_report(done: Any) -> None:
    assert done.json("doctor")["schema"] == "tunesmith.doctor/1"
    for shell in ("bash", "zsh", "fish"):
        assert "_TUNESMITH_COMPLETE" in done("completion", shell).stdout


def test_a_storage_that_cannot_be_opened_exits_with_4(cli: Any) -> None:
    cli.write("not-a-database", "x" * 5000)

    for url in ("nonsense://x", "sqlite:///not-a-database"):
        ran = cli("ls", "--storage", url, status=4)
        assert ran.stderr.startswith("error:")
        assert "Traceback" not in ran.stderr


# Steering

GATED = (
    "echo started >> started; while ! test -e gate; do sleep 0.02; done; echo y=$TUNESMITH_TRIAL"
)


def begin(cli: Any, until: Until, count: int) -> Any:
    process = cli.start("run", "tune.yaml", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = cli.folder / "started"
    until(lambda: started.exists() and len(started.read_text().split()) >= count)
    return process


def test_a_running_study_is_paused_resumed_changed_and_stopped(
    cli: Any, tune_file: TuneFile, until: Until
) -> None:
    tune_file(GATED, max_trials=3, parallel_trials=1)
    process = begin(cli, until, 1)

    cli("pause", "s")
    cli("set", "s", "trials=+2", "parallel=2")
    queued = cli.json("enqueue", "s", "x=0.125", "opt=adam")
    (cli.folder / "gate").touch()
    until(lambda: cli.trials()[0]["state"] == "completed")
    assert cli.json("show")["state"] == "paused"
    assert process.poll() is None
    assert cli("wait", "s", "--timeout", "0.1s", status=124)
    cli("resume")

    cli("wait", "s", "--timeout", "60s")
    assert process.wait(30) == 0
    trials = cli.trials()
    assert len(trials) == 5
    assert trials[queued["number"] - 1]["values"]["x"] == 0.125


def test_a_running_study_is_stopped_with_its_trials(
    cli: Any, tune_file: TuneFile, until: Until
) -> None:
    tune_file("echo y=7; " + GATED, max_trials=9, parallel_trials=2)
    process = begin(cli, until, 2)
    until(lambda: all(cli.json("show", f"s/{n}")["measurements"] for n in (1, 2)))
    assert "First: tunesmith stop s --now" in cli("delete", "s", "--yes", status=2).stderr

    cli("stop", "s", "--now", "--reason", "seen enough")

    assert process.wait(30) == 0
    assert [(t["state"], t["reason"]) for t in cli.trials()] == [("stopped", "seen enough")] * 2
    cli("wait", "s", "--for", "best>=100", status=6)


def test_one_trial_is_stopped_and_retried(cli: Any, tune_file: TuneFile, until: Until) -> None:
    tune_file(GATED, max_trials=2, parallel_trials=2)
    process = begin(cli, until, 2)

    cli("stop", "s/1")
    until(lambda: cli.trials()[0]["state"] == "cancelled")
    (cli.folder / "gate").touch()
    assert process.wait(30) == 0
    assert "max_trials" in cli("retry", "s/1", status=2).stderr  # another took its place
    cli("set", "s", "trials=+1")
    cli("retry", "s/1")
    cli("run", "tune.yaml", "-n", "3")

    first = cli.trials()[0]
    assert (first["state"], first["attempt"]) == ("completed", 2)


def test_a_deleted_study_takes_its_files_along(cli: Any, tune_file: TuneFile) -> None:
    tune_file(max_trials=1)
    cli("run", "tune.yaml")
    assert "--yes" in cli("delete", "s", status=2).stderr

    cli("delete", "s", "--yes")

    assert not (cli.folder / ".tunesmith" / "trials" / "s").exists()
    cli("show", "s", status=3)


def test_wait_sees_a_failed_study(cli: Any, tune_file: TuneFile) -> None:
    tune_file("exit 3", max_trials=9)
    cli("run", "tune.yaml", status=5)

    cli("wait", "s", status=5)
