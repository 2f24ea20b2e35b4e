"""Steps for values that came without one."""

from collections.abc import Collection

__all__ = ["Steps"]


class Steps:
    """Remembers the highest step of every metric and goes on from there."""

    def __init__(self) -> None:
        self._highest: dict[str, int] = {}

    def place(self, metrics: Collection[str], given: int | None) -> int:
        """Return the step at which ``metrics``, which were written together, stand.

        That is ``given``, or else the first step from 0 that lies behind all earlier ones of each
        of them: programs that write two metrics on two lines get them at the same steps.
        """
        step = given
        if step is None:
            step = 1 + max((self._highest.get(metric, -1) for metric in metrics), default=-1)
        for metric in metrics:
            self._highest[metric] = max(step, self._highest.get(metric, -1))
        return step
