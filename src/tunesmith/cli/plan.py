"""What ``run`` and ``check`` are asked to do: a file, a command line, or both together."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import click

from tunesmith.errors import Problem, SpecError
from tunesmith.execution import Slots
from tunesmith.metrics import check_pattern
from tunesmith.model import (
    Algorithm,
    Goal,
    MetricReading,
    Objective,
    Program,
    StudySpec,
    check_study_name,
    refuse_endless,
)
from tunesmith.search import make_searcher
from tunesmith.specs import TuneFile, parse_duration, parse_memory, parse_parameters, read_study

__all__ = ["Overrides", "check_program", "read_plan"]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says instead of the file, or without one."""

    parameters: tuple[str, ...]
    metrics: tuple[str, ...]
    maximize: bool | None
    max_trials: int | None
    parallel_trials: int | None
    algorithm: str | None
    seed: int | None
    name: str | None
    program: tuple[str, ...]
    time_limit: str | None
    memory_limit: str | None
    pattern: str


def read_plan(file: Path | None, wanted: Overrides) -> TuneFile:
    """Return the study and program that a file and options describe together."""
    if file is None and not wanted.parameters:
        raise click.UsageError("Name a FILE, or give parameters with -p and a program behind --.")
    if file is not None and wanted.parameters:
        raise click.UsageError("Parameters stand in the FILE or in -p, not in both.")
    if file is not None and file.suffix in (".py", ".sh"):
        raise click.UsageError(
            f"{file} is a program. Write a file for it: tunesmith init {file}; or tune it from here:"
            f" tunesmith run -p ... -m ... -- python {file}"
        )
    plan = read_study(file) if file is not None else _inline(wanted)
    changes = {
        "max_trials": wanted.max_trials,
        "parallel_trials": wanted.parallel_trials,
        "seed": wanted.seed,
        "algorithm": Algorithm(wanted.algorithm) if wanted.algorithm else None,
        "objectives": _objectives(wanted) if file is not None and wanted.metrics else None,
    }
    spec = replace(plan.spec, **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]
    if wanted.name:
        check_study_name(wanted.name)
    return replace(
        plan,
        name=wanted.name or plan.name,
        spec=spec,
        seed_given=plan.seed_given or wanted.seed is not None,
        program=_program(plan.program, wanted),
    )


def check_program(plan: TuneFile) -> Program:
    """Return the plan's program; raise `SpecError` if there is none or it can't be found."""
    program = plan.program
    if program is None:
        message = "There is no command. Add `command: python train.py` to the file, or `-- python train.py`."
        raise SpecError([Problem("E121", message)])
    word = program.command[0]
    where = Path(program.directory)
    if not where.is_dir():
        raise SpecError([Problem("E121", f"The command's directory {where} does not exist.")])
    found = shutil.which(str(where / word)) if "/" in word else shutil.which(word)
    if found is None:
        message = f"The command {word!r} can't be found or may not be executed."
        raise SpecError([Problem("E121", message)])
    make_searcher(plan.spec.algorithm).check(plan.spec)
    refuse_endless(plan.spec.max_trials, plan.spec.space)
    Slots(program.resources)  # raises if a trial needs more than this machine has
    return program


def _inline(wanted: Overrides) -> TuneFile:
    if not wanted.program:
        raise click.UsageError(
            "Give the program behind --, as in: run -p ... -m ... -- python train.py"
        )
    if not wanted.metrics:
        raise click.UsageError("Name the metric: -m accuracy --max, or -m loss --min.")
    spec = StudySpec(space=parse_parameters(wanted.parameters), objectives=_objectives(wanted))
    return TuneFile(_name_after(wanted.program), spec)


def _objectives(wanted: Overrides) -> tuple[Objective, ...]:
    if wanted.maximize is None:
        raise click.UsageError("Say whether the metric should be large (--max) or small (--min).")
    goal: Goal = "maximize" if wanted.maximize else "minimize"
    return tuple(Objective(metric, goal) for metric in wanted.metrics)


def _program(program: Program | None, wanted: Overrides) -> Program | None:
    if wanted.program:
        names = {text.partition("=")[0].strip() for text in wanted.parameters}
        places = any(f"{{{name}}}" in word for word in wanted.program for name in names)
        base = program or Program(())
        program = replace(
            base,
            command=wanted.program,
            directory=str(Path.cwd()),
            values_as="placeholders" if places else base.values_as,
        )
    if program is None:
        return None
    resources, reading = program.resources, program.reading
    if wanted.time_limit is not None:
        resources = replace(
            resources, time_limit_s=_read("--time-limit", parse_duration, wanted.time_limit)
        )
    if wanted.memory_limit is not None:
        limit = _read("--memory-limit", parse_memory, wanted.memory_limit)
        resources = replace(resources, memory_limit_mib=limit)
    if wanted.pattern:
        _read("--pattern", check_pattern, wanted.pattern)
        reading = MetricReading(reading.sources, wanted.pattern)
    return replace(program, resources=resources, reading=reading)


_T = TypeVar("_T")


def _read(option: str, parse: Callable[[str], _T], text: str) -> _T:
    """Return what an option's text means; raise `click.UsageError` that names the option."""
    try:
        return parse(text)
    except ValueError as error:
        msg = f"{option}: {error}"
        raise click.UsageError(msg) from error


def _name_after(program: Sequence[str]) -> str:
    """Return a name after the script, or else after the program."""
    script = next((word for word in program if word.endswith((".py", ".sh"))), program[0])
    stem = Path(script).stem
    return "".join(c if c.isalnum() or c in "_." else "-" for c in stem).strip("-.") or "study"
