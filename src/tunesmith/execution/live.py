"""What a training function is given: its values, where to write, and how to report."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import Problem, SpecError, TrialPaused, TrialStopped
from tunesmith.execution.messages import Answer
from tunesmith.space import Space, Value
from tunesmith.study import check_metrics, check_step

__all__ = ["LiveTrial", "call", "check_function"]


@dataclass(frozen=True, slots=True)
class LiveTrial:
    """The trial that a training function runs.

    Attributes:
        number: Its number in the study.
        values: One value for each active parameter.
        directory: A directory of its own.
        checkpoint_dir: A directory that stays when the trial is started again; at first it holds what
            the trial's parent had saved, or nothing.
        budget: How many steps to train in all before returning, those before a pause included; None
            for as many as the function likes. A function that reports may go on until it is stopped.
    """

    number: int
    values: Mapping[str, Value]
    directory: Path
    checkpoint_dir: Path
    budget: int | None
    _send: Callable[[int | None, Mapping[str, float]], Answer]

    def report(self, step: int | None = None, /, **metrics: float) -> None:
        """Report metrics measured at ``step`` (by default, the one after the last).

        Raises:
            TrialStopped: the trial should end here; let it pass, or save and leave.
            TrialPaused: a `TrialStopped` of a trial that may be resumed: what ``checkpoint_dir`` holds
                when the function has ended is there when it is called again.
            MetricError: a value is no number, or the step is no whole number from 0.
        """
        checked = check_metrics(metrics)
        answer = self._send(None if step is None else check_step(step), checked)
        if answer.stop:
            raise (TrialPaused if answer.pause else TrialStopped)(answer.stop)


def check_function(function: Callable[..., object], space: Space) -> None:
    """Raise `SpecError` unless the function can be called with a trial, or with the parameters."""
    if _takes_trial(function, space):
        return
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    taken = {p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY}
    needed = {p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL}
    name = getattr(function, "__name__", repr(function))
    if missing := [n for n in space if n not in taken]:
        _refuse(f"{name}() does not take the parameter {missing[0]!r} of the space.")
    if extra := sorted(needed - set(space)):
        _refuse(f"{name}() needs {extra[0]!r}, which is no parameter of the space.")
    optional = [n for n, p in space.items() if p.when]
    if lacking := [n for n in optional if n in needed]:
        _refuse(f"{name}() needs a default for {lacking[0]!r}, which is not always active.")


def call(function: Callable[..., object], trial: LiveTrial, space_names: frozenset[str]) -> object:
    """Call the function with the trial, or with its values by name."""
    if _takes_trial(function, space_names):
        return function(trial)
    return function(**trial.values)


def _takes_trial(function: Callable[..., object], names: Space | frozenset[str]) -> bool:
    """Whether the function has a single parameter, and that is none of the space's."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some built-in callables have no signature
        return True
    needed = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if len(needed) > 1 or not parameters:
        return False
    first = (needed or parameters)[0]
    return first.name not in names and first.kind not in (first.KEYWORD_ONLY, first.VAR_KEYWORD)


def _refuse(message: str) -> None:
    hint = " It takes either one argument, the trial, or the space's parameters by name."
    raise SpecError([Problem("E121", message + hint)])
