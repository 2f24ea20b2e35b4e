from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from tunesmith.search.bayesian import surrogate as module
from tunesmith.search.bayesian.cube import Cube
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.gp import Seen
from tunesmith.search.bayesian.sample import Sample
from tunesmith.search.bayesian.settings import WarpName
from tunesmith.search.bayesian.surrogate import Fits, Gate
from tunesmith.space import Categorical, Double, Space

Array = NDArray[np.float64]

SPACE = Space({"x": Double(0.0, 1.0), "y": Double(0.0, 1.0), "kind": Categorical(["a", "b"])})
CUBE = Cube(SPACE)
FEATURES = Features(CUBE)


def _vectors(n: int, seed: int = 0) -> Array:
    points = CUBE.snap(np.random.default_rng(seed).random((n, 3)))
    return FEATURES(points, CUBE.active(points))


def _sample(n: int, noise: float = 0.0) -> Sample:
    vectors = _vectors(n)
    rng = np.random.default_rng(1)
    values = 100.0 + 20.0 * np.sin(4.0 * vectors[:, 0]) + 10.0 * vectors[:, 1]
    values += noise * rng.standard_normal(n)
    none = np.zeros(n)
    return Sample(vectors, values, none, none + 1.0, none.astype(np.intp))


def test_hyperparameters_are_the_same_whatever_was_asked_before() -> None:
    veteran = Fits(CUBE, FEATURES)

    for n in [10, 11, 30, 45, 46, 60]:
        for warp in ("none", "log", "rank"):
            known = veteran.surrogate(_sample(n), warp, "matern52", "objective 0")
            anew = Fits(CUBE, FEATURES).surrogate(_sample(n), warp, "matern52", "objective 0")
            np.testing.assert_array_equal(known.gp.theta, anew.gp.theta)
        gate, fresh = (
            f.gate(_sample(n), 99.0, "se", "limit") for f in (veteran, Fits(CUBE, FEATURES))
        )
        np.testing.assert_array_equal(gate.gp.theta, fresh.gp.theta)


def test_a_repetition_that_changes_no_mean_is_noticed() -> None:
    once = _sample(12, noise=5.0)
    often = Sample(once.vectors, once.values, once.errors, once.share / 9.0, once.study)
    veteran = Fits(CUBE, FEATURES)
    veteran.surrogate(once, "none", "matern52", "role")

    known = veteran.surrogate(often, "none", "matern52", "role").gp.theta

    anew = Fits(CUBE, FEATURES).surrogate(often, "none", "matern52", "role").gp.theta
    np.testing.assert_array_equal(known, anew)
    assert not np.array_equal(known, veteran.surrogate(once, "none", "matern52", "role").gp.theta)


def test_hyperparameters_are_refitted_with_every_value_and_later_with_every_twentieth_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fits, fitted = Fits(CUBE, FEATURES), list[int]()

    def noted(prior: object, seen: Seen, kernel: str) -> Array:
        fitted.append(len(seen.y))
        return np.zeros(6)

    monkeypatch.setattr(module, "fit", noted)
    sample = _sample(130)
    for n in range(3, 131):
        fits.surrogate(sample.take(np.arange(n)), "none", "se", "role")

    # The values' warp changes with every value, but those of the first n do not.
    assert fitted[:38] == list(range(3, 41))
    assert fitted[38:] == [
        43,
        46,
        49,
        52,
        55,
        58,
        61,
        65,
        69,
        73,
        77,
        81,
        86,
        91,
        96,
        101,
        107,
        113,
        119,
        125,
    ]


def test_a_study_of_thousands_is_seen_by_four_hundred_values() -> None:
    sample = _sample(3000)

    seen = Fits(CUBE, FEATURES).surrogate(sample, "none", "matern52", "role").gp.seen

    assert len(seen.y) == 400
    vectors = {row.tobytes() for row in seen.vectors}
    best = sample.vectors[np.argsort(sample.values)[:190]]
    assert all(row.tobytes() in vectors for row in best)
    assert all(row.tobytes() in vectors for row in sample.vectors[-100:])
    middle = sum(row.tobytes() in vectors for row in sample.vectors[1000:2000])
    assert middle > 50


def test_a_gate_of_thousands_sees_the_newest_and_the_newest_warnings() -> None:
    sample = _sample(3000)
    highest = np.sort(sample.values)[-150]  # 150 values are too high, few of them new

    seen = Fits(CUBE, FEATURES).gate(sample, float(highest), "se", "role").gp.seen

    vectors = {row.tobytes() for row in seen.vectors}
    high = sample.vectors[sample.values > highest]
    assert all(row.tobytes() in vectors for row in sample.vectors[-200:])
    assert all(row.tobytes() in vectors for row in high[-100:])
    assert len(seen.y) <= 300


def test_earlier_studies_leave_the_own_values_their_room() -> None:
    features = Features(CUBE, 2)
    points = CUBE.snap(np.random.default_rng(0).random((450, 3)))
    study = (np.arange(450) < 60).astype(np.intp)
    vectors = features(points, CUBE.active(points), study)
    values = np.where(study, 1e6, points[:, 0])
    none = np.zeros(450)
    sample = Sample(vectors, values, none, none + 1.0, study)

    seen = Fits(CUBE, features).surrogate(sample, "none", "se", "role").gp.seen

    assert len(seen.y) == 400
    assert int((seen.vectors[:, features.owner == CUBE.d][:, 0] > 0).sum()) == 390


def test_every_study_s_values_are_seen_around_their_own_mean() -> None:
    features = Features(CUBE, 2)
    points = CUBE.snap(np.random.default_rng(0).random((30, 3)))
    study = (np.arange(30) < 15).astype(np.intp)
    values = np.where(study, 5000.0 + 70.0 * points[:, 0], points[:, 0])
    none = np.zeros(30)
    sample = Sample(features(points, CUBE.active(points), study), values, none, none + 1.0, study)

    surrogate = Fits(CUBE, features).surrogate(sample, "none", "matern52", "role")

    for number in (0, 1):
        mine = surrogate.gp.seen.y[study == number]
        assert (mine.mean(), mine.std()) == (pytest.approx(0.0, abs=1e-9), pytest.approx(1.0))
    assert surrogate.warp.losses(np.array([0.0]))[0] == pytest.approx(points[15:, 0].mean())


def test_known_errors_are_carried_to_the_model_s_values() -> None:
    sample = _sample(20)
    unsure = Sample(sample.vectors, sample.values, np.full(20, 3.0), sample.share, sample.study)

    seen = Fits(CUBE, FEATURES).surrogate(unsure, "none", "se", "role").gp.seen

    np.testing.assert_allclose(seen.extra, (3.0 / sample.values.std()) ** 2, rtol=1e-9)


def test_errors_without_bound_make_values_worthless_not_the_model() -> None:
    sample = _sample(20)
    errors = np.where(np.arange(20) < 5, 1.7e308, 0.0)
    unsure = Sample(sample.vectors, sample.values, errors, sample.share, sample.study)

    surrogate = Fits(CUBE, FEATURES).surrogate(unsure, "log", "matern52", "role")

    mean, sd = surrogate.gp.posterior(_vectors(9, seed=2))
    assert np.isfinite(mean).all()
    assert (sd > 0.0).all()
    assert surrogate.gp.seen.extra[:5].min() > 1e5


@pytest.mark.parametrize("warp", ["none", "log", "rank"])
def test_predictions_are_in_the_metric_s_units_and_hold_noise(warp: WarpName) -> None:
    sample = _sample(200, noise=4.0)
    surrogate = Fits(CUBE, FEATURES).surrogate(sample, warp, "matern52", "role")
    places = _vectors(200, seed=5)
    truth = 100.0 + 20.0 * np.sin(4.0 * places[:, 0]) + 10.0 * places[:, 1]
    measured = truth + 4.0 * np.random.default_rng(7).standard_normal(200)

    means, sds = surrogate.gp.posterior(places)
    told = [surrogate.in_units(float(m), float(s)) for m, s in zip(means, sds, strict=True)]

    mean, sd = np.array(told).T
    # Values span about 45, noise is 4. A warp bends the noise: among bad values it is seen smaller.
    assert np.sqrt(np.mean((mean - truth) ** 2)) < 3.0
    within = np.mean(np.abs(measured - mean) < 2.0 * sd)
    assert 0.9 < within < 1.0  # 0.95 of a normal's
    assert 3.0 < np.median(sd) < 6.0


def test_predictions_of_the_greatest_numbers_are_finite() -> None:
    vectors = _vectors(6)
    values = np.array([1.7e308, -1.7e308, 0.0, 1e300, 1.0, -1e308])
    none = np.zeros(6)
    sample = Sample(vectors, values, none, none + 1.0, none.astype(np.intp))
    surrogate = Fits(CUBE, FEATURES).surrogate(sample, "none", "matern52", "role")

    for mean, sd in [(0.0, 1.0), (5.0, 1.0), (-5.0, 0.1)]:
        assert all(map(np.isfinite, surrogate.in_units(mean, sd)))


def test_a_gate_learns_where_values_stay_below_the_threshold() -> None:
    sample = _sample(60)
    gate = Fits(CUBE, FEATURES).gate(sample, 105.0, "matern52", "limit")
    places = _vectors(200, seed=3)
    truth = 100.0 + 20.0 * np.sin(4.0 * places[:, 0]) + 10.0 * places[:, 1]

    probability = np.exp(gate.log_probability(places))

    clear = np.abs(truth - 105.0) > 5.0
    assert ((probability > 0.5) == (truth < 105.0))[clear].mean() > 0.97


def test_a_gate_s_probability_is_that_of_the_normal_and_its_slope_the_derivative() -> None:
    gate = Fits(CUBE, FEATURES).gate(_sample(15), 110.0, "matern52", "limit")
    places, step = _vectors(5, seed=3), 1e-6
    assert np.array_equal(gate.score(places), gate.log_probability(places))

    value, slope = gate.slopes(places)

    mean, sd = gate.gp.posterior(places)
    np.testing.assert_allclose(np.exp(value), ndtr((gate.threshold - mean) / sd), rtol=1e-9)
    np.testing.assert_allclose(value, gate.log_probability(places), rtol=1e-9)
    for column in range(places.shape[1]):
        moved = np.zeros(places.shape[1])
        moved[column] = step
        difference = gate.log_probability(places + moved) - gate.log_probability(places - moved)
        np.testing.assert_allclose(slope[:, column], difference / (2 * step), rtol=1e-4, atol=1e-5)


def test_a_stern_gate_loses_what_is_missing_to_its_least_margin_and_tells_the_slope() -> None:
    plain = Fits(CUBE, FEATURES).gate(_sample(15), 110.0, "matern52", "limit")
    places, step = _vectors(9, seed=3), 1e-7
    mean, sd = plain.gp.posterior(places)
    margin = (plain.threshold - mean) / sd
    stern = replace(plain, least=float(np.median(margin)) + 0.1)

    value, slope = stern.slopes(places)

    lost = plain.log_probability(places) - value
    assert (lost[margin >= stern.least] == 0.0).all()
    np.testing.assert_allclose(lost, 50.0 * np.maximum(stern.least - margin, 0.0), rtol=1e-9)
    np.testing.assert_allclose(value, stern.score(places), rtol=1e-9)
    for column in range(places.shape[1]):
        moved = np.zeros(places.shape[1])
        moved[column] = step
        difference = stern.score(places + moved) - stern.score(places - moved)
        np.testing.assert_allclose(slope[:, column], difference / (2 * step), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("value", [1.0, 0.0, -4.0])
def test_a_gate_whose_values_are_all_the_same_has_a_probability_everywhere(value: float) -> None:
    vectors, none = _vectors(5), np.zeros(5)
    sample = Sample(vectors, none + value, none, none + 1.0, none.astype(np.intp))

    gate: Gate = Fits(CUBE, FEATURES).gate(sample, 0.5, "matern52", "running")

    probability = np.exp(gate.log_probability(_vectors(50, seed=4)))
    assert np.isfinite(probability).all()
    assert (probability < 0.5).all() if value > 0.5 else (probability > 0.5).all()
