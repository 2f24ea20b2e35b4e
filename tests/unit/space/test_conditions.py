"""Conditions: what is active when, and what can't be."""

from collections.abc import Mapping

import pytest

from tunesmith.errors import SpaceError
from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Space, Value

NESTED = Space(
    {
        "decay": Double(0, 1, when={"schedule": "cosine", "layers": [2, 3]}),
        "momentum": Double(0, 0.99, when={"optimizer": ["sgd"]}),
        "nesterov": Categorical([True, False], when={"optimizer": ["sgd", "rmsprop"]}),
        "optimizer": Categorical(["sgd", "rmsprop", "adam"]),
        "dampening": Double(0, 1, when={"nesterov": False}),
        "layers": Integer(1, 3),
        "schedule": Categorical(["flat", "cosine"], when={"optimizer": "sgd"}),
    }
)


@pytest.mark.parametrize(
    ("values", "active"),
    [
        ({"optimizer": "adam", "layers": 2}, ["optimizer", "layers"]),
        (
            {"optimizer": "rmsprop", "layers": 2, "nesterov": True},
            ["nesterov", "optimizer", "layers"],
        ),
        (
            {"optimizer": "rmsprop", "layers": 2, "nesterov": False},
            ["nesterov", "optimizer", "dampening", "layers"],
        ),
        (
            {"optimizer": "sgd", "layers": 1, "nesterov": True, "schedule": "cosine"},
            ["momentum", "nesterov", "optimizer", "layers", "schedule"],
        ),
        (
            {"optimizer": "sgd", "layers": 3, "nesterov": True, "schedule": "cosine"},
            ["decay", "momentum", "nesterov", "optimizer", "layers", "schedule"],
        ),
        (
            # The schedule is given, but of no account: its parent rules it out.
            {"optimizer": "adam", "layers": 3, "schedule": "cosine"},
            ["optimizer", "layers"],
        ),
    ],
)
def test_a_parameter_is_active_when_all_its_parents_are_and_have_the_values(
    values: Mapping[str, Value], active: list[str]
) -> None:
    assert list(NESTED.active(values)) == active


def test_without_conditions_all_is_active() -> None:
    assert Space({"b": Double(0, 1), "a": Integer(0, 1)}).active({}) == ("b", "a")


@pytest.mark.parametrize(
    ("parent", "wanted", "other"),
    [
        (Categorical([True, 1, "1"]), True, 1),
        (Categorical([True, 1, "1"]), 1, True),
        (Categorical([True, 1, "1"]), "1", 1),
        (Integer(0, 5), 3.0, 2),
        (Double(0, 1, step=0.1), 0.1 + 0.2, 0.4),
        (Double(2, 2), 2, None),
        (Discrete([64.0, 128]), 64, 128),
    ],
)
def test_parents_are_compared_as_their_kind_compares(
    parent: Parameter, wanted: Value, other: Value | None
) -> None:
    space = Space({"child": Double(0, 1, when={"parent": wanted}), "parent": parent})

    assert space.active({"parent": parent.canonical(wanted)}) == ("child", "parent")
    assert other is None or space.active({"parent": parent.canonical(other)}) == ("parent",)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {
                "momentum": Double(0, 1, when={"optimiser": "sgd"}),
                "optimizer": Categorical(["sgd"]),
            },
            (
                "Parameter 'momentum': its condition names 'optimiser', which is no parameter."
                " Did you mean 'optimizer'?"
            ),
        ),
        (
            {"a": Double(0, 1, when={"b": 0.5}), "b": Double(0, 1)},
            "Parameter 'a': its condition names 'b', which is continuous. Only a parameter with",
        ),
        (
            {"a": Double(0, 1, when={"b": ["x", "z"]}), "b": Categorical(["x", "y"])},
            "Parameter 'a': its condition on 'b' can't be met: 'z' is none of 'x', 'y'.",
        ),
        (
            {"a": Double(0, 1, when={"b": "1"}), "b": Integer(0, 1)},
            "Parameter 'a': its condition on 'b' can't be met: '1' is not a whole number from 0 to 1.",
        ),
        (
            {"a": Double(0, 1, when={"b": True}), "b": Categorical([0, 1])},
            "Parameter 'a': its condition on 'b' can't be met: True is none of 0, 1.",
        ),
        (
            {"a": Integer(0, 1, when={"a": 1})},
            "Parameter 'a': its conditions form a circle: it needs 'a'. Drop one of them.",
        ),
        (
            {
                "root": Integer(0, 1),
                "a": Integer(0, 1, when={"b": 1, "root": 1}),
                "b": Integer(0, 1, when={"c": 1}),
                "c": Integer(0, 1, when={"a": 1}),
            },
            "which needs",
        ),
        (
            {
                "a": Integer(0, 2),
                "b": Integer(0, 1, when={"a": [1]}),
                "c": Double(0, 1, when={"a": [0, 2], "b": 1}),
            },
            (
                "Parameter 'c': its conditions contradict each other: no value of 'a' meets them all,"
                " so it would never be active."
            ),
        ),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused_in_words(
    parameters: dict[str, Parameter], message: str
) -> None:
    with pytest.raises(SpaceError) as refused:
        Space(parameters)

    assert message in str(refused.value)


def test_a_circle_is_told_from_child_to_parent_and_nothing_else_is_in_it() -> None:
    circle = {
        "root": Integer(0, 1),
        "a": Integer(0, 1, when={"b": 1, "root": 1}),
        "b": Integer(0, 1, when={"c": 1}),
        "c": Integer(0, 1, when={"a": 1}),
    }

    with pytest.raises(SpaceError) as refused:
        Space(circle)

    told = str(refused.value)
    rounds = ["it needs 'b', which needs 'c', which needs 'a'",
              "it needs 'c', which needs 'a', which needs 'b'",
              "it needs 'a', which needs 'b', which needs 'c'"]  # fmt: skip
    assert any(each in told for each in rounds)
    assert "root" not in told


def test_conditions_may_be_nested_deeper_than_python_recurses() -> None:
    # In the order of children before parents, which is the harder one.
    depth = 1200
    chain: dict[str, Parameter] = {
        f"p{i}": Integer(0, 1, when={f"p{i - 1}": [0, 1]} if i else None)
        for i in reversed(range(depth))
    }

    space = Space(chain)

    assert len(space.complete({})) == depth
