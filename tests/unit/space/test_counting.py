"""The number of points, and each of them in turn."""

import time
from collections.abc import Callable
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy

from tunesmith.errors import SpaceError
from tunesmith.space import Categorical, Double, Integer, Parameter, Space

LAW = settings(deadline=None, derandomize=True)


@LAW
@given(st.data())
def test_there_are_as_many_points_as_the_size_says_and_none_comes_twice(
    conditional: SearchStrategy[Space], data: DataObject
) -> None:
    space = data.draw(conditional)

    points = list(space.points())

    assert len(points) == space.size
    assert len({space.key(point) for point in points}) == space.size
    assert all(space.contains(point) for point in points)


@LAW
@given(st.data())
def test_no_point_is_left_out(conditional: SearchStrategy[Space], data: DataObject) -> None:
    space = data.draw(conditional)
    keys = {space.key(point) for point in space.points()}

    units = data.draw(st.lists(st.floats(0, 1), min_size=len(space), max_size=len(space)))
    values = {name: space[name].from_unit(u) for name, u in zip(space, units, strict=True)}
    point = {name: values[name] for name in space.active(values)}

    assert space.contains(point)
    assert space.key(point) in keys


def test_the_last_parameter_changes_fastest() -> None:
    space = Space({"a": Integer(0, 1), "b": Categorical(["x", "y"]), "c": Double(0, 0.2, step=0.1)})

    points = [tuple(point.values()) for point in space.points()]

    assert points == [
        (a, b, c) for a in (0, 1) for b in ("x", "y") for c in (0.0, 0.1, 0.2)
    ]  # fmt: skip


def test_children_vary_while_they_are_active() -> None:
    space = Space(
        {
            "opt": Categorical(["sgd", "adam"]),
            "momentum": Integer(0, 1, when={"opt": "sgd"}),
            "lr": Integer(1, 2),
        }
    )

    assert list(space.points()) == [
        {"opt": "sgd", "momentum": 0, "lr": 1},
        {"opt": "sgd", "momentum": 0, "lr": 2},
        {"opt": "sgd", "momentum": 1, "lr": 1},
        {"opt": "sgd", "momentum": 1, "lr": 2},
        {"opt": "adam", "lr": 1},
        {"opt": "adam", "lr": 2},
    ]


def test_a_parent_declared_late_changes_before_its_children_and_points_keep_the_order() -> None:
    space = Space({"child": Integer(0, 1, when={"parent": 1}), "parent": Integer(0, 1)})

    points = list(space.points())

    assert points == [{"parent": 0}, {"child": 0, "parent": 1}, {"child": 1, "parent": 1}]
    assert list(points[1]) == ["child", "parent"]


def test_points_come_one_by_one_even_from_thousands_of_parameters() -> None:
    space = Space({f"p{i}": Integer(0, 10**18) for i in range(3000)})

    first, second, third = islice(space.points(), 3)

    assert [p["p2999"] for p in (first, second, third)] == [0, 1, 2]
    assert all(earlier["p0"] == later["p0"] for earlier, later in pairwise([first, second, third]))


def test_a_continuous_space_is_endless_even_where_its_double_is_rarely_active() -> None:
    space = Space({"a": Integer(0, 1), "b": Double(0, 1, when={"a": 1})})

    assert space.size is None
    with pytest.raises(
        SpaceError, match=r"infinitely many points: 'b' is continuous\. Give it a step"
    ):
        space.points()


def _independent() -> tuple[dict[str, Parameter], int]:
    return {f"p{i}": Integer(1, 1000) for i in range(30)}, 1000**30


def _tree() -> tuple[dict[str, Parameter], int]:
    """A binary tree, level by level: either half of it is active, and so on downwards."""
    depth = 9
    tree: dict[str, Parameter] = {"1": Categorical(["0", "1"])}
    for node in range(2, 2**depth):
        tree[str(node)] = Categorical(["0", "1"], when={str(node // 2): str(node % 2)})
    return tree, 2**depth


def _bushes() -> tuple[dict[str, Parameter], int]:
    """One root with a hundred children, all active together, each with a child of its own."""
    bush: dict[str, Parameter] = {"root": Integer(0, 1)}
    bush |= {f"child{i}": Integer(0, 9, when={"root": 1}) for i in range(100)}
    bush |= {f"grandchild{i}": Integer(1, 5, when={f"child{i}": [0, 1]}) for i in range(100)}
    return bush, 1 + (2 * 5 + 8) ** 100


def _layers() -> tuple[dict[str, Parameter], int]:
    """Units of a layer that is there if there are enough layers."""
    layers: dict[str, Parameter] = {"layers": Integer(1, 60)}
    layers |= {
        f"units{i}": Integer(1, 7, when={"layers": list(range(i, 61))}) for i in range(1, 61)
    }
    return layers, sum(7**i for i in range(1, 61))


def _ladder() -> tuple[dict[str, Parameter], int]:
    """Sixty switches in a row; each neighbouring two that are on have a child with two values."""
    switches = 60
    ladder: dict[str, Parameter] = {f"s{i}": Categorical([False, True]) for i in range(switches)}
    for i in range(switches - 1):
        ladder[f"c{i}"] = Integer(0, 1, when={f"s{i}": True, f"s{i + 1}": True})
    off, on = 1, 1
    for _ in range(switches - 1):
        off, on = off + on, off + 2 * on
    return ladder, off + on


def _gate() -> tuple[dict[str, Parameter], int]:
    """One child that needs all of forty switches."""
    gate: dict[str, Parameter] = {f"s{i}": Categorical([False, True]) for i in range(40)}
    gate["child"] = Integer(1, 3, when=dict.fromkeys(gate, True))
    return gate, 2**40 - 1 + 3


@pytest.mark.parametrize("make", [_independent, _tree, _bushes, _layers, _ladder, _gate])
def test_large_spaces_are_counted_exactly_and_at_once(
    make: Callable[[], tuple[dict[str, Parameter], int]],
) -> None:
    parameters, expected = make()
    space = Space(parameters)
    began = time.process_time()

    size = space.size

    assert size == expected
    # They take up to 50 ms of one core; going through even a billionth of the points would take years.
    assert time.process_time() - began < 2.0
