from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tunesmith.errors import SpecError
from tunesmith.model import (
    Algorithm,
    History,
    Objective,
    Setting,
    StudySpec,
    Suggestion,
    Trial,
    TrialState,
)
from tunesmith.search import Searcher, make_searcher, position_rng
from tunesmith.search.cma.adaptation import Normal, make_constants, start_normal
from tunesmith.search.cma.distribution import start_distribution
from tunesmith.search.cma.margin import keep_choices, keep_margins
from tunesmith.search.cma.runs import Run, is_over, next_run
from tunesmith.search.cmaes import Cmaes
from tunesmith.search.columns import Vector, columns_of
from tunesmith.space import Categorical, Double, Integer, Space, Value
from tunesmith.testing.studies import spec_of

Loss = Callable[[Mapping[str, Value]], float]

CUBE = Space({f"x{i}": Double(0.0, 1.0) for i in range(5)})


def completed(history: History, points: list[Suggestion], loss: Loss) -> list[Trial]:
    first = len(history.trials) + 1
    return [
        Trial(
            n,
            p.values,
            TrialState.COMPLETED,
            origin=p.origin,
            metrics={"loss": loss(p.values)},
            revision=n,
        )
        for n, p in enumerate(points, start=first)
    ]


def run(
    searcher: Searcher, spec: StudySpec, loss: Loss, trials: int, *, batch: int = 1
) -> list[float]:
    """Return the losses of a study."""
    history = History(spec)
    while len(history.trials) < trials:
        rng = position_rng(spec.seed, len(history.trials))
        points = list(searcher.suggest(history, batch, rng))
        history.update(completed(history, points, loss))
    return [trial.metrics["loss"] for trial in history.trials]


def skewed(values: Mapping[str, Value]) -> float:
    """Return a narrow valley across the axes, with its end off the middle."""
    x = np.array([float(v) for v in values.values()]) - 0.3
    turned = x @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    return float((np.array([1.0, 10.0, 100.0, 10.0, 1.0]) * turned**2).sum())


# The distribution


@pytest.mark.parametrize(("n", "lam"), [(1, 4), (2, 6), (10, 10), (40, 15), (3, 80)])
@pytest.mark.parametrize("diagonal", [True, False])
def test_weights_and_rates_are_those_of_the_tutorial(n: int, lam: int, *, diagonal: bool) -> None:
    k = make_constants(n, lam, diagonal=diagonal)

    better = k.weights[: lam // 2]
    assert better.sum() == pytest.approx(1.0)
    assert k.mu_eff == pytest.approx(1 / (better**2).sum())
    assert (np.diff(k.weights) <= 1e-15).all()
    assert (k.weights[lam // 2 :] <= 0).all()
    # What is kept of the old covariance is not negative, whatever the points.
    assert 1 - k.c_1 - k.c_mu * k.weights.sum() >= 0
    assert 0 < k.c_1 + k.c_mu <= 1
    assert k.chi == pytest.approx(stats.chi(n).mean(), rel=0.02)


@pytest.mark.parametrize("diagonal", [True, False])
def test_a_distribution_closes_in_on_the_end_of_a_long_valley(*, diagonal: bool) -> None:
    scales = 10.0 ** np.linspace(0, 4, 6)
    rng = np.random.default_rng(0)
    normal, k = start_normal(np.full(6, 3.0), 1.0), make_constants(6, 9, diagonal=diagonal)

    def loss(x: Vector) -> Vector:
        out: Vector = (scales * x**2).sum(axis=1)
        return out

    for _ in range(450):
        points = np.array([normal.at(z) for z in rng.standard_normal((k.lam, 6))])
        normal = normal.updated(points[np.argsort(loss(points))], k)

    assert loss(normal.mean[None])[0] < 1e-10
    variances = np.diag(normal.covariance)
    assert variances[0] > 100 * variances[-1]


def test_points_from_far_away_do_not_blow_the_distribution_up() -> None:
    normal, k = start_normal(np.full(3, 0.5), 1e-4), make_constants(3, 7, diagonal=False)

    for _ in range(5):
        normal = normal.updated(np.random.default_rng(0).random((7, 3)), k)

    assert normal.sigma < 1e-2
    assert np.isfinite(normal.covariance).all()


# The margin


def outside(normal: Normal, low: float, high: float) -> tuple[float, float]:
    mean, sd = float(normal.mean[0]), float(normal.deviations[0])
    return float(stats.norm.cdf(low, mean, sd)), float(stats.norm.sf(high, mean, sd))


@pytest.mark.parametrize("mean", [0.41, 0.5, 0.59])
def test_both_neighbours_of_a_value_keep_a_chance(mean: float) -> None:
    columns = columns_of(Space({"n": Integer(0, 4)}))
    narrow = start_normal(np.array([mean]), 1e-5)

    kept = keep_margins(narrow, columns, 0.1)

    assert sum(outside(narrow, 0.4, 0.6)) < 1e-9
    assert min(outside(kept, 0.4, 0.6)) == pytest.approx(0.05, rel=0.2)
    assert keep_margins(kept, columns, 0.1).mean == pytest.approx(kept.mean, abs=1e-3)


@pytest.mark.parametrize(("mean", "end"), [(0.02, 0), (0.98, 1)])
def test_the_way_back_from_a_range_s_end_keeps_a_chance(mean: float, end: int) -> None:
    columns = columns_of(Space({"n": Integer(0, 4)}))
    narrow = start_normal(np.array([mean]), 1e-3)

    kept = keep_margins(narrow, columns, 0.1)

    way_back = outside(kept, 0.8, 0.2)[1 - end]
    assert way_back == pytest.approx(0.1, rel=1e-6)
    assert abs(kept.mean[0] - mean) < 0.2


def test_a_wide_distribution_and_numbers_without_gaps_need_no_margin() -> None:
    columns = columns_of(Space({"n": Integer(0, 4), "x": Double(0.0, 1.0)}))
    wide = replace(start_normal(np.array([0.5, 0.5]), 0.3), stretch=np.array([1.0, 1e-6]))

    kept = keep_margins(wide, columns, 0.1)

    assert kept.mean.tolist() == wide.mean.tolist()
    assert kept.stretch.tolist() == wide.stretch.tolist()


@pytest.mark.parametrize("chances", [[1.0, 0.0, 0.0], [0.98, 0.01, 0.01], [0.2, 0.3, 0.5]])
def test_every_choice_keeps_a_chance(chances: list[float]) -> None:
    kept = keep_choices(np.array(chances), 0.05)

    assert kept.sum() == pytest.approx(1.0)
    assert kept.min() >= 0.05 - 1e-12
    assert (np.argsort(kept, kind="stable") == np.argsort(chances, kind="stable")).all()


# Restarts


def test_a_run_whose_distribution_is_a_point_is_over() -> None:
    columns = columns_of(CUBE)
    wide = start_distribution(columns, np.full(5, 0.5), 0.2, diagonal=None)
    point = start_distribution(columns, np.full(5, 0.5), 1e-7, diagonal=None)
    run = Run(0, 8, 0.2)

    assert not is_over(run, wide)
    assert is_over(run, point)


def test_a_run_without_differences_is_over_after_some_generations() -> None:
    distribution = start_distribution(columns_of(CUBE), np.full(5, 0.5), 0.2, diagonal=None)
    run = Run(0, 8, 0.2)

    ended = 0
    while not is_over(run, distribution):
        run = run.counted(3.0)
        ended += 1

    assert ended == 10 + 19  # 30 · 5 / 8 rounded up


def test_ipop_doubles_the_population() -> None:
    first = Run(0, 8, 0.2)

    second = next_run(first.counted(1.0), first, "ipop", np.random.default_rng(0))
    third = next_run(second.counted(1.0), first, "ipop", np.random.default_rng(0))

    assert [second.lam, third.lam] == [16, 32]
    assert third.best == ()


def test_bipop_spends_as_much_on_small_runs_as_on_large_ones() -> None:
    first = run_ = Run(0, 8, 0.2)
    rng = np.random.default_rng(0)
    kinds = []

    for _ in range(30):
        for _ in range(10):
            run_ = run_.counted(1.0)
        run_ = next_run(run_, first, "bipop", rng)
        kinds.append(run_.small)
        if run_.large_lam > 512:
            break

    large, small = run_.spent
    assert kinds[0]
    assert not all(kinds)
    assert small == pytest.approx(large, rel=0.6)


# The searcher


def test_it_finds_the_end_of_a_skewed_valley() -> None:
    losses = run(Cmaes(), spec_of(CUBE), skewed, 500)

    assert min(losses) < 1e-5


def test_batches_cost_little() -> None:
    losses = run(Cmaes(), spec_of(CUBE), skewed, 504, batch=8)

    assert min(losses) < 1e-4


def test_it_finds_integers_and_choices_together_with_a_number() -> None:
    space = Space(
        {
            "n": Integer(0, 20),
            "m": Integer(1, 512, scale="log"),
            "kind": Categorical(["a", "b", "c", "d"]),
            "x": Double(0.0, 1.0),
        }
    )

    def loss(values: Mapping[str, Value]) -> float:
        n, m, x = float(values["n"]), float(values["m"]), float(values["x"])
        numbers = (n - 17) ** 2 / 100 + float(np.log2(m / 8)) ** 2 / 9 + (x - 0.123) ** 2
        return numbers + 2 * (values["kind"] != "c")

    assert min(run(Cmaes(), spec_of(space), loss, 300)) < 1e-3


def test_it_begins_around_the_best_point_that_is_known() -> None:
    history = History(spec_of(CUBE))
    far, near = (Suggestion(dict.fromkeys(CUBE, v), "user") for v in (0.9, 0.2))
    history.update(completed(history, [far, near], skewed))

    points = Cmaes(sigma=0.01).suggest(history, 6, position_rng(0, 2))

    assert all(abs(float(v) - 0.2) < 0.05 for p in points for v in p.values.values())


def test_a_start_that_failed_is_no_place_to_begin() -> None:
    history = History(spec_of(CUBE))
    history.update([Trial(1, dict.fromkeys(CUBE, 0.9), TrialState.FAILED, origin="user")])

    (point,) = Cmaes(sigma=0.01).suggest(history, 1, position_rng(0, 1))

    assert all(abs(float(v) - 0.5) < 0.05 for v in point.values.values())


def test_a_startup_of_sobol_points_comes_first() -> None:
    searcher, history = Cmaes(startup=3), History(spec_of(CUBE))

    points = list(searcher.suggest(history, 5, position_rng(0, 0)))

    assert [p.origin for p in points] == ["sobol"] * 3 + ["cmaes"] * 2


def test_a_suggestion_says_from_which_generation_it_is() -> None:
    searcher, history = Cmaes(population=4), History(spec_of(CUBE))
    for _ in range(9):
        points = list(searcher.suggest(history, 1, position_rng(0, len(history.trials))))
        history.update(completed(history, points, skewed))

    explanation = history.trials[-1].explanation or points[0].explanation

    assert explanation is not None
    assert explanation.note == "drawn from generation 3"
    assert explanation.searcher == ""  # nobody else was to choose from


def test_after_a_flat_run_another_begins_elsewhere() -> None:
    space = Space({"x": Double(0.0, 1.0)})
    searcher, history = Cmaes(population=4), History(spec_of(space))

    for _ in range(18 * 4 + 1):
        points = list(searcher.suggest(history, 1, position_rng(0, len(history.trials))))
        history.update(completed(history, points, lambda _: 1.0))

    assert points[0].explanation is not None
    assert points[0].explanation.note == "drawn from generation 1 of run 2"


def test_several_objectives_are_refused_with_what_would_help() -> None:
    spec = StudySpec(CUBE, (Objective("loss", "minimize"), Objective("speed", "maximize")))

    with pytest.raises(SpecError, match=r"cmaes goes by one metric.*Use tpe or evolution"):
        Cmaes().check(spec)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"population": 3}, "'population' is a whole number from 4; given 3"),
        ({"population": True}, "'population' is a whole number from 4; given True"),
        ({"sigma": 0.0}, "'sigma' is a number above 0 and up to 1; given 0.0"),
        ({"sigma": "wide"}, "'sigma' is a number above 0 and up to 1; given 'wide'"),
        ({"startup": -1}, "'startup' is a whole number from 0; given -1"),
        ({"covariance": "round"}, "'covariance' is one of auto, full, diagonal; given 'round'"),
        ({"restart": "never"}, "'restart' is one of ipop, bipop, none; given 'never'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, Setting], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        make_searcher(Algorithm("cmaes", settings))
