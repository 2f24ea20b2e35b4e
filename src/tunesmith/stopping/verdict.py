"""What is to become of a running trial: the word of all rules and of the schedule together."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.model import History, Trial
from tunesmith.stopping.base import Schedule, StoppingRule

__all__ = ["GO_ON", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a trial goes on; true if it should end here.

    Attributes:
        reason: Why it should end here, as a sentence; ``""`` to go on.
        pause: Whether it only pauses: it may be resumed from its checkpoint.
        budget: How many steps it may train now; None for as many as before.
    """

    reason: str = ""
    pause: bool = False
    budget: int | None = None

    def __bool__(self) -> bool:
        return bool(self.reason)

    def __str__(self) -> str:
        return self.reason


GO_ON = Verdict()


def judge(
    trial: Trial, history: History, rules: Sequence[StoppingRule], schedule: Schedule | None
) -> Verdict:
    """Return the verdict on a trial that has just measured something.

    Rules come first: what they end is not worth a pause.
    """
    for rule in rules:
        if reason := rule.stop_reason(trial, history):
            return Verdict(reason)
    if schedule is None or trial.budget is None:
        return GO_ON
    reach = history.curve(trial.number).reach
    whole = history.spec.max_steps
    if reach < trial.budget or (whole is not None and trial.budget >= whole):
        return GO_ON
    further = schedule.go_on(trial, history)
    if further is None:
        return Verdict(
            f"it has trained its {trial.budget} steps and waits for its turn", pause=True
        )
    return Verdict(budget=further)
