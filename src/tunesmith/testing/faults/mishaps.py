"""What goes wrong: drawn from a seed, one after another, and up to a number of them."""

import random

__all__ = ["Mishaps", "dice_of"]


def dice_of(seed: int, what: str) -> random.Random:
    """Return the chance of one thing: its own, so that what befalls others does not change it."""
    return random.Random(f"{seed} {what}")  # noqa: S311 - it must repeat itself


class Mishaps:
    """Says at each opportunity whether something goes wrong.

    What is drawn does not depend on ``limit``: so a run with the first ``k`` mishaps is the run
    without a limit until mishap ``k + 1``, and the least ``k`` with which it still fails is the
    shortest story of the fault.

    Args:
        dice: Where all chance comes from.
        rates: How likely each kind is at each opportunity; what is not named never happens.
        limit: How many may happen in all; None for as many as are drawn.
    """

    def __init__(
        self, dice: random.Random, rates: dict[str, float], limit: int | None = None
    ) -> None:
        self.happened: list[str] = []
        self._dice = dice
        self._rates = rates
        self._limit = limit
        self._over = False

    def strikes(self, kind: str, whom: str = "") -> bool:
        """Whether it happens now, to whom."""
        rate = self._rates.get(kind, 0.0)
        if self._over or not rate or self._dice.random() >= rate:
            return False
        if self._limit is not None and len(self.happened) >= self._limit:
            return False
        self.happened.append(f"{kind} {whom}".strip())
        return True

    def may(self, kind: str) -> bool:
        """Whether it happens ever."""
        return self._rates.get(kind, 0.0) > 0.0

    def cease(self) -> None:
        """Let nothing go wrong from now on."""
        self._over = True
