"""Runs containers by Docker or podman, through their command-line programs, which have the same words.

The program stays in the foreground as one of the trial's processes: what the container prints goes
through it, and a signal that it gets goes to the container. Only SIGKILL does not: so each container has a
name, by which it is removed when its program has ended, and labels, by which it is found after a crash.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunesmith.errors import Problem, SpecError

__all__ = [
    "OWNER_LABEL",
    "TRIAL_LABEL",
    "Container",
    "Engine",
    "EngineName",
    "Image",
    "find_engine",
]

EngineName = Literal["auto", "docker", "podman", "none"]

OWNER_LABEL = "tunesmith.worker"
TRIAL_LABEL = "tunesmith.trial"

_ANSWER_S = 30.0
_CALL_S = 120.0
_PULL_S = 3600.0
_INITS = {"docker": "docker-init", "podman": "catatonit"}


@dataclass(frozen=True, slots=True)
class Image:
    """What an image says of its program."""

    address: str
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Container:
    """What is to run.

    Attributes:
        name: Its name among all containers of the machine.
        image: The image's address.
        words: The program and all its arguments.
        environment: Variables beside the image's own.
        binds: Folders of this machine, and where the container sees them.
        network: ``"host"`` for this machine's, ``"none"`` for none.
        labels: By which it is found.
        memory_mib: The most it may use; None for no limit.
        cpus: The CPUs it may use; empty for all.
        gpus: The GPUs it may use; empty for none.
    """

    name: str
    image: str
    words: Sequence[str]
    environment: Mapping[str, str]
    binds: Sequence[tuple[Path, str]]
    network: Literal["host", "none"] = "host"
    labels: Mapping[str, str] | None = None
    memory_mib: float | None = None
    cpus: Sequence[int] = ()
    gpus: Sequence[str] = ()


class Engine:
    """Docker or podman.

    Args:
        program: The path of its command-line program.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self.name = Path(program).name
        self._init = shutil.which(_INITS.get(self.name, "")) is not None

    def fault(self) -> str:
        """Return why it can't be used; ``""`` if it can."""
        asked = self._call("info", "--format", "{{json .}}", limit_s=_ANSWER_S)
        if asked.returncode != 0:
            return _last_line(asked.stderr)
        try:  # docker's program ends well even if nobody answers it
            errors = json.loads(asked.stdout).get("ServerErrors") or []
        except ValueError:
            return _last_line(asked.stdout)
        return "; ".join(map(str, errors))

    def image(self, address: str) -> Image:
        """Return what an image says of its program, after fetching it if it is not here.

        Raises:
            SpecError: it is not here and can't be fetched.
        """
        shown = self._call("image", "inspect", address)
        if shown.returncode != 0:
            pulled = self._call("pull", "--quiet", address, limit_s=_PULL_S)
            if pulled.returncode != 0:
                message = (
                    f"{self.name} has no image {address} and can't fetch it:"
                    f" {_last_line(pulled.stderr)}. Build it, or say what runs in its place on this"
                    " machine: a folder with its Dockerfile, or a command."
                )
                raise SpecError([Problem("E121", message)])
            shown = self._call("image", "inspect", address)
        config = json.loads(shown.stdout)[0].get("Config") or {}
        pairs = (text.partition("=") for text in config.get("Env") or [])
        return Image(
            address,
            tuple(config.get("Entrypoint") or ()),
            tuple(config.get("Cmd") or ()),
            {name: value for name, _, value in pairs},
        )

    def command(self, container: Container, around: Mapping[str, str]) -> list[str]:
        """Return the words that run a container in the foreground, and leave it when it has ended.

        Args:
            container: What is to run.
            around: The variables that these words will find themselves. A variable that is the same
                there is handed on by name, since anyone may read the words of a process.
        """
        words = [self._program, "run", "--name", container.name, "--network", container.network]
        words += ["--init"] if self._init else []
        for folder, place in container.binds:
            words += ["--volume", f"{folder}:{place}"]
        for label, text in (container.labels or {}).items():
            words += ["--label", f"{label}={text}"]
        if container.memory_mib is not None:
            limit = f"{int(container.memory_mib * 2**20)}b"
            words += ["--memory", limit, "--memory-swap", limit]
        if container.cpus:
            words += ["--cpuset-cpus", ",".join(map(str, container.cpus))]
        if container.gpus:
            words += self._gpus(container.gpus)
        for name, text in container.environment.items():
            words += ["--env", name if around.get(name) == text else f"{name}={text}"]
        return [*words, "--entrypoint", container.words[0], container.image, *container.words[1:]]

    def ran_out_of_memory(self, name: str) -> bool:
        """Whether a container that has ended was killed for the memory it used."""
        what = "{{.State.OOMKilled}} {{.State.ExitCode}} {{.HostConfig.Memory}}"
        shown = self._call("container", "inspect", "--format", what, name).stdout.split()
        if len(shown) != 3:
            return False
        killed, status, limit = shown
        # podman does not always notice; then SIGKILL and a limit say it.
        unnoticed = self.name == "podman" and status == "137" and limit not in ("", "0")
        return killed == "true" or unnoticed

    def remove(self, name: str) -> None:
        """Kill and remove a container; nothing if there is none of that name."""
        self._call("rm", "--force", "--volumes", name)

    def remove_labelled(self, label: str, text: str) -> None:
        """Kill and remove all containers with a label."""
        listed = self._call("ps", "--all", "--quiet", "--filter", f"label={label}={text}")
        if identities := listed.stdout.split():
            self._call("rm", "--force", "--volumes", *identities)

    def _gpus(self, gpus: Sequence[str]) -> list[str]:
        if self.name == "podman":
            return [word for gpu in gpus for word in ("--device", f"nvidia.com/gpu={gpu}")]
        return ["--gpus", f'"device={",".join(gpus)}"']

    def _call(self, *words: str, limit_s: float = _CALL_S) -> subprocess.CompletedProcess[str]:
        call = [self._program, *words]
        try:
            return subprocess.run(
                call,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=limit_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:  # an engine that broke down meanwhile
            return subprocess.CompletedProcess(call, 1, "", str(error))


def find_engine(wanted: EngineName = "auto") -> tuple[Engine | None, str]:
    """Return the container engine of this machine that answers; else None, and why there is none."""
    if wanted == "none":
        return None, "no container engine is to be used"
    names = ("docker", "podman") if wanted == "auto" else (wanted,)
    faults = []
    for name in names:
        if (program := shutil.which(name)) is None:
            faults.append(f"{name} is not installed")
            continue
        engine = Engine(program)
        if not (fault := engine.fault()):
            return engine, ""
        faults.append(f"{name} can't be used ({fault})")
    return None, " and ".join(faults)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it did not say why"
