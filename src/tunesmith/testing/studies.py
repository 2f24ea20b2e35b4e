"""Small studies to test plug-ins with."""

from collections.abc import Iterable, Sequence

from tunesmith.model import (
    History,
    Objective,
    StudySpec,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.space import Categorical, Discrete, Double, Integer, Space

__all__ = ["FINITE", "INFINITE", "ended", "spec_of", "suggestions"]

FINITE = {
    "one point": Space({"only": Discrete([7])}),
    "integers": Space({"a": Integer(1, 4), "b": Integer(-2, 2)}),
    "mixed": Space(
        {
            "units": Discrete([64, 128, 512]),
            "kind": Categorical(["sgd", "adam"]),
            "flag": Categorical([True, False]),
            "rate": Double(0.0, 1.0, step=0.5),
        }
    ),
    "conditional": Space(
        {
            "kind": Categorical(["flat", "deep"]),
            "layers": Integer(1, 3, when={"kind": ["deep"]}),
            "drop": Categorical(["no", "yes"], when={"layers": [2, 3]}),
        }
    ),
}
"""Spaces that can be exhausted, of 1, 20, 36 and 6 points."""

INFINITE = {
    "one double": Space({"x": Double(-1.0, 1.0)}),
    "scales": Space(
        {
            "rate": Double(1e-5, 1e-1, scale="log"),
            "keep": Double(0.5, 0.999, scale="reverse_log"),
            "units": Integer(1, 1024, scale="log"),
        }
    ),
    "conditional": Space(
        {
            "optimizer": Categorical(["sgd", "adam"]),
            "momentum": Double(0.0, 0.99, when={"optimizer": ["sgd"]}),
            "β₂": Double(0.9, 0.999, when={"optimizer": ["adam"]}),
        }
    ),
    "twenty": Space({f"x{i}": Double(0.0, 1.0) for i in range(20)}),
}
"""Spaces with a continuous parameter."""


def spec_of(space: Space, *, seed: int = 0, max_trials: int | None = None) -> StudySpec:
    """Return a study that minimizes ``loss``."""
    return StudySpec(space, (Objective("loss", "minimize"),), seed=seed, max_trials=max_trials)


def suggestions(*values: float) -> list[Suggestion]:
    """Return points of the space with one double ``x``."""
    return [Suggestion({"x": value}) for value in values]


def ended(
    history: History, points: Iterable[Suggestion], states: Sequence[TrialState] = ()
) -> list[Trial]:
    """Return the trials that these points become, numbered on from ``history``, in ``states`` in turn.

    Without states they are completed. Who completes has as loss the sum of its place in the cube.
    """
    states = states or (TrialState.COMPLETED,)
    trials = []
    for number, point in enumerate(points, start=len(history.trials) + 1):
        unit = history.spec.space.encode(point.values)
        state = states[number % len(states)]
        counts = state in (TrialState.COMPLETED, TrialState.STOPPED)
        metrics = {"loss": float(unit[unit == unit].sum())} if counts else {}  # noqa: PLR0124 - nan
        trials.append(Trial(number, point.values, state, 1, point.origin, metrics=metrics))
    return trials
