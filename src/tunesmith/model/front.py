"""What a study with several objectives has reached: its Pareto front, as a value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from tunesmith.model.hypervolume import hypervolume, non_dominated
from tunesmith.model.ranking import is_feasible, losses
from tunesmith.model.spec import StudySpec
from tunesmith.model.trial import NOTHING, Trial

__all__ = ["Front"]

_MOST_STEPS = 5_000_000  # some seconds


@dataclass(frozen=True, slots=True)
class Front:
    """The Pareto front of some trials, and how much it dominates.

    Attributes:
        trials: Those of the front, the best in the first objective first (see `pareto_front`).
        reference: For each objective the worst value among all trials that the front was chosen
            from; empty without any.
        hypervolume: The volume that the front dominates up to the reference, in the product of the
            objectives' units. It grows with the front, and also when a trial is worse than all
            before, for that moves the reference. None where it would take too long to compute:
            with four objectives for more than some two thousand trials, with five for 200.
    """

    trials: tuple[Trial, ...] = ()
    reference: Mapping[str, float] = field(default_factory=lambda: NOTHING)
    hypervolume: float | None = 0.0

    @classmethod
    def of(cls, trials: Iterable[Trial], spec: StudySpec) -> Self:
        """Return the front of ``trials``, which are in the order of their numbers."""
        kept, table = losses((t for t in trials if is_feasible(t, spec)), spec)
        if not kept:
            return cls()
        chosen = non_dominated(table)
        worst = table.max(axis=0)
        reference = {
            o.metric: o.loss(float(value)) for o, value in zip(spec.objectives, worst, strict=True)
        }
        front = tuple(kept[i] for i in chosen)
        steps = len(front) ** max(len(spec.objectives) - 2, 1)
        volume = hypervolume(table[chosen], worst) if steps <= _MOST_STEPS else None
        return cls(front, reference, volume)
