import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.search.bayesian.cube import Array, Cube, Mask, keys_of
from tunesmith.search.bayesian.maximize import Maximizer, Score, Slopes
from tunesmith.space import Categorical, Discrete, Double, Integer, Space, Value

MIXED = Space(
    {
        "x": Double(0.0, 1.0),
        "y": Double(1e-4, 1.0, scale="log"),
        "n": Integer(1, 200),
        "kind": Categorical(["a", "b", "c", "d"]),
        "size": Double(0.0, 1.0, when={"kind": ["b", "c"]}),
    }
)
TOP: dict[str, Value] = {"x": 0.31, "y": 0.01, "n": 144, "kind": "c", "size": 0.77}
FINITE = Space({"n": Integer(1, 5), "kind": Categorical(["a", "b"])})


def _hill(cube: Cube, top: Array) -> tuple[Score, Slopes]:
    """Return a score that falls evenly from ``top``, where a category counts whole or not at all."""

    def score(points: Array, mask: Mask) -> Array:
        away = np.where(mask, (points - top) ** 2, 0.3)
        away = np.where(cube.categorical & mask, np.abs(points - top) > 1e-9, away)
        return np.asarray(-away.sum(axis=1))

    def slopes(points: Array, mask: Mask) -> tuple[Array, Array]:
        gradient = np.where(mask, -2.0 * (points - top), 0.0)
        return score(points, mask), gradient[:, cube.free]

    return score, slopes


def _nowhere(cube: Cube) -> NDArray[np.float64]:
    return np.empty((0, cube.d))


@pytest.mark.parametrize("seed", range(4))
def test_the_top_of_a_hill_is_found_in_a_mixed_space(seed: int) -> None:
    cube = Cube(MIXED)
    top = cube.encode(TOP)
    score, slopes = _hill(cube, top)
    anchors = cube.snap(np.random.default_rng(seed).random((3, cube.d)))

    found = Maximizer(cube).best(score, slopes, anchors, (), np.random.default_rng(seed))

    assert found is not None
    values = cube.decode(found.point)
    assert (values["kind"], values["n"]) == ("c", 144)
    np.testing.assert_allclose(found.point, top, atol=1e-4)
    assert found.value == pytest.approx(0.0, abs=1e-7)


def test_without_gradients_it_comes_near_the_top() -> None:
    cube = Cube(MIXED)
    top = cube.encode(TOP)
    score, _ = _hill(cube, top)

    found = Maximizer(cube).best(score, None, top[None], (), np.random.default_rng(0))

    assert found is not None
    assert found.value > -0.05


def test_the_value_told_is_the_score_of_the_point() -> None:
    cube = Cube(MIXED)
    score, slopes = _hill(cube, cube.encode(TOP))

    found = Maximizer(cube).best(score, slopes, _nowhere(cube), (), np.random.default_rng(0))

    assert found is not None
    point = found.point[None]
    assert found.value == pytest.approx(float(score(point, cube.active(point))[0]), abs=1e-12)


def test_what_is_found_is_a_point_of_the_space_in_its_canonical_place() -> None:
    cube = Cube(MIXED)
    score, slopes = _hill(cube, np.full(cube.d, 0.437))

    found = Maximizer(cube).best(score, slopes, _nowhere(cube), (), np.random.default_rng(0))

    assert found is not None
    np.testing.assert_array_equal(cube.snap(found.point[None])[0], found.point)
    assert MIXED.contains(cube.decode(found.point))


@pytest.mark.parametrize(
    "space",
    [
        FINITE,
        Space({"n": Integer(1, 20_000)}),
        Space({"n": Integer(1, 70), "m": Integer(1, 70)}),
        Space({"x": Double(0.0, 1.0, step=1e-4), "k": Discrete([1, 2])}),
    ],
    ids=["ten points", "many integers", "two integers", "steps"],
)
def test_a_point_that_is_taken_is_never_returned(space: Space) -> None:
    cube = Cube(space)
    score, slopes = _hill(cube, cube.snap(np.full((1, cube.d), 0.61))[0])
    maximizer, taken = Maximizer(cube), set[bytes]()
    anchors = cube.snap(np.full((1, cube.d), 0.61))

    for seed in range(10):
        found = maximizer.best(score, slopes, anchors, taken, np.random.default_rng(seed))

        assert found is not None
        key = keys_of(found.point[None], cube.active(found.point[None]))[0]
        assert key not in taken
        assert found.value > -1.5  # never far from the top: a hill of at most ten points
        taken.add(key)

    assert len(taken) == 10


def test_a_finite_space_is_walked_from_the_best_point_to_the_worst_and_then_nothing_is_left() -> (
    None
):
    cube = Cube(FINITE)
    score, slopes = _hill(cube, cube.encode({"n": 4, "kind": "a"}))
    maximizer, taken, values = Maximizer(cube), set[bytes](), []

    while found := maximizer.best(score, slopes, _nowhere(cube), taken, np.random.default_rng(0)):
        values.append(found.value)
        taken.update(keys_of(found.point[None], cube.active(found.point[None])))

    assert len(values) == len(taken) == 10
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("space", [MIXED, FINITE], ids=["mixed", "finite"])
def test_what_is_held_stays(space: Space) -> None:
    cube = Cube(space)
    kind = list(space).index("kind")
    score, slopes = _hill(cube, cube.encode(TOP if space is MIXED else {"n": 4, "kind": "b"}))
    held = (kind, space["kind"].to_unit("a"))

    found = Maximizer(cube).best(
        score, slopes, _nowhere(cube), (), np.random.default_rng(0), held=held
    )

    assert found is not None
    assert cube.decode(found.point)["kind"] == "a"
    assert found.value > -1.31  # 1 for the category, 0.3 for what is not active with it


@pytest.mark.parametrize("steps", [3, 400], ids=["finite", "large"])
def test_what_is_held_is_active(steps: int) -> None:
    space = Space(
        {
            "model": Categorical(["net", "line"]),
            "act": Categorical(["relu", "tanh", "none"], when={"model": ["net"]}),
            "n": Integer(1, steps),
            "m": Integer(1, steps),
        }
    )
    cube = Cube(space)
    score, slopes = _hill(cube, cube.encode({"model": "line", "n": 2, "m": 2}))
    held = (1, space["act"].to_unit("tanh"))

    found = Maximizer(cube).best(
        score, slopes, _nowhere(cube), (), np.random.default_rng(0), held=held
    )

    assert found is not None
    assert cube.decode(found.point)["act"] == "tanh"


def test_the_same_generator_finds_the_same_point() -> None:
    cube = Cube(MIXED)
    score, slopes = _hill(cube, cube.encode(TOP))

    first, second = (
        Maximizer(cube).best(score, slopes, _nowhere(cube), (), np.random.default_rng(5))
        for _ in range(2)
    )

    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.point, second.point)
