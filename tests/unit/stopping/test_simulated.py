"""What rules save in whole studies, and what they cost: random search, four trials at once, 27 steps."""

import math
from collections.abc import Mapping

import pytest

from tunesmith.model import Objective, Stopping, StudySpec, TrialState
from tunesmith.search.random import Random
from tunesmith.space import Double, Space, Value
from tunesmith.stopping import make_rules
from tunesmith.testing.simulation import Simulation, Train

SPACE = Space({"x": Double(0.0, 1.0), "y": Double(0.0, 1.0)})
TRIALS, STEPS = 60, 27


def learning(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    """Train: x decides where the loss ends, y how high it begins and how fast it falls."""
    x, y = float(values["x"]), float(values["y"])
    end, fall, power = 0.1 + 1.5 * (x - 0.3) ** 2, 1.0 + y, 0.3 + 1.2 * y
    return {"loss": end + fall * step**-power + 0.02 * math.sin(1000 * x + 37 * step * y)}, state


def folds(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    """Measure one fold after another, some of them harder than others."""
    x, y = float(values["x"]), float(values["y"])
    noise = 0.05 * math.sin(1000 * x + 37 * step * y)
    return {"loss": (x - 0.3) ** 2 + 0.3 * math.sin(7 * step) + noise}, state


def simulated(stopping: Stopping | None, seed: int, train: Train) -> Simulation:
    spec = StudySpec(
        SPACE, (Objective("loss", "minimize"),), max_trials=TRIALS, max_steps=STEPS, seed=seed
    )
    rules = make_rules([] if stopping is None else [stopping])
    simulation = Simulation(spec, train, Random(), rules=rules, workers=4)
    simulation.run()
    return simulation


def best_of(simulation: Simulation) -> float:
    """Return the best loss of those that count, which stopped trials do with their last."""
    return min(t.metrics["loss"] for t in simulation.history.trials if t.counts)


def best_mean_of(simulation: Simulation) -> float:
    """Return the best mean over all folds."""
    history = simulation.history
    done = [t.number for t in history.trials if t.state is TrialState.COMPLETED]
    return min(history.curve(n).series(history.spec.objective).mean for n in done)


@pytest.mark.parametrize(
    ("name", "settings", "saved", "loss"),
    [
        ("median", {}, 0.10, 0.0),
        ("median", {"among": "all"}, 0.10, 0.0),
        ("percentile", {}, 0.15, 0.0),
        ("truncation", {}, 0.20, 0.01),
        ("bandit", {"slack_factor": 0.5}, 0.55, 0.0),
        ("asha", {"min_steps": 3}, 0.55, 0.01),
        ("curve", {}, 0.45, 0.01),
        ("patience", {"steps": 4, "min_delta": 0.02}, 0.2, 0.06),
        ("threshold", {"upper": 0.7, "min_steps": 9}, 0.08, 0.0),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_rule_saves_steps_and_keeps_the_best(
    name: str, settings: dict[str, float], saved: float, loss: float, seed: int
) -> None:
    whole = simulated(None, seed, learning)

    cut = simulated(Stopping(name, settings), seed, learning)

    assert len(cut.events) <= (1.0 - saved) * len(whole.events)
    assert best_of(cut) <= best_of(whole) + loss + 1e-12


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_racing_over_folds_saves_most_of_them_and_keeps_the_best_mean(seed: int) -> None:
    whole = simulated(None, seed, folds)

    cut = simulated(Stopping("wilcoxon"), seed, folds)

    assert len(cut.events) <= 0.45 * len(whole.events)
    assert best_mean_of(cut) <= best_mean_of(whole) + 0.01


def test_reasons_are_kept_on_the_trials_they_ended() -> None:
    simulation = simulated(Stopping("bandit", {"slack_factor": 0.5}), 0, learning)

    stopped = [t for t in simulation.history.trials if t.state is TrialState.STOPPED]

    assert len(stopped) > 20
    assert all("with a slack factor of 0.5" in t.reason for t in stopped)
