"""What a trial runs when that is more than one command: pools of equal processes, as Google has them.

A `Program` is one command as it stands. A `Job` is what Cloud ML Engine and Vertex AI are told, where
nothing is resolved yet: a pool may name an image or packages. Before the first trial each pool becomes
a `Program`, once it is known what its image and packages are on this machine; then a replica is one
process of its pool's program, with the variables of its place in the cluster added. The first pool is
the primary: its end is the trial's end.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ROLES", "Job", "Machine", "Package", "Pool", "Restart", "World"]

World = Literal["cmle", "vertex"]
Restart = Literal["replica", "trial", "never"]

ROLES = ("primary", "worker", "parameter server", "evaluator")
"""What the pools are for, by their position."""

_REFERENCE = re.compile(r"(\$?)\$\(([^()\s]+)\)")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that a replica would like; a hint, which never makes a job fail.

    Attributes:
        kind: The type's name, such as ``"n1-standard-4"``; ``""`` if it does not matter.
        accelerator: The accelerator's name, such as ``"NVIDIA_TESLA_V100"``; ``""`` for none.
        accelerators: How many of them.
    """

    kind: str = ""
    accelerator: str = ""
    accelerators: int = 0


@dataclass(frozen=True, slots=True)
class Package:
    """A Python module in packages that are installed before it runs.

    Attributes:
        module: The module, run as ``python3 -m``.
        uris: The packages: paths, or ``gs://`` addresses.
    """

    module: str
    uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """Replicas that run the same with the same arguments.

    Attributes:
        replicas: How many; 0 for a pool that only keeps the position of those after it.
        image: The container image; of a package, the one it is meant to run in. ``""`` for none.
        command: The words of the command, in place of the image's own; empty for that one.
        package: The package to run; None with a command or an image of its own.
        args: What stands behind the command, before the trial's values.
        environment: Variables in the order given; see `variables`.
        machine: The machine that is wished for.
    """

    replicas: int = 1
    image: str = ""
    command: tuple[str, ...] = ()
    package: Package | None = None
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    machine: Machine = field(default_factory=Machine)

    def variables(self, around: Mapping[str, str]) -> dict[str, str]:
        """Return the pool's variables with each ``$(NAME)`` in them filled in.

        A reference stands for a variable before it, or else for one of ``around``; it stays as it is
        where there is none. ``$$(NAME)`` is the text ``$(NAME)``.
        """
        known: dict[str, str] = {}

        def fill(match: re.Match[str]) -> str:
            escaped, name = match.groups()
            whole = match[0][1:] if escaped else match[0]
            return whole if escaped else known.get(name, around.get(name, whole))

        for name, text in self.environment.items():
            known[name] = _REFERENCE.sub(fill, text)
        return known


@dataclass(frozen=True, slots=True)
class Job:
    """What every trial of a study runs, as one of Google's services was told.

    Attributes:
        pools: At least one; the first has one replica, the primary.
        world: Whose variables and flags its processes find.
        output: Where trials write, each below its number; ``""`` if the job does not say.
        restart: What happens when a replica dies of no fault of its program's: it starts again, or the
            whole trial does, or the trial fails.
        time_limit_s: Seconds after which a trial is ended and fails; None for no limit.
        chief: The primary's name in ``TF_CONFIG``: ``"chief"``, or ``"master"`` in older programs.
        flags: Parameters whose values reach the program under another name than their own.
        labels: Its labels.
        document: The job's CustomJobSpec or TrainingInput as JSON, for processes that ask for it.
    """

    pools: tuple[Pool, ...]
    world: World
    output: str = ""
    restart: Restart = "replica"
    time_limit_s: float | None = None
    chief: Literal["chief", "master"] = "chief"
    flags: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    document: str = ""

    @property
    def primary(self) -> Pool:
        """The pool whose only replica decides the trial's fate."""
        return self.pools[0]

    @property
    def replicas(self) -> int:
        """How many processes a trial has."""
        return sum(pool.replicas for pool in self.pools)
