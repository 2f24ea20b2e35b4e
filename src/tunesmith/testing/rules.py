"""What every stopping rule keeps, and studies to try rules on."""
# ruff: noqa: D102 - a test's name is its sentence

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import (
    Constraint,
    History,
    Measurement,
    Objective,
    StudySpec,
    Trial,
    TrialState,
    select_measurement,
)
from tunesmith.space import Double, Space
from tunesmith.stopping import StoppingRule

__all__ = [
    "ComparisonContract",
    "Curves",
    "RuleContract",
    "histories",
    "history_of",
    "said",
    "study",
]

Steps = Sequence[float] | Mapping[int, float] | Mapping[int, Mapping[str, float]]
"""What a trial measured: losses from step 1 on, or losses or metrics by step, in the order they came."""

Curves = Sequence[Steps]

LENGTH = 12


def study(
    goal: str = "minimize", *, max_steps: int | None = LENGTH, metrics: Sequence[str] = ("loss",)
) -> StudySpec:
    """Return a study with one parameter, whose metrics all have the same goal."""
    objectives = tuple(
        Objective(m, "maximize" if goal == "maximize" else "minimize") for m in metrics
    )
    return StudySpec(Space({"x": Double(0.0, 1.0)}), objectives, max_steps=max_steps)


def history_of(spec: StudySpec, *curves: Steps, running: Iterable[int] = ()) -> History:
    """Return a study in which trial n measured the n-th curve, and those not ``running`` are completed.

    They measured one after another, each of them a step per report.
    """
    history = History(spec)
    open_trials, revision = set(running), 0
    for number, curve in enumerate(curves, start=1):
        history.update([_running(number)])
        for measurement in _measured(curve, spec):
            revision += 1
            history.measure(number, 1, replace(measurement, revision=revision))
        if number not in open_trials:
            revision += 1
            history.update([_completed(number, history, revision)])
    return history


def histories(
    spec: StudySpec, curves: Curves, *, together: int = 4
) -> Iterable[tuple[int, History]]:
    """Yield a study after each report, with the trial that made it.

    Trials run ``together``, step by step in turn, and complete whatever anybody says of them. What is
    yielded is one history that grows.
    """
    history = History(spec)
    waiting = list(enumerate(curves, start=1))
    lanes: list[tuple[int, list[Measurement]]] = []
    revision = 0
    while waiting or lanes:
        while waiting and len(lanes) < together:
            number, curve = waiting.pop(0)
            history.update([_running(number)])
            lanes.append((number, _measured(curve, spec)))
        for number, left in list(lanes):
            revision += 1
            if left:
                history.measure(number, 1, replace(left.pop(0), revision=revision))
                yield number, history
            else:
                history.update([_completed(number, history, revision)])
                lanes.remove((number, left))


def said(
    rule: StoppingRule, spec: StudySpec, curves: Curves, *, together: int = 4
) -> list[tuple[int, int, str | None]]:
    """Return for each report of such a study the trial, how far it had come, and what the rule says."""
    return [
        (number, history.curve(number).reach, _ask(rule, number, history))
        for number, history in histories(spec, curves, together=together)
    ]


def _ask(rule: StoppingRule, number: int, history: History) -> str | None:
    return rule.stop_reason(history.trials[number - 1], history)


def _running(number: int) -> Trial:
    return Trial(number, {"x": 0.5}, TrialState.RUNNING, 1)


def _completed(number: int, history: History, revision: int) -> Trial:
    trial = history.trials[number - 1]
    chosen = select_measurement(history.curve(number).measurements, history.spec)
    metrics = {} if chosen is None else dict(chosen.metrics)
    return replace(trial, state=TrialState.COMPLETED, metrics=metrics, revision=revision)


def _measured(curve: Steps, spec: StudySpec) -> list[Measurement]:
    pairs = curve.items() if isinstance(curve, Mapping) else enumerate(curve, start=1)
    metric = spec.objective.metric
    return [
        Measurement(
            step, dict(value) if isinstance(value, Mapping) else {metric: value}, float(step)
        )
        for step, value in pairs
    ]


def _falling(seed: int, count: int = 9, length: int = LENGTH) -> list[list[float]]:
    """Return noisy learning curves, some much better than others, that cross in places."""
    rng = np.random.default_rng(seed)
    t = np.arange(1.0, length + 1)
    curves = []
    for _ in range(count):
        end, fall, power = rng.uniform(0.1, 2.0), rng.uniform(0.2, 2.0), rng.uniform(0.3, 2.0)
        curves.append((end + fall * t**-power + rng.normal(0.0, 0.02, length)).tolist())
    return curves


_STRANGE = [math.nan, math.inf, -math.inf, 1e300, -1e300, 1e308, -1e308, 0.0, -0.0, 5e-324, 1.0]

CURVES: dict[str, Curves] = {
    "falling": _falling(0),
    "falling otherwise": _falling(1),
    "flat": [[0.1 + 0.2 * (n % 3)] * LENGTH for n in range(9)],
    "equal": [[0.7] * LENGTH for _ in range(9)],
    "zero": [[0.0] * LENGTH for _ in range(6)],
    "rising": [[n + 0.1 * step for step in range(LENGTH)] for n in range(9)],
    "below zero": [[loss - 5.0 for loss in curve] for curve in _falling(2)],
    "of different lengths": [curve[: 2 + n] for n, curve in enumerate(_falling(3))],
    "with gaps": [dict(zip(range(0, 60, 5), curve, strict=True)) for curve in _falling(4)],
    "with diverging ones": [
        curve if n % 3 else [*curve[:4], *[math.nan] * 8] for n, curve in enumerate(_falling(5))
    ],
}

STRANGE: dict[str, Curves] = {
    "no numbers": [[math.nan] * 8 for _ in range(6)],
    "infinite": [[math.inf, -math.inf] * 4 for _ in range(6)],
    "all sorts": [
        [_STRANGE[(n * step + n) % len(_STRANGE)] for step in range(1, 13)] for n in range(1, 12)
    ],
    "huge": [[(-1.0) ** n * 1e300 * step for step in range(1, 13)] for n in range(6)],
    "tiny": [[n * 5e-324] * 8 for n in range(8)],
    "steps out of order": [
        {step: 1.0 + n / step for step in (5, 1, 9, 3, 2, 12, 7)} for n in range(8)
    ],
    "one step, far away": [{10**6: float(n)} for n in range(8)],
    "another metric": [{step: {"other": 1.0 / step} for step in range(1, 8)} for _ in range(6)],
    "a metric now and then": [
        {step: {"loss": n / step} if step % 3 == 0 else {"other": 1.0} for step in range(1, 13)}
        for n in range(8)
    ],
    "nothing in some": [[] if n % 2 else [float(n), 1.0, 0.5] for n in range(8)],
}


def _each(studies: Mapping[str, Curves]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "curves", [pytest.param(curves, id=name) for name, curves in studies.items()]
    )


each_study = _each(CURVES)
every_study = _each(CURVES | STRANGE)

NewRule = Callable[[], StoppingRule]


class RuleContract:
    """Give the fixture ``new_rule``: a function that makes a rule.

    A rule with bounds on values as they are can't be turned to maximize what it minimizes; give it without.
    """

    def test_it_serves_a_study_of_one_objective(self, new_rule: NewRule) -> None:
        new_rule().check(study())
        new_rule().check(study("maximize"))

    def test_it_says_nothing_before_anything_is_measured(self, new_rule: NewRule) -> None:
        alone = history_of(study(), [], running=[1])
        among_others = history_of(study(), *_falling(0), [], running=[10])

        assert _ask(new_rule(), 1, alone) is None
        assert _ask(new_rule(), 10, among_others) is None

    @every_study
    def test_the_same_question_has_the_same_answer(self, new_rule: NewRule, curves: Curves) -> None:
        rule = new_rule()

        for number, history in histories(study(), curves):
            assert _ask(rule, number, history) == _ask(rule, number, history)

    @every_study
    def test_what_a_rule_remembers_changes_no_answer(
        self, new_rule: NewRule, curves: Curves
    ) -> None:
        veteran = new_rule()
        said(veteran, study(), _falling(6))

        assert said(veteran, study(), curves) == said(new_rule(), study(), curves)

    @every_study
    def test_the_history_is_left_as_it_was(self, new_rule: NewRule, curves: Curves) -> None:
        rule = new_rule()

        for number, history in histories(study(), curves):
            trials = list(history.trials)
            before = [repr(history.curve(t.number).measurements) for t in trials]
            _ask(rule, number, history)

            assert list(history.trials) == trials
            assert [repr(history.curve(t.number).measurements) for t in trials] == before

    @every_study
    def test_a_reason_is_one_line_that_says_something(
        self, new_rule: NewRule, curves: Curves
    ) -> None:
        reasons = [reason for *_, reason in said(new_rule(), study(), curves) if reason is not None]

        assert all(len(reason) > 10 and len(reason.splitlines()) == 1 for reason in reasons)

    @every_study
    def test_to_maximize_the_negative_is_to_minimize(
        self, new_rule: NewRule, curves: Curves
    ) -> None:
        turned = [_negative(curve) for curve in curves]

        minimized = said(new_rule(), study(), curves)
        maximized = said(new_rule(), study("maximize"), turned)

        assert [reason is None for *_, reason in minimized] == [
            reason is None for *_, reason in maximized
        ]

    @each_study
    def test_trials_in_every_state_are_taken_as_they_come(
        self, new_rule: NewRule, curves: Curves
    ) -> None:
        rule = new_rule()
        for number, history in histories(study(), curves):
            changed = [
                replace(t, state=list(TrialState)[t.number % len(TrialState)], metrics={})
                for t in history.trials
                if t.number != number
            ]
            told = History(study(), history.trials)
            told.update(changed)
            for t in history.trials:
                for m in history.curve(t.number).measurements:
                    told.measure(t.number, 1, m)

            reason = _ask(rule, number, told)

            assert reason is None or isinstance(reason, str)

    def test_measurements_of_a_later_attempt_replace_those_before(self, new_rule: NewRule) -> None:
        spec = study()
        again = history_of(spec, *_falling(0), [9.0, 9.0, 9.0, 9.0], running=[10])
        for step, loss in enumerate([0.5, 0.4, 0.3], start=1):
            again.measure(10, 2, Measurement(step, {"loss": loss}, float(step), 1000 + step))
        at_once = history_of(spec, *_falling(0), [0.5, 0.4, 0.3], running=[10])

        assert _ask(new_rule(), 10, again) == _ask(new_rule(), 10, at_once)

    def test_several_objectives_and_constraints_are_judged_or_refused(
        self, new_rule: NewRule
    ) -> None:
        rule = new_rule()
        spec = replace(study(metrics=("loss", "size")), constraints=(Constraint("time", 1.0),))
        curves = [
            {
                step: {"loss": loss, "size": (7 * loss) % 1, "time": (3 * loss) % 2}
                for step, loss in enumerate(curve, start=1)
            }
            for curve in _falling(7)
        ]

        if refusal := _refusal(rule, spec):
            assert len(refusal) > 40, "it says what would help"
            return

        for *_, reason in said(rule, spec, curves):
            assert reason is None or reason


class ComparisonContract(RuleContract):
    """Likewise, for a rule that holds trials against others."""

    @every_study
    def test_a_trial_alone_is_held_against_nobody(self, new_rule: NewRule, curves: Curves) -> None:
        for curve in curves:
            assert all(reason is None for *_, reason in said(new_rule(), study(), [curve]))

    @each_study
    def test_what_is_best_at_every_step_goes_on(self, new_rule: NewRule, curves: Curves) -> None:
        lowest = min(x for c in curves for x in _values(c) if math.isfinite(x))
        best = [lowest - 1.0 + 0.5 / step for step in range(1, LENGTH + 1)]

        for place in (0, 3, len(curves)):
            answers = said(new_rule(), study(), [*curves[:place], best, *curves[place:]])

            assert all(reason is None for number, _, reason in answers if number == place + 1)

    @each_study
    def test_numbers_of_trials_decide_nothing(self, new_rule: NewRule, curves: Curves) -> None:
        spec, whole = study(), list(curves)
        judged = dict(list(_pairs(whole[-1]))[: len(whole[-1]) // 2 + 1])
        forth = history_of(spec, *whole[:-1], judged, running=[len(whole)])
        back = history_of(spec, *whole[-2::-1], judged, running=[len(whole)])

        one, other = (_ask(new_rule(), len(whole), history) for history in (forth, back))

        assert (one is None) == (other is None)


def _refusal(rule: StoppingRule, spec: StudySpec) -> str:
    try:
        rule.check(spec)
    except SpecError as error:
        return str(error)
    return ""


def _pairs(curve: Steps) -> Iterable[tuple[int, float]]:
    pairs = curve.items() if isinstance(curve, Mapping) else enumerate(curve, start=1)
    return ((step, value) for step, value in pairs if not isinstance(value, Mapping))


def _values(curve: Steps) -> list[float]:
    return [value for _, value in _pairs(curve)]


def _negative(curve: Steps) -> Mapping[int, Mapping[str, float]]:
    pairs = curve.items() if isinstance(curve, Mapping) else enumerate(curve, start=1)
    return {
        step: {k: -v for k, v in value.items()} if isinstance(value, Mapping) else {"loss": -value}
        for step, value in pairs
    }
