"""How population based training varies the values of a trial that it copies (Jaderberg et al. 2017).

    amount   by how much numbers move: to (1 + amount) or (1 - amount) times what they are

That is the paper's, and makes sense on a log scale, or from 0 on. So it is mirrored on "reverse_log", and no
number moves by more than this part of its range: 0.95 between 0.9 and 0.999 would always come to an end.
One that is counted moves by a step at least, a listed one to its neighbour; a category is drawn anew or kept.
"""

from collections.abc import Mapping

import numpy as np

from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Space, Value
from tunesmith.space.values import typed

__all__ = ["moved", "perturbed", "repaired"]

_STILL = 0.1  # of the range: what numbers around zero are taken to be, to be moved at all


def perturbed(
    values: Mapping[str, Value],
    space: Space,
    resample: float,
    amount: float,
    rng: np.random.Generator,
) -> dict[str, Value]:
    """Return other values: each is drawn anew with probability ``resample``, or else moved a little.

    Parameters that become active are drawn, those that don't stay so are left out. At least one value
    differs from before if there is another.
    """
    found: dict[str, Value] = {}
    for name, value in values.items():
        parameter = space[name]
        if rng.random() < resample:
            found[name] = parameter.from_unit(parameter.sample_unit(rng))
        else:
            found[name] = moved(parameter, value, amount if rng.random() < 0.5 else -amount)
    free = [name for name in values if space[name].size != 1]
    if free and space.key(found) == space.key(values):
        name = free[int(rng.integers(len(free)))]
        found[name] = _another(space[name], values[name], rng)
    return repaired(found, space, rng)


def repaired(
    values: Mapping[str, Value], space: Space, rng: np.random.Generator
) -> dict[str, Value]:
    """Return the point with these values as far as they are active; what is missing is drawn."""
    unit = np.array([parameter.sample_unit(rng) for _, parameter in space.items()])
    drawn = {
        name: p.from_unit(u) for (name, p), u in zip(space.items(), unit.tolist(), strict=True)
    }
    both = {**drawn, **values}
    return {name: both[name] for name in space.active(both)}


def moved(parameter: Parameter, value: Value, by: float) -> Value:
    """Return a number moved to ``1 + by`` times what it is, inside its range; a category as it is.

    At the end of the range it moves the other way.
    """
    if isinstance(parameter, Categorical) or parameter.size == 1:
        return value
    to = _moved(parameter, value, by)
    return to if to != value else _moved(parameter, value, -by)


def _moved(parameter: Discrete | Double | Integer, value: Value, by: float) -> Value:
    if isinstance(parameter, Discrete):
        members = sorted(parameter.values)
        at = members.index(float(value)) + (1 if by > 0 else -1)
        return members[min(max(at, 0), len(members) - 1)]
    low, high, old = float(parameter.low), float(parameter.high), float(value)
    if parameter.scale == "reverse_log":
        change = -by * (low + high - old)
    elif low < 0.0 < high or old == 0.0:
        change = by * max(abs(old), _STILL * (high - low))
    else:
        change = by * old
    most = abs(by) * (high - low)
    change = min(max(change, -most), most)
    new = min(max(old + change, low), high)
    if parameter.step is None and isinstance(parameter, Double):
        return new
    step = float(parameter.step or 1)
    count = int(parameter.size or 1)
    before, after = round((old - low) / step), round((new - low) / step)
    if after == before:
        after += 1 if change > 0 else -1
    after = min(max(after, 0), count - 1)
    if isinstance(parameter, Integer):
        return parameter.low + after * (parameter.step or 1)
    return parameter.canonical(min(low + after * step, high))


def _another(parameter: Parameter, value: Value, rng: np.random.Generator) -> Value:
    """Return another value than this one."""
    if isinstance(parameter, Categorical):
        others = [v for v in parameter.values if typed(v) != typed(value)]
        return others[int(rng.integers(len(others)))]
    return moved(parameter, value, 0.2 if rng.random() < 0.5 else -0.2)
