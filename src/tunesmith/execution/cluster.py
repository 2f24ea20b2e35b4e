"""How the replicas of a trial find each other: the descriptions that training code reads.

``CLUSTER_SPEC`` and ``TF_CONFIG`` are JSON in the words of Cloud ML Engine and Vertex AI; PyTorch reads
``MASTER_ADDR``, ``MASTER_PORT``, ``WORLD_SIZE``, ``RANK`` and ``LOCAL_RANK``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.model.job import Job, Pool

__all__ = ["PORTS_BESIDE", "Cluster", "Replica", "replicas"]

PORTS_BESIDE = 1  # MASTER_PORT: PyTorch's store must not meet the chief's own server

_SERVERS = 2  # the position of parameter servers
_EVALUATORS = 3
_CMLE = ("master", "worker", "ps", "evaluator")


@dataclass(frozen=True, slots=True)
class Replica:
    """One process of a trial.

    Attributes:
        pool: What it runs.
        position: The pool's position; 0 is the primary's.
        index: Its place in the pool, from 0.
        rank: Its place in the trial, from 0.
        name: What it is called where its service shows it, such as ``workerpool1-0``.
    """

    pool: Pool
    position: int
    index: int
    rank: int
    name: str

    @property
    def primary(self) -> bool:
        """Whether its end is the trial's end."""
        return self.position == 0

    @property
    def serves(self) -> bool:
        """Whether it only serves others and would never end by itself."""
        return self.position == _SERVERS


def replicas(job: Job) -> tuple[Replica, ...]:
    """Return the replicas of one trial of a job, the primary first."""

    def each() -> Iterator[Replica]:
        rank = 0
        for position, pool in enumerate(job.pools):
            for index in range(pool.replicas):
                yield Replica(pool, position, index, rank, _name(job, position, index))
                rank += 1

    return tuple(each())


@dataclass(frozen=True, slots=True)
class Cluster:
    """The replicas of one trial, and where each of them listens.

    Attributes:
        job: The job.
        members: The replicas by rank.
        host: The address of all of them.
        ports: A port for each, by rank, and `PORTS_BESIDE` more.
        name: The job's name.
        trial: The trial's number as programs read it; ``""`` outside of tuning.
    """

    job: Job
    members: Sequence[Replica]
    host: str
    ports: Sequence[int]
    name: str
    trial: str

    def variables(self, replica: Replica) -> dict[str, str]:
        """Return the variables by which a replica finds the others.

        Those of TensorFlow on Vertex AI and those of PyTorch are set for several replicas only: where
        they are, libraries wait for others.
        """
        several = len(self.members) > 1
        found: dict[str, str] = {}
        if self.job.world == "vertex" or replica.pool.package is None:
            found["CLUSTER_SPEC"] = json.dumps(self._cluster_spec(replica))
        if self.job.world == "cmle" or several:
            found["TF_CONFIG"] = json.dumps(self._tf_config(replica))
        if several:
            found |= {
                "MASTER_ADDR": self.host,
                "MASTER_PORT": str(self.ports[len(self.members)]),
                "WORLD_SIZE": str(len(self.members)),
                "RANK": str(replica.rank),
                "LOCAL_RANK": "0",  # each replica is a machine of its own
            }
        return found

    def _cluster_spec(self, replica: Replica) -> Mapping[str, object]:
        names = _CMLE if self.job.world == "cmle" else tuple(f"workerpool{i}" for i in range(4))
        return {
            "cluster": self._addresses(names),
            "environment": "cloud",
            "task": self._task(names[replica.position], replica),
            "job": self._job(),
        }

    def _tf_config(self, replica: Replica) -> Mapping[str, object]:
        names = (self.job.chief, "worker", "ps", "evaluator")
        cluster = self._addresses(names[:_EVALUATORS])  # an evaluator is no part of it
        task = {**self._task(names[replica.position], replica), "cloud": self.name}
        return {"cluster": cluster, "environment": "cloud", "task": task, "job": self._job()}

    def _addresses(self, names: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for member in self.members:
            if member.position < len(names):
                address = f"{self.host}:{self.ports[member.rank]}"
                found.setdefault(names[member.position], []).append(address)
        return found

    def _task(self, kind: str, replica: Replica) -> dict[str, object]:
        task: dict[str, object] = {"type": kind, "index": replica.index}
        return {**task, "trial": self.trial} if self.trial else task

    def _job(self) -> object:
        return json.loads(self.job.document) if self.job.document else {}


def _name(job: Job, position: int, index: int) -> str:
    if job.world == "vertex":
        return f"workerpool{position}-{index}"
    return f"{_CMLE[position]}-replica-{index}"
