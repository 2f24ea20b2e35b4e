"""What a simulated schedule is about, drawn from its seed: the study, who runs it, what may go wrong."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from tunesmith.model import Algorithm, Ending, Objective, Stopping, StudySpec
from tunesmith.space import Discrete, Double, Space

__all__ = ["RATES", "Scenario", "draw"]

_SCHEDULES: tuple[tuple[Stopping, ...], ...] = (
    (),
    (),
    (),
    (Stopping("median", {"min_trials": 2, "min_steps": 2}),),
    (Stopping("asha", {"min_steps": 1, "eta": 2}),),
    (Stopping("asha-promotion", {"min_steps": 1, "eta": 2}),),
    (Stopping("hyperband", {"min_steps": 1, "eta": 2}),),
    (Stopping("pbt", {"population": 3, "interval": 2}),),
)
_MAX_STEPS = 4

RATES = {
    # At each call that writes
    "dies before": 0.004,
    "dies after": 0.006,
    "cut off": 0.004,
    "reply lost": 0.006,
    "statement fails": 0.002,
    "commit fails": 0.004,
    "connection lost": 0.004,
    "commit unheard": 0.008,
    # Likewise, over HTTP
    "server restarts": 0.006,
    "delivered late": 0.006,
    "delivered twice": 0.02,
    # At each program's start, and at each of its steps
    "program broken": 0.05,
    "preempted": 0.02,
    # At each tick of a clock of disasters
    "killed": 0.10,
    "interrupted": 0.05,
    "frozen": 0.25,
    "clock jumps": 0.05,
    "database's clock jumps": 0.06,
}
"""How likely each mishap is at each opportunity, where a schedule has it at all."""


@dataclass(frozen=True)
class Scenario:
    """A schedule as it is set up.

    Attributes:
        spec: The study.
        tuners: How many run it.
        machines: On how many machines.
        slots: How many trials each tuner may run; None for as many as the study says.
        pace: How long things take, against the usual: 1, or so long that leases end meanwhile.
        files: Whether programs write their metrics to files rather than report them by calls.
        keeps: Whether programs save checkpoints.
        acts: How often a person steps in.
        clients: How many others tune over HTTP, for whom the server thinks.
        rates: How likely each mishap is at each opportunity.
    """

    spec: StudySpec
    tuners: int
    machines: int
    slots: int | None
    pace: float
    files: bool
    keeps: bool
    acts: int
    clients: int
    rates: Mapping[str, float]


def draw(dice: random.Random) -> Scenario:
    """Draw a scenario; about one in eight is without any mishap."""
    stopping = dice.choice(_SCHEDULES)
    trains = bool(stopping)
    finite = not trains and dice.random() < 0.2
    space = Space(
        {"x": Discrete([i / 8 for i in range(8)]) if finite else Double(0.0, 1.0)}
        | ({"y": Double(0.0, 1.0)} if dice.random() < 0.3 and not finite else {})
    )
    spec = StudySpec(
        space=space,
        objectives=(Objective("loss", "minimize"),),
        algorithm=Algorithm(dice.choice(["random", "random", "halton"])),
        seed=dice.randrange(2**31),
        max_trials=dice.randint(5 if trains else 2, 9 if dice.random() < 0.95 else 24),
        parallel_trials=dice.randint(1, 3),
        max_failed_trials=dice.choice([None, None, None, 3]),
        stopping=stopping,
        max_steps=_MAX_STEPS if trains else dice.choice([None, 1]),
        ending=dice.choice(
            [Ending()] * 5 + [Ending(target=0.35), Ending(no_improvement=4), Ending(time_s=20.0)]
        ),
    )
    kinds = dice.sample(sorted(RATES), dice.choice([0, 1, 2, 3, 5, len(RATES), len(RATES), 4]))
    strength = dice.choice([0.5, 1.0, 2.0, 4.0])
    tuners = dice.randint(1, 4)
    return Scenario(
        spec=spec,
        tuners=tuners,
        machines=dice.randint(1, tuners),
        slots=dice.choice([None, None, 1, 2]),
        pace=dice.choice([1.0, 1.0, 1.0, 8.0]),
        files=dice.random() < 0.25,
        keeps=dice.random() < 0.7,
        acts=dice.choice([0, 0, 2, 6]),
        clients=dice.choice([0, 0, 1, 3]),
        rates={kind: strength * RATES[kind] for kind in kinds},
    )
