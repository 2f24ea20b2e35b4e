"""Spaces as plain data."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy

from tunesmith.errors import SpaceError
from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Space

LAW = settings(deadline=None, derandomize=True)


@LAW
@given(st.data())
def test_any_parameter_survives_json(
    counted: SearchStrategy[Parameter], continuous: SearchStrategy[Parameter], data: DataObject
) -> None:
    space = Space({"größe": data.draw(counted | continuous)})

    again = Space.from_json(json.loads(json.dumps(space.to_json())))

    assert again == space
    assert repr(again) == repr(space)


@LAW
@given(st.data())
def test_any_conditions_survive_json(conditional: SearchStrategy[Space], data: DataObject) -> None:
    space = data.draw(conditional)

    again = Space.from_json(json.loads(json.dumps(space.to_json())))

    assert again == space
    assert list(again) == list(space)


def test_a_document_leaves_out_what_has_its_usual_value() -> None:
    space = Space(
        {
            "lr": Double(1e-5, 1, scale="log", default=0.1),
            "n": Integer(1, 9, step=2),
            "width": Discrete([64, 0.5]),
            "flag": Categorical([True, 1, "1"], when={"n": 3}),
        }
    )

    assert space.to_json() == [
        {"name": "lr", "type": "double", "min": 1e-5, "max": 1, "scale": "log", "default": 0.1},
        {"name": "n", "type": "integer", "min": 1, "max": 9, "step": 2},
        {"name": "width", "type": "discrete", "values": [64, 0.5]},
        {"name": "flag", "type": "categorical", "values": [True, 1, "1"], "when": {"n": [3]}},
    ]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"type": "double"}, "A parameter is a mapping with a name, got {'type': 'double'}."),
        ("lr", "A parameter is a mapping with a name, got 'lr'."),
        ({"name": "a b"}, "Parameter 'a b': a name can't contain ' '."),
        ({"name": "x"}, "Parameter 'x': There is no type 'None'. There are: double, integer,"),
        ({"name": "x", "type": "duble"}, "There is no type 'duble'. Did you mean 'double'?"),
        ({"name": "x", "type": "double", "min": 0}, "Parameter 'x': Double needs 'max', got {'min': 0}."),
        ({"name": "x", "type": "discrete"}, "Parameter 'x': Discrete needs 'values', got {}."),
        ({"name": "x", "type": "categorical", "values": ["a"], "scale": "log"},
         "Parameter 'x': Categorical has no 'scale'."),
        ({"name": "x", "type": "integer", "min": 0, "max": 1, "stepp": 1},
         "Parameter 'x': Integer has no 'stepp'. Did you mean 'step'?"),
        ({"name": "x", "type": "double", "min": 0, "max": 1, "scale": "log"},
         "Parameter 'x': Double(scale=\"log\") needs low > 0, got low=0."),
        ({"name": "x", "type": "discrete", "values": []}, "Parameter 'x': Discrete needs at least one"),
        ({"name": "x", "type": "double", "min": 0, "max": 1, "when": {"y": 1}},
         "Parameter 'x': its condition names 'y', which is no parameter."),
    ],
)  # fmt: skip
def test_a_document_that_makes_no_sense_is_refused_by_name(
    document: dict[str, object], message: str
) -> None:
    with pytest.raises(SpaceError) as refused:
        Space.from_json([document])

    assert message in str(refused.value)


def test_a_parameter_that_is_there_twice_is_refused() -> None:
    document = Space({"x": Integer(0, 1)}).to_json()

    with pytest.raises(SpaceError, match="Parameter 'x' is there twice"):
        Space.from_json(document * 2)
