from collections.abc import Callable, Mapping

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import (
    Algorithm,
    History,
    Objective,
    Setting,
    StudySpec,
    Trial,
    TrialState,
)
from tunesmith.search import make_searcher, position_rng
from tunesmith.search.evolution import Evolution
from tunesmith.space import Categorical, Double, Integer, Space, Value

Losses = Callable[[Mapping[str, Value]], dict[str, float]]

CELLS = Space({f"op{i}": Categorical(["skip", "conv", "pool", "zero"]) for i in range(12)})
MIXED = Space(
    {
        "kind": Categorical(["a", "b"]),
        "n": Integer(1, 9),
        "x": Double(0.0, 1.0),
        "deep": Integer(1, 50, when={"kind": ["b"]}),
        "fixed": Integer(4, 4),
    }
)


def run(searcher: Evolution, spec: StudySpec, losses: Losses, trials: int) -> list[Trial]:
    history = History(spec)
    for number in range(1, trials + 1):
        (point,) = searcher.suggest(history, 1, position_rng(spec.seed, number - 1))
        history.update(
            [
                Trial(
                    number,
                    point.values,
                    TrialState.COMPLETED,
                    origin=point.origin,
                    metrics=losses(point.values),
                    revision=number,
                )
            ]
        )
    return list(history.trials)


def wrong_operations(values: Mapping[str, Value]) -> dict[str, float]:
    wanted = ["conv", "pool", "conv", "skip"] * 3
    return {"loss": float(sum(v != w for v, w in zip(values.values(), wanted, strict=True)))}


def test_it_finds_its_way_through_many_choices() -> None:
    spec = StudySpec(CELLS, (Objective("loss", "minimize"),))

    trials = run(Evolution(), spec, wrong_operations, 300)

    assert min(t.metrics["loss"] for t in trials) <= 1
    assert min(t.metrics["loss"] for t in trials[:20]) >= 4


def test_the_population_comes_from_a_sobol_sequence_and_then_bears_children() -> None:
    spec = StudySpec(CELLS, (Objective("loss", "minimize"),))

    trials = run(Evolution(population=6, tournament=3), spec, wrong_operations, 10)

    assert [t.origin for t in trials] == ["sobol"] * 6 + ["evolution"] * 4


def test_a_child_differs_from_a_trial_of_the_population_in_one_parameter() -> None:
    spec = StudySpec(MIXED, (Objective("loss", "minimize"),))
    size = 8

    trials = run(
        Evolution(population=size, tournament=2, mutations=0.01),
        spec,
        lambda values: {"loss": float(values["x"])},
        60,
    )

    for n in range(size, len(trials)):
        child = trials[n].values
        changes = [
            {name for name in MIXED if parent.values.get(name) != child.get(name)}
            for parent in trials[n - size : n]
        ]
        # With another kind, the parameter that belongs to it comes or goes. Some are born twice.
        assert any(len(change) <= 1 or change == {"kind", "deep"} for change in changes)
        assert MIXED.contains(child)


def test_the_oldest_leave_the_population_however_good_they_are() -> None:
    space = Space({"x": Double(0.0, 1.0)})
    spec = StudySpec(space, (Objective("loss", "minimize"),))
    history = History(spec)
    places = [0.9, *[0.1] * 4]
    history.update(
        Trial(n, {"x": x}, TrialState.COMPLETED, metrics={"loss": -x}, revision=n)
        for n, x in enumerate(places, start=1)
    )

    def mean_of_children(population: int) -> float:
        searcher = Evolution(population=population, tournament=population)
        points = searcher.suggest(history, 200, position_rng(0, 5))
        return float(np.mean([float(p.values["x"]) for p in points]))

    assert mean_of_children(5) > 0.6
    assert mean_of_children(4) < 0.4


def test_with_two_objectives_the_children_spread_along_the_front() -> None:
    space = Space({"x": Double(0.0, 1.0), "y": Double(0.0, 1.0)})
    goals = (Objective("a", "minimize"), Objective("b", "minimize"))

    def losses(values: Mapping[str, Value]) -> dict[str, float]:
        x, y = float(values["x"]), float(values["y"])
        return {"a": x**2 + y, "b": (1 - x) ** 2 + y}

    trials = run(Evolution(), StudySpec(space, goals), losses, 200)

    near = [float(t.values["x"]) for t in trials if float(t.values["y"]) < 0.02]
    assert all(any(abs(x - place) < 0.15 for x in near) for place in (0.1, 0.5, 0.9))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"population": 1}, "'population' is a whole number from 2; given 1"),
        ({"tournament": 0}, "'tournament' is a whole number from 1; given 0"),
        ({"mutations": 0}, "'mutations' is a number above 0; given 0"),
        ({"mutations": float("inf")}, "'mutations' is a number above 0; given inf"),
        ({"population": 4, "tournament": 5}, "tournament of 5 is drawn from a population of 4"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, Setting], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        make_searcher(Algorithm("evolution", settings))
