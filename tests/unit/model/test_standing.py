"""Which trial is the best so far, and how many ended after it: as if all were looked at each time."""

import random
from dataclasses import replace

from tunesmith.model import Constraint, History, Objective, StudySpec, Trial, TrialState, rank
from tunesmith.model.standing import Standing
from tunesmith.space import Double, Space

SPEC = StudySpec(
    Space({"x": Double(0.0, 1.0)}),
    (Objective("y", "maximize"),),
    constraints=(Constraint("ms", 0.5),),
)


def ended(number: int, y: float, finished: float, ms: float = 0.0) -> Trial:
    return Trial(
        number,
        {"x": 0.5},
        TrialState.COMPLETED,
        metrics={"y": y, "ms": ms},
        finished=finished,
    )


def again(trial: Trial) -> Trial:
    return replace(trial, state=TrialState.QUEUED, metrics={}, finished=None)


def by_looking_at_all(trials: list[Trial]) -> tuple[int, int]:
    """Return the number of the best, and how many that count have ended after it."""
    in_order = sorted(trials, key=lambda t: (t.finished or 0.0, t.number))
    places = [place for t in in_order if (place := rank(t, SPEC))]
    if not places:
        return 0, 0
    best = min(range(len(places)), key=lambda at: places[at][:2])
    return places[best][2], len(places) - best - 1


def test_nothing_stands_before_a_trial_counts() -> None:
    standing = Standing(SPEC)

    standing.take(Trial(1, {"x": 0.5}, TrialState.FAILED, finished=1.0))

    assert (standing.best, standing.since) == (None, 0)


def test_it_is_the_same_whatever_becomes_of_trials_and_in_which_order() -> None:
    rng = random.Random(3)
    standing, trials = Standing(SPEC), [Trial(n, {"x": 0.5}) for n in range(1, 40)]

    for _ in range(600):
        number = rng.randrange(1, 40)
        y, ms, at = rng.randrange(5) / 4, rng.randrange(4) / 4, float(rng.randrange(9))
        new = ended(number, y, at, ms) if rng.random() < 0.7 else again(trials[number - 1])
        trials[number - 1] = new
        standing.take(new)

        found = (standing.best.number if standing.best else 0, standing.since)
        assert found == by_looking_at_all(trials)


def test_a_history_of_before_has_the_standing_of_then() -> None:
    first = [replace(ended(1, 0.5, 1.0), revision=1), replace(ended(2, 0.4, 2.0), revision=2)]
    history = History(SPEC, first)

    history.update([replace(ended(3, 0.9, 3.0), revision=3)])
    past = history.as_of(2)

    assert past.standing.best is not None
    assert history.standing.best is not None
    assert (past.standing.best.number, past.standing.since) == (1, 1)
    assert (history.standing.best.number, history.standing.since) == (3, 0)
