import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.search.bayesian.cube import Cube, keys_of
from tunesmith.space import Categorical, Discrete, Double, Integer, Space, Value
from tunesmith.testing.studies import FINITE, INFINITE

NESTED = Space(
    {
        "width": Integer(1, 1000, scale="log"),
        "drop": Categorical(["no", "yes"], when={"layers": [2, 3, 4]}),  # before its parents
        "layers": Integer(1, 4, when={"model": ["net"]}),
        "model": Categorical(["net", "trees", "line"]),
        "keep": Double(0.5, 0.99, scale="reverse_log", when={"drop": ["yes"], "model": ["net"]}),
        "rate": Double(0.0, 1.0, step=0.05),
        "batch": Discrete([64, 16, 32], scale="log"),
        "flag": Categorical([True, False]),
    }
)
MANY = Space({"n": Integer(1, 3000), "seed": Integer(0, 50_000), "x": Double(-1.0, 1.0)})
SPACES = {**FINITE, **INFINITE, "nested": NESTED, "many values": MANY}
CUBES = {name: Cube(space) for name, space in SPACES.items()}

each_space = pytest.mark.parametrize("name", SPACES)


@st.composite
def _places(draw: st.DrawFn) -> tuple[Cube, np.ndarray]:
    cube = CUBES[draw(st.sampled_from(sorted(CUBES)))]
    unit = st.floats(0.0, 1.0) | st.sampled_from([0.0, 0.5, 1.0])
    return cube, np.array([draw(st.lists(unit, min_size=cube.d, max_size=cube.d))])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(_places())
def test_a_point_is_the_same_in_the_cube_and_in_the_space(case: tuple[Cube, np.ndarray]) -> None:
    cube, places = case
    point = cube.settle(places)

    values = cube.decode(point[0])

    assert cube.space.contains(values)
    on = cube.active(point)[0]
    assert [name for name, is_on in zip(cube.space, on, strict=True) if is_on] == list(
        cube.space.active(values)
    )
    again = cube.encode(values)
    np.testing.assert_allclose(again[on], point[0][on], atol=1e-9)
    assert (again[~on] == 0.5).all()
    mask = on[None]
    assert keys_of(cube.settle(again[None]), mask) == keys_of(point, mask)


@each_space
def test_every_point_of_the_space_stays_where_it_is(name: str) -> None:
    cube, rng = CUBES[name], np.random.default_rng(0)
    points = np.array([cube.encode(cube.space.sample(rng)) for _ in range(200)])

    settled = cube.settle(points)

    on = cube.active(points)
    np.testing.assert_allclose(settled[on], points[on], atol=1e-9)
    np.testing.assert_allclose(cube.settle(settled), settled, atol=1e-12)
    np.testing.assert_allclose(cube.snap(points)[on], points[on], atol=1e-9)


@each_space
def test_snapping_leaves_its_argument_alone(name: str) -> None:
    cube = CUBES[name]
    places = np.random.default_rng(0).random((20, cube.d))
    before = places.copy()

    cube.settle(places)

    np.testing.assert_array_equal(places, before)


def test_a_place_goes_to_the_nearest_value() -> None:
    cube = Cube(Space({"n": Integer(1, 4), "x": Double(0.0, 1.0)}))

    points = cube.snap(np.array([[0.2, 0.3], [0.26, 1.2], [0.99, -0.5]]))

    assert points.tolist() == [[0.125, 0.3], [0.375, 1.0], [0.875, 0.0]]


def test_counted_and_free_coordinates_are_told_apart() -> None:
    cube = CUBES["nested"]

    assert [list(NESTED)[i] for i in cube.free] == ["keep"]
    assert len(cube.counted) == 7
    assert CUBES["many values"].counted == [0]
    assert CUBES["many values"].free == [1, 2]
    assert CUBES["one point"].counted == CUBES["one point"].free == []


def test_thousands_of_values_are_climbed_like_a_continuum_and_yet_settled_on() -> None:
    cube = Cube(Space({"n": Integer(1, 50_000)}))

    points = cube.settle(np.array([[0.5], [0.500_009], [0.500_021]]))

    assert [cube.decode(p)["n"] for p in points] == [25_001, 25_001, 25_002]
    keys = keys_of(points, cube.active(points))
    assert keys[0] == keys[1] != keys[2]


def test_a_condition_of_a_condition_is_asked() -> None:
    cube = CUBES["nested"]
    names = list(NESTED)
    values: dict[str, Value] = {"width": 1, "drop": "yes", "layers": 3, "model": "net"}
    values |= {"keep": 0.9, "rate": 0.5, "batch": 16, "flag": True}
    deep = cube.encode(values)
    shallow, trees = deep.copy(), deep.copy()
    shallow[names.index("layers")] = NESTED["layers"].to_unit(1)
    trees[names.index("model")] = NESTED["model"].to_unit("trees")

    mask = cube.active(np.stack([deep, shallow, trees]))

    off = [{n for n, on in zip(names, row, strict=True) if not on} for row in mask]
    assert off == [set(), {"drop", "keep"}, {"drop", "layers", "keep"}]


def test_the_dimensions_are_those_active_on_average() -> None:
    half = Space({"kind": Categorical(["a", "b"]), "x": Double(0.0, 1.0, when={"kind": ["a"]})})

    assert Cube(half).dims == pytest.approx(1.5, abs=0.1)
    assert Cube(INFINITE["twenty"]).dims == 20.0


def test_keys_tell_points_apart_by_active_coordinates_only() -> None:
    points = np.array([[0.25, 0.1], [0.25, 0.9], [0.25, 0.9 + 1e-13], [0.75, 0.9]])
    off = np.tile([True, False], (4, 1))
    on = np.ones((4, 2), dtype=np.bool_)

    assert len(set(keys_of(points, off))) == 2
    assert len(set(keys_of(points, on))) == 3


def test_zero_and_minus_zero_are_one_key() -> None:
    on = np.ones((1, 1), dtype=np.bool_)

    assert keys_of(np.array([[0.0]]), on) == keys_of(np.array([[-0.0]]), on)
    assert keys_of(np.array([[0.0]]), on) != keys_of(np.array([[0.0]]), ~on)
