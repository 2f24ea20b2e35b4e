import numpy as np
import pytest

from tunesmith.stopping.outlook import outlook

NAN = np.nan


def test_a_trial_at_the_end_is_expected_to_be_where_it_is() -> None:
    losses = np.array([[4.0, 3.0, 2.5], [5.0, 4.5, 4.0]])

    assert outlook(losses) == pytest.approx([2.5, 4.0])


def test_before_anybody_went_on_each_step_is_believed_to_be_half_the_one_before() -> None:
    losses = np.array([[4.0, 2.0, NAN, NAN]])

    assert outlook(losses) == pytest.approx([2.0 - 1.0 - 0.5])


def test_of_two_trials_that_came_as_far_the_one_that_still_falls_is_expected_to_end_better() -> (
    None
):
    losses = np.array([[3.0, 2.0, NAN, NAN], [2.1, 1.9, NAN, NAN]])

    falling, flat = outlook(losses)

    assert falling < flat


def test_how_much_curves_still_fall_is_learnt_from_those_that_went_on() -> None:
    # Each step is three quarters of the one before.
    drops = np.cumsum([[1.0, 0.75, 0.75**2, 0.75**3]], axis=1)
    curves = 10.0 - drops * np.linspace(1.0, 3.0, 40)[:, None]
    known = np.concatenate([curves, curves[-1:]])
    known[-1, 2:] = NAN

    believed = known[-1, 1] - 1.125 - 0.5625  # halves of the last step, 2.25
    assert outlook(known)[-1] == pytest.approx(curves[-1, -1], abs=0.25)
    assert believed > curves[-1, -1] + 1.0


def test_trials_that_have_measured_nothing_are_expected_to_come_to_nothing_known() -> None:
    losses = np.array([[1.0, NAN], [NAN, NAN]])

    assert np.isnan(outlook(losses)).tolist() == [False, True]


def test_without_trials_there_is_nothing_to_expect() -> None:
    assert outlook(np.empty((0, 3))).shape == (0,)


@pytest.mark.parametrize("factor", [1e-200, 1.0, 1e200])
def test_the_order_of_trials_does_not_depend_on_the_unit_of_losses(factor: float) -> None:
    rng = np.random.default_rng(0)
    losses = rng.random((12, 4)).cumsum(axis=1)[:, ::-1]
    losses[rng.random(12) < 0.5, 2:] = NAN

    order = np.argsort(outlook(losses)).tolist()

    assert np.argsort(outlook(losses * factor)).tolist() == order
