from collections.abc import Callable, Mapping

import numpy as np
import pytest

from tunesmith.errors import MetricError, NotFoundError, SpecError
from tunesmith.model import Constraint, History, Objective, StudySpec, Trial, TrialState
from tunesmith.search.importance import Analysis, analyse
from tunesmith.space import Categorical, Discrete, Double, Space, Value

Metrics = Mapping[str, float]

_LOSS = Objective("loss", "minimize")
_SQUARE = Space({"a": Double(0.0, 1.0), "b": Double(0.0, 1.0), "c": Double(0.0, 1.0)})


def _history(
    measure: Callable[[Mapping[str, Value]], Metrics | None],
    space: Space = _SQUARE,
    n: int = 60,
    objective: Objective = _LOSS,
    **settings: object,
) -> History:
    """A study of random trials; those that measure None have failed."""
    spec = StudySpec(space=space, objectives=(objective,), seed=1, **settings)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    trials = []
    for number in range(1, n + 1):
        values = space.sample(rng)
        metrics = measure(values)
        state = TrialState.FAILED if metrics is None else TrialState.COMPLETED
        trials.append(Trial(number, values, state, metrics=metrics or {}))
    return History(spec, trials)


def _number(value: Value) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _sum(values: Mapping[str, Value]) -> Metrics:
    return {"loss": 2.0 * _number(values["a"]) + _number(values["b"])}


def _totals(analysis: Analysis) -> np.ndarray:
    assert analysis.parts is not None
    return np.asarray(analysis.parts.total.mean(0))


def test_a_sum_is_found_within_two_percent() -> None:
    analysis = analyse(_history(_sum))

    assert analysis.explained > 0.99
    assert analysis.parts is not None
    np.testing.assert_allclose(_totals(analysis), [0.8, 0.2, 0.0], atol=0.02)
    np.testing.assert_allclose(analysis.parts.main.mean(0), [0.8, 0.2, 0.0], atol=0.02)


def test_categories_and_conditions_have_the_shares_worked_by_hand() -> None:
    # As in test_sensitivity: m where the choice is a, else 0.
    space = Space(
        {"choice": Categorical(["a", "b"]), "m": Double(0.0, 1.0, when={"choice": ["a"]})}
    )

    analysis = analyse(_history(lambda v: {"loss": _number(v.get("m", 0.0))}, space))

    assert analysis.parts is not None
    np.testing.assert_allclose(_totals(analysis), [0.8, 0.4], atol=0.04)
    np.testing.assert_allclose(analysis.parts.main.mean(0), [0.6, 0.2], atol=0.04)
    np.testing.assert_allclose(analysis.parts.pairs[0, 1].mean(), 0.2, atol=0.04)
    np.testing.assert_allclose(analysis.active, [1.0, 0.5], atol=0.05)


def test_a_list_counts_by_its_values_and_not_by_their_size() -> None:
    space = Space({"units": Discrete([1, 2, 1000]), "x": Double(0.0, 1.0)})

    def measure(values: Mapping[str, Value]) -> Metrics:
        return {"loss": (values["units"] == 2) + _number(values["x"])}

    analysis = analyse(_history(measure, space, n=80))

    whole = 2 / 9 + 1 / 12
    np.testing.assert_allclose(_totals(analysis), [2 / 9 / whole, 1 / 12 / whole], atol=0.04)


def test_the_curve_of_a_list_stands_at_the_places_of_its_values() -> None:
    space = Space({"units": Discrete([1, 2, 1000], scale="log"), "x": Double(0.0, 1.0)})

    analysis = analyse(_history(lambda v: {"loss": float(v["units"] != 2)}, space, n=80))

    assert analysis.parts is not None
    best = int(analysis.parts.curves[0].mean(0).argmin())
    assert space["units"].from_unit(float(analysis.grids[0][best])) == 2


def test_what_is_maximized_is_as_important_as_what_is_minimized() -> None:
    history = _history(
        lambda v: {"gain": -_sum(v)["loss"]}, objective=Objective("gain", "maximize")
    )

    analysis = analyse(history)

    np.testing.assert_array_equal(_totals(analysis), _totals(analyse(_history(_sum))))


def test_any_metric_may_be_asked_for_and_only_its_trials_count() -> None:
    def measure(values: Mapping[str, Value]) -> Metrics | None:
        if _number(values["a"]) < 0.1:
            return None
        size = {"size": _number(values["c"])} if _number(values["b"]) > 0.2 else {}
        return {**_sum(values), **size, "steps": float("nan")}

    history = _history(measure, constraints=(Constraint("size", 0.5),))

    analysis = analyse(history, "size")

    assert analysis.trials + analysis.left_out == 60
    assert analysis.left_out > 5
    assert analysis.wanted
    np.testing.assert_allclose(_totals(analysis), [0.0, 0.0, 1.0], atol=0.02)


def test_noise_is_not_explained_and_its_paths_do_not_agree() -> None:
    rng = np.random.default_rng(3)

    analysis = analyse(_history(lambda _: {"loss": rng.normal()}))

    assert analysis.explained < 0.2


def test_known_standard_errors_keep_noise_from_being_taken_for_an_effect() -> None:
    rng = np.random.default_rng(3)

    def measure(values: Mapping[str, Value]) -> Metrics:
        return {"loss": _number(values["a"]) + rng.normal(), "se": 1.0}

    analysis = analyse(_history(measure, objective=Objective("loss", "minimize", "se")))

    assert _totals(analysis)[0] > 0.5


def test_among_the_better_part_another_parameter_may_matter() -> None:
    def measure(values: Mapping[str, Value]) -> Metrics:
        broken = 1e6 * (_number(values["a"]) > 0.5)
        return {"loss": broken + _number(values["b"])}

    history = _history(measure, n=80)

    assert _totals(analyse(history))[0] > 0.9
    # The better quarter lies where a is below a half and b too: both decide whether one is there.
    a, b, c = _totals(analyse(history, share=0.25))
    assert min(a, b) > 0.3
    assert c < 0.1


def test_a_few_values_far_off_are_noticed() -> None:
    def measure(values: Mapping[str, Value]) -> Metrics:
        return {"loss": 1e9 if _number(values["a"]) > 0.95 else _number(values["b"])}

    assert analyse(_history(measure)).extreme > 0.99
    assert analyse(_history(_sum)).extreme < 0.5


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_unit_of_a_metric_does_not_matter(scale: float) -> None:
    def measure(values: Mapping[str, Value]) -> Metrics:
        return {"loss": scale * _sum(values)["loss"]}

    for share in (None, 0.5):
        scaled, plain = (analyse(_history(m), share=share) for m in (measure, _sum))
        np.testing.assert_allclose(_totals(scaled), _totals(plain), atol=0.01)


def test_the_same_trials_always_say_the_same() -> None:
    first, second = (_totals(analyse(_history(_sum, n=20))) for _ in range(2))

    np.testing.assert_array_equal(first, second)


def test_trials_that_all_measured_the_same_tell_nothing() -> None:
    analysis = analyse(_history(lambda _: {"loss": 4.0}))

    assert analysis.parts is None
    assert analysis.explained == 0.0


def test_too_few_trials_are_refused_with_how_many_are_needed() -> None:
    with pytest.raises(NotFoundError, match="from 8 trials with a value of 'loss' on; 7 trials"):
        analyse(_history(_sum, n=7))
    with pytest.raises(NotFoundError, match="no trials have one"):
        analyse(_history(lambda _: None))


def test_a_metric_that_nobody_measured_is_refused_with_those_there_are() -> None:
    with pytest.raises(MetricError, match=r"No trial measured 'los'\. Measured were: loss\."):
        analyse(_history(_sum), "los")


def test_the_better_part_needs_a_direction_and_a_share() -> None:
    history = _history(lambda v: {**_sum(v), "size": 1.0})

    with pytest.raises(MetricError, match="Nobody says which values of 'size' are better"):
        analyse(history, "size", 0.5)
    for share in (0.0, 1.0, 25.0):
        with pytest.raises(SpecError, match=r"between 0 and 1, such as 0\.25"):
            analyse(history, share=share)
