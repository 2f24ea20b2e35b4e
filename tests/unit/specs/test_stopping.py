"""What ends trials early and studies in time, as a file and a command line say it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.errors import SpecError
from tunesmith.model import Ending, Objective, Stopping, StudySpec
from tunesmith.space import Double, Space
from tunesmith.specs import TuneFile, check_stopping, parse_stopping, parse_study, render_problems

Read = Callable[[str], TuneFile]

STUDY = "maximize: a\nparameters: {lr: 0..1.0}\n"
SPEC = StudySpec(Space({"lr": Double(0.0, 1.0)}), (Objective("a", "maximize"),))


@pytest.mark.parametrize(
    ("text", "stopping"),
    [
        ("", ()),
        ("stopping: []", ()),
        ("stopping: median", (Stopping("median"),)),
        ("stopping: {name: median, min_steps: 2}", (Stopping("median", {"min_steps": 2}),)),
        (
            "stopping: [{name: halving, eta: 4}, median]",
            (Stopping("halving", {"eta": 4}), Stopping("median")),
        ),
    ],
)
def test_a_file_names_rules_and_a_schedule(
    read: Read, text: str, stopping: tuple[Stopping, ...]
) -> None:
    assert read(STUDY + text).spec.stopping == stopping


def test_a_file_says_when_the_study_has_enough(read: Read) -> None:
    until = "until: {target: 0.98, time: 1h30m, no_improvement: 20, expected_gain: 1e-3}"

    assert read(STUDY + until).spec.ending == Ending(0.98, 5400.0, 20, 0.001)
    assert read(STUDY).spec.ending == Ending()


def test_a_file_says_what_holds_the_end_back_and_what_becomes_of_running_trials(
    read: Read,
) -> None:
    until = "until: {no_improvement_for: 2h, min_trials: 10, min_time: 30m, stop_running: true}"

    assert read(STUDY + until).spec.ending == Ending(
        no_improvement_for_s=7200.0, min_trials=10, min_time_s=1800.0, stop_running=True
    )


def test_a_file_says_how_many_steps_a_whole_trial_trains(read: Read) -> None:
    assert read(STUDY + "max_steps: 81").spec.max_steps == 81


def test_the_budget_is_always_known_to_a_command(read: Read) -> None:
    program = read(STUDY + "command: train --epochs={budget} --dir={checkpoint_dir} {lr}").program

    assert program is not None
    assert program.values_as == "placeholders"


@pytest.mark.parametrize(
    ("arguments", "stopping"),
    [
        (["none"], ()),
        (["median"], (Stopping("median"),)),
        (["median:min_steps=2"], (Stopping("median", {"min_steps": 2}),)),
        (
            ["halving:eta=4", "threshold: min_steps=3 , metric=val_loss"],
            (
                Stopping("halving", {"eta": 4}),
                Stopping("threshold", {"min_steps": 3, "metric": "val_loss"}),
            ),
        ),
    ],
)
def test_a_command_line_names_rules_and_a_schedule(
    arguments: list[str], stopping: tuple[Stopping, ...]
) -> None:
    assert parse_stopping(arguments) == stopping


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["median", "hiperband:eta=3"],
            """\
error[E120]: there is no stopping rule or schedule 'hiperband'; installed are halving, hyperband, median, threshold
  hiperband:eta=3
  ^^^^^^^^^ did you mean 'hyperband'?
""",
        ),
        (
            ["median:min_step=3"],
            """\
error[E120]: Stopping rule 'median' has these settings: min_steps, metric; given: min_step.
  median:min_step=3
         ^^^^^^^^ did you mean 'min_steps'?
""",
        ),
        (
            ["threshold:metric=loss,min_steps=0.5"],
            """\
error[E120]: min_steps is a whole number; given 0.5
  threshold:metric=loss,min_steps=0.5
                        ^^^^^^^^^
""",
        ),
        (
            ["halving:4"],
            """\
error[E120]: '4' is not SETTING=VALUE, as in asha:min_steps=2,eta=4
  halving:4
          ^
""",
        ),
        (
            ["median:metric=a,metric=b"],
            """\
error[E104]: the setting 'metric' is given twice
  median:metric=a,metric=b
                  ^^^^^^
""",
        ),
        (
            ["median", "none"],
            """\
error[E120]: there is no stopping rule or schedule 'none'; installed are halving, hyperband, median, threshold
  none
  ^^^^
""",
        ),
        (
            ["halving", "hyperband"],
            """\
error[E120]: a study has one schedule, and 'halving' is one as well as 'hyperband'
  hyperband
  ^^^^^^^^^
""",
        ),
    ],
)
def test_a_fault_of_an_argument_is_told_beneath_it(arguments: list[str], told: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_stopping(arguments)

    assert render_problems(caught.value.problems) == told + "1 error. Nothing was started."


def test_what_a_rule_refuses_is_told_where_the_file_names_it() -> None:
    text = STUDY + "minimize: b\nstopping:\n  - {name: median}\n  - {name: halving, eta: 2}\n"
    tune = parse_study(text, Path("tune.yaml"))

    with pytest.raises(SpecError) as caught:
        check_stopping(tune.spec, tune.places)

    assert (
        render_problems(caught.value.problems)
        == """\
error[E120]: the rule judges one metric: name it
  tune.yaml:5:12
    5 |   - {name: median}
      |            ^^^^^^
error[E120]: the schedule needs max_steps
  tune.yaml:6:12
    6 |   - {name: halving, eta: 2}
      |            ^^^^^^^ say max_steps
2 errors. Nothing was started."""
    )


def test_what_a_rule_refuses_is_told_without_a_place_where_no_file_names_it() -> None:
    spec = StudySpec(SPEC.space, SPEC.objectives, stopping=(Stopping("halving"),))

    with pytest.raises(SpecError, match=r"^the schedule needs max_steps \(say max_steps\)$"):
        check_stopping(spec, {})


def test_a_study_that_all_its_rules_serve_is_not_refused() -> None:
    stopping = (Stopping("halving"), Stopping("median"))
    spec = StudySpec(SPEC.space, SPEC.objectives, stopping=stopping, max_steps=9)

    check_stopping(spec, {})
