import math
from dataclasses import replace

import numpy as np

from tunesmith.model import Objective, Series, TrialState
from tunesmith.stopping.peers import Peers, others, settled
from tunesmith.testing.rules import history_of, study

LOSS = Objective("loss", "minimize")


def peers(*curves: list[float] | dict[int, float]) -> Peers:
    history = history_of(study(), *curves)
    return Peers.of(history.trials, history, LOSS)


def test_each_trial_has_its_best_mean_and_last_loss() -> None:
    several = peers([3.0, 1.0, 2.0], [5.0])

    assert several.bests.tolist() == [1.0, 5.0]
    assert several.means.tolist() == [2.0, 5.0]
    assert several.lasts.tolist() == [2.0, 5.0]
    assert several.reaches.tolist() == [3.0, 1.0]


def test_trials_that_measured_nothing_are_left_out() -> None:
    several = peers([], [1.0], [], [2.0])

    assert several.numbers.tolist() == [2, 4]


def test_up_to_a_place_only_what_was_measured_by_then_counts() -> None:
    several = peers([3.0, 1.0, 2.0], {2: 7.0, 4: 6.0}, {9: 0.0}).until(2.0)

    assert several.numbers.tolist() == [1, 2]
    assert several.lasts.tolist() == [1.0, 7.0]


def test_each_trial_may_have_a_place_of_its_own() -> None:
    several = peers([3.0, 1.0, 2.0], [7.0, 6.0, 5.0]).until(np.array([1.0, 2.0]))

    assert several.lasts.tolist() == [3.0, 6.0]


def test_a_trial_arrives_with_its_first_measurement_from_there_on() -> None:
    arrivals = peers([1.0, 1.0, 1.0], {2: 1.0, 5: 1.0}, [1.0]).arrivals(3.0)

    assert arrivals[:2].tolist() == [3.0, 5.0]
    assert math.isnan(arrivals[2])


def test_nobody_is_nobody_everywhere() -> None:
    nobody = peers([], [])

    assert len(nobody) == len(nobody.until(3.0)) == len(nobody.arrivals(1.0)) == 0
    assert nobody.means.tolist() == nobody.bests.tolist() == nobody.lasts.tolist() == []


def test_what_is_no_finite_number_is_the_worst() -> None:
    history = history_of(study("maximize"), [1.0, math.inf, math.nan, -math.inf])
    several = Peers.of(history.trials, history, history.spec.objective)

    assert several.losses.tolist() == [-1.0, math.inf, math.inf, math.inf]
    assert settled(Series(np.ones(2), np.array([-math.inf, 2.0]))).losses.tolist() == [
        math.inf,
        2.0,
    ]


def test_the_mean_of_the_largest_losses_is_finite() -> None:
    assert peers([1.7e308] * 5).means.tolist() == [1.7e308]


def test_trials_that_failed_are_no_peers() -> None:
    history = history_of(study(), [1.0], [1.0], [1.0], [])
    history.update([replace(history.trials[1], state=TrialState.FAILED)])

    assert [t.number for t in others(history.trials[0], history)] == [3]
