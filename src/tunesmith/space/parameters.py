"""What holds for all four kinds of parameters: double, integer, discrete, categorical.

Each knows its members exactly, and its place in the unit interval. Values that are counted (integers,
steps, lists) get cells there, on the linear scale and in lists of equal width, so that a point drawn
evenly hits each of them equally often.
"""

from typing import cast

from tunesmith.space.checks import Condition
from tunesmith.space.lists import Categorical, Discrete
from tunesmith.space.ranges import Double, Integer

__all__ = ["Parameter", "parents"]

Parameter = Double | Integer | Discrete | Categorical


def parents(parameter: Parameter) -> Condition:
    """Return a parameter's parents, each with the values that activate it; empty without conditions."""
    return cast("Condition", parameter.when or ())
