"""Parameters, and their place in the unit cube."""

from tunesmith.space.lists import Categorical, Discrete
from tunesmith.space.parameters import Parameter, parents
from tunesmith.space.prior import CONFIDENCES, Confidence, Prior
from tunesmith.space.ranges import Double, Integer
from tunesmith.space.scale import Scale
from tunesmith.space.space import Space
from tunesmith.space.values import Value

__all__ = [
    "CONFIDENCES",
    "Categorical",
    "Confidence",
    "Discrete",
    "Double",
    "Integer",
    "Parameter",
    "Prior",
    "Scale",
    "Space",
    "Value",
    "parents",
]
