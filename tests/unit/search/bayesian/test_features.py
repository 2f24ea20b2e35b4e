import numpy as np
import pytest
from numpy.typing import NDArray

from tunesmith.search.bayesian.cube import Cube, Mask
from tunesmith.search.bayesian.features import Features
from tunesmith.space import Categorical, Double, Integer, Space

SPACE = Space(
    {
        "kind": Categorical(["a", "b", "c"]),
        "x": Double(0.0, 1.0),
        "size": Double(0.0, 1.0, when={"kind": ["a", "b"]}),
        "shape": Categorical(["u", "v"], when={"kind": ["b"]}),
        "n": Integer(1, 5),
    }
)
CUBE = Cube(SPACE)
NAMES = list(SPACE)


def _square(features: Features, *values: dict[str, object]) -> NDArray[np.float64]:
    """Return what each coordinate adds to the squared distance of two points, all lengths 1."""
    points = np.stack([CUBE.encode(v) for v in values])  # type: ignore[arg-type]
    a, b = features(points, CUBE.active(points))
    shares: NDArray[np.float64] = np.zeros(CUBE.d)
    np.add.at(shares, features.owner, ((a - b) ** 2)[0] if (a - b).ndim > 1 else (a - b) ** 2)
    return shares


A = {"kind": "a", "x": 0.2, "size": 0.3, "n": 2}
B = {"kind": "b", "x": 0.2, "size": 0.3, "shape": "u", "n": 2}
C = {"kind": "c", "x": 0.2, "n": 2}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (A, A, {}),
        (A, {**A, "x": 0.7}, {"x": 0.25}),
        (A, {**A, "n": 4}, {"n": 0.16}),
        (A, B, {"kind": 1.0, "shape": 1.0}),  # shape is active in one of them
        (A, C, {"kind": 1.0, "size": 1.0}),  # shape is active in neither
        (B, {**B, "shape": "v"}, {"shape": 1.0}),
        (B, C, {"kind": 1.0, "size": 1.0, "shape": 1.0}),
        (A, {**A, "size": 0.8}, {"size": 2.0 - 2.0 * np.cos(0.5)}),
    ],
)
def test_distances_are_those_worked_out_by_hand(
    first: dict[str, object], second: dict[str, object], expected: dict[str, float]
) -> None:
    found = dict(zip(NAMES, _square(Features(CUBE), first, second), strict=True))

    assert found == pytest.approx({name: expected.get(name, 0.0) for name in NAMES}, abs=1e-12)


def test_a_conditional_number_is_nearly_as_far_from_another_as_without_a_condition() -> None:
    near = _square(Features(CUBE), A, {**A, "size": 0.4})[2]
    far = _square(Features(CUBE), {**A, "size": 0.0}, {**A, "size": 1.0})[2]

    assert near == pytest.approx(0.01, rel=1e-3)
    assert 0.9 < far < 1.0


def test_what_is_not_active_does_not_matter() -> None:
    points = np.stack([CUBE.encode(C), CUBE.encode(C)])  # type: ignore[arg-type]
    points[1, 2:4] = [0.9, 0.75]

    first, second = Features(CUBE)(points, CUBE.active(points))

    np.testing.assert_array_equal(first, second)


def test_points_of_different_studies_are_one_apart() -> None:
    features = Features(CUBE, studies=3)
    points = np.stack([CUBE.encode(A)] * 3)  # type: ignore[arg-type]

    vectors = features(points, CUBE.active(points), np.array([0, 1, 2]))

    squares = ((vectors[:, None] - vectors) ** 2).sum(axis=2)
    np.testing.assert_allclose(squares, 1.0 - np.eye(3), atol=1e-12)
    assert features.ordered.tolist() == [False, True, True, False, True, False]


def test_a_parameter_that_a_study_lacks_is_there_as_if_inactive() -> None:
    features = Features(CUBE, 2, np.array([True, True, False, False, False]))
    points = np.stack([CUBE.encode(A)] * 2)  # type: ignore[arg-type]
    mask = CUBE.active(points)
    mask[1, :2] = False

    vectors = features(points, mask, np.array([0, 1]))

    owned = np.bincount(features.owner, (vectors[0] - vectors[1]) ** 2, CUBE.d + 1)
    np.testing.assert_allclose(owned, [1.0, 1.0, 0.0, 0.0, 0.0, 1.0], atol=1e-12)


def test_plain_columns_hold_the_place_itself() -> None:
    features = Features(CUBE)
    points = CUBE.snap(np.random.default_rng(0).random((10, 5)))

    vectors = features(points, CUBE.active(points))

    plain = np.flatnonzero(features.plain)
    assert features.owner[plain].tolist() == [1, 4]
    np.testing.assert_array_equal(vectors[:, plain], points[:, [1, 4]])


@pytest.mark.parametrize("missing", [None, np.arange(5) == 1], ids=["all there", "x missing"])
def test_gradients_by_the_vectors_go_back_to_the_free_coordinates(missing: Mask | None) -> None:
    features, step = Features(CUBE, 2, missing), 1e-6
    rng = np.random.default_rng(0)
    points = CUBE.snap(rng.random((12, 5)))
    mask = CUBE.active(points)
    by_vector = rng.standard_normal((12, len(features.owner)))

    back = features.back(points, mask, by_vector)

    assert back.shape == (12, 2)
    for k, i in enumerate([NAMES.index("x"), NAMES.index("size")]):
        up, down = points.copy(), points.copy()
        up[:, i] += step
        down[:, i] -= step
        difference = (features(up, mask) - features(down, mask)) / (2 * step)
        np.testing.assert_allclose(back[:, k], (by_vector * difference).sum(axis=1), atol=1e-8)
