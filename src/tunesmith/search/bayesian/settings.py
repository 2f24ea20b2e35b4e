"""What can be chosen of Bayesian search, by name; checked before a model is needed, so without scipy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["ACQUISITIONS", "WARPS", "Settings", "WarpName"]

ACQUISITIONS: Mapping[str, str] = MappingProxyType(
    {
        "ei": "log expected improvement",
        "pi": "log probability of improvement",
        "ucb": "confidence bound",
        "thompson": "minus the loss of a drawn path",
    }
)
"""What points may be chosen by, and what explanations call it."""

WarpName = Literal["none", "log", "rank"]
WARPS: tuple[WarpName, ...] = ("none", "log", "rank")


@dataclass(frozen=True, slots=True)
class Settings:
    """What was chosen.

    Attributes:
        acquisition: A name in `ACQUISITIONS`.
        kernel: A name in `KERNELS`.
        beta: How many standard deviations the confidence bound lies from the mean.
        warps: Those that take turns.
        repeat: Whether points may be suggested again.
    """

    acquisition: str
    kernel: str
    beta: float
    warps: Sequence[WarpName]
    repeat: bool = False

    def warp_at(self, position: int) -> WarpName:
        """Return the warp whose turn it is with the suggestion at ``position``."""
        return self.warps[position % len(self.warps)]
