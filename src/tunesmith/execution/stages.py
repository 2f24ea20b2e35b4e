"""What a pool of a job becomes on this machine: a stage, on which its replicas run."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from tunesmith.execution.buckets import Buckets
from tunesmith.execution.dockerfile import Recipe
from tunesmith.execution.engine import (
    OWNER_LABEL,
    TRIAL_LABEL,
    Container,
    Engine,
    EngineName,
    Image,
)
from tunesmith.execution.images import (
    ImageEntry,
    lay_out,
    replaced_paths,
    replaced_variables,
)
from tunesmith.execution.mark import MARK, OWNER
from tunesmith.execution.slots import Slot

__all__ = [
    "PYTHON",
    "Command",
    "InContainer",
    "Local",
    "Place",
    "Site",
    "Stage",
    "service_variable",
]

PYTHON = re.compile(r"python\d*(\.\d+)?")
"""A Python, by a name under which it may not be on this machine."""
_OF_SERVICES = re.compile(
    r"AIP_.*|CLOUD_ML_.*|CLUSTER_SPEC|TF_CONFIG|MASTER_ADDR|MASTER_PORT|WORLD_SIZE|RANK|LOCAL_RANK"
)


@dataclass(frozen=True, slots=True)
class Site:
    """What this machine has for jobs.

    Attributes:
        buckets: Where buckets are.
        environments: The folder for environments with jobs' packages.
        images: What runs in place of images.
        engine: What runs containers.
        network: The network of containers.
        python: The Python that runs jobs' modules and stands in for that of images.
        folders: Where sources are: modules that are in no package, and what a job's own command runs in
            the first of them where its image is not to be had. Empty for nowhere.
    """

    buckets: Buckets
    environments: Path
    images: tuple[ImageEntry, ...] = ()
    engine: EngineName = "auto"
    network: Literal["host", "none"] = "host"
    python: str = field(default=sys.executable)
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where one replica runs.

    Attributes:
        name: A name that no other replica on this machine has.
        directory: The trial's directory.
        work: The folder in which programs run that have none of their own.
        root: A folder for the replica alone, which may be not there.
        slot: The GPUs and CPUs it may use.
        memory_mib: The most it may use; None for no limit.
    """

    name: str
    directory: Path
    work: Path
    root: Path
    slot: Slot
    memory_mib: float | None


@dataclass(frozen=True, slots=True)
class Command:
    """A process to be started.

    Attributes:
        words: The program and its arguments.
        environment: All its variables.
        directory: Where it runs.
        container: The name of the container that it runs; ``""`` for none.
    """

    words: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    container: str = ""


class Stage(Protocol):
    """How the replicas of one pool run."""

    def text(self, arguments: Sequence[str]) -> str:
        """Return what a replica runs with these arguments, and where, for people."""
        ...

    def around(self) -> Mapping[str, str]:
        """Return the variables that a replica finds before those of its trial are set."""
        ...

    def command(
        self, place: Place, variables: Mapping[str, str], arguments: Sequence[str]
    ) -> Command:
        """Return what is started for a replica, with its trial's variables and values."""
        ...

    def settle(self, name: str) -> str:
        """Clear up behind a replica that has ended; return what is to be known of its end, or ``""``."""
        ...

    def clear(self, directory: Path) -> None:
        """End what an earlier attempt of a trial left, as far as that is no process of this machine."""
        ...

    def close(self, owner: str) -> None:
        """End what is left of a tuner's, likewise."""
        ...


def service_variable(name: str) -> bool:
    """Whether a variable is one by which programs recognise the service, or their place in it."""
    return _OF_SERVICES.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Local:
    """Replicas are processes of this machine.

    Attributes:
        words: The program, before its arguments.
        python: What stands in for a Python that is not on this machine.
        folder: Where it runs; None for a folder of the trial's.
        recipe: What is laid out for each replica before it starts; None for nothing.
        remark: What it runs in place of, and why; ``""`` if it runs what the job says.
    """

    words: tuple[str, ...]
    python: str
    folder: Path | None = None
    recipe: Recipe | None = None
    remark: str = ""

    def text(self, arguments: Sequence[str]) -> str:
        """Return the command, where it runs, and in place of what; see `Stage`."""
        first = "python3" if self.words[:1] == (self.python,) else self.words[0]
        parts = [shlex.join([first, *self.words[1:], *arguments])]
        if self.recipe is not None:
            parts.append(f"laid out by {self.recipe.folder / 'Dockerfile'}")
        elif self.folder is not None:
            parts.append(f"in {self.folder}")
        return ", ".join([*parts, self.remark] if self.remark else parts)

    def around(self) -> Mapping[str, str]:
        """Return the tuner's own variables, but for those of a service, and the image's."""
        own = {name: text for name, text in os.environ.items() if not service_variable(name)}
        path = [str(Path(self.python).parent), own.get("PATH", os.defpath)]
        of_image = self.recipe.environment if self.recipe is not None else {}
        return {**own, **of_image, "PATH": os.pathsep.join(path)}

    def command(
        self, place: Place, variables: Mapping[str, str], arguments: Sequence[str]
    ) -> Command:
        """Return the process; see `Stage`."""
        words = [*self.words, *arguments]
        environment = {**self.around(), **variables}
        directory = self.folder or place.work
        if self.recipe is not None:
            directory = lay_out(self.recipe, place.root)
            words = [replaced_paths(word, place.root) for word in words]
            of_image = replaced_variables(self.recipe.environment, place.root)
            if "PATH" in of_image:  # beside this machine's: it often names only what the image has
                of_image["PATH"] = os.pathsep.join([environment["PATH"], of_image["PATH"]])
            environment |= {k: v for k, v in of_image.items() if k not in variables}
        if PYTHON.fullmatch(words[0]) and not shutil.which(words[0], path=environment["PATH"]):
            words[0] = self.python
        return Command(words, environment, directory)

    def settle(self, name: str) -> str:  # noqa: ARG002 - a role's method
        """Do nothing; see `Stage`."""
        return ""

    def clear(self, directory: Path) -> None:
        """Do nothing; see `Stage`."""

    def close(self, owner: str) -> None:
        """Do nothing; see `Stage`."""


@dataclass(frozen=True, slots=True)
class InContainer:
    """Replicas are containers.

    Attributes:
        engine: What runs them.
        image: The image.
        words: The program, before its arguments.
        buckets: The folder of buckets, which a container sees as ``/gcs``.
        network: The containers' network.
    """

    engine: Engine
    image: Image
    words: tuple[str, ...]
    buckets: Path
    network: Literal["host", "none"]

    def text(self, arguments: Sequence[str]) -> str:
        """Return the command and the image; see `Stage`."""
        words = shlex.join([*self.words, *arguments])
        return f"{words}, in the image {self.image.address} by {self.engine.name}"

    def around(self) -> Mapping[str, str]:
        """Return the image's variables; the tuner's own stay outside."""
        return dict(self.image.environment or {})

    def command(
        self, place: Place, variables: Mapping[str, str], arguments: Sequence[str]
    ) -> Command:
        """Return the program that runs the container; see `Stage`."""
        self.buckets.mkdir(parents=True, exist_ok=True)
        container = Container(
            place.name,
            self.image.address,
            [*self.words, *arguments],
            variables,
            [
                (place.directory, str(place.directory)),
                (self.buckets, str(self.buckets)),
                (self.buckets, "/gcs"),
            ],
            self.network,
            {TRIAL_LABEL: variables.get(MARK, ""), OWNER_LABEL: variables.get(OWNER, "")},
            place.memory_mib,
            place.slot.cpus,
            place.slot.gpus,
        )
        # Its variables are handed to the engine's program as its own, but for those that this program
        # would heed itself.
        own = dict(os.environ)
        handed = {**{k: v for k, v in variables.items() if k not in own}, **own}
        return Command(
            self.engine.command(container, handed), handed, place.directory, container.name
        )

    def settle(self, name: str) -> str:
        """Remove the container; return whether it was killed for its memory."""
        over = self.engine.ran_out_of_memory(name)
        self.engine.remove(name)
        return "it used more memory than it may" if over else ""

    def clear(self, directory: Path) -> None:
        """Remove containers of an earlier attempt."""
        self.engine.remove_labelled(TRIAL_LABEL, str(directory))

    def close(self, owner: str) -> None:
        """Remove containers of a tuner."""
        self.engine.remove_labelled(OWNER_LABEL, owner)
