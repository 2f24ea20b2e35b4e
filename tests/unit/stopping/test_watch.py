import math

import pytest

from tunesmith.errors import SpecError
from tunesmith.model import By, Curve, Measurement, Objective
from tunesmith.stopping.watch import Watch, check_number, news, objective_named, place
from tunesmith.testing.rules import history_of, study

LOSS = Objective("loss", "minimize")


def judged(watch: Watch, steps: list[int]) -> list[int]:
    """Return at which of these steps a trial is judged that reports one after another."""
    found = []
    for n in range(1, len(steps) + 1):
        history = history_of(study(), dict.fromkeys(steps[:n], 1.0), running=[1])
        if watch.series(history.trials[0], history) is not None:
            found.append(steps[n - 1])
    return found


def test_a_trial_is_first_judged_at_min_steps_and_then_at_every_so_many() -> None:
    watch = Watch("rule", min_steps=4, every=3)

    assert judged(watch, list(range(1, 15))) == [4, 7, 10, 13]


def test_a_program_that_measures_seldom_is_judged_at_the_next_measurement() -> None:
    watch = Watch("rule", min_steps=4, every=3)

    assert judged(watch, [1, 5, 6, 9, 20, 21, 22]) == [5, 9, 20, 22]


def test_a_program_that_counts_from_zero_has_done_one_step_at_step_zero() -> None:
    assert judged(Watch("rule", min_steps=3), [0, 1, 2, 3]) == [2, 3]


def test_a_late_measurement_of_an_earlier_step_brings_the_trial_nowhere() -> None:
    assert judged(Watch("rule"), [1, 2, 5, 3, 4, 6]) == [1, 2, 5, 6]


def test_a_report_of_many_steps_passes_no_place_unseen() -> None:
    curve = Curve([(1, Measurement(step, {"loss": 1.0}, revision=1)) for step in (1, 2)])
    for step in (3, 4, 5):
        curve.add(1, Measurement(step, {"loss": 1.0}, revision=2))

    assert news(curve, LOSS, "step") == (2.0, 5.0)


def test_a_report_without_the_metric_is_no_news() -> None:
    curve = Curve([(1, Measurement(1, {"loss": 1.0}, revision=1))])
    curve.add(1, Measurement(2, {"accuracy": 0.5}, revision=2))

    assert news(curve, LOSS, "step") == (1.0, 1.0)


@pytest.mark.parametrize(
    ("by", "reach", "said"),
    [("step", 3.0, "at step 3"), ("elapsed", 12.5, "after 12.5 s")],
)
def test_places_are_told_as_steps_or_seconds(by: By, reach: float, said: str) -> None:
    assert place(Curve(), reach, by) == said


def test_places_are_told_in_the_programs_own_count() -> None:
    from_zero = Curve([(1, Measurement(0, {"loss": 1.0})), (1, Measurement(1, {"loss": 1.0}))])

    assert place(from_zero, from_zero.reach, "step") == "at step 1"


def test_the_only_objective_need_not_be_named() -> None:
    assert objective_named("rule", "", study()).metric == "loss"


def test_of_several_objectives_one_has_to_be_named() -> None:
    several = study(metrics=("loss", "size"))

    assert objective_named("rule", "size", several).metric == "size"
    with pytest.raises(SpecError, match=r"2 objectives\. Say by which: metric=loss or metric=size"):
        objective_named("rule", "", several)


def test_a_metric_that_is_no_objective_is_refused() -> None:
    with pytest.raises(SpecError, match=r"objective of the study \(loss\); given 'los'"):
        objective_named("rule", "los", study())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"by": "epoch"}, "'by' is one of step, elapsed; given 'epoch'"),
        ({"min_steps": -1}, "'min_steps' is a finite number from 0; given -1"),
        ({"every": 0}, "'every' is a number above 0; given 0"),
        ({"metric": 3}, "'metric' is a metric's name; given 3"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=f"rule's setting {said}"):
        Watch("rule", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "1", None, -0.5, 2.5])
def test_a_number_is_finite_and_in_its_range(value: object) -> None:
    with pytest.raises(SpecError, match="is a finite number from 0 up to 2; given"):
        check_number("rule", "share", value, low=0, high=2)
