from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tunesmith.model import (
    Constraint,
    History,
    Measurement,
    Objective,
    Stopping,
    StudySpec,
    Trial,
    TrialState,
)
from tunesmith.search import position_rng
from tunesmith.search.bayesian import Bayesian
from tunesmith.search.bayesian.cube import Cube
from tunesmith.search.bayesian.data import Data, read_stages
from tunesmith.search.bayesian.features import Features
from tunesmith.search.bayesian.stages import Stages, StageTable, has_stages
from tunesmith.search.table import Table
from tunesmith.space import Double, Space

SPACE = Space({"x": Double(0.0, 1.0)})
SPEC = StudySpec(
    SPACE, (Objective("loss", "minimize"),), max_steps=32, stopping=(Stopping("auto"),)
)
RUNNING, PAUSED, STOPPED = TrialState.RUNNING, TrialState.PAUSED, TrialState.STOPPED
COMPLETED, FAILED = TrialState.COMPLETED, TrialState.FAILED


def add(
    history: History,
    losses: Sequence[float],
    state: TrialState,
    *,
    x: float | None = None,
    size: float | None = None,
) -> None:
    """Add a trial that measured these losses, one a step."""
    number = len(history.trials) + 1
    place = number / 10 if x is None else x
    trial = Trial(number, {"x": place}, RUNNING, 1, revision=history_revision(history) + 1)
    history.update([trial])
    for step, loss in enumerate(losses, start=1):
        metrics = {"loss": loss} if size is None else {"loss": loss, "size": size}
        revision = history_revision(history) + 1
        history.measure(number, 1, Measurement(step, metrics, revision=revision))
    counts = state in (COMPLETED, STOPPED) and losses
    metrics = {"loss": losses[-1]} if counts else {}
    if counts and size is not None:
        metrics["size"] = size
    revision = history_revision(history) + 1
    history.update([replace(trial, state=state, metrics=metrics, revision=revision)])


def history_revision(history: History) -> int:
    latest = [t.revision for t in history.trials]
    return max([0, *latest, *(history.curve(t.number).revision for t in history.trials)])


def stages_of(history: History) -> Stages:
    return StageTable().stages(history)


def falling(steps: int, start: float = 3.0) -> list[float]:
    return [start / step for step in range(1, steps + 1)]


def read(history: History) -> Data:
    cube = Cube(SPACE)
    features = Features(cube, staged=True)
    rows = Table().rows(history)
    return read_stages(history.spec, rows, stages_of(history), cube, features)


# Which stages


def test_a_whole_trial_has_stages_at_parts_of_its_steps_and_at_its_end() -> None:
    history = History(SPEC)
    add(history, falling(32), COMPLETED)

    found = stages_of(history)

    assert found.stage == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])  # 2, 4, 8, 16 and 32 = 2⁵ steps
    assert found.losses[:, 0] == pytest.approx([3 / 2, 3 / 4, 3 / 8, 3 / 16, 3 / 32])


def test_a_trial_that_waits_has_the_stages_that_it_has_come_to() -> None:
    history = History(SPEC)
    add(history, falling(8), PAUSED)

    assert stages_of(history).stage == pytest.approx([0.2, 0.4, 0.6])


def test_a_trial_that_was_stopped_between_stages_has_one_where_it_stands() -> None:
    history = History(SPEC)
    add(history, falling(12), STOPPED)

    found = stages_of(history)

    assert found.stage[-1] == pytest.approx(np.log(12) / np.log(32))
    assert found.losses[-1, 0] == 3 / 12


def test_a_trial_that_runs_counts_by_the_stages_behind_it() -> None:
    history = History(SPEC)
    add(history, falling(12), RUNNING)

    assert stages_of(history).stage == pytest.approx([0.2, 0.4, 0.6])


def test_a_trial_that_completed_early_is_at_its_end() -> None:
    history = History(SPEC)
    add(history, falling(10), COMPLETED)

    assert stages_of(history).stage[-1] == 1.0


def test_a_result_that_somebody_told_without_a_curve_is_final() -> None:
    history = History(SPEC)
    add(history, falling(4), PAUSED)
    history.update([Trial(2, {"x": 0.9}, COMPLETED, 1, metrics={"loss": 0.5}, revision=99)])

    found = stages_of(history)

    assert found.stage[found.trial == 1].tolist() == [1.0]


@pytest.mark.parametrize("state", [FAILED, TrialState.CANCELLED, TrialState.INFEASIBLE])
def test_trials_without_a_result_have_no_stages(state: TrialState) -> None:
    history = History(SPEC)
    add(history, falling(8), state)

    assert not len(stages_of(history).stage)


def test_stages_at_which_the_loss_was_no_number_are_left_out() -> None:
    history = History(SPEC)
    add(history, [3.0, 2.0, np.nan, np.nan], PAUSED)

    assert stages_of(history).losses.tolist() == [[2.0]]


def test_the_least_loss_so_far_counts_where_the_study_says_so() -> None:
    history = History(replace(SPEC, measurement="best"))
    add(history, [3.0, 1.0, 2.0, 4.0], PAUSED)

    assert stages_of(history).losses.tolist() == [[1.0], [1.0]]


def test_without_the_steps_of_a_whole_trial_the_longest_is_one() -> None:
    history = History(replace(SPEC, max_steps=None))
    add(history, falling(16), STOPPED)
    add(history, falling(4), STOPPED)

    found = stages_of(history)

    assert found.stage[found.trial == 0].max() == 1.0
    assert found.stage[found.trial == 1].max() == pytest.approx(0.5)


def test_values_come_in_the_order_in_which_they_were_measured() -> None:
    history = History(SPEC)
    for _ in range(2):
        add(history, falling(2), RUNNING)
    history.measure(1, 1, Measurement(3, {"loss": 0.9}, revision=50))
    history.measure(2, 1, Measurement(3, {"loss": 0.9}, revision=51))
    history.measure(2, 1, Measurement(4, {"loss": 0.8}, revision=52))
    history.measure(1, 1, Measurement(4, {"loss": 0.8}, revision=53))

    assert stages_of(history).trial.tolist() == [0, 1, 1, 0]


def test_what_a_table_remembers_changes_nothing() -> None:
    history, table = History(SPEC), StageTable()
    for n in range(1, 8):
        add(history, falling(2 * n), [PAUSED, COMPLETED, STOPPED, RUNNING][n % 4])
        known, fresh = table.stages(history), stages_of(history)
        np.testing.assert_array_equal(known.stage, fresh.stage)
        np.testing.assert_array_equal(known.losses, fresh.losses)
        np.testing.assert_array_equal(known.revisions, fresh.revisions)


def test_what_is_common_to_a_stage_is_taken_from_its_losses() -> None:
    history = History(SPEC)
    for level in (1.0, 2.0, 4.0):
        add(history, [level + 10.0 / step for step in range(1, 33)], COMPLETED)
    add(history, [3.0 + 10.0 / step for step in range(1, 9)], PAUSED)
    add(history, [3.0 + 10.0 / step for step in range(1, 13)], STOPPED)  # between two levels

    found = stages_of(history)

    losses = {n: found.at_the_end()[found.trial == n, 0] for n in range(5)}
    for n, level in enumerate((1.0, 2.0, 4.0, 3.0)):
        assert losses[n] == pytest.approx(level + 10.0 / 32)
    assert losses[4][-1] == pytest.approx(3.0 + 10.0 / 32, abs=0.2)


def test_before_any_trial_has_come_further_losses_are_as_they_were_measured() -> None:
    history = History(SPEC)
    for level in (1.0, 2.0):
        add(history, [level] * 2, PAUSED)

    assert stages_of(history).at_the_end().tolist() == [[1.0], [2.0]]


def test_losses_too_large_to_be_moved_stay_where_they_are() -> None:
    history = History(SPEC)
    add(history, [1.7e308, -1.7e308, 1.0, 1.0], PAUSED)
    add(history, [-1.7e308, 1.7e308, 1.0, 1.7e308], PAUSED)

    assert np.isfinite(stages_of(history).at_the_end()).all()


# What the model is told


def test_a_stopped_trial_does_not_count_as_if_it_had_come_to_its_end() -> None:
    history = History(SPEC)
    add(history, falling(32), COMPLETED)
    add(history, falling(4), STOPPED)

    vectors = read(history).objectives[0].vectors

    assert vectors[:, -1].max() == 1.0
    assert vectors[np.isclose(vectors[:, 0], 0.2), -1].max() < 1.0


def test_trials_that_wait_are_not_pending_and_those_that_run_are() -> None:
    history = History(SPEC)
    add(history, falling(4), PAUSED)
    add(history, falling(4), RUNNING)

    assert read(history).pending.tolist() == [[0.2]]


def test_a_trial_counts_as_soon_as_it_has_measured_something() -> None:
    history = History(SPEC)
    for _ in range(3):
        add(history, falling(4), PAUSED)

    found = read(history)

    assert found.learnt == found.own == len(found.points) == 3


def test_a_trial_that_failed_after_some_steps_has_failed() -> None:
    history = History(SPEC)
    add(history, falling(4), PAUSED)
    add(history, falling(8), FAILED)

    running = read(history).running

    assert running is not None
    assert running.values.tolist() == [0.0, 1.0]


def test_constraints_are_known_from_trials_on_their_way() -> None:
    history = History(replace(SPEC, constraints=(Constraint("size", 1.0),)))
    add(history, falling(4), PAUSED, size=3.0)
    add(history, falling(4), PAUSED, size=0.5)

    found = read(history)

    assert found.feasible.tolist() == [False, True]
    assert found.constraints[0] is not None


# What the searcher does with it


def learn(history: History, *, slow: bool) -> float:
    """Return the x that is suggested after some trials, of which the long ones say where it is good."""
    for x in np.linspace(0.05, 0.95, 7):
        early = abs(x - 0.8)
        late = abs(x - (0.2 if slow else 0.8))
        share = np.linspace(0.0, 1.0, 32)
        losses = ((1 - share) * early + share * late + 1 - share).tolist()
        add(history, losses, COMPLETED, x=float(x))
    for x in np.linspace(0.1, 0.9, 5):
        add(history, [abs(x - 0.8) + 1.0] * 2, PAUSED, x=float(x))
    settings = Bayesian(warp="none")
    return float(settings.suggest(history, 1, position_rng(0, 12))[0].values["x"])


@pytest.mark.parametrize(("slow", "where"), [(True, 0.2), (False, 0.8)])
def test_points_are_chosen_for_what_they_come_to_at_the_end(slow: bool, where: float) -> None:
    assert learn(History(SPEC), slow=slow) == pytest.approx(where, abs=0.1)


def test_unfinished_trials_are_enough_for_a_model() -> None:
    history = History(SPEC)
    for x in np.linspace(0.0, 1.0, 6):
        add(history, [abs(x - 0.3) + 1.0 / step for step in (1, 2)], PAUSED, x=float(x))

    suggestion = Bayesian().suggest(history, 1, position_rng(0, 6))[0]

    assert suggestion.origin == "model"
    assert float(suggestion.values["x"]) == pytest.approx(0.3, abs=0.15)


def test_a_searcher_that_has_seen_the_study_grow_suggests_the_same_as_a_new_one() -> None:
    history, known = History(SPEC), Bayesian()
    for n in range(1, 12):
        add(history, falling(2 * n % 32 + 1, start=1 + n), [PAUSED, COMPLETED, STOPPED][n % 3])
        found = known.suggest(history, 2, position_rng(0, n))

        assert found == Bayesian().suggest(history, 2, position_rng(0, n))


def test_without_curves_there_are_no_stages() -> None:
    history = History(SPEC)
    history.update([Trial(1, {"x": 0.5}, COMPLETED, 1, metrics={"loss": 1.0}, revision=1)])

    assert not has_stages(history)
