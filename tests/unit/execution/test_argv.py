from pathlib import Path

import pytest

from tunesmith.execution import command_line, value_texts
from tunesmith.execution.argv import value_variables
from tunesmith.model import Program, Trial, ValuesAs
from tunesmith.space import Categorical, Discrete, Double, Integer, Space

SPACE = Space(
    {
        "lr": Double(1e-5, 1e-1, scale="log"),
        "units": Discrete([16.0, 64.0, 0.5]),
        "opt": Categorical(["adam", "--fast", "two words", "größe", "", "{lr}", "a=b", "'\"$HOME"]),
        "momentum": Double(0.0, 1.0, when={"opt": "adam"}),
        "depth": Integer(1, 9),
    }
)
DIRECTORY = Path("/files/trials/s/7")


def words(*command: str, values_as: ValuesAs = "flags", **values: object) -> list[str]:
    trial = Trial(7, values)  # type: ignore[arg-type]
    return command_line(Program(command, values_as=values_as), trial, SPACE, DIRECTORY)


def test_values_follow_the_command_as_flags() -> None:
    assert words("python", "train.py", lr=0.001, depth=3) == [
        "python",
        "train.py",
        "--lr=0.001",
        "--depth=3",
    ]


@pytest.mark.parametrize("value", ["--fast", "two words", "größe", "", "{lr}", "a=b", "'\"$HOME"])
def test_a_value_arrives_as_one_word_whatever_is_in_it(value: str) -> None:
    assert words("train", opt=value) == ["train", f"--opt={value}"]


@pytest.mark.parametrize("value", ["--fast", "two words", "größe", "", "{lr}", "a=b", "'\"$HOME"])
def test_a_placeholder_is_filled_once_whatever_is_in_the_value(value: str) -> None:
    filled = words("train", "-o", "{opt}", values_as="placeholders", opt=value, lr=0.1)

    assert filled == ["train", "-o", value]


def test_a_whole_number_in_a_list_of_floats_has_no_point() -> None:
    assert value_texts({"units": 64.0}, SPACE) == {"units": "64"}
    assert value_texts({"units": 0.5}, SPACE) == {"units": "0.5"}


def test_placeholders_stand_anywhere_and_repeatedly() -> None:
    filled = words("t", "a{lr}b{depth}c{lr}", values_as="placeholders", lr=0.5, depth=2)

    assert filled == ["t", "a0.5b2c0.5"]


def test_the_placeholder_of_an_inactive_parameter_is_empty() -> None:
    assert words("t", "m={momentum}", values_as="placeholders", opt="--fast") == ["t", "m="]


def test_other_braces_stay_as_they_are() -> None:
    command = ("t", '{"lr": {lr}, "a": {"b": 1}}', "{", "}", "{}", "{unknown}", "{{lr}}", "{lr")

    filled = words(*command, values_as="placeholders", lr=0.5)

    assert filled == [
        "t",
        '{"lr": 0.5, "a": {"b": 1}}',
        "{",
        "}",
        "{}",
        "{unknown}",
        "{0.5}",
        "{lr",
    ]


def test_a_parameters_name_in_braces_is_left_alone_where_values_are_flags() -> None:
    assert words("t", "{lr}", lr=0.5) == ["t", "{lr}", "--lr=0.5"]


def test_trial_and_directories_have_placeholders_whatever_way_values_take() -> None:
    command = ("t", "{trial}", "{trial_dir}", "{checkpoint_dir}/model")

    assert words(*command) == ["t", "7", "/files/trials/s/7", "/files/trials/s/7/checkpoints/model"]


def test_values_in_the_environment_leave_the_command_as_it_is() -> None:
    program = Program(("train",), values_as="environment")
    trial = Trial(7, {"lr": 0.5, "units": 64.0})

    assert command_line(program, trial, SPACE, DIRECTORY) == ["train"]
    assert value_variables(program, trial, SPACE) == {"lr": "0.5", "units": "64"}


def test_the_environment_holds_no_values_unless_asked_for() -> None:
    assert value_variables(Program(("train",)), Trial(7, {"lr": 0.5}), SPACE) == {}
