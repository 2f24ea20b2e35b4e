"""What the searcher does with whole studies: each is a few dozen trials of a function worth a glance."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from statistics import geometric_mean

import numpy as np
import pytest

from tunesmith.errors import SpecError
from tunesmith.model import (
    Constraint,
    Earlier,
    Explanation,
    Front,
    History,
    Objective,
    StudySpec,
    Trial,
    TrialState,
)
from tunesmith.model.hypervolume import hypervolume
from tunesmith.search import Searcher, position_rng
from tunesmith.search.bayesian import Bayesian
from tunesmith.search.random import Random
from tunesmith.space import Categorical, Double, Integer, Prior, Space, Value
from tunesmith.testing.studies import spec_of

Values = Mapping[str, Value]
Outcome = Mapping[str, float] | TrialState
Program = Callable[[Values], Outcome]

CUBE3 = Space({f"x{i}": Double(0.0, 1.0) for i in range(3)})
SQUARE = Space({"x0": Double(0.0, 1.0), "x1": Double(0.0, 1.0)})
SEEDS = range(4)


def run(
    spec: StudySpec,
    program: Program,
    trials: int,
    *,
    batch: int = 1,
    searcher: Searcher | None = None,
    earlier: tuple[Earlier, ...] = (),
) -> list[Trial]:
    searcher = searcher or Bayesian()
    history = History(spec, earlier=earlier)
    while len(history.trials) < trials:
        first = len(history.trials)
        points = searcher.suggest(history, batch, position_rng(spec.seed, first))
        for number, point in enumerate(points, start=first + 1):
            outcome = program(point.values)
            failed = isinstance(outcome, TrialState)
            state = outcome if isinstance(outcome, TrialState) else TrialState.COMPLETED
            metrics = {} if failed else outcome
            trial = Trial(
                number,
                point.values,
                state,
                1,
                point.origin,
                point.explanation,
                metrics=metrics,  # type: ignore[arg-type]
                revision=number,
            )
            history.update([trial])
    return list(history.trials)


def place(values: Values) -> np.ndarray:
    return np.array([float(value) for value in values.values()])


def quadratic(values: Values) -> Mapping[str, float]:
    return {"loss": float(((place(values) - 0.37) ** 2).sum())}


def best(trials: list[Trial]) -> float:
    return min(t.metrics["loss"] for t in trials if "loss" in t.metrics)


@cache
def plain_losses(searcher: type, seed: int) -> tuple[float, ...]:
    trials = run(spec_of(CUBE3, seed=seed), quadratic, 30, searcher=searcher())
    return tuple(t.metrics["loss"] for t in trials)


# Learning


@pytest.mark.parametrize("seed", SEEDS)
def test_thirty_trials_find_the_bottom_of_a_bowl(seed: int) -> None:
    found, by_chance = (min(plain_losses(s, seed)) for s in (Bayesian, Random))

    # Usually 1e-6; random search finds some 0.01.
    assert found < 1e-4
    assert found < by_chance / 20


# The probability of improvement is known to be content with little. Its search is chaotic, too: of 60
# seeds half reached 4e-4 and nine tenths 0.012, and another rounding is like another seed. So it has
# eight, and what counts is the mean of the logarithms: drawn from those 60 it comes out above 8e-3 once
# in 5000 times. Random search reaches 0.027 with the same seeds, which is more than three times as much.
@pytest.mark.parametrize(
    ("acquisition", "miss", "seeds"), [("pi", 8e-3, 8), ("ucb", 2e-4, 4), ("thompson", 2e-4, 4)]
)
def test_every_acquisition_learns(acquisition: str, miss: float, seeds: int) -> None:
    found = [
        best(run(spec_of(CUBE3, seed=s), quadratic, 30, searcher=Bayesian(acquisition)))
        for s in range(seeds)
    ]

    by_chance = [min(plain_losses(Random, s)) for s in range(seeds)]
    assert geometric_mean(found) < miss
    assert geometric_mean(by_chance) > 3.0 * miss


@pytest.mark.parametrize(
    "settings", [{"kernel": "matern32"}, {"kernel": "se"}, {"warp": "none"}, {"warp": "rank"}]
)
def test_every_kernel_and_warp_learns(settings: Mapping[str, str]) -> None:
    found = [
        best(run(spec_of(CUBE3, seed=s), quadratic, 30, searcher=Bayesian(**settings)))  # type: ignore[arg-type]
        for s in range(3)
    ]

    assert max(found) < 1e-3


def test_metrics_to_be_maximised_are_learnt_alike() -> None:
    spec = replace(spec_of(CUBE3), objectives=(Objective("gain", "maximize"),))

    turned = run(spec, lambda v: {"gain": -quadratic(v)["loss"]}, 30)

    assert tuple(-t.metrics["gain"] for t in turned) == plain_losses(Bayesian, 0)


def test_a_conditional_space_is_learnt_branch_by_branch() -> None:
    space = Space(
        {
            "model": Categorical(["net", "trees", "line"]),
            "rate": Double(1e-5, 1.0, scale="log", when={"model": ["net"]}),
            "layers": Integer(1, 8, when={"model": ["net"]}),
            "depth": Integer(1, 30, when={"model": ["trees"]}),
        }
    )

    def program(values: Values) -> Outcome:
        if values["model"] == "line":
            return {"loss": 0.4}
        if values["model"] == "trees":
            return {"loss": 0.25 + abs(float(values["depth"]) - 11) / 30}
        misfit = (np.log10(float(values["rate"])) + 2.5) ** 2 / 4
        return {"loss": float(misfit + abs(float(values["layers"]) - 6) / 8)}

    for seed in range(3):
        trials = run(spec_of(space, seed=seed), program, 45)

        assert best(trials) < 0.02
        assert sum(t.values["model"] == "net" for t in trials[25:]) > 10


def test_a_category_that_looked_bad_is_tried_again() -> None:
    space = Space({"x": Double(0.0, 1.0), "kind": Categorical(["a", "b", "c"])})

    def program(values: Values) -> Outcome:
        return {"loss": (float(values["x"]) - 0.3) ** 2 + 5.0 * (values["kind"] != "a")}

    trials = run(spec_of(space), program, 60)

    explored = [t for t in trials if t.origin == "exploration"]
    assert 2 <= len(explored) <= 15
    assert {t.values["kind"] for t in explored} == {"b", "c"}
    notes = {t.explanation.note for t in explored if t.explanation}
    assert notes == {"kind was to have a value other than the best trial's"}


def test_thousands_of_integers_are_tried_without_a_repetition() -> None:
    space = Space({"n": Integer(1, 5000)})

    trials = run(spec_of(space), lambda v: {"loss": float((int(v["n"]) - 1234) ** 2)}, 40)

    assert len({t.values["n"] for t in trials}) == 40
    assert best(trials) == 0.0


# Failures


def crashing(values: Values) -> bool:
    x0, x1, *_ = place(values)
    return bool(x0 > 0.5 and x1 > 0.5)


def bowl_beside_crashes(broken: Outcome) -> Program:
    return lambda v: broken if crashing(v) else {"loss": float(((place(v) - 0.45) ** 2).sum())}


def test_a_quarter_of_the_space_that_crashes_is_avoided() -> None:
    shares = []
    for seed in SEEDS:
        trials = run(spec_of(CUBE3, seed=seed), bowl_beside_crashes(TrialState.FAILED), 50)
        shares.append(np.mean([crashing(t.values) for t in trials[30:]]))
        assert any(crashing(t.values) for t in trials[:30])
        assert best([t for t in trials if not crashing(t.values)]) < 1e-4

    assert np.mean(shares) < 0.25 / 3


@pytest.mark.parametrize(
    "broken", [TrialState.INFEASIBLE, {"loss": float("nan")}], ids=["infeasible", "nan"]
)
def test_infeasible_trials_and_losses_that_are_no_numbers_are_avoided_alike(
    broken: Outcome,
) -> None:
    spec = spec_of(CUBE3, seed=1)

    trials = run(spec, bowl_beside_crashes(broken), 25)

    failing = run(spec, bowl_beside_crashes(TrialState.FAILED), 25)
    assert [t.values for t in trials] == [t.values for t in failing]
    assert sum(crashing(t.values) for t in trials) > 0


def test_a_best_point_on_the_very_edge_of_what_crashes_is_found() -> None:
    # The bowl's bottom (0.55, 0.55, 0.55) crashes; at the edge the loss is 0.05².
    found = [
        best(
            run(
                spec_of(CUBE3, seed=seed),
                lambda v: (
                    TrialState.FAILED
                    if crashing(v)
                    else {"loss": float(((place(v) - 0.55) ** 2).sum())}
                ),
                50,
            )
        )
        for seed in SEEDS
    ]

    # Of 40 seeds 39 ended below 0.0033 and one, the first, at 0.005 to 0.008, which hangs on rounding.
    # Random search reaches 0.04 at the median, and 0.0073 with the luckiest of the 40.
    assert np.median(found) < 0.0025 + 1e-3
    assert max(found) < 0.0025 + 1e-2


def test_a_study_in_which_everything_failed_so_far_still_fills_the_space() -> None:
    trials = run(spec_of(SQUARE), lambda _: TrialState.FAILED, 40)

    places = np.array([place(t.values) for t in trials])
    quarters = {tuple(p) for p in (4 * places).astype(int)}
    assert len(quarters) >= 14


# Noise


def test_noise_does_not_keep_it_from_the_bottom() -> None:
    misses = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        trials = run(
            spec_of(SQUARE, seed=seed),
            lambda v, rng=rng: {"loss": quadratic(v)["loss"] + 0.05 * rng.standard_normal()},  # type: ignore[misc]
            50,
        )
        misses.append(np.mean([quadratic(t.values)["loss"] for t in trials[30:]]))

    # Evenly spread points miss by 0.2 on average, and the noise is that of a miss of 0.05.
    assert np.mean(misses) < 0.06


def test_repeated_trials_are_believed_by_their_mean() -> None:
    spec = spec_of(Space({"x": Double(0.0, 1.0)}))

    def told(at_the_top: list[float]) -> float:
        xs = np.linspace(0.05, 0.95, 8)
        values = [(float(x), float((x - 0.5) ** 2)) for x in xs]
        values += [(float(xs[0]), loss) for loss in at_the_top]
        history = History(
            spec,
            [
                Trial(n, {"x": x}, TrialState.COMPLETED, metrics={"loss": loss}, revision=n)
                for n, (x, loss) in enumerate(values, start=1)
            ],
        )
        (point,) = Bayesian(warp="none").suggest(history, 1, position_rng(0, len(values)))
        return float(point.values["x"])

    # The first place measured 0.2 once; five measurements of -2 there draw the search to it.
    assert abs(told([]) - 0.5) < 0.1
    assert told([-2.0] * 5) < 0.2


def test_a_lucky_value_with_a_large_standard_error_is_not_believed() -> None:
    objective = Objective("loss", "minimize", "se")
    spec = replace(spec_of(Space({"x": Double(0.0, 1.0)})), objectives=(objective,))

    def predicted(error: float) -> float:
        xs = np.linspace(0.05, 0.95, 10)
        metrics = [{"loss": float((x - 0.5) ** 2), "se": 0.001} for x in xs]
        metrics[9] = {"loss": -1.0, "se": error}
        history = History(
            spec,
            [
                Trial(n, {"x": float(x)}, TrialState.COMPLETED, metrics=m, revision=n)
                for n, (x, m) in enumerate(zip(xs, metrics, strict=True), start=1)
            ],
        )
        points = Bayesian(warp="none").suggest(history, 4, position_rng(0, 10))
        return float(np.mean([abs(float(p.values["x"]) - 0.95) for p in points]))

    assert predicted(0.001) < 0.15
    assert predicted(3.0) > 0.25


# Priors


def with_priors(center: float, confidence: str = "medium") -> Space:
    prior = Prior(center, confidence)  # type: ignore[arg-type]
    return Space({f"x{i}": Double(0.0, 1.0, prior=prior) for i in range(5)})


def test_a_right_prior_speeds_up_and_a_wrong_one_is_overcome() -> None:
    def reached(space: Space, trials: int) -> np.ndarray:
        return np.array([best(run(spec_of(space, seed=s), quadratic, trials)) for s in range(3)])

    five = Space({f"x{i}": Double(0.0, 1.0) for i in range(5)})
    none, right, wrong = reached(five, 10), reached(with_priors(0.4), 10), with_priors(0.95, "high")

    assert np.median(right) < 0.6 * np.median(none)
    assert reached(wrong, 40).max() < 5e-3


# Earlier studies


def study(space: Space, program: Program, trials: int, name: str = "before") -> Earlier:
    spec = spec_of(space, seed=77)
    return Earlier(name, spec, tuple(run(spec, program, trials)))


def learning(spec: StudySpec) -> StudySpec:
    return replace(spec, warm_start=("before",))


@pytest.mark.parametrize("seed", range(3))
def test_an_earlier_study_of_the_same_space_gives_good_values_at_once(seed: int) -> None:
    earlier = study(CUBE3, quadratic, 25)

    trials = run(learning(spec_of(CUBE3, seed=seed)), quadratic, 6, earlier=(earlier,))

    # Without it the first six reach some 0.05.
    assert best(trials[:2]) < 0.01
    assert best(trials) < 2e-3
    assert trials[0].origin == "model"


def test_an_earlier_study_of_another_range_and_other_parameters_helps_at_once() -> None:
    then = Space(
        {
            "x0": Double(0.0, 1.0),
            "x1": Double(-1.0, 1.0),
            "old": Double(0.0, 1.0),
        }
    )
    now = Space({"x0": Double(0.0, 1.0), "x1": Double(0.0, 1.0), "new": Double(0.0, 1.0)})

    def program(values: Values) -> Outcome:
        return {"loss": sum((float(v) - 0.37) ** 2 for n, v in values.items() if n != "old")}

    earlier = study(then, program, 30)

    for seed in range(3):
        trials = run(learning(spec_of(now, seed=seed)), program, 2, earlier=(earlier,))
        near = [
            np.hypot(float(t.values["x0"]) - 0.37, float(t.values["x1"]) - 0.37) for t in trials
        ]
        assert min(near) < 0.06  # which two random points are once in a hundred times


def test_categories_that_are_no_more_do_not_confuse() -> None:
    then = Space({"kind": Categorical(["a", "gone"]), "x": Double(0.0, 1.0)})
    now = Space({"x": Double(0.0, 1.0), "kind": Categorical(["a", "b"])})

    def program(values: Values) -> Outcome:
        return {
            "loss": (float(values["x"]) - 0.37) ** 2
            + {"a": 0.1, "b": 0.0}.get(str(values["kind"]), 0)
        }

    earlier = study(then, program, 25)

    trials = run(learning(spec_of(now)), program, 20, earlier=(earlier,))

    assert abs(float(trials[0].values["x"]) - 0.37) < 0.15
    assert best(trials) < 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_an_earlier_study_that_misleads_is_overcome(seed: int) -> None:
    misleading = study(CUBE3, lambda v: {"loss": float(((place(v) - 0.9) ** 2).sum())}, 25)

    trials = run(learning(spec_of(CUBE3, seed=seed)), quadratic, 30, earlier=(misleading,))

    assert best(trials) < 2e-3


def test_an_earlier_study_of_other_metrics_teaches_nothing() -> None:
    other = replace(spec_of(SQUARE), objectives=(Objective("other", "minimize"),))
    trials = run(other, lambda v: {"other": quadratic(v)["loss"]}, 8)
    spec = learning(spec_of(SQUARE))

    (point,) = Bayesian().suggest(
        History(spec, earlier=(Earlier("before", other, tuple(trials)),)), 1, position_rng(0, 0)
    )

    assert point.origin == "sobol"


def test_a_second_objective_that_no_earlier_study_measured_is_waited_for() -> None:
    two = replace(
        learning(spec_of(SQUARE)),
        objectives=(Objective("loss", "minimize"), Objective("ms", "minimize")),
    )

    def program(values: Values) -> Outcome:
        return {**quadratic(values), "ms": float(values["x0"])}

    trials = run(two, program, 8, earlier=(study(SQUARE, quadratic, 12),))

    assert [t.origin for t in trials] == ["sobol"] * 4 + ["model"] * 4


# Constraints


def test_constraints_are_learnt_and_the_best_feasible_point_found() -> None:
    def program(values: Values) -> Outcome:
        # The bowl's bottom (0.37, 0.37) is forbidden; the best that is allowed is (0.3, 0.3).
        return {**quadratic(values), "size": float(place(values).sum())}

    found, late = [], []
    for seed in SEEDS:
        spec = replace(spec_of(SQUARE, seed=seed), constraints=(Constraint("size", 0.6),))
        trials = run(spec, program, 40)
        found.append(best([t for t in trials if t.metrics["size"] <= 0.6]))
        late.append(np.mean([t.metrics["size"] <= 0.6 for t in trials[20:]]))

    # Of 40 seeds every one came within 6e-5, random search not within 1e-3. The best lies on the very
    # edge, so that a study keeps the constraint in 20 to 85 percent of its late trials, as chance has it,
    # and four studies in 57 on average, give or take 10; random points keep it in 18.
    assert max(found) < 0.0098 + 5e-4
    assert np.mean(late) > 0.3


def test_a_small_feasible_corner_is_found() -> None:
    spec = replace(spec_of(CUBE3), constraints=(Constraint("speed", 2.4, "at_least"),))

    def program(values: Values) -> Outcome:
        return {**quadratic(values), "speed": float(place(values).sum())}

    trials = run(spec, program, 30)

    # 3.6 percent of the cube keep it: random search needs 28 trials for the first. The best of
    # them is (0.8, 0.8, 0.8), on the very edge, so that many a trial lands beyond.
    kept = [t for t in trials if t.metrics["speed"] >= 2.4]
    assert len(kept) >= 8
    assert best(kept) < 3 * 0.43**2 + 0.01


def hot(values: Values) -> Outcome:
    # The best lies behind the bound of 0.5, and the best that is allowed, (0.5, 0.5), on it.
    at = place(values)
    return {"loss": float(-at.sum()), "heat": float((at**2).sum())}


def cool(trials: list[Trial]) -> list[Trial]:
    return [t for t in trials if t.metrics["heat"] <= 0.5]


@cache
def hot_study(share: float, seed: int, batch: int = 1) -> tuple[Trial, ...]:
    bound = Constraint("heat", 0.5, safe_fraction=share)
    spec = replace(spec_of(SQUARE, seed=seed), constraints=(bound,))
    return tuple(run(spec, hot, 30, batch=batch))


@pytest.mark.parametrize(("share", "least", "miss"), [(0.8, 0.7, 0.02), (1.0, 0.8, 0.1)])
def test_a_share_of_trials_that_should_keep_a_constraint_does(
    share: float, least: float, miss: float
) -> None:
    studies = [hot_study(share, seed) for seed in range(3)]
    heedless = [hot_study(0.0, seed) for seed in range(3)]

    # Of 30 seeds, studies came to a share of 0.43 on average that aimed at none, give or take 0.05; to
    # 0.78 and 0.89, give or take 0.04, that aimed at 0.8 and 1, for the first trials know nothing.
    assert np.mean([len(cool(list(trials))) / 30 for trials in studies]) > least
    assert np.mean([len(cool(list(trials))) / 30 for trials in heedless]) < 0.55
    # The worst of the 30 missed the best by 0.013 and 0.06; without a share by 0.002.
    assert max(best(cool(list(trials))) for trials in studies) < -1.0 + miss


def test_trials_that_run_side_by_side_count_for_the_share_by_their_probability() -> None:
    trials = list(hot_study(0.8, 0, 4))

    assert len(cool(trials)) > 0.65 * 30


def test_a_share_that_is_reached_leaves_the_search_alone() -> None:
    def program(values: Values) -> Outcome:
        return {**quadratic(values), "heat": 0.0}

    bounds = (Constraint("heat", 0.5), Constraint("heat", 0.5, safe_fraction=0.9))

    plain, aiming = (
        [t.values for t in run(replace(spec_of(SQUARE), constraints=(b,)), program, 12)]
        for b in bounds
    )

    assert plain == aiming


# Noise


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_points_are_tried_again_where_that_is_wanted(seed: int) -> None:
    space, rng = Space({"n": Integer(1, 6)}), np.random.default_rng(seed)

    def program(values: Values) -> Outcome:
        return {"loss": 2.0 * abs(float(values["n"]) - 2.0) + rng.normal()}

    trials = run(spec_of(space, seed=seed), program, 30, searcher=Bayesian(repeat=True))

    tried = [t.values["n"] for t in trials]
    assert sum(n in (1, 2, 3) for n in tried) > 20
    assert tried.count(2) > 15


# Several objectives


def two_bowls(values: Values) -> Outcome:
    at = place(values)
    return {"a": float(((at - 0.2) ** 2).sum()), "b": float(((at - 0.8) ** 2).sum())}


def test_the_front_of_two_objectives_dominates_more_than_random_search_s() -> None:
    goals = (Objective("a", "minimize"), Objective("b", "minimize"))
    reference = np.array([1.0, 1.0])

    def volume(seed: int, searcher: Searcher) -> float:
        spec = replace(spec_of(CUBE3, seed=seed), objectives=goals)
        trials = run(spec, two_bowls, 40, searcher=searcher)
        return hypervolume([[t.metrics["a"], t.metrics["b"]] for t in trials], reference)

    # The whole front is the line between the bowls' bottoms: a = 3·0.36 t², b = 3·0.36 (1-t)².
    t = np.linspace(0.0, 1.0, 2001)
    whole = hypervolume(1.08 * np.stack([t**2, (1 - t) ** 2], 1), reference)
    missing, missing_by_chance = (
        np.array([whole - volume(seed, new()) for seed in range(3)]) for new in (Bayesian, Random)
    )
    assert (missing < 0.35 * missing_by_chance).all()


def test_the_front_reaches_both_ends() -> None:
    goals = (Objective("a", "minimize"), Objective("b", "minimize"))
    spec = replace(spec_of(SQUARE), objectives=goals)

    front = Front.of(run(spec, two_bowls, 40), spec)

    # From the one bowl's bottom to the other's, each objective goes from 0 to 0.72.
    assert min(t.metrics["a"] for t in front.trials) < 0.03
    assert min(t.metrics["b"] for t in front.trials) < 0.03
    assert len(front.trials) > 12


# Batches


def waves(values: Values) -> Outcome:
    return {"loss": float(np.cos(9.0 * place(values)).sum())}


def batch_of(count: int) -> np.ndarray:
    spec = spec_of(CUBE3)
    history = History(spec, run(spec, waves, 10))
    points = Bayesian().suggest(history, count, position_rng(0, 10))
    return np.array([place(p.values) for p in points])


def test_a_batch_of_eight_is_spread() -> None:
    places = batch_of(8)

    apart = np.sqrt(((places[:, None] - places) ** 2).sum(axis=2))[np.triu_indices(8, 1)]
    assert len(places) == 8
    assert apart.min() > 1e-3
    assert np.median(apart) > 0.1


def test_a_batch_of_sixty_four_is_distinct_and_looks_in_many_places() -> None:
    places = batch_of(64)

    assert len({row.tobytes() for row in places.round(8)}) == 64
    # In boxes with a side of a twentieth.
    assert len({tuple(row) for row in (20 * places).astype(int).tolist()}) >= 12


def test_in_batches_of_eight_it_still_learns() -> None:
    for seed in range(3):
        trials = run(spec_of(CUBE3, seed=seed), quadratic, 48, batch=8)

        assert best(trials) < 1e-3


def test_open_trials_are_not_suggested_again_nor_closely_passed() -> None:
    spec = spec_of(SQUARE)
    trials = run(spec, quadratic, 12)
    (first,) = Bayesian().suggest(History(spec, trials), 1, position_rng(0, 12))
    running = Trial(13, first.values, TrialState.RUNNING)

    (second,) = Bayesian().suggest(History(spec, [*trials, running]), 1, position_rng(0, 12))

    assert np.linalg.norm(place(first.values) - place(second.values)) > 0.01


# The history is the whole state


def test_a_searcher_made_anew_suggests_the_same_also_after_a_hundred_trials() -> None:
    space = Space(
        {
            "x": Double(0.0, 1.0),
            "kind": Categorical(["a", "b"]),
            "n": Integer(1, 9, when={"kind": ["b"]}),
        }
    )
    spec = spec_of(space, seed=3)

    def program(values: Values) -> Outcome:
        if float(values["x"]) > 0.9:
            return TrialState.FAILED
        return {"loss": (float(values["x"]) - 0.4) ** 2 + float(values.get("n", 4)) / 9}

    trials = run(spec, program, 110)

    for n in [5, 20, 41, 47, 80, 101, 109]:
        (anew,) = Bayesian().suggest(History(spec, trials[:n]), 1, position_rng(3, n))
        assert (anew.values, anew.explanation) == (trials[n].values, trials[n].explanation)


def test_a_trial_tried_again_with_the_same_result_changes_the_searcher_s_mind_alike() -> None:
    spec = spec_of(SQUARE)
    trials = run(spec, quadratic, 12)
    veteran, history = Bayesian(), History(spec, trials)
    for n in range(3):  # all three warps
        veteran.suggest(history, 1, position_rng(0, 12 + n))
    again = [replace(trials[4], number=13 + n, revision=13 + n) for n in range(3)]
    history.update(again)

    known = veteran.suggest(history, 3, position_rng(0, 15))

    assert known == Bayesian().suggest(History(spec, [*trials, *again]), 3, position_rng(0, 15))


# Explanations


def test_an_explanation_holds_what_was_expected_and_by_what_the_point_was_chosen() -> None:
    spec = replace(
        spec_of(SQUARE),
        objectives=(Objective("gain", "maximize"),),
        constraints=(Constraint("size", 1.2),),
    )

    def program(values: Values) -> Outcome:
        size = float(place(values).sum())
        return {"gain": 50.0 - 10.0 * quadratic(values)["loss"], "size": size}

    trials = run(spec, program, 30)

    assert trials[0].explanation is None
    errors = []
    for trial in trials[15:]:
        explanation = trial.explanation
        assert explanation is not None
        assert explanation.searcher == ""  # nobody else was to choose from
        assert explanation.acquisition == "log expected improvement"
        assert explanation.value is not None
        assert explanation.feasible is not None
        assert 0.0 < explanation.feasible <= 1.0
        prediction = explanation.predictions["gain"]
        assert prediction.sd > 0.0
        errors.append(abs(prediction.mean - trial.metrics["gain"]))
    # Gains lie between 42 and 50; what is expected is in their units, and mostly right.
    assert np.median(errors) < 0.5


def test_without_anything_that_can_fail_nothing_is_said_of_feasibility() -> None:
    (*_, last) = run(spec_of(SQUARE), quadratic, 8)

    assert isinstance(last.explanation, Explanation)
    assert last.explanation.feasible is None


def test_every_objective_is_predicted() -> None:
    goals = (Objective("a", "minimize"), Objective("b", "minimize"))
    (*_, last) = run(replace(spec_of(SQUARE), objectives=goals), two_bowls, 12)

    assert last.explanation is not None
    assert set(last.explanation.predictions) == {"a", "b"}
    assert last.explanation.acquisition == "log expected hypervolume improvement"


def test_while_nothing_is_feasible_the_search_is_for_that() -> None:
    spec = replace(spec_of(SQUARE), constraints=(Constraint("size", -1.0),))

    trials = run(spec, lambda v: {**quadratic(v), "size": float(place(v).sum())}, 14)

    said = {t.explanation.acquisition for t in trials if t.explanation}
    assert said == {"log probability of feasibility"}
    assert min(float(np.linalg.norm(place(t.values))) for t in trials) < 0.1  # the size is least


# Settings


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"acquisition": "magic"}, "one of ei, pi, ucb, thompson; given 'magic'"),
        ({"kernel": "rbf"}, "one of matern52, matern32, se; given 'rbf'"),
        ({"warp": "sqrt"}, "one of all, none, log, rank; given 'sqrt'"),
        ({"beta": 0.0}, "a number above 0; given 0.0"),
        ({"beta": "two"}, "a number above 0; given 'two'"),
        ({"start": 0}, "a whole number from 1; given 0"),
        ({"start": 2.5}, "a whole number from 1; given 2.5"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match="bayesian's setting") as caught:
        Bayesian(**settings)  # type: ignore[arg-type]

    assert said in str(caught.value)
    assert repr(next(iter(settings))) in str(caught.value)


@pytest.mark.parametrize(("start", "expected"), [(None, 4), (3, 3), (7, 7)])
def test_the_start_fills_the_space_for_as_long_as_is_said(start: int | None, expected: int) -> None:
    trials = run(spec_of(SQUARE), quadratic, 9, searcher=Bayesian(start=start))

    origins = [t.origin for t in trials]
    assert origins == ["sobol"] * expected + ["model"] * (9 - expected)
