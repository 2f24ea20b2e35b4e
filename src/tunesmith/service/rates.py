"""How often somebody may ask: a bucket of tokens for each, which fills at a steady rate."""

import time
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["Rates"]

_KEPT = 10_000


class Rates:
    """Counts requests by whoever makes them.

    Args:
        per_s: How many each may make in a second, on average.
        burst: How many at once.
        clock: Gives the time in seconds.
    """

    def __init__(
        self, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, who: str) -> float:
        """Count a request; return how many seconds too early it comes: 0 if it may be made."""
        now = self._clock()
        level, then = self._buckets.pop(who, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._per_s)
        allowed = level >= 1.0
        self._buckets[who] = (level - 1.0 if allowed else level, now)
        if len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - level) / self._per_s
