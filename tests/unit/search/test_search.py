import subprocess
import sys
from itertools import islice

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import Algorithm, History, Setting, StudySpec, Suggestion
from tunesmith.search import Searcher, make_searcher, position_rng
from tunesmith.search.fresh import fresh_points
from tunesmith.search.grid import Grid
from tunesmith.space import Categorical, Discrete, Double, Integer, Space
from tunesmith.testing.studies import ended, spec_of

LARGE = Space({"n": Integer(1, 25_000)})


# Prints for the points of the start, and then for one of the model, what of the heavy is loaded.
PROGRAM = """
import sys
from tunesmith.model import Algorithm, History
from tunesmith.search import make_searcher, position_rng
from tunesmith.space import Categorical, Double, Prior, Space
from tunesmith.testing.studies import ended, spec_of

space = Space({{"x": Double(0.0, 1.0, prior=Prior(0.3)), "kind": Categorical(["a", "b"])}})
history = History(spec_of(space))
searcher = make_searcher(Algorithm({algorithm!r}))
for count in (4, 1):
    points = searcher.suggest(history, count, position_rng(0, len(history.trials)))
    loaded = {{"scipy", "threadpoolctl"}} & set(sys.modules)
    print(sorted({{point.origin for point in points}}), sorted(loaded))
    history.update(ended(history, points))
"""


def suggest(searcher: Searcher, history: History, count: int) -> list[Suggestion]:
    return list(searcher.suggest(history, count, position_rng(0, len(history.trials))))


def tried(spec: StudySpec, *values: int) -> History:
    history = History(spec)
    history.update(ended(history, [Suggestion({"n": v}) for v in values]))
    return history


def test_an_unknown_searcher_is_answered_with_those_there_are() -> None:
    with pytest.raises(SpecError, match=r"no algorithm 'annealing'.*grid, halton, random, sobol"):
        make_searcher(Algorithm("annealing"))


def test_an_unknown_setting_is_answered_with_those_there_are() -> None:
    with pytest.raises(SpecError, match=r"'grid' has these settings: points; given: depth"):
        make_searcher(Algorithm("grid", {"depth": 3}))


def test_a_searcher_without_settings_says_so() -> None:
    with pytest.raises(SpecError, match="'sobol' has these settings: none"):
        make_searcher(Algorithm("sobol", {"depth": 3}))


@pytest.mark.parametrize("name", ["default", "bayesian", "tpe", "random"])
def test_points_may_be_repeated_is_said_by_a_truth_value(name: str) -> None:
    with pytest.raises(SpecError, match=f"{name}'s setting 'repeat' is true or false; given 'x'"):
        make_searcher(Algorithm(name, {"repeat": "x"}))


@pytest.mark.parametrize("name", ["default", "bayesian", "tpe", "random"])
def test_a_searcher_that_may_repeat_points_comes_to_no_end(name: str) -> None:
    spec = spec_of(Space({"n": Integer(1, 3)}))
    history, searcher = History(spec), make_searcher(Algorithm(name, {"repeat": True}))

    while len(history.trials) < 20:
        history.update(ended(history, suggest(searcher, history, 1)))

    assert history.distinct == 3


@pytest.mark.parametrize("algorithm", ["default", "bayesian"])
def test_scipy_is_loaded_only_when_a_model_is_asked(algorithm: str) -> None:
    program = PROGRAM.format(algorithm=algorithm)

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    by_design, by_model = done.stdout.splitlines()
    assert by_design == "['prior draw', 'sobol'] []"
    assert by_model == "['model'] ['scipy', 'threadpoolctl']"


def test_generators_belong_to_seed_and_position() -> None:
    draws = {
        (seed, position): float(position_rng(seed, position).random())
        for seed in range(5)
        for position in range(5)
    }

    assert len(set(draws.values())) == 25
    assert draws[3, 4] == float(position_rng(3, 4).random())


# Grid


def test_the_grid_goes_through_a_space_as_it_is_written() -> None:
    space = Space({"a": Discrete([1, 2]), "b": Categorical(["x", "y"])})

    points = suggest(Grid(), History(spec_of(space)), 9)

    assert [tuple(p.values.values()) for p in points] == [
        (1, "x"),
        (1, "y"),
        (2, "x"),
        (2, "y"),
    ]


def test_the_grid_needs_points_for_a_continuous_parameter() -> None:
    spec = spec_of(Space({"lr": Double(0.0, 1.0)}))

    with pytest.raises(SpecError, match=r"'lr' is continuous.*points: 5"):
        Grid().check(spec)
    Grid(points=3).check(spec)


def test_the_grid_cuts_a_double_evenly_on_its_scale() -> None:
    space = Space({"lr": Double(1e-4, 1.0, scale="log"), "x": Double(0.0, 1.0)})

    points = suggest(Grid(points=3), History(spec_of(space)), 99)

    assert len(points) == 9
    assert [p.values["lr"] for p in points[::3]] == pytest.approx([1e-4, 1e-2, 1.0])
    assert [p.values["x"] for p in points[:3]] == [0.0, 0.5, 1.0]
    assert all(space.contains(p.values) for p in points)


@pytest.mark.parametrize("points", [0, 1, -2, 2.5, True, "5"])
def test_the_grid_takes_a_whole_number_of_points_from_two(points: Setting) -> None:
    with pytest.raises(SpecError, match="whole number from 2"):
        make_searcher(Algorithm("grid", {"points": points}))


def test_grid_points_that_others_took_meanwhile_are_passed_over() -> None:
    history, grid = tried(spec_of(Space({"n": Integer(1, 6)}))), Grid()
    refused = suggest(grid, history, 3)

    # Another process added 2 and 5 first, so that none of the three became a trial.
    history.update(ended(history, [Suggestion({"n": 2}), Suggestion({"n": 5})]))
    rest = suggest(grid, history, 9)

    assert [p.values["n"] for p in refused] == [1, 2, 3]
    assert [p.values["n"] for p in rest] == [1, 3, 4, 6]


def test_a_grid_that_gave_more_than_was_taken_gives_the_rest_in_order() -> None:
    history, grid = tried(spec_of(Space({"n": Integer(1, 6)}))), Grid()

    suggest(grid, history, 4)

    assert [p.values["n"] for p in suggest(grid, history, 1)] == [1]
    assert [p.values["n"] for p in suggest(grid, history, 6)] == [1, 2, 3, 4, 5, 6]


# Fresh points


def test_proposals_that_were_tried_are_passed_over() -> None:
    history = tried(spec_of(Space({"n": Integer(1, 5)})), 2, 4)

    points = fresh_points(history, lambda i: {"n": i % 5 + 1}, np.random.default_rng(0))

    assert [p["n"] for p in points] == [1, 3, 5]


def test_a_searcher_that_has_settled_is_given_the_rest_of_a_small_space_at_random() -> None:
    history = tried(spec_of(Space({"n": Integer(1, 50)})), 7)

    points = fresh_points(history, lambda _: {"n": 7}, np.random.default_rng(0))
    found = [p["n"] for p in points]

    assert sorted(found, key=int) == [n for n in range(1, 51) if n != 7]
    assert found != sorted(found, key=int)


def test_a_searcher_that_has_settled_is_given_the_rest_of_a_large_space_in_order() -> None:
    history = tried(spec_of(LARGE), 1, 3)

    points = fresh_points(history, lambda _: {"n": 3}, np.random.default_rng(0))

    assert [p["n"] for p in islice(points, 3)] == [2, 4, 5]


@pytest.mark.parametrize("name", ["random", "sobol", "halton", "grid", "tpe", "cmaes", "evolution"])
def test_the_last_point_of_a_large_space_is_found(name: str) -> None:
    spec = spec_of(LARGE)
    history = tried(spec, *(n for n in range(1, 25_001) if n != 17_017))
    searcher = make_searcher(Algorithm(name))

    (last,) = suggest(searcher, history, 5)
    history.update(ended(history, [last]))

    assert last.values == {"n": 17_017}
    assert suggest(searcher, history, 1) == []


def test_a_space_with_a_continuous_parameter_never_ends() -> None:
    history = History(spec_of(Space({"x": Double(0.0, 1.0)})))

    points = fresh_points(history, lambda _: {"x": 0.5}, np.random.default_rng(0))

    assert len(list(islice(points, 500))) == 500
