"""Parameters, and their place in the unit cube."""

from tunesmith.space.lists import Categorical, Discrete
from tunesmith.space.parameters import Parameter, parents
from tunesmith.space.ranges import Double, Integer
from tunesmith.space.scale import Scale
from tunesmith.space.space import Space
from tunesmith.space.values import Value

__all__ = [
    "Categorical",
    "Discrete",
    "Double",
    "Integer",
    "Parameter",
    "Scale",
    "Space",
    "Value",
    "parents",
]
