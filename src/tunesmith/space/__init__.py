"""Parameters, and their place in the unit cube."""

from tunesmith.space.parameters import (
    Categorical,
    Discrete,
    Double,
    Integer,
    Parameter,
    Value,
    parents,
)
from tunesmith.space.scale import Scale
from tunesmith.space.space import Space

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
