from collections.abc import Callable, Mapping

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import (
    Algorithm,
    Constraint,
    History,
    Objective,
    Setting,
    StudySpec,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.search import make_searcher, position_rng
from tunesmith.search.tpe import Tpe
from tunesmith.space import Categorical, Double, Integer, Prior, Space, Value
from tunesmith.testing.studies import spec_of

Metrics = Callable[[Mapping[str, Value]], dict[str, float]]

LINE = Space({"x": Double(0.0, 1.0)})
SQUARE = Space({"x": Double(0.0, 1.0), "y": Double(0.0, 1.0)})
BRANCHES = Space(
    {
        "model": Categorical(["linear", "trees", "net"]),
        "decay": Double(1e-6, 1.0, scale="log", when={"model": ["linear", "net"]}),
        "depth": Integer(1, 30, when={"model": ["trees"]}),
        "rate": Double(1e-5, 1.0, scale="log", when={"model": ["net"]}),
        "layers": Integer(1, 8, when={"model": ["net"]}),
    }
)


def run(spec: StudySpec, metrics: Metrics, trials: int, *, batch: int = 1) -> list[Trial]:
    searcher, history = Tpe(), History(spec)
    while len(history.trials) < trials:
        first = len(history.trials)
        points = searcher.suggest(history, batch, position_rng(spec.seed, first))
        history.update(
            Trial(
                number,
                point.values,
                TrialState.COMPLETED,
                origin=point.origin,
                metrics=metrics(point.values),
                revision=number,
                explanation=point.explanation,
            )
            for number, point in enumerate(points, start=first + 1)
        )
    return list(history.trials)


def history_of(
    spec: StudySpec, places: list[float], states: list[TrialState] | None = None
) -> History:
    """Return a study on the line, whose losses are the places."""
    states = states or [TrialState.COMPLETED] * len(places)
    return History(
        spec,
        [
            Trial(n, {"x": x}, state, metrics={"loss": x} if state == "completed" else {})
            for n, (x, state) in enumerate(zip(places, states, strict=True), start=1)
        ],
    )


def mean(history: History, searcher: Tpe) -> float:
    drawn = [
        float(p.values["x"])
        for seed in range(60)
        for p in searcher.suggest(history, 1, position_rng(seed, 0))
    ]
    return float(np.mean(drawn))


def in_a_branch(values: Mapping[str, Value]) -> dict[str, float]:
    """Return a loss whose best branch is the one with the most to tune."""
    if values["model"] == "trees":
        return {"loss": 0.3 + abs(float(values["depth"]) - 11) / 30}
    if values["model"] == "linear":
        return {"loss": 0.4 + abs(np.log10(float(values["decay"])) + 3) / 10}
    misfit = abs(np.log10(float(values["rate"])) + 2.5) / 3
    misfit += abs(float(values["layers"]) - 6) / 8
    return {"loss": float(misfit + abs(np.log10(float(values["decay"])) + 4) / 20)}


def test_it_finds_the_best_branch_and_tunes_it() -> None:
    trials = run(spec_of(BRANCHES), in_a_branch, 120)

    best = min(trials, key=lambda t: t.metrics["loss"])
    assert best.values["model"] == "net"
    assert best.metrics["loss"] < 0.1
    late = [t.values["model"] for t in trials[60:]]
    assert late.count("net") > 40


def test_it_finds_a_valley_between_two_parameters_that_depend_on_each_other() -> None:
    def metrics(values: Mapping[str, Value]) -> dict[str, float]:
        x, y = float(values["x"]), float(values["y"])
        return {"loss": 100 * (x - y) ** 2 + (x - 0.7) ** 2}

    losses = [t.metrics["loss"] for t in run(spec_of(SQUARE), metrics, 100)]

    assert np.median(losses[60:]) < 0.1 * np.median(losses[:20])


def test_a_batch_spreads_out() -> None:
    rng = np.random.default_rng(0)
    history = history_of(spec_of(LINE), rng.random(30).tolist())

    batches, alone = [], []
    for seed in range(10):
        points = Tpe().suggest(history, 8, position_rng(seed, 30))
        batches.append(np.std([float(p.values["x"]) for p in points]))
        each = [Tpe().suggest(history, 1, position_rng(8 * seed + k, 30))[0] for k in range(8)]
        alone.append(np.std([float(p.values["x"]) for p in each]))

    assert np.mean(batches) > 1.3 * np.mean(alone)


def test_points_that_still_run_are_kept_away_from() -> None:
    places = np.linspace(0.0, 1.0, 21).tolist()
    alone = history_of(spec_of(LINE), places)
    running = history_of(
        spec_of(LINE),
        [*places, *[0.02] * 20],
        [*[TrialState.COMPLETED] * 21, *[TrialState.RUNNING] * 20],
    )

    assert mean(running, Tpe()) > mean(alone, Tpe()) + 0.03


def test_failed_trials_are_avoided_and_cancelled_ones_say_nothing() -> None:
    places = [*np.linspace(0.4, 1.0, 20).tolist(), *[0.35, 0.3, 0.25, 0.2] * 3]
    ended = [TrialState.COMPLETED] * 20
    failed = history_of(spec_of(LINE), places, [*ended, *[TrialState.FAILED] * 12])
    cancelled = history_of(spec_of(LINE), places, [*ended, *[TrialState.CANCELLED] * 12])
    alone = history_of(spec_of(LINE), places[:20])

    assert mean(failed, Tpe()) > mean(alone, Tpe()) + 0.02
    assert mean(cancelled, Tpe()) == mean(alone, Tpe())


def test_constraints_are_kept_before_losses_count() -> None:
    spec = StudySpec(
        LINE, (Objective("loss", "minimize"),), constraints=(Constraint("x", 0.6, "at_least"),)
    )

    trials = run(spec, lambda v: {"loss": float(v["x"]), "x": float(v["x"])}, 60)

    late = [float(t.values["x"]) for t in trials[30:]]
    assert 0.6 < np.median(late) < 0.75


def test_with_two_objectives_it_spreads_along_the_front() -> None:
    spec = StudySpec(SQUARE, (Objective("a", "minimize"), Objective("b", "minimize")))

    def metrics(values: Mapping[str, Value]) -> dict[str, float]:
        x, y = float(values["x"]), float(values["y"])
        return {"a": x**2 + y, "b": (1 - x) ** 2 + y}

    trials = run(spec, metrics, 120)

    near = [float(t.values["x"]) for t in trials if float(t.values["y"]) < 0.05]
    assert all(any(abs(x - place) < 0.15 for x in near) for place in (0.1, 0.5, 0.9))


def test_a_prior_draws_the_search_to_it_where_results_say_nothing() -> None:
    hopeful = Space({"x": Double(0.0, 1.0, prior=Prior(0.8, "high"))})
    trials = [
        Trial(n, {"x": x}, TrialState.COMPLETED, metrics={"loss": 1.0})
        for n, x in enumerate([0.5, 0.1, 0.9, 0.7, 0.3] * 3, start=1)
    ]

    with_prior = mean(History(spec_of(hopeful), trials), Tpe(prior_weight=3.0))
    without = mean(History(spec_of(LINE), trials), Tpe(prior_weight=3.0))

    assert with_prior > without + 0.05


def test_half_of_the_start_is_drawn_from_a_prior() -> None:
    hopeful = Space({"x": Double(0.0, 1.0, prior=Prior(0.8, "high")), "y": Double(0.0, 1.0)})

    points = Tpe(startup=40).suggest(History(spec_of(hopeful)), 40, position_rng(0, 0))

    assert [p.origin for p in points[:3]] == ["sobol", "prior draw", "sobol"]
    near = [abs(float(p.values["x"]) - 0.8) < 0.3 for p in points]
    assert np.mean(near[1::2]) > 0.9
    assert np.mean(near[::2]) < 0.7


def test_suggestions_say_where_they_came_from_and_how_they_scored() -> None:
    trials = run(spec_of(LINE), lambda v: {"loss": float(v["x"])}, 12)

    assert [t.origin for t in trials] == ["sobol"] * 10 + ["tpe"] * 2
    assert [t.explanation for t in trials[:10]] == [None] * 10
    explained = trials[-1].explanation
    assert explained is not None
    assert explained.searcher == ""  # nobody else was to choose from
    assert explained.acquisition == "log density ratio"
    assert explained.value is not None
    assert explained.value > 0


def test_trials_of_the_user_count_as_a_start() -> None:
    history = history_of(spec_of(LINE), np.linspace(0.0, 1.0, 10).tolist())

    (point,) = Tpe().suggest(history, 1, position_rng(0, 10))

    assert isinstance(point, Suggestion)
    assert point.origin == "tpe"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"startup": 0}, "'startup' is a whole number from 1; given 0"),
        ({"good": 1.0}, "'good' is a number above 0 and up to 0.9; given 1.0"),
        ({"candidates": 2.5}, "'candidates' is a whole number from 1; given 2.5"),
        ({"prior_weight": -1}, "'prior_weight' is a number above 0; given -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, Setting], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        make_searcher(Algorithm("tpe", settings))
