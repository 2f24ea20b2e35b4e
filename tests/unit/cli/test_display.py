"""What a person reads of trials that end early, pause or go on, in plain lines and in the live block."""

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console

from tunesmith.cli.display import LiveDisplay, PlainDisplay
from tunesmith.cli.progress import Progress, summary_line
from tunesmith.model import Ending, Trial, TrialState
from tunesmith.space import Double
from tunesmith.study import Study
from tunesmith.tuner import TrialEnded, TrialMeasured, TrialStarted

REASON = "loss is 7 at step 1, above 5"


@pytest.fixture
def study() -> Iterator[Study]:
    """A study of four trials of three steps each, in which a loss above 5 ends a trial."""
    with Study(
        {"x": Double(0.0, 1.0)},
        minimize="loss",
        max_trials=4,
        max_steps=3,
        stopping={"name": "threshold", "upper": 5},
        ending=Ending(no_improvement=9),
        algorithm="sobol",
        seed=0,
    ) as made:
        yield made


def stopped(study: Study) -> Trial:
    """Run a trial that its rule ends; return it as it was started."""
    trial = study.ask()
    verdict = study.report(trial, 1, loss=7.0)
    study.stopped(trial, verdict.reason)
    return trial


def now(study: Study, trial: Trial) -> Trial:
    study.refresh()
    return study.history.trials[trial.number - 1]


def test_a_log_begins_with_what_ends_trials_and_the_study(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    with PlainDisplay(study):
        pass

    assert capsys.readouterr().err.splitlines()[0] == (
        "tunesmith: study-1 started, 4 trials, 1 parallel, stopping threshold (upper=5),"
        " until 9 trials in a row without a better one"
    )


def test_a_stopped_trial_has_a_line_with_its_value_its_step_and_its_reason(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    display = PlainDisplay(study)
    trial = stopped(study)

    display.observe(TrialStarted(trial))
    display.observe(TrialEnded(now(study, trial)))

    assert f"trial 1 stopped with 7 at step 1/3: {REASON}" in capsys.readouterr().err


def test_a_trial_that_a_person_pauses_has_a_line_and_one_that_a_schedule_pauses_has_none(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    display = PlainDisplay(study)
    trial = study.ask()
    paused = replace(trial, state=TrialState.PAUSED, reason="the machine is wanted")

    display.observe(TrialStarted(trial))
    display.observe(TrialEnded(paused))
    display.observe(TrialEnded(replace(paused, pause_requested="the machine is wanted")))

    told = capsys.readouterr().err
    assert told.count("paused") == 1
    assert "trial 1 paused: the machine is wanted" in told


def test_a_trial_that_starts_again_has_a_line_unless_it_goes_on_with_a_larger_budget(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    display = PlainDisplay(study)
    trial = study.ask()
    queued = replace(trial, state=TrialState.QUEUED, reason="it goes on to 9 steps", budget=9)

    display.observe(TrialStarted(trial))
    display.observe(TrialEnded(queued))
    display.observe(TrialEnded(replace(queued, reason="its worker died", budget=trial.budget)))

    told = capsys.readouterr().err
    assert "it goes on" not in told
    assert "trial 1 starts again: its worker died" in told


def test_the_last_line_says_what_early_stopping_saved(study: Study) -> None:
    progress = Progress(study)
    stopped(study)
    whole = study.ask()
    for step in (1, 2, 3):
        study.report(whole, step, loss=1 / step)
    study.tell(whole)
    study.refresh()

    line = summary_line(study.storage.summary(study.name), progress)

    assert line.startswith("interrupted 2/4 in ")
    assert line.endswith("best 0.3333 (#2); early stopping saved 33 %")


def test_the_live_block_shows_steps_of_how_many_and_why_trials_were_stopped(study: Study) -> None:
    display = LiveDisplay(study)
    first = stopped(study)
    second = study.ask()
    verdict = study.report(second, 2, loss=0.5)
    assert not verdict

    display.observe(TrialStarted(first))
    display.observe(TrialEnded(now(study, first)))
    display.observe(TrialStarted(second))
    display.observe(TrialMeasured(second, study.measurements(second)[0]))

    running, ended = rows(display)
    assert running[:4] == ["2", "running", "0.5", "2/3"]
    assert ended[:4] == ["1", "stopped", "7", "1/3"]
    assert " ".join(ended).endswith(REASON)


def test_the_live_block_shows_trials_as_they_are_by_now(study: Study) -> None:
    display = LiveDisplay(study)
    trial = study.ask()
    study.report(trial, 1, loss=0.5)
    paused = study.pause_running(trial, "it has trained its 1 steps")

    display.observe(TrialStarted(trial))
    display.observe(TrialEnded(paused))
    while_paused = rows(display)
    study.resume_trial(trial)
    again = study.ask()
    study.stopped(again, "it was not among the best")
    study.refresh()

    assert while_paused[0][:2] == ["1", "paused"]
    assert rows(display)[0][:2] == ["1", "stopped"]


def rows(display: LiveDisplay) -> list[list[str]]:
    """Return the words of each row of the block's table, without its head."""
    console = Console(file=io.StringIO(), width=160)
    with console.capture() as shown:
        console.print(display.__rich__())
    lines = [line.split() for line in shown.get().splitlines()]
    head = next(i for i, words in enumerate(lines) if words[:2] == ["#", "state"])
    return lines[head + 1 :]
