"""A written study reads back as the same study."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.model import (
    Algorithm,
    Constraint,
    Ending,
    MetricReading,
    Objective,
    Program,
    Resources,
    Stopping,
    StudySpec,
    ValuesAs,
)
from tunesmith.space import Categorical, Discrete, Double, Integer, Prior, Space
from tunesmith.specs import TuneFile, parse_study, study_yaml
from tunesmith.specs.write import flow, line

HERE = Path("/home/ada/digits")
SPACE = Space(
    {
        "lr": Double(1e-5, 1e-1, scale="log", default=0.01),
        "dropout": Double(0.0, 0.5, step=0.1, prior=Prior(0.1, "high")),
        "units": Integer(16, 256, scale="log", prior=64),
        "width": Discrete([1, 2.5, 1e16], scale="log"),
        "optimizer": Categorical(["sgd", "no", "1", 1, True, "a, b: #c", "", "--x", "groß\n"]),
        "beta-2": Double(0.9, 0.999, scale="reverse_log", when={"optimizer": ["no", "1", 1, True]}),
    }
)
SPEC = StudySpec(SPACE, (Objective("val/accuracy", "maximize"),))
EVERYTHING = TuneFile(
    "my study: 1",
    replace(
        SPEC,
        objectives=(Objective("loss", "minimize", "loss/se"), Objective("a", "maximize")),
        constraints=(Constraint("ms", 20.5), Constraint("recall", 0.9, "at_least", 0.85)),
        warm_start=("old", "yes"),
        algorithm=Algorithm("random", {"rate": 1e-5, "name-of": "yes", "on": False, "n": 3}),
        stopping=(Stopping("median"), Stopping("halving", {"eta": 4})),
        max_steps=27,
        ending=Ending(
            target=-0.5,
            time_s=5400.5,
            no_improvement=7,
            expected_gain=1e-5,
            no_improvement_for_s=600.0,
            min_trials=3,
            min_time_s=60.25,
            stop_running=False,
        ),
        seed=0,
        max_trials=10,
        parallel_trials=3,
        max_failed_trials=0,
        measurement="best",
        initial=({"lr": 1e-4, "optimizer": "1"},),
    ),
    Program(
        command=("python", "train.py", "it's", "a b", ""),
        values_as="environment",
        directory="/home/ada/digits/code",
        environment={"A": "1", "B": "x y", "C": ""},
        reading=MetricReading(("stdout", "report"), r"(?P<name>\w+) is (?P<value>\S+)"),
        resources=Resources(2, 1, 5400.0, 476.837158203125, 2.5),
        retries=0,
    ),
    seed_given=True,
)


@pytest.mark.parametrize("folder", [None, HERE])
@pytest.mark.parametrize(
    "tune",
    [
        TuneFile("digits", SPEC),
        TuneFile("digits", SPEC, Program(("train",), directory=str(HERE))),
        TuneFile("one", replace(SPEC, objectives=(Objective("a", "maximize", "b"),))),
        TuneFile("one", replace(SPEC, stopping=(Stopping("median", {"metric": "yes"}),))),
        TuneFile("one", replace(SPEC, ending=Ending(time_s=7200.0), max_steps=3)),
        EVERYTHING,
    ],
)
def test_a_study_reads_back_as_it_was_written(tune: TuneFile, folder: Path | None) -> None:
    text = study_yaml(tune, folder=folder)

    assert parse_study(text, HERE / "tune.yaml") == tune


def test_a_small_study_is_a_small_text() -> None:
    space = Space({"lr": Double(1e-5, 0.1, scale="log"), "opt": Categorical(["sgd", "adam"])})
    program = Program(("python", "train.py", "--lr={lr}", "--opt={opt}"), "placeholders", str(HERE))
    spec = StudySpec(space, (Objective("accuracy", "maximize"),), max_trials=20)

    text = study_yaml(TuneFile("digits", spec, program), folder=HERE)

    assert (
        text
        == """\
study: digits
maximize: accuracy
max_trials: 20
parameters:
  lr: {type: double, min: 1.0e-05, max: 0.1, scale: log}
  opt: {type: categorical, values: [sgd, adam]}
command: python train.py --lr={lr} --opt={opt}
"""
    )


@pytest.mark.parametrize("values_as", ["flags", "placeholders", "environment"])
def test_how_values_reach_the_program_survives(values_as: ValuesAs) -> None:
    space = Space({"x": Double(0.0, 1.0)})
    spec = StudySpec(space, (Objective("a", "maximize"),))
    tune = TuneFile("digits", spec, Program(("train", "{x}"), values_as, str(HERE)))

    assert parse_study(study_yaml(tune, folder=HERE), HERE / "tune.yaml") == tune


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_any_words_of_a_command_survive(words: list[str]) -> None:
    command = ("train", *words)
    spec = StudySpec(Space({"x": Double(0.0, 1.0)}), (Objective("a", "maximize"),))
    tune = TuneFile("digits", spec, Program(command, "flags", str(HERE)))

    read = parse_study(study_yaml(tune, folder=HERE), HERE / "tune.yaml")

    assert read.program is not None
    assert read.program.command == command


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans() | st.text())
def test_other_readers_of_yaml_see_the_same_values(value: float | str) -> None:
    text = flow([value])

    (read,) = yaml.safe_load(text)
    assert read == value
    assert type(read) is type(value)


@given(st.text(st.sampled_from("ab1 .-:#'\"{}[],&*!|>%@`\\\n~")))
def test_a_text_on_its_own_line_survives(value: str) -> None:
    assert yaml.safe_load(f"key: {line(value)}") == {"key": value}
