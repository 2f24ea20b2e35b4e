"""Notices when an algorithm that chooses among searchers hands over to another."""

from tunesmith.model import Trial

__all__ = ["Choices"]


class Choices:
    """Is shown trials in the order of their numbers.

    Args:
        latest: The last trial with which a searcher took over; None if there is none.
    """

    def __init__(self, latest: Trial | None = None) -> None:
        self._number = 0 if latest is None else latest.number
        self._searcher = _searcher(latest)

    def takes_over(self, trial: Trial) -> bool:
        """Whether with ``trial`` another searcher takes over; false for one that was seen already."""
        searcher = _searcher(trial)
        if not searcher or trial.number <= self._number:
            return False
        self._number = trial.number
        before, self._searcher = self._searcher, searcher
        return searcher != before


def _searcher(trial: Trial | None) -> str:
    return "" if trial is None or trial.explanation is None else trial.explanation.searcher
