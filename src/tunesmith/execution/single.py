"""Runs a job once that tunes nothing: to its executor it is the only trial of a study, of no values."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

from tunesmith.execution.base import Ended, Executor, Outcome
from tunesmith.execution.workdir import earlier_directory
from tunesmith.model import Objective, StudySpec, Trial
from tunesmith.space import Categorical, Space

__all__ = ["NOTHING", "ONLY", "SingleRun"]

NOTHING = StudySpec(
    Space({"nothing": Categorical(["nothing"])}), (Objective("nothing", "minimize"),)
)
"""What such a job tunes."""

ONLY = Trial(1, {}, attempt=1)
"""Its trial."""

_LOOK_S = 0.1
_FROM_OUTSIDE = (Outcome.LOST, Outcome.PREEMPTED)


class SingleRun:
    """Runs the only trial of an executor to its end, again where something outside of it broke.

    Args:
        executor: Runs it; closed in the end.
        retries: How often it starts again.
        look: Is called several times a second while it runs.
        again: Is told why it starts again, before it does.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        retries: int,
        look: Callable[[], None] = lambda: None,
        again: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._executor = executor
        self._retries = retries
        self._look = look
        self._again = again
        self._asked = self._forced = False

    def hurry(self, *, by_force: bool = False) -> None:
        """Ask the job to end, or end it by force.

        A signal's handler may call this, at any time: it comes to pass a moment later, in `run`.
        """
        self._asked = True
        self._forced = self._forced or by_force

    def run(self) -> Ended:
        """Return how the job ended.

        Raises:
            SpecError, StorageError: it can't be started on this machine.
        """
        first = _next_attempt(self._executor.directory(ONLY.number))
        try:
            for attempt in count(first):
                self._executor.start(replace(ONLY, attempt=attempt))
                ended = self._awaited()
                if ended.outcome in _FROM_OUTSIDE and self._asked:
                    return replace(ended, outcome=Outcome.INTERRUPTED)
                if ended.outcome not in _FROM_OUTSIDE or attempt == first + self._retries:
                    return ended
                self._again(ended.reason)
        finally:
            self._executor.close()
        raise AssertionError

    def _awaited(self) -> Ended:
        while True:
            if self._asked:
                self._executor.stop(ONLY.number, Outcome.INTERRUPTED, "it was asked to end")
            if self._forced:
                self._executor.kill()
            event = self._executor.wait(_LOOK_S)
            self._look()
            if isinstance(event, Ended):
                return event


def _next_attempt(directory: Path) -> int:
    """Return the attempt after those whose files are there: whoever ran the job before may have died."""
    if not directory.exists():
        return 1
    return 1 + next(n for n in count(1) if not earlier_directory(directory, n).exists())
