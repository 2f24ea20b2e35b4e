"""Hands out the machine's GPUs and CPUs, so that no two trials get the same one."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunesmith.errors import Problem, SpecError
from tunesmith.model import Resources

__all__ = ["Slot", "Slots", "visible_gpus"]


@dataclass(frozen=True, slots=True)
class Slot:
    """What one trial has for itself."""

    gpus: tuple[str, ...] = ()
    cpus: tuple[int, ...] = ()

    def variables(self) -> dict[str, str]:
        """Return the environment variables that tell a program what it has."""
        given: dict[str, str] = {}
        if self.gpus:
            given["CUDA_VISIBLE_DEVICES"] = ",".join(self.gpus)
        if self.cpus:
            for library in ("OMP", "OPENBLAS", "MKL"):
                given[f"{library}_NUM_THREADS"] = str(len(self.cpus))
        return given

    def pin(self, pid: int) -> None:
        """Keep a process that has just started, and what it will start, on the slot's CPUs."""
        if self.cpus and hasattr(os, "sched_setaffinity"):
            # It has ended already; or these CPUs were taken from the tuner since it began, and then it
            # runs on those that are left, as the system has it for processes that run.
            with contextlib.suppress(OSError):
                os.sched_setaffinity(pid, self.cpus)


class Slots:
    """The slots of this machine.

    Args:
        resources: What each trial needs.
        gpus: The GPUs there are; found out if None.
        cpus: The CPUs there are; those this process may use if None.

    Raises:
        SpecError: a single trial needs more than there is.
    """

    def __init__(
        self,
        resources: Resources,
        *,
        gpus: Sequence[str] | None = None,
        cpus: Sequence[int] | None = None,
    ) -> None:
        self._free: list[Slot] | None = None
        if not resources.gpus and not resources.cpus:
            return
        have_gpus = list(visible_gpus() if gpus is None and resources.gpus else gpus or ())
        have_cpus = list(_usable_cpus() if cpus is None else cpus)
        _refuse_too_little("GPUs", resources.gpus, len(have_gpus))
        _refuse_too_little("CPUs", resources.cpus, len(have_cpus))
        shares = [len(have_gpus) // resources.gpus] if resources.gpus else []
        shares += [len(have_cpus) // resources.cpus] if resources.cpus else []
        self._free = [
            Slot(
                tuple(have_gpus[i * resources.gpus : (i + 1) * resources.gpus]),
                tuple(have_cpus[i * resources.cpus : (i + 1) * resources.cpus]),
            )
            for i in reversed(range(min(shares)))
        ]
        self._count = len(self._free)

    @property
    def count(self) -> int | None:
        """How many trials fit at once; None if nothing was set aside."""
        return None if self._free is None else self._count

    def take(self) -> Slot:
        """Return a free slot; the caller keeps to `count`."""
        return Slot() if self._free is None else self._free.pop()

    def give_back(self, slot: Slot) -> None:
        """Return a slot to the free ones."""
        if self._free is not None:
            self._free.append(slot)


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the GPUs that this process may use: those it was shown, or else all there are."""
    if (shown := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        gpus = [gpu.strip() for gpu in shown.split(",")]
        return [gpu for gpu in gpus if gpu not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()


def _usable_cpus() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _refuse_too_little(kind: str, wanted: int, there: int) -> None:
    if wanted > there:
        message = f"Each trial needs {wanted} {kind}, but this machine shows {there}. Lower resources.{kind.lower()}."
        raise SpecError([Problem("E120", message)])
