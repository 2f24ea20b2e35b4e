"""How many steps schedules need for what whole trials need 1,620 for: random search, four trials at once."""

import math
from collections.abc import Mapping
from functools import cache
from statistics import median

import numpy as np
import pytest

from tunesmith.model import Objective, Setting, Stopping, StudySpec
from tunesmith.search.random import Random
from tunesmith.space import Double, Space, Value
from tunesmith.stopping import make_schedule
from tunesmith.testing.simulation import Simulation, Train

SPACE = Space({name: Double(0.0, 1.0) for name in "xyz"})
STEPS, WHOLE_TRIALS, SEEDS = 27, 60, 7


def _floor(values: Mapping[str, Value]) -> float:
    return 0.1 + (float(values["x"]) - 0.3) ** 2 + (float(values["z"]) - 0.6) ** 2


def power(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    """Train towards a floor, all at the same pace."""
    return {"loss": _floor(values) + 1.5 * step**-0.7}, state


def crossing(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    """Train at a pace that y decides, so that what leads at first may end behind."""
    return {"loss": _floor(values) + math.exp(-step / (1.0 + 6.0 * float(values["y"])))}, state


def noisy(
    values: Mapping[str, Value], step: int, state: object
) -> tuple[Mapping[str, float], object]:
    """Train at different paces with noise, which is the point's own."""
    noise = np.random.default_rng([int(1e9 * float(values["x"])), step]).standard_normal()
    return {"loss": crossing(values, step, state)[0]["loss"] + 0.03 * noise}, state


def quality(train: Train, values: Mapping[str, Value]) -> float:
    """Return what a point comes to in the end, without noise."""
    smooth = crossing if train is noisy else train
    return float(smooth(values, STEPS, None)[0]["loss"])


@cache
def target(train: Train) -> float:
    """Return what the best of 60 random points is as good as, one time in two."""
    rng = np.random.default_rng(0)
    found = sorted(quality(train, SPACE.sample(rng)) for _ in range(20_000))
    return found[round((1.0 - math.pow(0.5, 1.0 / WHOLE_TRIALS)) * len(found))]


def steps_to_target(name: str, settings: Mapping[str, Setting], train: Train, seed: int) -> float:
    """Return how many steps were done when a whole trial was as good, infinite if none was in half of all."""
    goal = (Objective("loss", "minimize"),)
    spec = StudySpec(SPACE, goal, seed=seed, max_trials=1_000, max_steps=STEPS)
    schedule = make_schedule([Stopping(name, settings)])
    most = WHOLE_TRIALS * STEPS // 2
    simulation = Simulation(spec, train, Random(), schedule, workers=4, max_total=most)
    trials = simulation.run().trials
    for event in simulation.events:
        values = trials[event.number - 1].values
        if event.step == STEPS and quality(train, values) <= target(train):
            return event.total
    return math.inf


@pytest.mark.slow
@pytest.mark.parametrize("train", [power, crossing, noisy])
@pytest.mark.parametrize(
    ("name", "settings", "part"),
    [
        ("halving", {}, 3),
        ("asha-promotion", {}, 3),
        # These judge some trials late, in case curves cross.
        ("hyperband", {}, 2),
        ("asha-promotion", {"brackets": 2}, 2),
    ],
)
def test_what_takes_random_search_all_steps_takes_a_part_of_them(
    name: str, settings: dict[str, Setting], part: int, train: Train
) -> None:
    found = [steps_to_target(name, settings, train, seed) for seed in range(SEEDS)]

    assert median(found) < WHOLE_TRIALS * STEPS / part, found
