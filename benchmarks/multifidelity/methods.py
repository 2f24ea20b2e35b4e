"""Who tunes: Tunesmith's searchers, rules and schedules, and the peers that are installed.

Every method trains in virtual time, with so many workers, until all its trials together have had their
steps. Tunesmith is run by its own simulation, peers by a clock of the same kind: Optuna by ask, report and
should_prune, Ray Tune's scheduler by the calls that its controller would make.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np

from benchmarks.multifidelity.problems import CurveProblem
from tunesmith import Categorical, Discrete, Double, Integer
from tunesmith.model import Algorithm, Objective, Stopping, StudySpec
from tunesmith.plugins import plugin_names
from tunesmith.search import make_searcher
from tunesmith.space import Parameter, Space, Value, parents
from tunesmith.stopping import make_rules, make_schedule
from tunesmith.testing.simulation import Simulation

__all__ = ["METHODS", "Step", "installed", "train"]

Values = Mapping[str, Value]
_ENDLESS = 100_000


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one trial, in the order in which they were done.

    Attributes:
        trial: The trial.
        step: Which of its steps, from 1.
        values: The trial's values.
    """

    trial: int
    step: int
    values: Values


Method = Callable[[CurveProblem, int, int, int], Sequence[Step]]
"""Takes a problem, a seed, the number of workers, and after how many steps in all to end."""


# Tunesmith


def _tunesmith(stopping: Sequence[Stopping], algorithm: str) -> Method:
    def method(problem: CurveProblem, seed: int, workers: int, total: int) -> Sequence[Step]:
        spec = StudySpec(
            problem.space,
            (Objective("loss", "minimize"),),
            algorithm=Algorithm(algorithm),
            seed=seed,
            max_trials=_ENDLESS,
            parallel_trials=workers,
            stopping=tuple(stopping),
            max_steps=problem.steps,
        )
        simulation = Simulation(
            spec,
            lambda values, step, _: ({"loss": float(problem.curve(values)[step - 1])}, None),
            make_searcher(spec.algorithm),
            make_schedule(stopping),
            make_rules(stopping),
            workers,
            problem.step_s,
            max_total=total,
        )
        trials = simulation.run().trials
        return [Step(e.number, e.step, trials[e.number - 1].values) for e in simulation.events]

    return method


# Peers


class _Peer(Protocol):
    """Another library, asked for trials and told of their steps."""

    def ask(self) -> Values:
        """Return the values of the next trial; trials are numbered from 1."""
        ...

    def report(self, trial: int, step: int, loss: float) -> bool:
        """Take in what a trial measured; true if it is to end here."""
        ...

    def end(self, trial: int, loss: float, *, stopped: bool) -> None:
        """Take in that a trial has ended, with its last loss."""
        ...


def _peer(make: Callable[[Space, int, int, int], _Peer]) -> Method:
    def method(problem: CurveProblem, seed: int, workers: int, total: int) -> Sequence[Step]:
        peer = make(problem.space, problem.steps, seed, workers)
        asked: list[Values] = []
        done: list[Step] = []
        due: list[tuple[float, int, int]] = []
        now = 0.0

        def begin() -> None:
            asked.append(peer.ask())
            heapq.heappush(due, (now + problem.step_s(asked[-1]), len(asked), 1))

        for _ in range(workers):
            begin()
        while len(done) < total:
            now, trial, step = heapq.heappop(due)
            values = asked[trial - 1]
            done.append(Step(trial, step, values))
            loss = float(problem.curve(values)[step - 1])
            stopped = peer.report(trial, step, loss)
            if stopped or step == problem.steps:
                peer.end(trial, loss, stopped=step < problem.steps)
                begin()
            else:
                heapq.heappush(due, (now + problem.step_s(values), trial, step + 1))
        return done

    return method


class _Optuna:
    """Optuna by ask and tell, with its default sampler; workers lie to one another if there are several."""

    def __init__(self, pruner: str, steps: int, space: Space, seed: int, workers: int) -> None:
        optuna = self._optuna = import_module("optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        made = getattr(optuna.pruners, pruner)
        settings = {"min_resource": 1, "max_resource": steps} if "Hyper" in pruner else {}
        with_lies = {"constant_liar": True} if workers > 1 else {}
        sampler = optuna.samplers.TPESampler(seed=seed, **with_lies)
        self._study = optuna.create_study(sampler=sampler, pruner=made(**settings))
        self._space = space
        self._trials: list[Any] = []

    def ask(self) -> Values:
        self._trials.append(self._study.ask())
        values: dict[str, Value] = {}
        for name, parameter in self._space.items():
            if all(values.get(parent) in allowed for parent, allowed in parents(parameter)):
                values[name] = _suggested(self._trials[-1], name, parameter)
        return values

    def report(self, trial: int, step: int, loss: float) -> bool:
        self._trials[trial - 1].report(loss, step)
        return bool(self._trials[trial - 1].should_prune())

    def end(self, trial: int, loss: float, *, stopped: bool) -> None:
        if stopped:
            pruned = self._optuna.trial.TrialState.PRUNED
            self._study.tell(self._trials[trial - 1], state=pruned)
        else:
            self._study.tell(self._trials[trial - 1], loss)


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


class _Ray:
    """Ray Tune's ASHA with its defaults; points at random, or from Optuna's TPE through its searcher's calls."""

    def __init__(self, searcher: str, steps: int, space: Space, seed: int, workers: int) -> None:
        del workers
        schedulers = import_module("ray.tune.schedulers")
        self._scheduler = schedulers.ASHAScheduler(
            time_attr="training_iteration", metric="loss", mode="min", max_t=steps
        )
        self._space, self._rng = space, np.random.default_rng(seed)
        self._count = 0
        self._sampler: _Optuna | None = None
        if searcher == "optuna":
            self._sampler = _Optuna("NopPruner", steps, space, seed, 1)

    def ask(self) -> Values:
        self._count += 1
        self._scheduler.on_trial_add(None, self._trial(self._count))
        return self._sampler.ask() if self._sampler else self._space.sample(self._rng)

    def report(self, trial: int, step: int, loss: float) -> bool:
        if self._sampler:
            self._sampler.report(trial, step, loss)
        result = {"training_iteration": step, "loss": loss}
        action = self._scheduler.on_trial_result(None, self._trial(trial), result)
        return bool(action == self._scheduler.STOP)

    def end(self, trial: int, loss: float, *, stopped: bool) -> None:
        # Ray's OptunaSearch tells the last loss as if it were final, also of a trial that was stopped.
        del stopped
        if self._sampler:
            self._sampler.end(trial, loss, stopped=False)

    def _trial(self, number: int) -> SimpleNamespace:
        return SimpleNamespace(trial_id=str(number))


def _optuna(pruner: str) -> Method:
    return _peer(lambda space, steps, seed, workers: _Optuna(pruner, steps, space, seed, workers))


def _ray(searcher: str) -> Method:
    return _peer(lambda space, steps, seed, workers: _Ray(searcher, steps, space, seed, workers))


_OURS: Mapping[str, tuple[Sequence[str], str]] = {
    "random, whole trials": ((), "random"),
    "bayesian, whole trials": ((), "bayesian"),
    "auto": (("auto",), "bayesian"),
    "auto, random points": (("auto",), "random"),
    "median": (("median",), "bayesian"),
    "asha": (("asha",), "bayesian"),
    "asha, random points": (("asha",), "random"),
    "asha-promotion": (("asha-promotion",), "bayesian"),
    "asha-promotion, random points": (("asha-promotion",), "random"),
    "hyperband": (("hyperband",), "random"),
    "bohb": (("bohb",), "tpe"),
}

METHODS: Mapping[str, Method] = {
    **{n: _tunesmith([Stopping(s) for s in names], a) for n, (names, a) in _OURS.items()},
    "optuna TPE, median": _optuna("MedianPruner"),
    "optuna TPE, hyperband": _optuna("HyperbandPruner"),
    "optuna TPE, halving": _optuna("SuccessiveHalvingPruner"),
    "ray ASHA": _ray("random"),
    "ray ASHA, optuna TPE": _ray("optuna"),
}


def installed() -> list[str]:
    """Return the methods that can run here."""
    known = {*plugin_names("schedules"), *plugin_names("stopping_rules")}
    found = [n for n, (names, _) in _OURS.items() if known >= set(names)]
    optuna, ray = find_spec("optuna") is not None, find_spec("ray") is not None
    found += [n for n in METHODS if n.startswith("optuna") and optuna]
    return found + [
        n for n in METHODS if n.startswith("ray") and ray and (optuna or "TPE" not in n)
    ]


def train(name: str, problem: CurveProblem, seed: int, workers: int, total: int) -> Sequence[Step]:
    """Run a method and return what it did."""
    return METHODS[name](problem, seed, workers, total)
