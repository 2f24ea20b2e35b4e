from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Space, Value
from tunesmith.stopping.explore import moved, perturbed, repaired


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def varied(
    values: Mapping[str, Value], space: Space, *, resample: float = 0.0, times: int = 200
) -> list[dict[str, Value]]:
    return [perturbed(values, space, resample, 0.2, rng(seed)) for seed in range(times)]


@pytest.mark.parametrize(
    ("parameter", "value", "up", "down"),
    [
        (Double(1e-5, 1e-1, scale="log"), 1e-3, 1.2e-3, 0.8e-3),
        (Double(0.0, 10.0), 5.0, 6.0, 4.0),
        (Double(0.0, 10.0), 9.0, 10.0, 7.2),  # no further than the end
        (Double(-10.0, -1.0), -5.0, -6.0, -4.0),
        (
            Double(0.0, 10.0),
            0.0,
            0.2,
            0.2,
        ),  # from the end only the other way, a fiftieth of the range
        (Double(-1.0, 1.0), 0.0, 0.04, -0.04),
        (Double(-1.0, 1.0), 0.5, 0.6, 0.4),
        (Double(1.0, 100.0, scale="reverse_log"), 91.0, 89.0, 93.0),  # 10 from its mirror's zero
        (Double(0.9, 1.0), 0.95, 0.97, 0.93),  # no more than a fifth of the range
        (Double(0.0, 1.0, step=0.25), 0.5, 0.75, 0.25),
        (Double(0.0, 1.0, step=0.1), 1.0, 0.8, 0.8),
        (Integer(1, 1000, scale="log"), 100, 120, 80),
        (Integer(1, 9), 2, 3, 1),  # one at least
        (Integer(1, 9), 9, 7, 7),
        (Integer(0, 64, step=16), 32, 48, 16),
        (Discrete([64, 16, 256]), 64, 256, 16),
        (Discrete([64, 16, 256]), 256, 64, 64),
        (Categorical(["a", "b"]), "a", "a", "a"),
        (Integer(4, 4), 4, 4, 4),
    ],
)
def test_a_number_moves_by_a_fifth_on_its_own_scale_and_inside_its_range(
    parameter: Parameter, value: Value, up: Value, down: Value
) -> None:
    assert moved(parameter, value, 0.2) == pytest.approx(up)
    assert moved(parameter, value, -0.2) == pytest.approx(down)


@pytest.mark.parametrize(
    "parameter",
    [
        Double(0.0, 1.0, step=0.3),
        Integer(-5, 50, step=7),
        Discrete([1.0, 2.5, 10.0]),
        Double(1e-3, 1.0, scale="log"),
        Integer(0, 10**9),
    ],
)
def test_wherever_a_number_moves_it_is_a_value_and_another_one(parameter: Parameter) -> None:
    draws = rng()
    for _ in range(300):
        value = parameter.from_unit(float(draws.random()))
        by = float(draws.uniform(-1.0, 1.0))

        found = moved(parameter, value, by)

        assert parameter.contains(found)
        assert found != value
        assert type(found) is type(value)


def test_numbers_go_up_and_down_equally_often_and_are_sometimes_drawn_anew() -> None:
    space = Space({"lr": Double(1e-5, 1e-1, scale="log")})

    found = [float(v["lr"]) for v in varied({"lr": 1e-3}, space, resample=0.25, times=400)]

    names = {1.2e-3: "up", 0.8e-3: "down"}
    steps = Counter(names.get(round(x, 12), "anew") for x in found)
    assert 70 < steps["anew"] < 130
    assert abs(steps["up"] - steps["down"]) < 70


def test_categories_are_kept_or_drawn_anew() -> None:
    space = Space({"kind": Categorical(["a", "b", "c", "d"]), "x": Double(0.0, 1.0)})

    kept = varied({"kind": "a", "x": 0.5}, space)
    drawn = varied({"kind": "a", "x": 0.5}, space, resample=0.4)

    assert {v["kind"] for v in kept} == {"a"}
    counts = Counter(v["kind"] for v in drawn)
    assert 115 < counts["a"] < 165  # 0.6 kept, and a quarter of those drawn
    assert min(counts[k] for k in "bcd") > 5


def test_a_copy_differs_from_its_parent_if_anything_can() -> None:
    words = Space({"kind": Categorical([True, 1, "a"]), "flag": Categorical([True, False])})
    fixed = Space({"n": Integer(4, 4)})

    assert all(
        words.key(v) != words.key({"kind": True, "flag": False})
        for v in varied({"kind": True, "flag": False}, words)
    )
    assert varied({"n": 4}, fixed, times=1) == [{"n": 4}]


def test_parameters_that_become_active_are_drawn_and_others_left_out() -> None:
    space = Space(
        {
            "optimizer": Categorical(["sgd", "adam"]),
            "momentum": Double(0.0, 0.99, when={"optimizer": ["sgd"]}),
            "beta": Double(0.9, 0.999, when={"optimizer": ["adam"]}),
        }
    )

    found = varied({"optimizer": "sgd", "momentum": 0.5}, space, resample=0.6)

    assert all(space.contains(values) for values in found)
    assert len({v["beta"] for v in found if "beta" in v}) > 20


def test_a_copy_follows_priors_where_values_are_drawn_anew() -> None:
    space = Space({"x": Double(0.0, 1.0, prior=0.9)})

    found = [float(v["x"]) for v in varied({"x": 0.1}, space, resample=1.0)]

    assert np.mean(found) > 0.7


def test_a_point_is_repaired_along_chains_of_conditions() -> None:
    space = Space(
        {
            "kind": Categorical(["flat", "deep"]),
            "layers": Integer(1, 3, when={"kind": ["deep"]}),
            "drop": Categorical(["no", "yes"], when={"layers": [2, 3]}),
        }
    )

    found = [repaired({"kind": "deep", "drop": "yes"}, space, rng(seed)) for seed in range(30)]

    assert all(space.contains(values) for values in found)
    assert all(v.get("drop", "yes") == "yes" for v in found)
    assert repaired({"kind": "flat", "layers": 2}, space, rng()) == {"kind": "flat"}
