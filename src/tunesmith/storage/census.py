"""How many studies and trials there are, for those who watch over a server."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Census"]


@dataclass(frozen=True, slots=True)
class Census:
    """How many there are, by state.

    Attributes:
        studies: Studies.
        trials: Trials.
        jobs: Jobs.
        leases: Running trials whose workers have shown themselves in time, or need not.
    """

    studies: Mapping[str, int] = field(default_factory=dict)
    trials: Mapping[str, int] = field(default_factory=dict)
    jobs: Mapping[str, int] = field(default_factory=dict)
    leases: int = 0
