import math

import numpy as np
import pytest

from tunesmith.model import Front, Objective, StudySpec, Trial, TrialState, hypervolume
from tunesmith.model.hypervolume import non_dominated
from tunesmith.space import Double, Space


def test_one_point_dominates_a_box() -> None:
    assert hypervolume([[1.0, 2.0, 3.0]], [2.0, 4.0, 6.0]) == 1.0 * 2.0 * 3.0
    assert hypervolume([[0.25]], [1.0]) == 0.75


def test_two_points_dominate_their_boxes_less_what_they_share() -> None:
    assert hypervolume([[0.0, 2.0], [1.0, 0.0]], [3.0, 3.0]) == 3 * 1 + 2 * 3 - 2 * 1
    points = [[0.0, 0.0, 2.0], [1.0, 1.0, 0.0]]
    assert hypervolume(points, [3.0, 3.0, 3.0]) == 3 * 3 * 1 + 2 * 2 * 3 - 2 * 2 * 1


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4, 5])
def test_the_points_of_a_staircase_add_up(dimensions: int) -> None:
    # Point i is worse than its neighbour in the first objective and better in the last.
    steps = 6
    points = np.zeros((steps, dimensions))
    points[:, 0] = np.arange(steps)
    points[:, -1] = np.arange(steps)[::-1] if dimensions > 1 else np.arange(steps)
    wanted = steps * (steps + 1) / 2 * steps ** max(dimensions - 2, 0) if dimensions > 1 else steps

    assert hypervolume(points, [float(steps)] * dimensions) == pytest.approx(wanted, rel=1e-12)


def test_the_volume_under_a_simplex_comes_near_its_closed_form() -> None:
    n = 4000
    x = (np.arange(n) + 0.5) / n
    points = np.column_stack([x, 1 - x])

    # Above the line x + y = 1 in the unit square lies one half.
    assert hypervolume(points, [1.0, 1.0]) == pytest.approx(0.5, abs=1 / n)


@pytest.mark.parametrize(("dimensions", "count"), [(2, 40), (3, 40), (4, 30), (5, 20)])
def test_it_is_what_monte_carlo_finds(dimensions: int, count: int) -> None:
    rng = np.random.default_rng(dimensions)
    points = rng.random((count, dimensions)) ** 0.5
    darts = rng.random((50_000, dimensions))
    hit = np.zeros(len(darts), dtype=bool)
    for point in points:
        hit |= (darts >= point).all(axis=1)

    # Five standard errors of a proportion.
    share = hit.mean()
    tolerance = 5 * math.sqrt(share * (1 - share) / len(darts))
    assert hypervolume(points, np.ones(dimensions)) == pytest.approx(share, abs=tolerance)


def test_order_copies_and_dominated_points_change_nothing() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((30, 4))
    front = points[non_dominated(points)]
    alone = hypervolume(front, np.ones(4))

    assert hypervolume(points, np.ones(4)) == pytest.approx(alone, rel=1e-12)
    assert hypervolume(rng.permutation(front), np.ones(4)) == pytest.approx(alone, rel=1e-12)
    assert hypervolume(np.vstack([front, front]), np.ones(4)) == pytest.approx(alone, rel=1e-12)


def test_what_does_not_beat_the_reference_adds_nothing() -> None:
    assert hypervolume([[1.0, 0.0], [0.5, 2.0]], [1.0, 1.0]) == 0.0
    assert hypervolume([], [1.0, 1.0]) == 0.0
    assert hypervolume(np.empty((0, 3)), [1.0, 1.0, 1.0]) == 0.0


def test_a_volume_beyond_every_float_is_infinite() -> None:
    assert hypervolume([[-1e308, -1e308]], [1e308, 1e308]) == math.inf


@pytest.mark.parametrize(
    ("points", "reference"),
    [
        ([[1.0, 2.0, 3.0]] * 2, [9.0, 9.0]),
        ([1.0, 2.0], [9.0, 9.0]),
        ([[math.nan, 1.0]], [9.0, 9.0]),
        ([[1.0, 1.0]], [9.0, math.nan]),
        ([[1.0]], []),
    ],
)
def test_shapes_that_do_not_fit_and_nan_are_refused(points: object, reference: object) -> None:
    with pytest.raises(ValueError, match=r"points \(n, m\)"):
        hypervolume(points, reference)  # type: ignore[arg-type]


def test_a_large_front_of_two_or_three_objectives_is_found_and_measured() -> None:
    rng = np.random.default_rng(2)
    for dimensions in (2, 3):
        points = rng.random((10_000, dimensions))

        chosen = non_dominated(points)

        assert 5 < len(chosen) < 500
        whole = hypervolume(points, np.ones(dimensions))
        assert hypervolume(points[chosen], np.ones(dimensions)) == pytest.approx(whole)


# As a value


SPEC = StudySpec(
    Space({"x": Double(0.0, 1.0)}), (Objective("acc", "maximize"), Objective("ms", "minimize"))
)


def trial(number: int, **metrics: float) -> Trial:
    return Trial(number, {"x": 0.5}, TrialState.COMPLETED, metrics=metrics)


def test_a_front_is_measured_against_the_worst_of_each_objective() -> None:
    trials = [trial(1, acc=0.5, ms=30.0), trial(2, acc=0.9, ms=20.0), trial(3, acc=0.7, ms=10.0)]

    front = Front.of(trials, SPEC)

    assert [t.number for t in front.trials] == [2, 3]
    assert front.reference == {"acc": 0.5, "ms": 30.0}
    assert front.hypervolume == pytest.approx(0.4 * 10 + 0.2 * 10)


def test_a_front_too_large_to_measure_has_no_hypervolume() -> None:
    spec = StudySpec(SPEC.space, tuple(Objective(name, "minimize") for name in "abcde"))
    sphere = np.random.default_rng(3).random((180, 5))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    trials = [trial(n, **dict(zip("abcde", row, strict=True))) for n, row in enumerate(sphere, 1)]

    front = Front.of(trials, spec)

    assert len(front.trials) == 180
    assert front.hypervolume is None


def test_the_front_of_nothing_is_empty() -> None:
    assert Front.of([trial(1, acc=0.5)], SPEC) == Front((), {}, 0.0)
