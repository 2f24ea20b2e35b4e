"""What a schedule will do, told before anything is spent."""

from dataclasses import dataclass

__all__ = ["Bracket", "Plan", "Rung"]


@dataclass(frozen=True, slots=True)
class Rung:
    """A level at which trials are compared.

    Attributes:
        steps: How many steps a trial has trained there, in all.
        trials: How many get there: exactly, or expected where that depends on results.
    """

    steps: int
    trials: float


@dataclass(frozen=True, slots=True)
class Bracket:
    """A ladder of rungs, the lowest first."""

    rungs: tuple[Rung, ...]

    @property
    def steps(self) -> float:
        """How many steps its trials train in all, if each goes on where it was paused."""
        before = (0, *(r.steps for r in self.rungs))
        return sum(r.trials * (r.steps - b) for r, b in zip(self.rungs, before, strict=False))


@dataclass(frozen=True, slots=True)
class Plan:
    """All brackets of a study.

    Attributes:
        brackets: In the order in which they begin.
        exact: Whether the figures hold whatever the results; otherwise they are expected.
        worst_steps: How many steps the study may take in the worst case.
        note: A sentence more; ``""`` where the figures say enough.
    """

    brackets: tuple[Bracket, ...]
    exact: bool
    worst_steps: float
    note: str = ""

    @property
    def steps(self) -> float:
        """How many steps all trials train together, as far as that is known."""
        return sum(bracket.steps for bracket in self.brackets)
