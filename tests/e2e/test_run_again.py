import sys
from typing import Any

import pytest

TRAIN = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
print(f"accuracy={1 - abs(parser.parse_args().lr - 0.03)}")
"""
FILE = f"""
study: mine
maximize: accuracy
max_trials: 2
parameters: {{lr: {{type: double, min: 0.001, max: 0.1}}}}
command: [{sys.executable}, train.py]
"""
INLINE = ["run", "-p", "lr=0.001..0.1", "-m", "accuracy", "--max", "-n", "2"]
PROGRAM = ["--", sys.executable, "train.py"]


@pytest.fixture
def folder(cli: Any) -> Any:
    cli.write("train.py", TRAIN)
    cli.write("tune.yaml", FILE)
    return cli


def test_a_command_line_without_a_name_begins_numbered_studies(folder: Any) -> None:
    folder(*INLINE, *PROGRAM)
    folder(*INLINE, *PROGRAM)

    assert folder("ls", "-o", "name").stdout.split() == ["train-2", "train-1"]


def test_a_command_line_without_a_name_goes_on_with_its_study_that_has_not_ended(
    folder: Any,
) -> None:
    folder(*INLINE, *PROGRAM)
    folder("set", "train-1", "trials=3")

    folder(*INLINE, *PROGRAM)

    assert folder("ls", "-o", "name").stdout.split() == ["train-1"]
    assert len(folder.trials("train-1")) == 3


def test_a_new_study_of_a_file_has_a_number_behind_its_name(folder: Any) -> None:
    folder("run", "tune.yaml")
    folder("run", "tune.yaml", "--new")

    assert folder("ls", "-o", "name").stdout.split() == ["mine-2", "mine"]


def test_the_number_of_parallel_trials_is_taken_up_when_a_study_is_run_again(folder: Any) -> None:
    folder("run", "tune.yaml")

    folder("run", "tune.yaml", "-n", "3", "-j", "2")

    assert folder.json("show", "mine")["parallel_trials"] == 2


def test_another_algorithm_is_kept_out_of_a_study_and_said_to_be(folder: Any) -> None:
    folder("run", "tune.yaml")

    again = folder("run", "tune.yaml", "-n", "3", "--algorithm", "random")

    assert "keeps its algorithm default" in again.stderr
    assert folder.json("show", "mine")["algorithm"] == {"name": "default"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "train.py"], "tunesmith init train.py"),
        ([*INLINE, "--algorithm", "sobl", *PROGRAM], "did you mean 'sobol'?"),
        ([*INLINE, "--pattern", "(", *PROGRAM], "--pattern"),
        ([*INLINE, "--time-limit", "soon", *PROGRAM], "--time-limit"),
    ],
)
def test_a_mistake_is_said_before_anything_is_made(
    words: list[str], said: str, folder: Any
) -> None:
    ran = folder(*words, status=2)

    assert said in ran.stderr
    assert not (folder.folder / ".tunesmith").exists()


def test_more_gpus_than_there_are_are_refused_before_anything_is_made(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.environment["CUDA_VISIBLE_DEVICES"] = "0"
    folder.write("tune.yaml", FILE + "resources: {gpus: 2}\n")

    ran = folder("run", "tune.yaml", status=2)

    assert "needs 2 GPUs, but this machine shows 1" in ran.stderr
    assert not (folder.folder / ".tunesmith").exists()


def test_waiting_for_a_stopped_study_ends_though_trials_still_wait(folder: Any) -> None:
    folder("run", "tune.yaml")
    folder("set", "mine", "trials=+1")
    folder("enqueue", "mine", "lr=0.05")
    folder("stop", "mine")

    assert "is stopped" in folder("wait", "mine", "--timeout", "30s").stderr


def test_a_deleted_study_leaves_nothing_behind(folder: Any) -> None:
    folder("run", "tune.yaml")

    folder("delete", "mine", "--yes")

    home = folder.folder / ".tunesmith"
    assert not list(home.glob("*.lock"))
    assert not list((home / "trials").iterdir())


def test_a_spent_study_says_how_to_give_it_more(folder: Any) -> None:
    folder("run", "tune.yaml")

    assert "tunesmith set mine trials=+1" in folder("enqueue", "mine", "lr=0.05", status=2).stderr


def test_another_program_does_not_go_on_with_a_programs_study(folder: Any) -> None:
    folder(*INLINE, *PROGRAM)
    folder("set", "train-1", "trials=3")

    folder(*INLINE, "--", sys.executable, "./train.py")

    assert folder("ls", "-o", "name").stdout.split() == ["train-2", "train-1"]


def test_two_databases_in_one_folder_keep_their_files_apart(folder: Any) -> None:
    for name in ("a", "b"):
        folder("run", "tune.yaml", "--storage", f"sqlite:///{name}.db")

    for name in ("a", "b"):
        assert (folder.folder / f"{name}.db.files" / "trials" / "mine" / "1" / "stdout").exists()


def test_a_finished_study_is_neither_paused_nor_stopped(folder: Any) -> None:
    folder("run", "tune.yaml")

    for verb in ("pause", "stop"):
        assert "is finished: all 2 trials have ended" in folder(verb, "mine", status=2).stderr


def test_a_reader_who_goes_away_leaves_the_run_going(folder: Any) -> None:
    run = folder.start("run", "tune.yaml", "-n", "4", "--json")

    run.stdout.readline()
    run.stdout.close()

    assert run.wait(60) == 0
    assert len(folder.trials("mine")) == 4


def test_brackets_in_a_failure_are_shown_as_they_are(folder: Any) -> None:
    import os
    import pty

    folder.write("train.py", "raise SystemExit('bad [/INST] [red] token')")
    terminal, end = pty.openpty()
    run = folder.start("run", "tune.yaml", "-n", "1", stdout=end, stderr=end)
    os.close(end)
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
    os.close(terminal)

    assert run.wait(60) == 5
    assert b"Traceback" not in shown


def test_numbers_no_database_can_hold_are_refused(folder: Any) -> None:
    ran = folder("run", "tune.yaml", "-n", str(10**20), status=2)

    assert "max_trials is a whole number from 1 to 2147483647" in ran.stderr
