"""What trials will come to at the top rung, by the steps that other trials have taken from rung to rung.

    y_j   a trial's loss at level j
    s_j   the spread of all losses at level j
    d_j   what it changed by since the level before, y_j - y_{j-1}; 0 at the lowest
    y_{j+1} = y_j + a_j s_j + r_j d_j

On geometric levels a power law falls by steps each of which is the same part of the one before, so r is all
that has to be known of it. a_j and r_j are learnt for each level from all trials that have passed it, and
believed to be 0 and 1/2 before there are any. A trial that still falls is so seen to be better than one that
has come as far and lies flat: curves that cross are told apart before they do.
"""

import numpy as np

from tunesmith.stopping.peers import Array

__all__ = ["outlook"]

_RATIO = 0.5  # believed beforehand: a power law t^-1 at η = 2, t^-0.6 at η = 3
_BELIEF = 2.8  # what that weighs, in trials
_FLAT = 0.1  # of the spread: changes below it say little of how large the next will be
_STEEPEST = 1.5


def outlook(losses: Array) -> Array:
    """Return the loss that each trial is expected to have at the last level, ``(n,)``.

    Args:
        losses: Those at each level, nan where a trial has not come so far, ``(n, k)``; without gaps.

    Returns:
        The expected losses; nan for trials without any.
    """
    n, k = losses.shape
    known = np.isfinite(losses)
    changes: Array = np.zeros((n, k))
    both = known[:, 1:] & known[:, :-1]
    changes[:, 1:][both] = (losses[:, 1:] - np.where(known, losses, 0.0)[:, :-1])[both]
    expected: Array = np.full(n, np.nan)
    change: Array = np.zeros(n)
    for j in range(k):
        expected[known[:, j]] = losses[known[:, j], j]
        change[known[:, j]] = changes[known[:, j], j]
        if j < k - 1:
            shift, ratio = _step(losses[:, j], changes[:, j], losses[:, j + 1], lowest=j == 0)
            change = shift + ratio * change
            expected = expected + change
    return expected


def _step(here: Array, changes: Array, above: Array, *, lowest: bool) -> tuple[float, float]:
    """Return ``a s`` and r of the step from one level to the next."""
    there = here[np.isfinite(here)]
    low, high = np.quantile(there, [0.25, 0.75]) if len(there) else (0.0, 0.0)
    spread = float(high - low) or (float(np.ptp(there)) if len(there) else 0.0) or 1.0
    passed = np.isfinite(here) & np.isfinite(above)
    if not passed.any():
        return 0.0, 0.0 if lowest else _RATIO
    y, d = (here[passed] - there.min()) / spread, changes[passed] / spread
    taken = (above[passed] - here[passed]) / spread
    # The larger the change was, or the worse the trial, the less exactly the next is known.
    vague = (np.minimum(y, 1.0) / 2) ** 2 + 4 * _FLAT**2 if lowest else d**2 + _FLAT**2
    weights = 1.0 / vague
    ones = np.ones(len(d))
    columns = np.stack([ones, 0.0 * d if lowest else d], axis=1)
    normal = (columns * weights[:, None]).T @ columns + _BELIEF * np.eye(2)
    right = (columns * weights[:, None]).T @ taken + _BELIEF * np.array([0.0, _RATIO])
    shift, ratio = np.linalg.solve(normal, right)
    return float(shift) * spread, 0.0 if lowest else float(np.clip(ratio, 0.0, _STEEPEST))
