"""The margin that keeps CMA-ES from settling on one value of what is counted or chosen.

Hamano et al. (2022), "CMA-ES with margin", section 4: after each generation the distribution is moved
and stretched so that in each counted coordinate the values beside the mean's keep a probability of
at least alpha together. Hamano et al. (2024), "CatCMA", section 3.3: likewise for choices.
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from tunesmith.search.cma.adaptation import Normal
from tunesmith.search.columns import Column, Vector

__all__ = ["keep_choices", "keep_margins"]

_STANDARD = NormalDist()


def keep_margins(normal: Normal, columns: Sequence[Column], alpha: float) -> Normal:
    """Return the distribution with a margin in each counted coordinate; the others stay."""
    mean, stretch = normal.mean.copy(), normal.stretch.copy()
    deviations = normal.deviations
    for j, column in enumerate(columns):
        if column.kind == "cells" and column.size > 1:
            mean[j], factor = _with_margin(
                float(mean[j]), float(deviations[j]), column.edges, alpha
            )
            stretch[j] *= factor
    return normal.moved(mean, stretch)


def _with_margin(mean: float, sd: float, edges: Vector, alpha: float) -> tuple[float, float]:
    """Return the new mean of a coordinate and the factor for its standard deviation."""
    last = len(edges) - 2
    cell = min(max(int(np.searchsorted(edges, mean, side="right")) - 1, 0), last)
    if cell in {0, last}:
        # There is one way out: the mean stays so near to it that it is taken often enough.
        threshold = float(edges[1] if cell == 0 else edges[last])
        reach = sd * _STANDARD.inv_cdf(1 - alpha)
        return min(max(mean, threshold - reach), threshold + reach), 1.0
    low, high = float(edges[cell]), float(edges[cell + 1])
    p_low, p_high = _STANDARD.cdf((low - mean) / sd), 1 - _STANDARD.cdf((high - mean) / sd)
    half = alpha / 2
    if min(p_low, p_high) >= half:
        return mean, 1.0
    raised = [max(p, half) for p in (p_low, p_high, 1 - p_low - p_high)]
    # What the raised ones have got is taken from those that are above the margin.
    surplus = (1 - sum(raised)) / (sum(raised) - 3 * half)
    p_low, p_high = (p + surplus * (p - half) for p in raised[:2])
    # Thresholds in standard deviations from the mean, which put p_low and p_high outside.
    z_low, z_high = _STANDARD.inv_cdf(1 - p_low), _STANDARD.inv_cdf(1 - p_high)
    new_mean = (low * z_high + high * z_low) / (z_low + z_high)
    return new_mean, (high - low) / (z_low + z_high) / sd


def keep_choices(probabilities: Vector, least: float) -> Vector:
    """Return probabilities ``(k,)`` of which none is below ``least``, at most 1 / k."""
    raised = np.maximum(probabilities, least)
    above = raised - least
    total = above.sum()
    if total <= 0.0:
        return np.full(len(raised), 1.0 / len(raised))
    out: Vector = raised + (1.0 - raised.sum()) * above / total
    return out
