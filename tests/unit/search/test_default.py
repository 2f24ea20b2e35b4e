from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.model import Constraint, History, StudySpec, Trial, TrialState
from tunesmith.search import make_searcher, position_rng
from tunesmith.search.bayesian import Bayesian
from tunesmith.search.default import Default
from tunesmith.search.tpe import Tpe
from tunesmith.space import Categorical, Double, Integer, Space, Value
from tunesmith.testing.studies import spec_of

LINE = Space({"x": Double(0.0, 1.0)})


def _past(count: int, seconds: float, *, late: float | None = None) -> History:
    """Return a study whose trials took ``seconds`` each, the last fifty ``late`` seconds."""
    spec = spec_of(LINE)
    rng = np.random.default_rng(0)
    trials = []
    for number in range(1, count + 1):
        x = float(rng.random())
        lasted = seconds if late is None or number <= count - 50 else late
        trials.append(
            Trial(
                number,
                {"x": x},
                TrialState.COMPLETED,
                metrics={"loss": (x - 0.3) ** 2},
                started=1000.0,
                finished=1000.0 + lasted,
                revision=number,
            )
        )
    return History(spec, trials)


def _ask(history: History, count: int = 1):  # type: ignore[no-untyped-def]
    return Default().suggest(history, count, position_rng(0, len(history.trials)))


def test_of_a_tiny_space_every_point_is_tried_once_and_then_there_are_no_more() -> None:
    space = Space({"n": Integer(1, 4), "kind": Categorical(["a", "b", "c", "d"])})
    spec, searcher = spec_of(space), Default()
    history, tried = History(spec), list[Mapping[str, Value]]()

    while points := searcher.suggest(history, 3, position_rng(0, len(tried))):
        for point in points:
            tried.append(point.values)
            assert point.explanation is not None
            assert point.explanation.searcher == "random"
            assert point.explanation.note == "the space has 16 points, each is tried once"
        history.update(
            Trial(n, p.values, TrialState.FAILED, revision=n)
            for n, p in enumerate(points, start=len(history.trials) + 1)
        )

    assert len(tried) == len({space.key(values) for values in tried}) == 16


def test_points_of_a_tiny_space_are_tried_again_where_that_is_wanted() -> None:
    space = Space({"n": Integer(1, 4)})
    history = History(
        spec_of(space),
        [
            Trial(n, {"n": n}, TrialState.COMPLETED, metrics={"loss": abs(n - 3.0)}, revision=n)
            for n in range(1, 5)
        ],
    )

    (point,) = Default(repeat=True).suggest(history, 1, position_rng(0, 4))

    assert Default().suggest(history, 1, position_rng(0, 4)) == []
    assert point.explanation is not None
    assert point.explanation.searcher == "bayesian"
    assert point.explanation.note == "every point has been tried, and what trials measure is noisy"


def test_quick_trials_stay_with_the_model_that_aims_at_a_share_of_kept_constraints() -> None:
    history = _past(300, 0.004)
    aims = Constraint("loss", 0.1, safe_fraction=0.9)
    history.update([], replace(history.spec, constraints=(aims,)))

    (point,) = _ask(history)

    assert point.explanation is not None
    assert point.explanation.searcher == "bayesian"


def test_a_space_of_seventeen_points_has_a_model() -> None:
    space = Space({"n": Integer(1, 17)})
    history = History(
        spec_of(space),
        [
            Trial(n, {"n": n}, TrialState.COMPLETED, metrics={"loss": abs(n - 9.0)}, revision=n)
            for n in (1, 4, 12, 16)
        ][:0],
    )

    (point,) = _ask(history)

    assert point.explanation is not None
    assert point.explanation.searcher == "bayesian"


def test_it_is_the_bayesian_searcher_and_says_why() -> None:
    history = _past(20, 60.0)

    (point,) = _ask(history)

    (same,) = Bayesian().suggest(history, 1, position_rng(0, 20))
    assert point.values == same.values
    assert point.origin == same.origin == "model"
    assert point.explanation is not None
    assert same.explanation is not None
    note = "a Gaussian process makes the most of each trial"
    assert point.explanation == replace(same.explanation, searcher="bayesian", note=note)


def test_three_hundred_quick_trials_hand_the_study_to_tpe() -> None:
    history = _past(300, 0.004)

    (point,) = _ask(history)

    (same,) = Tpe().suggest(history, 1, position_rng(0, 300))
    assert point.values == same.values
    assert point.explanation is not None
    assert point.explanation.searcher == "tpe"
    assert "trials take 4 ms" in point.explanation.note


@pytest.mark.parametrize(
    "history",
    [_past(299, 0.004), _past(300, 0.3), _past(300, 0.004, late=30.0)],
    ids=["too few", "slow", "slow by now"],
)
def test_others_stay_with_the_model(history: History) -> None:
    (point,) = _ask(history)

    assert point.explanation is not None
    assert point.explanation.searcher == "bayesian"


def test_how_long_failures_took_does_not_matter() -> None:
    history = _past(300, 30.0)
    quick = [
        replace(t, state=TrialState.FAILED, metrics={}, finished=1000.001)
        for t in history.trials[-40:]
    ]
    history.update(quick)

    (point,) = _ask(history)

    assert point.explanation is not None
    assert point.explanation.searcher == "bayesian"


def test_a_model_s_own_note_is_kept() -> None:
    space = Space({"x": Double(0.0, 1.0), "kind": Categorical(["a", "b", "c"])})
    rng = np.random.default_rng(0)
    points = [space.sample(rng) for _ in range(12)]
    trials = [
        Trial(n, p, TrialState.COMPLETED, metrics={"loss": float(n)}, revision=n)
        for n, p in enumerate(points, start=1)
    ]

    asked = _ask(History(spec_of(space), trials), 24)

    notes = {p.explanation.note for p in asked if p.origin == "exploration"}
    assert notes == {"kind was to have a value other than the best trial's"}


def test_it_serves_every_study_and_is_found_by_name() -> None:
    spec: StudySpec = spec_of(LINE)

    searcher = make_searcher(spec.algorithm)

    searcher.check(spec)
    assert isinstance(searcher, Default)
