"""Tunesmith and its peers, each asked for points and told what became of them.

Peers without conditions are given every parameter, and those that a point does not need are dropped.
Peers without lists of numbers are given the position in the list. A peer that knows no failed trials is
told the worst loss so far, and one that knows a single loss is told the sum of two.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from tunesmith import Categorical, Discrete, Double, Integer, Space, Study
from tunesmith.plugins import plugin_names
from tunesmith.space import Parameter, Value, parents

__all__ = ["Searcher", "installed", "make"]

Values = Mapping[str, Value]
Losses = tuple[float, ...]


class Searcher(Protocol):
    """Proposes points for one run."""

    def ask(self, count: int) -> Sequence[Values]:
        """Return points to try at once, each with its active parameters."""
        ...

    def tell(self, losses: Sequence[Losses | None]) -> None:
        """Take the losses of the points asked last, in their order; None for one that crashed."""
        ...


Maker = Callable[[Space, int, int, int], Searcher]
"""Makes a searcher from the space, the number of losses, a seed and the number of trials."""


class _Tunesmith:
    def __init__(self, algorithm: str, space: Space, losses: int, seed: int, trials: int) -> None:
        self._metrics = [f"loss{i}" for i in range(losses)]
        self._study = Study(
            space, minimize=self._metrics, algorithm=algorithm, seed=seed, max_trials=trials
        )
        self._asked: list[int] = []

    def ask(self, count: int) -> Sequence[Values]:
        trials = self._study.ask(count)
        self._asked = [trial.number for trial in trials]
        return [trial.values for trial in trials]

    def tell(self, losses: Sequence[Losses | None]) -> None:
        for number, loss in zip(self._asked, losses, strict=True):
            if loss is None:
                self._study.fail(number, "crashed")
            else:
                self._study.complete(number, dict(zip(self._metrics, loss, strict=True)))


class _Random:
    """Random search without anything around it: what there is to beat."""

    def __init__(self, space: Space, losses: int, seed: int, trials: int) -> None:
        del losses, trials
        self._space, self._rng = space, np.random.default_rng(seed)

    def ask(self, count: int) -> Sequence[Values]:
        return [self._space.sample(self._rng) for _ in range(count)]

    def tell(self, losses: Sequence[Losses | None]) -> None:
        """Learn nothing."""


class _Optuna:
    def __init__(self, sampler: str, space: Space, losses: int, seed: int, trials: int) -> None:
        del trials
        optuna = self._optuna = import_module("optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        made = getattr(optuna.samplers, sampler)(seed=seed)
        self._study = optuna.create_study(directions=["minimize"] * losses, sampler=made)
        self._space = space
        self._asked: list[Any] = []

    def ask(self, count: int) -> Sequence[Values]:
        self._asked = [self._study.ask() for _ in range(count)]
        return [self._values(trial) for trial in self._asked]

    def _values(self, trial: Any) -> Values:
        values: dict[str, Value] = {}
        for name, parameter in self._space.items():
            if all(values.get(parent) in allowed for parent, allowed in parents(parameter)):
                values[name] = _suggested(trial, name, parameter)
        return values

    def tell(self, losses: Sequence[Losses | None]) -> None:
        failed = self._optuna.trial.TrialState.FAIL
        for trial, loss in zip(self._asked, losses, strict=True):
            if loss is None:
                self._study.tell(trial, state=failed)
            else:
                self._study.tell(trial, list(loss))


def _suggested(trial: Any, name: str, parameter: Parameter) -> Value:
    value: Value
    match parameter:
        case Double():
            log = parameter.scale == "log"
            value = trial.suggest_float(name, parameter.low, parameter.high, log=log)
        case Integer():
            log = parameter.scale == "log"
            value = trial.suggest_int(name, parameter.low, parameter.high, log=log)
        case Discrete():
            value = parameter.values[trial.suggest_int(name, 0, len(parameter.values) - 1)]
        case Categorical():
            value = trial.suggest_categorical(name, list(parameter.values))
    return value


class _Worst:
    """Turns what became of a trial into one number."""

    def __init__(self) -> None:
        self._worst = 0.0
        self._seen = False

    def number(self, losses: Losses | None) -> float:
        """Return the sum of the losses; of a crash the worst sum so far."""
        if losses is None:
            return self._worst
        total = math.fsum(losses)
        self._worst = max(self._worst, total) if self._seen else total
        self._seen = True
        return total


class _Skopt:
    def __init__(self, model: str, space: Space, losses: int, seed: int, trials: int) -> None:
        del losses, trials
        skopt = import_module("skopt")
        self._space, self._worst = space, _Worst()
        dimensions = [_dimension(skopt.space, parameter) for _, parameter in space.items()]
        self._optimizer = skopt.Optimizer(dimensions, model, random_state=seed)
        self._asked: list[Any] = []

    def ask(self, count: int) -> Sequence[Values]:
        several = count > 1
        self._asked = self._optimizer.ask(count) if several else [self._optimizer.ask()]
        return [_flat(self._space, dict(zip(self._space, p, strict=True))) for p in self._asked]

    def tell(self, losses: Sequence[Losses | None]) -> None:
        self._optimizer.tell(self._asked, [self._worst.number(loss) for loss in losses])


def _dimension(module: Any, parameter: Parameter) -> Any:
    match parameter:
        case Double() | Integer():
            kind = module.Real if isinstance(parameter, Double) else module.Integer
            prior = "log-uniform" if parameter.scale == "log" else "uniform"
            return kind(parameter.low, parameter.high, prior=prior)
        case Discrete():
            return module.Integer(0, len(parameter.values) - 1)
        case Categorical():
            return module.Categorical(list(parameter.values))


class _Nevergrad:
    def __init__(self, optimizer: str, space: Space, losses: int, seed: int, trials: int) -> None:
        nevergrad = import_module("nevergrad")
        self._space, self._worst, self._several = space, _Worst(), losses > 1
        wanted = {name: _variable(nevergrad.p, parameter) for name, parameter in space.items()}
        variables = nevergrad.p.Dict(**wanted)
        variables.random_state.seed(seed)
        self._optimizer = nevergrad.optimizers.registry[optimizer](variables, budget=trials)
        self._asked: list[Any] = []

    def ask(self, count: int) -> Sequence[Values]:
        self._asked = [self._optimizer.ask() for _ in range(count)]
        return [_flat(self._space, candidate.value) for candidate in self._asked]

    def tell(self, losses: Sequence[Losses | None]) -> None:
        for candidate, loss in zip(self._asked, losses, strict=True):
            several = self._several and loss is not None
            self._optimizer.tell(candidate, loss if several else self._worst.number(loss))


def _variable(module: Any, parameter: Parameter) -> Any:
    match parameter:
        case Double() | Integer():
            kind = module.Log if parameter.scale == "log" else module.Scalar
            variable = kind(lower=parameter.low, upper=parameter.high)
            return variable if isinstance(parameter, Double) else variable.set_integer_casting()
        case Discrete():
            last = len(parameter.values) - 1
            return module.Scalar(lower=0, upper=last).set_integer_casting()
        case Categorical():
            return module.Choice(list(parameter.values))


def _flat(space: Space, given: Mapping[str, Any]) -> Values:
    """Return a peer's point in our values, with its active parameters only."""
    values: dict[str, Value] = {}
    for name, parameter in space.items():
        value = given[name].item() if isinstance(given[name], np.generic) else given[name]
        match parameter:
            case Double():
                values[name] = float(min(max(value, parameter.low), parameter.high))
            case Integer():
                values[name] = int(min(max(value, parameter.low), parameter.high))
            case Discrete():
                values[name] = parameter.values[int(value)]
            case Categorical():
                values[name] = value
    return {name: values[name] for name in space.active(values)}


_PEERS: Mapping[str, tuple[Sequence[str], Maker]] = {
    "optuna-tpe": (["optuna"], partial(_Optuna, "TPESampler")),
    "optuna-gp": (["optuna", "torch", "scipy"], partial(_Optuna, "GPSampler")),
    "skopt-gp": (["skopt"], partial(_Skopt, "GP")),
    "nevergrad": (["nevergrad"], partial(_Nevergrad, "NGOpt")),
}


def installed() -> list[str]:
    """Return the names of the searchers that can run here: ours, random search, and installed peers."""
    ours = [f"tunesmith:{name}" for name in plugin_names("searchers") if name != "grid"]
    peers = [name for name, (needs, _) in _PEERS.items() if all(map(find_spec, needs))]
    return [*ours, "random", *peers]


def make(name: str, space: Space, losses: int, seed: int, trials: int) -> Searcher:
    """Return a new searcher for one run of ``trials`` trials."""
    warnings.simplefilter("ignore")  # of peers; this process does nothing else
    if name == "random":
        return _Random(space, losses, seed, trials)
    if name.startswith("tunesmith:"):
        return _Tunesmith(name.removeprefix("tunesmith:"), space, losses, seed, trials)
    return _PEERS[name][1](space, losses, seed, trials)
