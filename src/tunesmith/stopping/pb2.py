"""Population based bandits: copies of the best with numbers that a model chooses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.model import History, Series, Suggestion, Trial
from tunesmith.space import Categorical, Space
from tunesmith.stopping.drifting import Array, Rewards, chosen
from tunesmith.stopping.pbt import varied
from tunesmith.stopping.population import Exploration, Explore, Population

__all__ = ["gains", "pb2"]


def pb2(
    population: int = 10,
    interval: int | None = None,
    quantile: float = 0.25,
    resample: float = 0.25,
    perturb: float = 0.2,
) -> Population:
    """Return population based bandits (Parker-Holder et al. 2020), for small populations.

    It is population based training in which a model chooses numbers: one of how much a member gained
    between looks, by its values and the time. Categories are varied as in `pbt`, and so is everything
    while there are few gains to learn from.

    Args:
        population: How many members there are.
        interval: How many steps a member trains between looks; without it a twentieth of the whole.
        quantile: Which part of the members is best, and which is worst.
        resample: The probability with which a copy's category is drawn anew.
        perturb: By how much a number moves as long as the model knows little.

    Raises:
        SpecError: a setting makes no sense.
    """
    explore = _Bandit(varied("pb2", resample, perturb))
    return Population("pb2", explore, population, interval, quantile)


@dataclass(frozen=True, slots=True)
class _Bandit:
    """Chooses numbers by what they brought at other looks."""

    vary: Explore

    def __call__(
        self,
        parent: Trial,
        history: History,
        interval: int,
        begun: Sequence[Suggestion],
        rng: np.random.Generator,
    ) -> Exploration:
        space = history.spec.space
        usual = self.vary(parent, history, interval, begun, rng)
        numbers = _numbers(space)
        rewards = _rewards(history, interval, numbers)
        if not numbers or len(rewards) < 2 * len(numbers) + 2:
            return usual
        place = space.encode(usual.values)
        place = np.where(np.isnan(place), rng.random(len(place)), place)
        starts = np.stack([place[numbers], _filled(space.encode(parent.values))[numbers]])
        now = history.curve(parent.number).reach / interval
        beside = [t.values for t in history.open]
        pending = [_filled(space.encode(v))[numbers] for v in (*beside, *(s.values for s in begun))]
        table = np.array(pending).reshape(len(pending), len(numbers))
        found, bound = chosen(rewards, table, now, starts, rng)
        place[numbers] = found
        return Exploration(space.decode(place), acquisition="ucb", score=bound)


def _numbers(space: Space) -> list[int]:
    """Return the columns of the parameters that a bandit chooses."""
    return [
        j
        for j, (_, p) in enumerate(space.items())
        if not isinstance(p, Categorical) and p.size != 1
    ]


def _filled(place: Array) -> Array:
    """Return a place in the cube with the middle for what is not active."""
    return np.where(np.isnan(place), 0.5, place)


def _rewards(history: History, interval: int, numbers: Sequence[int]) -> Rewards:
    """Return what all trials gained from look to look."""
    space = history.spec.space
    x: list[Array] = []
    rest: list[tuple[float, float]] = []
    for trial in history.trials:
        place = None
        for t, y in gains(trial, history, interval):
            if place is None:
                place = _filled(space.encode(trial.values))[numbers]
            x.append(place)
            rest.append((t, y))
    table = np.array(rest).reshape(len(rest), 2)
    return Rewards(np.array(x).reshape(len(x), len(numbers)), table[:, 0], table[:, 1])


def gains(trial: Trial, history: History, interval: int) -> Iterator[tuple[float, float]]:
    """Yield when a trial's intervals began, in looks, and by how much its loss fell in each.

    A copy's first interval may be shorter or longer than others: its gain is scaled to their length.
    """
    series = history.curve(trial.number).series(history.spec.objective)
    if not len(series):
        return
    before, loss = _beginning(trial, series, history, interval)
    first = round(before / interval) + 1
    for look in range(first, int(series.reach) // interval + 1):
        after = series.until(look * interval).last
        if np.isfinite(loss) and np.isfinite(after):
            scale = interval / (look * interval - before)
            yield before / interval, scale * float(loss - after)
        before, loss = look * interval, after


def _beginning(trial: Trial, series: Series, history: History, interval: int) -> tuple[int, float]:
    """Return where a trial's first interval began, and its loss there: its parent's if it has one."""
    if trial.parent is None:
        return interval, series.until(interval).last
    before = int(series.at[0]) - 1
    parents = history.curve(trial.parent).series(history.spec.objective)
    return before, parents.until(before).last
