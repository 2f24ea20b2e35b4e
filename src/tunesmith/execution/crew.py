"""The replicas of one trial, and what the end of one of them means for the others."""

import threading
from dataclasses import replace

from tunesmith.execution.base import Ended, Outcome
from tunesmith.execution.cluster import Replica
from tunesmith.execution.guard import Guard
from tunesmith.model import Resources
from tunesmith.model.job import Restart

__all__ = ["Crew"]

_MOST_RESTARTS = 3  # of replicas alone, in one attempt of a trial
_FROM_OUTSIDE = (Outcome.LOST, Outcome.PREEMPTED)


class Crew:
    """Decides what becomes of a trial as its replicas end; from any thread.

    The primary's end is the trial's: when it ends well, the others have the grace period to end too,
    and are then made to; those that only serve are ended at once. A replica that breaks ends the trial.
    One that was killed from outside does what the job asks for.

    Args:
        number: The trial.
        guard: Ends its processes.
        resources: Its limits.
        restart: What happens when a replica is killed from outside.
    """

    def __init__(self, number: int, guard: Guard, resources: Resources, restart: Restart) -> None:
        self.number = number
        self.guard = guard
        self._resources = resources
        self._restart = restart
        self._living: dict[int, Replica] = {}
        self._restarts = 0
        self._told = False
        self._lock = threading.Lock()

    def begin(self, replica: Replica) -> None:
        """Note that a replica is about to run."""
        with self._lock:
            self._living[replica.rank] = replica

    def end(self, replica: Replica, ended: Ended) -> bool:
        """Take note of a replica's end; return whether it is to be started again, alone.

        Args:
            replica: The replica.
            ended: What its end would mean if it were the whole trial.
        """
        with self._lock:
            if self.guard.outcome is None and self._starts_again(replica, ended):
                self._restarts += 1
                return True
            del self._living[replica.rank]
            if self.guard.outcome is None:
                self._judge(replica, ended)
            if self.guard.outcome is Outcome.SUCCEEDED:
                self._let_servers_go()
            return False

    def lost(self, replica: Replica, ended: Ended) -> None:
        """Take note that a replica can't be started again."""
        with self._lock:
            self._living.pop(replica.rank, None)
            self.guard.stop(ended.outcome, _named(replica, ended).reason)

    def take_end(self) -> Ended | None:
        """Return how the trial ended when all replicas have, to one caller; None to all others."""
        with self._lock:
            if self._living or self._told:
                return None
            self._told = True
        assert self.guard.outcome is not None  # the primary's end was judged, if no other's
        return Ended(self.number, self.guard.outcome, self.guard.reason)

    def _judge(self, replica: Replica, ended: Ended) -> None:
        """Decide what an end that nobody asked for means for the rest."""
        if ended.outcome is Outcome.SUCCEEDED:
            if replica.primary:
                self.guard.finish(self._resources.grace_s)
            return
        outcome = ended.outcome
        if outcome in _FROM_OUTSIDE:
            if self._restart == "never":
                outcome = Outcome.FAILED
            elif not replica.primary:  # whoever preempts a trial, preempts its primary
                outcome = Outcome.LOST
        self.guard.stop(outcome, _named(replica, ended).reason)

    def _starts_again(self, replica: Replica, ended: Ended) -> bool:
        alone = self._restart == "replica" and not replica.primary and not self.guard.killed
        return alone and ended.outcome in _FROM_OUTSIDE and self._restarts < _MOST_RESTARTS

    def _let_servers_go(self) -> None:
        if self._living and all(replica.serves for replica in self._living.values()):
            self.guard.finish(0.0)


def _named(replica: Replica, ended: Ended) -> Ended:
    """Return an end with the replica's name in its reason, unless it speaks for the trial anyway."""
    return ended if replica.primary else replace(ended, reason=f"{replica.name}: {ended.reason}")
