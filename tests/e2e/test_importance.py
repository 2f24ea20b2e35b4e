"""What ``tunesmith importance`` shows."""

import re
from pathlib import Path
from typing import Any

import pytest

from tunesmith.space import Double, Space
from tunesmith.study import Study


@pytest.fixture
def studied(cli: Any) -> Any:
    """A command line in whose folder a study has ended: ``lr`` decides, ``dropout`` does nothing."""
    space = Space({"lr": Double(1e-4, 1e-1, scale="log"), "dropout": Double(0.0, 0.5)})
    storage = f"sqlite:///{_home(cli.folder) / 'tunesmith.db'}"
    with Study(space, maximize="accuracy", storage=storage, name="digits", seed=0) as study:
        for trial in study.ask(20):
            if trial.number == 3:
                study.tell(trial, error="out of memory")
                continue
            far = float(trial.values["lr"]) / 0.01 - 1.0
            study.tell(trial, accuracy=1.0 - 0.01 * far**2, size=float(trial.values["dropout"]))
    return cli


def _home(folder: Path) -> Path:
    home = folder / ".tunesmith"
    home.mkdir()
    return home


def test_it_lists_the_parameters_the_most_important_first(studied: Any) -> None:
    lines = studied("importance").stdout.splitlines()

    assert lines[0] == "what matters for accuracy, from 19 trials; 1 without a value left out"
    assert re.fullmatch(r"the model explains \d+% of the differences between trials", lines[1])
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == ["parameter", "total", "between", "alone"]
    assert re.match(r"lr +\d+% +\d+–\d+% +\d+% +█+", table[1])
    assert re.match(r"dropout +\d%", table[2])
    assert lines[-1] == "dropout hardly matters: fix it, and search the rest"


def test_programs_get_a_document(studied: Any) -> None:
    document = studied.json("importance", "digits", "--metric", "size")

    assert document["schema"] == "tunesmith.importance/1"
    assert document["study"] == "digits"
    assert document["metric"] == "size"
    first = document["parameters"][0]
    assert first["name"] == "dropout"
    assert 0.9 < first["low"] <= first["total"] <= first["high"] <= 1.0
    assert first["trend"] == "rises with it"


def test_the_better_part_may_be_asked_for(studied: Any) -> None:
    shown = studied("importance", "digits", "--top", "0.25").stdout

    assert shown.startswith("what matters for accuracy among the best 25% of the space")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["digits", "--metric", "size", "--top", "0.5"], 2, "which values of 'size' are better"),
        (["digits", "--metric", "los"], 2, "Measured were: accuracy, size."),
        (["digits", "--top", "25"], 2, "25.0 is not in the range 0.0<x<1.0"),
        (["other"], 3, "There is no study 'other'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    studied: Any, words: list[str], status: int, message: str
) -> None:
    assert message in studied("importance", *words, status=status).stderr


def test_too_few_trials_are_said_to_be_too_few(cli: Any) -> None:
    space = Space({"x": Double(0.0, 1.0)})
    storage = f"sqlite:///{_home(cli.folder) / 'tunesmith.db'}"
    with Study(space, minimize="y", storage=storage, seed=0) as study:
        study.tell(study.ask(), y=1.0)

    refused = cli("importance", status=3)

    assert "from 8 trials with a value of 'y' on; 1 trial has one" in refused.stderr
    assert not refused.stdout
