import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from tunesmith.model import Objective, Series, TrialState
from tunesmith.stopping import binned as bins
from tunesmith.stopping import forecast as model
from tunesmith.stopping.families import COUNT, shapes
from tunesmith.stopping.forecast import Forecast, Known, forecast, guess, learn
from tunesmith.stopping.peers import Peers
from tunesmith.stopping.prediction import Foresight, horizon, predict_final, teachers
from tunesmith.testing.rules import history_of, study

Array = NDArray[np.float64]
Family = Callable[[np.random.Generator, Array], Array]

T = 40.0
STEPS = np.arange(1.0, T + 1)


def power(rng: np.random.Generator, t: Array) -> Array:
    end, fall, rate = rng.normal(1.0, 0.3), rng.uniform(0.5, 2.0), rng.uniform(0.3, 1.5)
    return end + fall * t**-rate + rng.normal(0.0, 0.02, len(t))


def exponential(rng: np.random.Generator, t: Array) -> Array:
    end, fall, time = rng.normal(1.0, 0.3), rng.uniform(0.5, 2.0), T * rng.uniform(0.05, 0.5)
    curve: Array = end + fall * np.exp(-t / time) + rng.normal(0.0, 0.02, len(t))
    return curve


def accuracy(rng: np.random.Generator, t: Array) -> Array:
    """Return minus an accuracy that rises along a sigmoid of log t."""
    top, half = rng.uniform(0.6, 0.98), T * 10 ** rng.uniform(-1.5, 0.3)
    rate = rng.uniform(0.7, 2.0)
    risen = (top - 0.1) * t**rate / (t**rate + half**rate)
    curve: Array = -(0.1 + risen) + rng.normal(0.0, 0.01, len(t))
    return curve


def rising_again(rng: np.random.Generator, t: Array) -> Array:
    return exponential(rng, 4.0 * t) + rng.uniform(0.0, 0.5) * (t / T) ** 1.5


FAMILIES = [power, exponential, accuracy, rising_again]


def peers_of(*curves: Array) -> Peers:
    sizes = np.array([len(c) for c in curves])
    at = np.concatenate([STEPS[:n] for n in sizes])
    return Peers(
        np.arange(1, len(curves) + 1), np.cumsum(sizes) - sizes, at, np.concatenate(curves)
    )


def some(family: Family, count: int, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [family(rng, STEPS) for _ in range(count)]


def part(curve: Array, n: int) -> Series:
    return Series(STEPS[:n], curve[:n])


# Shapes


def test_every_shape_falls_from_one_to_zero() -> None:
    t = np.geomspace(0.5, 80.0, 50)

    phi = shapes(t, 0.5, 80.0)

    assert phi.shape == (50, COUNT)
    assert phi[0] == pytest.approx(np.ones(COUNT), abs=1e-12)
    assert phi[-1] == pytest.approx(np.zeros(COUNT), abs=1e-12)
    assert (np.diff(phi, axis=0) <= 1e-12).all()


def test_shapes_differ() -> None:
    phi = shapes(np.geomspace(1.0, 100.0, 30), 1.0, 100.0)

    distances = [np.abs(phi[:, i] - phi[:, j]).max() for i in range(COUNT) for j in range(i)]

    assert min(distances) > 0.01


# The model, against the joint normal distribution of everything


def _known(walk: float) -> Known:
    units = bins.Units(1.0, T, 0.3, 2.0, 50.0)
    blank = model._blank(units, walk)
    covariance = np.array([[1.0, 0.3, 0.1], [0.3, 2.0, -0.2], [0.1, -0.2, 0.5]])
    return Known(
        units, np.array([0.2, 1.1, -0.1]), covariance, 0.04, walk, blank.shares, blank.roughness
    )


@pytest.mark.parametrize("walk", [0.0, 0.7])
def test_what_is_forecast_is_what_the_joint_normal_distribution_says(walk: float) -> None:
    known = _known(walk)
    curve = part(some(power, 1)[0], 9)
    binned = bins.binned(Peers.alone(curve), known.units)
    there = binned.m[0] > 0
    t, y, m = binned.t[0][there], binned.y[0][there], binned.m[0][there]
    t = np.append(t, T)
    way = np.log(t)
    phi = shapes(t, 1.0, T)

    beliefs = model._beliefs(binned.sums(walk), known)
    found = forecast(curve, known)

    means, variances, evidence = [], [], []
    for s in range(COUNT):
        for rough in model._ROUGHNESS:
            v = known.noise * rough
            columns = np.stack([np.ones(len(t)), phi[:, s], 1.0 - t / T], axis=1)
            mean = columns @ known.mean
            joint = columns @ known.covariance @ columns.T
            joint += v * (walk * np.minimum(way[:, None], way) + np.diag([*(1.0 / m), 1.0]))
            gain = np.linalg.solve(joint[:-1, :-1], joint[:-1, -1])
            means.append(mean[-1] + gain @ (y - mean[:-1]))
            variances.append(joint[-1, -1] - gain @ joint[:-1, -1])
            evidence.append(multivariate_normal(mean[:-1], joint[:-1, :-1]).logpdf(y))
    weights = np.exp(np.array(evidence) - max(evidence))
    assert found.means == pytest.approx(means, rel=1e-6)
    assert found.deviations == pytest.approx(np.sqrt(variances), rel=1e-6)
    assert found.weights == pytest.approx(weights / weights.sum(), rel=1e-5)
    each = np.array(evidence) - math.log(COUNT * len(model._ROUGHNESS))
    assert beliefs.log_p[0] == pytest.approx(np.logaddexp.reduce(each), rel=1e-8)


def test_each_step_of_the_maximisation_makes_the_curves_more_probable() -> None:
    peers = peers_of(*some(exponential, 60))
    units = bins.Units.of(peers, T)
    sums = bins.binned(peers, units).sums(0.3)
    known, found = model._blank(units, 0.3), []

    for _ in range(12):
        known, log_p = model._improved(known, sums)
        found.append(log_p)

    # What is believed beforehand counts for three curves of sixty, so the last steps may lose a little.
    assert (np.diff(found) > -0.5).all()
    assert found[-1] > found[0] + 50.0


def test_inverses_of_small_matrices_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(50, 2, 3, 3))
    matrices = root @ root.transpose(0, 1, 3, 2) + 0.1 * np.eye(3)

    inverses, log_dets = model._inverse(matrices)

    assert inverses == pytest.approx(np.linalg.inv(matrices), rel=1e-7)
    assert log_dets == pytest.approx(np.linalg.slogdet(matrices)[1])


def test_bins_hold_every_measurement_once() -> None:
    curve = Series(np.arange(1.0, 201.0), np.arange(200.0))
    units = bins.Units(1.0, 200.0, 0.0, 1.0, 1e9)

    binned = bins.binned(Peers.alone(curve), units)

    assert binned.m.sum() == 200
    assert (binned.m * binned.y).sum() == pytest.approx(np.arange(200.0).sum())
    assert (binned.m * binned.t).sum() == pytest.approx(np.arange(1.0, 201.0).sum())


# What it is good for


def coverage(family: Family, count: int, *, seeds: int = 4) -> tuple[float, float, float]:
    """Return the share of ends in their 80 % interval, and the mean errors of forecast and last value."""
    inside, errors, naive = [], [], []
    for seed in range(seeds):
        curves = some(family, count + 30, seed)
        known = learn(peers_of(*curves[:count]), T)
        for i, curve in enumerate(curves[count:]):
            seen = (5, 12, 24)[i % 3]
            found = forecast(part(curve, seen), known)
            inside.append(0.1 <= found.below(curve[-1]) <= 0.9)
            errors.append(abs(found.mean - curve[-1]))
            naive.append(abs(curve[seen - 1] - curve[-1]))
    return float(np.mean(inside)), float(np.mean(errors)), float(np.mean(naive))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("count", [8, 40])
def test_ends_lie_in_their_80_percent_interval_about_so_often(family: Family, count: int) -> None:
    share, _, _ = coverage(family, count)

    assert 0.68 <= share <= 0.94


@pytest.mark.parametrize("family", FAMILIES)
def test_a_forecast_is_nearer_to_the_end_than_the_last_value(family: Family) -> None:
    _, error, naive = coverage(family, 20)

    assert error < 0.8 * naive


def test_the_more_is_seen_of_a_curve_the_narrower_is_the_forecast() -> None:
    curves = some(exponential, 21)
    known = learn(peers_of(*curves[:20]), T)

    deviations = [forecast(part(curves[20], n), known).deviation for n in (3, 10, 20, 38)]

    assert deviations == sorted(deviations, reverse=True)
    assert deviations[-1] < 0.25 * deviations[0]


def test_other_units_change_nothing_but_the_units() -> None:
    curves = some(power, 12)
    plain = forecast(part(curves[-1], 9), learn(peers_of(*curves[:-1]), T))
    turned = [1e6 * c - 3e6 for c in curves]

    found = forecast(part(turned[-1], 9), learn(peers_of(*turned[:-1]), T))

    assert found.mean == pytest.approx(1e6 * plain.mean - 3e6, rel=1e-6)
    assert found.deviation == pytest.approx(1e6 * plain.deviation, rel=1e-6)


def test_curves_that_diverged_do_not_blur_the_others() -> None:
    curves = some(power, 12)
    wild = [np.where(STEPS < 5, c, 1e12) for c in some(power, 3, seed=1)]
    wild.append(np.where(STEPS < 9, wild[0], np.inf))
    without = forecast(part(curves[-1], 20), learn(peers_of(*curves[:-1]), T))

    found = forecast(part(curves[-1], 20), learn(peers_of(*curves[:-1], *wild), T))

    assert found.mean == pytest.approx(without.mean, abs=0.05)
    assert found.deviation < 0.2


@pytest.mark.parametrize(
    "curves",
    [
        [np.zeros(40)] * 3,
        [np.full(40, 7.25)] * 3,
        [np.full(40, np.inf)] * 3,
        [np.full(1, 2.0), np.full(1, 3.0)],
        [np.full(40, 1e308), np.full(40, -1e308), np.full(40, 1e308)],
        [np.full(40, 5e-324), np.zeros(40)],
        [np.where(STEPS % 2 == 0, np.inf, STEPS)] * 3,
    ],
)
@pytest.mark.parametrize("own", [0.0, 7.25, math.inf, 1e300, -1e308, 5e-324])
def test_degenerate_curves_are_forecast_without_a_fault(curves: list[Array], own: float) -> None:
    known = learn(peers_of(*curves), T)

    found = forecast(Series(STEPS[:3], np.full(3, own)), known)

    assert found.weights.sum() == pytest.approx(1.0)
    assert 0.0 <= found.below(1.0) <= 1.0
    assert np.isfinite(found.means).all()
    assert (found.deviations > 0.0).all()


def test_probabilities_are_those_of_the_mixture() -> None:
    units = bins.Units(1.0, T, 10.0, 2.0, 1e9)
    mixture = Forecast(units, np.array([0.25, 0.75]), np.array([0.0, 1.0]), np.array([1.0, 1.0]))

    assert mixture.mean == 11.5
    assert mixture.deviation == pytest.approx(2.0 * math.sqrt(1.0 + 3 / 16))
    assert mixture.below(12.0) == pytest.approx(0.25 * 0.841344746 + 0.75 * 0.5)


def test_without_teachers_a_forecast_is_about_the_last_value_and_vague() -> None:
    curve = some(exponential, 1)[0]
    found = forecast(part(curve, 20), guess(Peers.alone(part(curve, 20)), T))

    assert found.mean == pytest.approx(curve[-1], abs=0.5)
    assert 0.02 < found.deviation < 1.0


# In a study


def test_the_end_is_where_one_is_told_or_the_study_or_the_longest_trial_says() -> None:
    loss = Objective("loss", "minimize")
    told, untold = (
        history_of(s, [1.0] * 7, [1.0] * 9, running=[2]) for s in (study(), study(max_steps=None))
    )

    assert horizon(told, loss, max_steps=50.0) == 50.0
    assert horizon(told, loss) == 12
    assert horizon(untold, loss) == 7.0
    assert horizon(told, loss, "elapsed") == 7.0
    assert horizon(history_of(study(max_steps=None), [1.0], running=[1]), loss) is None


def test_the_newest_that_ended_teach() -> None:
    history = history_of(study(), *[[1.0, 2.0]] * 45, [1.0], [1.0, 1.0], running=[20, 46, 47])
    stopped = [t for t in history.trials if t.number % 2 == 1 and t.number < 46]
    history.update([replace(t, state=TrialState.STOPPED) for t in stopped])

    found = teachers(history.trials[46], history, history.spec.objective).numbers.tolist()

    # 16 stopped ones, and all completed ones but 20, which runs; 46 measured once.
    assert [n for n in found if n % 2 == 1] == list(range(15, 46, 2))
    assert [n for n in found if n % 2 == 0] == [n for n in range(2, 46, 2) if n != 20]


def test_a_running_trials_end_is_predicted_in_the_units_of_the_metric() -> None:
    curves = [(-c).tolist() for c in some(accuracy, 12)]
    spec = study("maximize", max_steps=int(T))
    history = history_of(spec, *curves[:-1], curves[-1][:25], running=[12])

    found = predict_final(history.trials[11], history)

    assert found is not None
    assert found.mean == pytest.approx(curves[-1][-1], abs=3.0 * found.sd)
    assert 0.0 < found.sd < 0.2


def test_nothing_is_predicted_of_a_trial_without_a_number_or_an_end() -> None:
    endless = history_of(study(max_steps=None), [1.0], running=[1])
    nothing = history_of(study(), [math.nan], [], running=[1, 2])

    assert predict_final(endless.trials[0], endless) is None
    assert predict_final(nothing.trials[0], nothing) is None
    assert predict_final(nothing.trials[1], nothing) is None


def test_what_was_learnt_is_kept_until_another_teaches() -> None:
    curves = some(power, 12)
    foresight = Foresight()
    foresight.of(part(curves[0], 5), peers_of(*curves[1:8]), T)
    learnt = foresight._learnt

    foresight.of(part(curves[0], 6), peers_of(*curves[1:8]), T)
    kept = foresight._learnt
    foresight.of(part(curves[0], 7), peers_of(*curves[1:9]), T)

    assert kept is learnt
    assert foresight._learnt is not learnt
