"""Shares this machine's GPUs among trials and their replicas, as a job wishes and as far as they go."""

from collections.abc import Sequence
from dataclasses import replace

from tunesmith.execution.cluster import Replica, replicas
from tunesmith.execution.slots import Slot, Slots, visible_gpus
from tunesmith.model import Resources
from tunesmith.model.job import Job

__all__ = ["Shares"]


class Shares:
    """What each replica of each trial has for itself.

    A job's accelerators are a wish: a machine with fewer gives a trial all it has, one trial at a time,
    and a machine with none gives none and lets trials run.

    Args:
        job: The job.
        resources: What was set for a trial on this machine; its GPUs come before the job's wish.
        gpus: The GPUs there are; found out if None.

    Attributes:
        slots: What each trial has, for all its replicas.

    Raises:
        SpecError: ``resources`` needs more than there is.
    """

    def __init__(self, job: Job, resources: Resources, gpus: Sequence[str] | None = None) -> None:
        members = replicas(job)
        wishes = [member.pool.machine.accelerators for member in members]
        if not any(wishes) and resources.gpus:
            wishes[0] = resources.gpus
        there = list(gpus if gpus is not None else visible_gpus() if any(wishes) else ())
        wanted = resources.gpus or min(sum(wishes), len(there))
        self.slots = Slots(replace(resources, gpus=wanted), gpus=there)
        self._wishes = wishes

    def of(self, member: Replica, slot: Slot) -> Slot:
        """Return a replica's share of what its trial has."""
        wished = self._wishes[member.rank]
        if not slot.gpus or not wished:
            return replace(slot, gpus=())
        first = sum(self._wishes[: member.rank])
        # With fewer than were wished for, several replicas see the same ones.
        places = range(first, first + min(wished, len(slot.gpus)))
        return replace(slot, gpus=tuple(slot.gpus[i % len(slot.gpus)] for i in places))

    def variables(self, member: Replica, slot: Slot) -> dict[str, str]:
        """Return the variables that tell a replica what it has, and hide the GPUs of the others."""
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if slot.gpus else {}
        return hidden | self.of(member, slot).variables()
