"""Studies that nobody means to have: the searcher neither breaks nor warns (warnings are errors)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.model import (
    Constraint,
    History,
    Objective,
    StudySpec,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.search import position_rng
from tunesmith.search.bayesian import Bayesian
from tunesmith.space import Categorical, Discrete, Double, Integer, Space
from tunesmith.testing.studies import spec_of

LINE = Space({"x": Double(0.0, 1.0)})
SQUARE = Space({"x": Double(0.0, 1.0), "y": Double(0.0, 1.0)})
ACQUISITIONS = ["ei", "pi", "ucb", "thompson"]


def _asked(
    spec: StudySpec,
    points: Iterable[dict[str, object]],
    metrics: Iterable[dict[str, float]],
    count: int = 3,
    acquisition: str = "ei",
) -> Sequence[Suggestion]:
    """Return what is suggested after trials with these metrics; a trial without any failed."""
    trials = [
        Trial(
            n,
            point,  # type: ignore[arg-type]
            TrialState.COMPLETED if measured else TrialState.FAILED,
            metrics=measured,
            revision=n,
        )
        for n, (point, measured) in enumerate(zip(points, metrics, strict=True), start=1)
    ]
    searcher = Bayesian(acquisition, start=2)
    asked = searcher.suggest(History(spec, trials), count, position_rng(0, len(trials)))
    assert all(spec.space.contains(s.values) for s in asked)
    return asked


def _spread(space: Space, n: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    return [dict(space.sample(rng)) for _ in range(n)]


@pytest.mark.parametrize("acquisition", ACQUISITIONS)
@pytest.mark.parametrize(
    "losses",
    [
        [0.0] * 12,
        [1e300] * 12,
        [1e300, -1e300] * 6,
        [1.7e308, -1.7e308, *[0.0] * 10],
        [5e-324] * 6 + [0.0] * 6,
        [1.0] * 11 + [1.0 + 2e-16],
        [1e-12 * k for k in range(12)],
        [1e15 + k for k in range(12)],
    ],
    ids=["zeros", "huge", "both signs", "greatest", "tiniest", "one ulp", "small", "large offset"],
)
def test_losses_of_every_size_give_suggestions(losses: list[float], acquisition: str) -> None:
    asked = _asked(
        spec_of(SQUARE), _spread(SQUARE, 12), ({"loss": v} for v in losses), acquisition=acquisition
    )

    assert len({SQUARE.key(s.values) for s in asked}) == 3
    for suggestion in asked:
        assert suggestion.origin == "model"
        assert suggestion.explanation is not None
        prediction = suggestion.explanation.predictions["loss"]
        assert np.isfinite(prediction.mean)
        assert np.isfinite(prediction.sd)
        assert suggestion.explanation.value is not None
        assert np.isfinite(suggestion.explanation.value)


@pytest.mark.parametrize("acquisition", ACQUISITIONS)
def test_one_point_measured_again_and_again_is_left_for_others(acquisition: str) -> None:
    points: list[dict[str, object]] = [{"x": 0.5, "y": 0.5}] * 20
    losses = [{"loss": float(k % 3)} for k in range(20)]

    asked = _asked(spec_of(SQUARE), points, losses, acquisition=acquisition)

    assert len({SQUARE.key(s.values) for s in asked}) == 3
    assert {"x": 0.5, "y": 0.5} not in [dict(s.values) for s in asked]


def test_points_that_all_but_coincide_can_be_modelled() -> None:
    points: list[dict[str, object]] = [{"x": 0.5 + 1e-9 * k} for k in range(15)]

    assert len(_asked(spec_of(LINE), points, ({"loss": float(k)} for k in range(15)))) == 3


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_after_a_few_trials_there_is_a_suggestion(n: int) -> None:
    points = _spread(SQUARE, n)

    assert len(_asked(spec_of(SQUARE), points, ({"loss": 1.0 * k} for k in range(n)), 5)) == 5


def test_sixty_dimensions_are_searched() -> None:
    space = Space({f"x{i}": Double(0.0, 1.0) for i in range(60)})
    points = _spread(space, 25)

    asked = _asked(spec_of(space), points, ({"loss": float(k)} for k in range(25)), 2)

    assert {s.origin for s in asked} == {"model"}


def test_a_parameter_with_one_value_is_carried_along() -> None:
    space = Space(
        {
            "x": Double(0.0, 1.0),
            "fixed": Double(3.0, 3.0),
            "only": Discrete([7]),
            "kind": Categorical(["sole"]),
            "n": Integer(4, 4),
        }
    )
    points = _spread(space, 8)

    asked = _asked(spec_of(space), points, ({"loss": float(p["x"])} for p in points))  # type: ignore[arg-type]

    assert len({s.values["x"] for s in asked}) == 3
    assert asked[0].values["n"] == 4


def test_a_space_of_one_point_has_nothing_after_it() -> None:
    space = Space({"only": Discrete([7])})

    assert [s.values for s in _asked(spec_of(space), [], [])] == [{"only": 7}]
    assert list(_asked(spec_of(space), [{"only": 7}], [{"loss": 1.0}])) == []


@pytest.mark.parametrize("acquisition", ACQUISITIONS)
def test_when_nearly_all_trials_failed_the_search_goes_on(acquisition: str) -> None:
    points = _spread(SQUARE, 40)
    losses = [{"loss": 1.0 * k} if k % 10 == 0 else {} for k in range(40)]

    asked = _asked(spec_of(SQUARE), points, losses, acquisition=acquisition)

    assert {s.origin for s in asked} == {"model"}
    assert all(s.explanation and s.explanation.feasible is not None for s in asked)


def test_when_all_trials_failed_points_go_on_filling_the_space() -> None:
    asked = _asked(spec_of(SQUARE), _spread(SQUARE, 30), [{}] * 30)

    assert {s.origin for s in asked} == {"sobol"}


@pytest.mark.parametrize("size", [-1e300, 0.0, 1e300, 1.7e308, 5e-324, np.nan, np.inf])
def test_a_constraint_of_any_size_gives_suggestions(size: float) -> None:
    spec = replace(spec_of(SQUARE), constraints=(Constraint("size", -1.0),))
    metrics = [{"loss": float(k), "size": size if k % 2 else 0.5} for k in range(14)]

    assert len(_asked(spec, _spread(SQUARE, 14), metrics)) == 3


def test_a_constraint_that_no_trial_measured_gives_suggestions() -> None:
    spec = replace(spec_of(SQUARE), constraints=(Constraint("size", 1.0),))

    assert len(_asked(spec, _spread(SQUARE, 9), ({"loss": float(k)} for k in range(9)))) == 3


@pytest.mark.parametrize("second", [0.0, 1e300, 1.7e308])
def test_a_second_objective_without_a_difference_gives_suggestions(second: float) -> None:
    goals = (Objective("loss", "minimize"), Objective("other", "maximize"))
    spec = replace(spec_of(SQUARE), objectives=goals)
    metrics = [{"loss": float(k), "other": second} for k in range(10)]

    asked = _asked(spec, _spread(SQUARE, 10), metrics)

    assert {s.origin for s in asked} == {"model"}


@pytest.mark.parametrize("error", [0.0, -1.0, 1e200, 1.7e308, np.nan, np.inf])
def test_standard_errors_of_any_size_give_suggestions(error: float) -> None:
    spec = replace(spec_of(SQUARE), objectives=(Objective("loss", "minimize", "se"),))
    metrics = [{"loss": float(k), "se": error if k % 2 else 0.1} for k in range(12)]

    assert len(_asked(spec, _spread(SQUARE, 12), metrics)) == 3
