"""What a trial runs: a command, how it gets its values, where its metrics come from, its limits."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["MetricReading", "Program", "Resources", "ValuesAs"]

ValuesAs = Literal["flags", "placeholders", "environment"]


@dataclass(frozen=True, slots=True)
class MetricReading:
    """Where metrics are read from.

    Attributes:
        sources: Names of metric sources; empty for all of them at once.
        pattern: A regular expression for lines of standard output, with the groups ``name`` and
            ``value`` (or two plain groups), and perhaps ``step``; ``""`` for ``name=value``.
    """

    sources: tuple[str, ...] = ()
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Resources:
    """What one trial needs of the machine, and how much it may take.

    Attributes:
        cpus: CPUs set aside for each trial; 0 leaves the choice to the operating system.
        gpus: GPUs set aside for each trial, shown to it by ``CUDA_VISIBLE_DEVICES``.
        time_limit_s: Seconds after which a trial is ended and fails; None for no limit.
        memory_limit_mib: Memory of the whole process tree above which it is ended and fails.
        grace_s: Seconds between SIGTERM and SIGKILL.
    """

    cpus: int = 0
    gpus: int = 0
    time_limit_s: float | None = None
    memory_limit_mib: float | None = None
    grace_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Program:
    """A command that trains once with given values.

    Attributes:
        command: The words of the command; with ``values_as="placeholders"``, ``{name}`` in them
            stands for a parameter's value. Always ``{trial}`` stands for the trial's number,
            ``{trial_dir}`` and ``{checkpoint_dir}`` for its directories, and ``{budget}`` for how
            many steps it is to train.
        values_as: How the values reach the program: ``--name=value`` behind the command,
            placeholders, or environment variables of the parameters' names.
        directory: Where the command runs.
        environment: Variables added to the tuner's own.
        reading: Where metrics are read from.
        resources: What a trial needs and may take.
        retries: How often a trial is started again after a fault that is not its program's.
    """

    command: tuple[str, ...]
    values_as: ValuesAs = "flags"
    directory: str = field(default_factory=os.getcwd)
    environment: Mapping[str, str] = field(default_factory=dict)
    reading: MetricReading = field(default_factory=MetricReading)
    resources: Resources = field(default_factory=Resources)
    retries: int = 2
