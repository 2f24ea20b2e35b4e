"""The problems of the scoreboard: known optima in every kind of space, and real tunings.

    u       a value's place between its bounds, on its own scale, 0 to 1
    z       how far the places of a point are from the optimum, so that the optimum is at z = 0
    loss    what is to be small

An instance is a problem with its optimum, its order of categories and its rotation drawn from a number;
real tunings have one instance. Every searcher meets the same instances.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks.search import tunings
from tunesmith import Categorical, Discrete, Double, Integer, Space
from tunesmith.space import Parameter, Value

__all__ = ["PROBLEMS", "Crash", "Problem", "covered", "problem"]

Vector = npt.NDArray[np.float64]
Values = Mapping[str, Value]
Losses = tuple[float, ...]

_SAMPLES = 1000
_TURN = 2 * math.pi


class Crash(Exception):  # noqa: N818 - no mistake was made
    """The program ended without a result."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to tune.

    Attributes:
        name: Its name.
        space: The parameters.
        losses: Returns the losses of a point without noise, or raises `Crash`.
        best: The smallest loss there is, or the smallest known; with two losses minus the largest
            area that a front can cover.
        start: The median of the best of eight random points.
        close: The part of the way from ``best`` to ``start`` that counts as solved.
        noise: The standard deviation of what is added to every loss.
        corner: With two losses, the point that the covered area is bounded by.
    """

    name: str
    space: Space
    losses: Callable[[Values], Losses]
    best: float
    start: float
    close: float = 1e-4
    noise: float = 0.0
    corner: Losses = ()


class _Instance:
    """Where the optimum is: one place for each parameter that has an order, penalties for categories."""

    def __init__(self, space: Space, rng: np.random.Generator) -> None:
        self.space = space
        self.rng = rng
        self._optimum = {
            name: _place(parameter, _typical(parameter, rng)) for name, parameter in space.items()
        }
        self._ranks = {
            name: dict(zip(parameter.values, rng.permutation(len(parameter.values)), strict=True))
            for name, parameter in space.items()
            if isinstance(parameter, Categorical)
        }

    def rank(self, name: str, value: Value) -> int:
        """Return a category's rank, 0 for the best."""
        return int(self._ranks[name][value])

    def offset(self, name: str, values: Values) -> float:
        """Return the parameter's ``z``."""
        return _place(self.space[name], values[name]) - self._optimum[name]

    def offsets(self, values: Values) -> Vector:
        """Return ``z`` of the active parameters that have an order, in the order of the space."""
        names = [n for n in self.space if n in values and n not in self._ranks]
        return np.array([self.offset(name, values) for name in names])

    def ranks(self, values: Values) -> int:
        """Return the sum of the active categories' ranks."""
        return sum(self.rank(name, values[name]) for name in self._ranks if name in values)


def _place(parameter: Parameter, value: Value) -> float:
    if isinstance(parameter, Categorical):
        return 0.0
    if isinstance(parameter, Discrete):
        return sorted(parameter.values).index(float(value)) / (len(parameter.values) - 1)
    low, high, at = float(parameter.low), float(parameter.high), float(value)
    if parameter.scale == "log":
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low)


def _typical(parameter: Parameter, rng: np.random.Generator) -> Value:
    """Draw a value from the middle of the range, where the optimum will be."""
    u = rng.uniform(0.2, 0.8)
    if isinstance(parameter, Categorical):
        return parameter.values[0]
    if isinstance(parameter, Discrete):
        return sorted(parameter.values)[round(u * (len(parameter.values) - 1))]
    low, high = float(parameter.low), float(parameter.high)
    log = parameter.scale == "log"
    value = low * (high / low) ** u if log else low + (high - low) * u
    return round(value) if isinstance(parameter, Integer) else value


def _doubles(count: int) -> dict[str, Parameter]:
    return {f"x{i}": Double(0.0, 1.0) for i in range(count)}


# The losses. Each is 0 at the optimum and positive elsewhere.


def _valley(instance: _Instance, values: Values) -> float:
    """Rosenbrock's curved valley."""
    x = 1 + 4 * instance.offsets(values)
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def _branin(instance: _Instance, values: Values) -> float:
    """Branin's function, which has several optima, moved."""
    z = instance.offsets(values)
    x, y = math.pi + 15 * z[0], 2.275 + 15 * z[1]
    height = (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2
    return float(height + 10 * (1 - 1 / (8 * math.pi)) * (1 + math.cos(x))) / 10


def _hills(instance: _Instance, values: Values) -> float:
    """Ackley's hills around one deep hole; each category that is not the best moves the hole."""
    z = 12 * np.append(instance.offsets(values), 0.15 * instance.ranks(values))
    deep = math.exp(-0.2 * math.sqrt(float(np.mean(z * z))))
    return 20 * (1 - deep) + math.e - math.exp(float(np.mean(np.cos(_TURN * z / 2))))


def _ellipsoid(weights: Vector, rotation: Vector, instance: _Instance, values: Values) -> float:
    return float(weights @ (rotation @ instance.offsets(values)) ** 2)


def _steps(instance: _Instance, values: Values) -> float:
    """Whole numbers that pull at each other."""
    z = instance.offsets(values)
    return float(np.sum(z * z) + 0.5 * np.sum((z[1:] + z[:-1]) ** 2) + 0.02 * np.sum(np.abs(z)))


def _tree(instance: _Instance, values: Values) -> float:
    """A bowl for each branch; the deepest is the narrowest."""
    branch = instance.rank("model", values["model"])
    depth, width = ((0.0, 2.0), (0.05, 1.0), (0.2, 0.4))[branch]
    others = instance.ranks(values) - branch
    z = instance.offsets(values)
    return depth + 0.1 * others + width * float(np.sum(z * z + 0.01 * (1 - np.cos(4 * _TURN * z))))


def _bowl(instance: _Instance, values: Values) -> float:
    z = instance.offsets(values)
    return float(z @ z)


def _cliff(instance: _Instance, values: Values) -> float:
    """Raise in the quarter of the space beyond a corner, close to which the optimum lies."""
    z = instance.offsets(values)
    if z[0] > 0.02 and z[1] > -0.1:
        raise Crash
    return float(z @ z + 0.3 * (z[0] - z[2]) ** 2)


def _two_bowls(apart: Vector, instance: _Instance, values: Values) -> Losses:
    z = instance.offsets(values)
    return float(np.sum((z - apart) ** 2)), float(np.sum((z + apart) ** 2))


# The problems.


def _analytic(
    name: str,
    parameters: Mapping[str, Parameter],
    loss: Callable[[_Instance, Values], float],
    number: int,
    noise: float = 0.0,
) -> Problem:
    space = Space(parameters)
    instance = _Instance(space, _rng(name, number))

    def losses(values: Values) -> Losses:
        return (loss(instance, values),)

    return Problem(name, space, losses, 0.0, _start(space, losses, _rng(name, number)), noise=noise)


def _rng(name: str, number: int) -> np.random.Generator:
    return np.random.default_rng([number, *name.encode()])


def _start(
    space: Space,
    losses: Callable[[Values], Losses],
    rng: np.random.Generator,
    corner: Losses = (),
) -> float:
    found: list[Losses] = []
    while len(found) < _SAMPLES:
        try:
            found.append(losses(space.sample(rng)))
        except Crash:
            continue
    if corner:
        eights = [found[i : i + 8] for i in range(0, _SAMPLES, 8)]
        return -float(np.median([covered(eight, corner) for eight in eights]))
    # Half of all eights are better than this quantile.
    return float(np.quantile([loss for (loss,) in found], 1 - 0.5 ** (1 / 8)))


def _learner(number: int) -> Problem:
    log = partial(Double, scale="log")
    parameters: dict[str, Parameter] = {
        "lr": log(1e-6, 1.0),
        "decay": log(1e-8, 1e-1),
        "dropout": Double(0.0, 0.9),
        "layers": Integer(1, 8),
        "units": Integer(8, 1024, scale="log"),
        "batch": Discrete([8, 16, 32, 64, 128, 256], scale="log"),
        "optimizer": Categorical(["adam", "sgd", "rmsprop"]),
        "schedule": Categorical(["cosine", "constant"]),
    }
    return _analytic("learner-8", parameters, _hills, number)


def _wide(number: int) -> Problem:
    """Twenty parameters, of which a few matter."""
    rng = _rng("wide-20", number)
    weights = 10.0 ** (-4 * np.arange(20) / 6)
    rotation = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    rotation = 0.2 * rotation + 0.8 * np.eye(20)[rng.permutation(20)]
    return _analytic("wide-20", _doubles(20), partial(_ellipsoid, weights, rotation), number)


def _slanted(number: int) -> Problem:
    weights = 10.0 ** np.linspace(0, 3, 6)
    rotation = np.linalg.qr(_rng("slanted-6", number).standard_normal((6, 6)))[0]
    parameters = {f"x{i}": Double(1e-4, 1e4, scale="log") for i in range(6)}
    return _analytic("slanted-6", parameters, partial(_ellipsoid, weights, rotation), number)


def _whole(number: int) -> Problem:
    parameters: dict[str, Parameter] = {f"k{i}": Integer(1, 12) for i in range(4)}
    parameters |= {f"n{i}": Integer(1, 4096, scale="log") for i in range(3)}
    return _analytic("whole-7", parameters, _steps, number)


def _branches(number: int) -> Problem:
    log = partial(Double, scale="log")
    net, svm, forest = {"model": ["net"]}, {"model": ["svm"]}, {"model": ["forest"]}
    parameters: dict[str, Parameter] = {
        "model": Categorical(["net", "svm", "forest"]),
        "subset": Double(0.1, 1.0),
        "lr": log(1e-6, 1.0, when=net),
        "layers": Integer(1, 6, when=net),
        "penalty": Categorical(["none", "weights"], when=net),
        "decay": log(1e-8, 1e-1, when={"penalty": ["weights"]}),
        "C": log(1e-3, 1e3, when=svm),
        "gamma": log(1e-5, 1e1, when=svm),
        "trees": Integer(10, 1000, scale="log", when=forest),
        "depth": Integer(1, 20, when=forest),
    }
    return _analytic("tree-10", parameters, _tree, number)


def _fronts(number: int) -> Problem:
    """Two bowls whose optima are apart; the front lies between them."""
    rng = _rng("two-losses-4", number)
    space = Space(_doubles(4))
    apart = rng.standard_normal(4)
    apart *= 0.2 / np.linalg.norm(apart)
    losses = partial(_two_bowls, apart, _Instance(space, rng))
    corner = (0.6, 0.6)
    share = np.linspace(0, 1, 20_001)
    gap = 4 * float(apart @ apart)
    front = list(zip(gap * share**2, gap * (1 - share) ** 2, strict=True))
    start = _start(space, losses, rng, corner)
    best = -covered(front, corner)
    return Problem("two-losses-4", space, losses, best, start, close=1e-2, corner=corner)


def covered(losses: Sequence[Losses], corner: Losses) -> float:
    """Return the area between the front of ``losses``, each a pair, and the corner."""
    area, lowest = 0.0, corner[1]
    for first, second in sorted(losses):
        if first < corner[0] and second < lowest:
            area += (corner[0] - first) * (lowest - second)
            lowest = second
    return area


def _real(tuning: tunings.Tuning, number: int) -> Problem:
    del number  # the data are what they are

    def losses(values: Values) -> Losses:
        return (tuning.loss(values),)

    space = Space(tuning.parameters)
    return Problem(tuning.name, space, losses, tuning.best, tuning.start, close=1e-2)


_LOGS = {"a": Double(1e-6, 1.0, scale="log"), "b": Double(0.0, 15.0)}

PROBLEMS: Mapping[str, Callable[[int], Problem]] = {
    "branin-2": partial(_analytic, "branin-2", _LOGS, _branin),
    "valley-5": partial(_analytic, "valley-5", _doubles(5), _valley),
    "slanted-6": _slanted,
    "wide-20": _wide,
    "whole-7": _whole,
    "learner-8": _learner,
    "tree-10": _branches,
    "noisy-4": partial(_analytic, "noisy-4", _doubles(4), _bowl, noise=0.05),
    "cliff-5": partial(_analytic, "cliff-5", _doubles(5), _cliff),
    "two-losses-4": _fronts,
    **{tuning.name: partial(_real, tuning) for tuning in tunings.TUNINGS},
}


def problem(name: str, number: int) -> Problem:
    """Return instance ``number`` of a problem; the same for the same number, always."""
    return PROBLEMS[name](number)
