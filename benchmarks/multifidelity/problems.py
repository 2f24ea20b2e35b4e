"""Tunings whose trials have learning curves: made-up ones, a real one, and those of a harness elsewhere.

    u       a value's place between its bounds, on its own scale, 0 to 1
    level   what a trial's loss comes to in the end
    curve   its loss after each step, ``(steps,)``

An instance of a made-up tuning has its optimum drawn from a number. Noise belongs to the point: the same
point has the same curve, whoever tries it.
"""

import importlib
import math
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tunesmith import Categorical, Discrete, Double, Integer, Space
from tunesmith.space import Parameter, Value

__all__ = ["OWN", "CurveProblem", "from_harness", "problem"]

Vector = npt.NDArray[np.float64]
Values = Mapping[str, Value]


@dataclass
class CurveProblem:
    """Something to tune, one step at a time.

    Attributes:
        name: Its name.
        space: The parameters.
        steps: How many steps a whole trial has.
        whole: Returns the losses after each step of a trial, ``(steps,)``, and how long a step takes.
    """

    name: str
    space: Space
    steps: int
    whole: Callable[[Values], tuple[Vector, float]]
    _known: dict[tuple[tuple[str, Value], ...], tuple[Vector, float]] = field(default_factory=dict)

    def curve(self, values: Values) -> Vector:
        """Return the losses of a whole trial."""
        return self._of(values)[0]

    def final(self, values: Values) -> float:
        """Return the loss that a whole trial ends with."""
        return float(self._of(values)[0][-1])

    def step_s(self, values: Values) -> float:
        """Return how long a step takes."""
        return self._of(values)[1]

    def _of(self, values: Values) -> tuple[Vector, float]:
        key = tuple(values.items())
        if key not in self._known:
            self._known[key] = self.whole(values)
        return self._known[key]


def problem(name: str, instance: int, harness: str = "") -> CurveProblem:
    """Return a problem of ours, or of the harness in the folder ``harness``."""
    if name in OWN:
        return OWN[name](name, instance)
    return from_harness(name, harness)


# Made-up curves


def _place(parameter: Parameter, value: Value) -> float:
    assert isinstance(parameter, Double | Integer)
    low, high, at = float(parameter.low), float(parameter.high), float(value)
    if parameter.scale == "log":
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low)


def _noise(values: Values, steps: int) -> Vector:
    """Return standard normal numbers that belong to the point."""
    rng = np.random.default_rng(zlib.crc32(repr(sorted(values.items())).encode()))
    return rng.standard_normal(steps)


_NETWORK: dict[str, Parameter] = {
    "lr": Double(1e-5, 1.0, scale="log"),
    "momentum": Double(0.0, 0.99),
    "decay": Double(1e-7, 1e-1, scale="log"),
    "width": Integer(16, 1024, scale="log"),
    "dropout": Double(0.0, 0.8),
    "activation": Categorical(["relu", "tanh", "gelu"]),
}


def _network(
    name: str, instance: int, *, steps: int, crossing: float, overfit: float, noise: float
) -> CurveProblem:
    """Return a tuning that behaves like that of a network.

    What comes out in the end depends on all parameters. The learning rate also says how quickly it
    gets there, and diverges when it is too high.

    Args:
        name: Its name.
        instance: Where its optimum is.
        steps: How many steps a whole trial has.
        crossing: How much slower those are that end better: 0 for not at all.
        overfit: How much wide networks without dropout lose again in the end.
        noise: The standard deviation of each step's loss.
    """
    space = Space(_NETWORK)
    rng = np.random.default_rng([zlib.crc32(name.encode()), instance])
    numeric = [n for n in _NETWORK if n != "activation"]
    best = {n: rng.uniform(0.3, 0.7) for n in numeric}
    weight = {n: rng.uniform(0.5, 2.0) for n in numeric}
    cost = dict(zip(["relu", "tanh", "gelu"], rng.permutation([0.0, 0.02, 0.06]), strict=True))
    tilt = rng.uniform(-1.0, 1.0)

    def whole(values: Values) -> tuple[Vector, float]:
        z = {n: _place(_NETWORK[n], values[n]) - best[n] for n in numeric}
        u = {n: _place(_NETWORK[n], values[n]) for n in numeric}
        bowl = sum(weight[n] * z[n] ** 2 for n in numeric) + tilt * z["lr"] * z["momentum"]
        hills = 0.01 * sum(1 - math.cos(9 * z[n]) for n in numeric)
        level = 0.1 + 0.6 * math.tanh(bowl) + hills + float(cost[str(values["activation"])])
        speed = 10 ** (2.0 * (u["lr"] - 0.5) + 0.6 * (u["momentum"] - 0.5))
        speed *= 10 ** (crossing * 1.5 * (z["dropout"] + z["width"] + z["decay"]))
        t = np.arange(1, steps + 1) / steps
        start = 2.3
        losses = level + (start - level) * (1 + 40 * speed * t) ** -1.2
        losses = losses + overfit * max(0.0, z["width"] - z["dropout"]) * t**2
        heat = 8 * (u["lr"] + 0.5 * u["momentum"] - 1.15)
        losses = losses + (start - losses) / (1 + np.exp(-4 * heat))
        losses = losses + noise * _noise(values, steps)
        return losses, 0.5 + u["width"]

    return CurveProblem(name, space, steps, whole)


# A real tuning


def _digits_network(name: str, instance: int) -> CurveProblem:
    """Return the tuning of a small network on scikit-learn's digits: one step is one epoch."""
    datasets = importlib.import_module("sklearn.datasets")
    networks = importlib.import_module("sklearn.neural_network")
    images, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(instance).permutation(len(labels))
    train, test = order[:500], order[500:1000]
    images = images / 16.0
    epochs = 27
    space = Space(
        {
            "lr": Double(1e-5, 1e-1, scale="log"),
            "alpha": Double(1e-7, 1e1, scale="log"),
            "width": Integer(4, 128, scale="log"),
            "batch": Discrete([32, 64, 128, 256], scale="log"),
            "beta": Double(0.5, 0.999),
            "activation": Categorical(["relu", "tanh", "logistic"]),
        }
    )

    def whole(values: Values) -> tuple[Vector, float]:
        model = networks.MLPClassifier(
            hidden_layer_sizes=(int(values["width"]),),
            activation=values["activation"],
            alpha=float(values["alpha"]),
            batch_size=int(values["batch"]),
            learning_rate_init=float(values["lr"]),
            beta_1=float(values["beta"]),
            random_state=instance,
        )
        losses = []
        for _ in range(epochs):
            model.partial_fit(images[train], labels[train], classes=range(10))
            chances = model.predict_proba(images[test])[np.arange(len(test)), labels[test]]
            losses.append(float(-np.log(np.clip(chances, 1e-6, 1.0)).mean()))
        return np.array(losses), 1.0

    return CurveProblem(name, space, epochs, whole)


OWN: Mapping[str, Callable[[str, int], CurveProblem]] = {
    "network": partial(_network, steps=81, crossing=0.0, overfit=0.0, noise=0.003),
    "crossing": partial(_network, steps=81, crossing=-1.0, overfit=0.0, noise=0.003),
    "overfitting": partial(_network, steps=81, crossing=0.0, overfit=0.6, noise=0.003),
    "noisy": partial(_network, steps=81, crossing=0.0, overfit=0.0, noise=0.05),
    "digits-network": _digits_network,
}


# A harness elsewhere


def from_harness(name: str, folder: str) -> CurveProblem:
    """Return a problem of the optimizer harness in ``folder``, whose problems have a method ``curve``.

    Training sizes become twenty steps of a twentieth each.
    """
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = importlib.import_module("tsbench.problems")
    spaces = importlib.import_module("tsbench.space")
    made = module.get(name)
    sizes = [] if name.startswith("lcb:") else [(i + 1) / 20 for i in range(20)]
    steps = len(sizes) or 52

    def whole(values: Values) -> tuple[Vector, float]:
        if sizes:
            _, losses, seconds = made.curve(dict(values), None, sizes)
        else:
            _, losses, seconds = made.curve(dict(values))
        return np.asarray(losses, np.float64), max(float(seconds[-1]), 1e-3) / steps

    return CurveProblem(name, _space(spaces.order(made.space)), steps, whole)


def _space(parameters: Sequence[Mapping[str, Any]]) -> Space:
    kinds: Mapping[str, Any] = {
        "double": Double,
        "integer": Integer,
        "discrete": Discrete,
        "categorical": Categorical,
    }
    found: dict[str, Parameter] = {}
    for p in parameters:
        settings: dict[str, Any] = {}
        if p.get("scale", "linear") != "linear":
            settings["scale"] = p["scale"]
        if "parent" in p:
            settings["when"] = {p["parent"]["name"]: p["parent"]["values"]}
        bounds = (p["low"], p["high"]) if p["kind"] in {"double", "integer"} else (p["values"],)
        found[p["name"]] = kinds[p["kind"]](*bounds, **settings)
    return Space(found)
