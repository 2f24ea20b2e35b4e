import math
from collections.abc import Mapping
from contextlib import suppress

import pytest

from tunesmith.errors import StudyEnded
from tunesmith.model import (
    History,
    Measurement,
    Objective,
    Stopping,
    StudySpec,
    Trial,
    TrialState,
)
from tunesmith.search.random import Random
from tunesmith.space import Double, Space, Value
from tunesmith.stopping import make_rules
from tunesmith.stopping.median import Median
from tunesmith.stopping.replay import Judged, Stored, replay, summary
from tunesmith.stopping.threshold import Threshold
from tunesmith.study import Study
from tunesmith.testing.rules import history_of, study
from tunesmith.testing.simulation import Simulation

RULES = [
    Stopping("median"),
    Stopping("percentile", {"among": "all"}),
    Stopping("truncation", {"among": "open", "percent": 30}),
    Stopping("bandit", {"slack_factor": 0.6}),
    Stopping("asha", {"min_steps": 2, "brackets": 2}),
    Stopping("curve"),
    Stopping("patience", {"steps": 4, "min_delta": 0.02}),
    Stopping("threshold", {"upper": 0.6, "min_steps": 6}),
    Stopping("wilcoxon", {"p_threshold": 0.02}),
]


def train(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    x, y = float(values["x"]), float(values["y"])
    if x > 0.9 and step > 5:
        message = "diverged"
        raise ArithmeticError(message)
    loss = 0.1 + 1.5 * (x - 0.3) ** 2 + (1.0 + y) * step ** (-0.3 - y)
    return {"loss": loss + 0.02 * math.sin(1000 * x + 37 * step * y)}, state


def run(*stopping: Stopping) -> History:
    spec = StudySpec(
        Space({"x": Double(0.0, 1.0), "y": Double(0.0, 1.0)}),
        (Objective("loss", "minimize"),),
        max_trials=40,
        max_steps=18,
        stopping=stopping,
    )
    seconds = {True: 1.0, False: 1.7}
    simulation = Simulation(
        spec,
        train,
        Random(),
        rules=make_rules(stopping),
        workers=5,
        step_s=lambda values: seconds[float(values["y"]) > 0.5],
    )
    return simulation.run()


def stored(history: History) -> list[Stored]:
    """Return all measurements, as a storage that sorts by trial gives them."""
    return [(t.number, 1, m) for t in history.trials for m in history.curve(t.number).measurements]


def replayed(history: History) -> list[Judged]:
    return list(replay(history.spec, history.trials, stored(history)))


@pytest.mark.parametrize("stopping", RULES, ids=lambda s: s.name)
def test_a_replay_says_what_was_said_when_the_study_ran(stopping: Stopping) -> None:
    history = run(stopping)
    lived = {t.number: t.reason for t in history.trials if t.state is TrialState.STOPPED}

    judged = replayed(history)

    assert lived
    assert {j.number: dict(j.reasons) for j in judged if j.reasons} == {
        number: {stopping.name: reason} for number, reason in lived.items()
    }
    assert len(judged) == len(stored(history))
    assert [j.revision for j in judged] == sorted(j.revision for j in judged)


def test_a_replay_of_several_rules_has_the_reason_of_the_first_that_spoke() -> None:
    history = run(*RULES[:6])
    lived = {t.number: t.reason for t in history.trials if t.state is TrialState.STOPPED}

    stops = summary(history.spec, history.trials, replayed(history)).stops

    assert {s.number: s.reason for s in stops} == lived
    assert all(s.saved == 0 for s in stops)


@pytest.mark.parametrize("stopping", [RULES[0], RULES[4], RULES[5]], ids=lambda s: s.name)
def test_a_replay_of_a_stored_study_says_what_its_reports_were_answered(
    stopping: Stopping,
) -> None:
    settings = {"name": stopping.name, **stopping.settings}
    study = Study(
        {"x": Double(0.0, 0.9), "y": Double(0.0, 1.0)},
        name="s",
        minimize="loss",
        algorithm="random",
        storage="sqlite://",
        seed=1,
        max_trials=24,
        max_steps=18,
        stopping=settings,
    )
    answers: dict[int, str] = {}
    running = [(trial, 1) for trial in study.ask(3)]
    while running:
        trial, step = running.pop(0)
        verdict = study.report(trial, step, **train(trial.values, step, None)[0])
        if verdict:
            answers[trial.number] = verdict.reason
            study.stopped(trial, verdict.reason, by_rule=True)
        elif step == 18:
            study.tell(trial)
        else:
            running.append((trial, step + 1))
            continue
        with suppress(StudyEnded):
            running.append((study.ask(), 1))
    changes = study.storage.changes("s", -1, curves=True)
    measured = [(m.number, m.attempt, m.measurement) for m in changes.measurements]

    judged = list(replay(study.spec, changes.trials, measured))

    assert len(answers) > 3
    assert {j.number: j.reasons[stopping.name] for j in judged if j.reasons} == answers
    study.close()


def test_other_rules_are_asked_what_they_would_have_said() -> None:
    history = run()
    assert not summary(history.spec, history.trials, replayed(history)).stops

    judged = replay(history.spec, history.trials, stored(history), {"early": Median(min_steps=1)})
    found = summary(history.spec, history.trials, judged)

    assert found.steps == sum(history.curve(t.number).reach for t in history.trials)
    assert 0 < found.saved < found.steps
    assert found.saved == sum(history.curve(s.number).reach - s.step for s in found.stops)


def test_a_summary_tells_where_trials_would_have_ended_and_what_that_saves() -> None:
    history = history_of(study(), [1.0, 3.0, 0.5], [4.0, 2.0, 2.0, 2.0], [2.0, 2.0])
    rules = {"lax": Threshold(upper=3.5), "strict": Threshold(upper=2.5)}

    found = summary(
        history.spec, history.trials, replay(history.spec, history.trials, stored(history), rules)
    )

    assert [(s.number, s.step, s.rule, s.saved) for s in found.stops] == [
        (1, 2, "strict", 1),
        (2, 1, "lax", 3),
    ]
    assert found.stops[1].reason == "loss is 4 at step 1, above 3.5"
    assert (found.steps, found.saved) == (9, 4)
    assert (found.best, found.lost) == (1, True)


def test_the_best_trial_is_not_lost_while_nobody_would_have_ended_it() -> None:
    history = history_of(study(), [1.0], [4.0])

    found = summary(
        history.spec,
        history.trials,
        replay(history.spec, history.trials, stored(history), {"t": Threshold(upper=2.0)}),
    )

    assert (found.best, found.lost) == (1, False)


def test_a_report_of_many_measurements_is_judged_once_when_all_of_it_is_known() -> None:
    spec = study()
    trial = Trial(1, {"x": 0.5}, TrialState.COMPLETED, 1, metrics={"loss": 9.0}, revision=9)
    report = [(1, 1, Measurement(step, {"loss": float(step)}, revision=4)) for step in (1, 2, 3)]

    judged = list(replay(spec, [trial], report, {"t": Threshold(upper=2.5)}))

    assert [(j.revision, j.number, j.step, j.reach) for j in judged] == [(4, 1, 3, 3)]
    assert judged[0].reasons == {"t": "loss is 3 at step 3, above 2.5"}


def test_what_a_later_attempt_measured_replaces_what_came_before() -> None:
    spec = study()
    trial = Trial(1, {"x": 0.5}, TrialState.COMPLETED, 2, metrics={"loss": 1.0}, revision=9)
    report = [
        (1, 1, Measurement(1, {"loss": 9.0}, revision=1)),
        (1, 1, Measurement(2, {"loss": 9.0}, revision=2)),
        (1, 2, Measurement(1, {"loss": 1.0}, revision=4)),
    ]

    judged = list(replay(spec, [trial], report, {"t": Threshold(upper=2.5)}))

    assert [(j.reach, bool(j.reasons)) for j in judged] == [(1, True), (2, True), (1, False)]


def test_an_empty_study_has_nothing_to_say() -> None:
    found = summary(study(), [], replay(study(), [], []))

    assert (found.stops, found.steps, found.best, found.lost) == ((), 0, None, False)
