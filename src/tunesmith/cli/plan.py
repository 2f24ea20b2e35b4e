"""What ``run``, ``check`` and ``plan`` are asked to do: a file, a command line, or both together."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

import click

from tunesmith.errors import NotFoundError, Problem, SpecError
from tunesmith.execution import Slots
from tunesmith.execution.scripts import missing_script
from tunesmith.execution.shares import Shares
from tunesmith.metrics import check_pattern
from tunesmith.model import (
    Algorithm,
    Constraint,
    Ending,
    Goal,
    MetricReading,
    Objective,
    Program,
    StudySpec,
    check_study_name,
    with_standard_errors,
)
from tunesmith.search import make_searcher
from tunesmith.space import Space
from tunesmith.specs import (
    TuneFile,
    check_stopping,
    format_duration,
    parse_duration,
    parse_memory,
    parse_parameters,
    parse_prior,
    parse_setting,
    parse_stopping,
    read_study,
)
from tunesmith.specs.google import SingleJob, check_runs, read_google, single_job, tune_file
from tunesmith.storage import open_storage
from tunesmith.study import refuse_endless

__all__ = [
    "Overrides",
    "check_program",
    "earlier_in",
    "known_in",
    "read_plan",
    "read_single",
    "source_folders",
]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says instead of the file, or without one."""

    parameters: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    goals: tuple[Goal | None, ...] = ()
    standard_errors: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    priors: tuple[str, ...] = ()
    warm_start: tuple[str, ...] = ()
    max_trials: int | None = None
    parallel_trials: int | None = None
    algorithm: str | None = None
    settings: tuple[str, ...] = ()
    seed: int | None = None
    name: str | None = None
    program: tuple[str, ...] = ()
    time_limit: str | None = None
    memory_limit: str | None = None
    cpus: int | None = None
    gpus: int | None = None
    pattern: str = ""
    stopping: tuple[str, ...] = ()
    max_steps: int | None = None
    target: float | None = None
    time: str | None = None
    no_improvement: int | None = None
    expected_gain: float | None = None
    no_improvement_for: str | None = None
    min_trials: int | None = None
    min_time: str | None = None
    stop_running: bool | None = None

    def refuse_tuning(self, file: Path, more: Mapping[str, object]) -> None:
        """Raise `click.UsageError` if an option says how to tune, and ``file`` tunes nothing.

        Args:
            file: The file.
            more: Further options of that kind, and what is said by them.
        """
        said = {
            _OPTIONS.get(each.name, f"--{each.name.replace('_', '-')}"): getattr(self, each.name)
            for each in fields(self)
            if each.name not in _OF_ANY_JOB
        }
        given = [
            option for option, value in said.items() if value is not None and value not in ((), "")
        ]
        given += [option for option, value in more.items() if value]
        if given:
            msg = f"{file} tunes nothing, its job runs once: {given[0]} means nothing for it."
            raise click.UsageError(msg)


_OF_ANY_JOB = ("name", "program", "time_limit", "memory_limit", "cpus", "gpus")
_OPTIONS = {
    "parameters": "-p",
    "metrics": "-m",
    "goals": "-m",
    "standard_errors": "--standard-error",
    "constraints": "--constraint",
    "priors": "--prior",
    "warm_start": "--from",
    "max_trials": "--trials",
    "parallel_trials": "--parallel",
    "settings": "--setting",
}


def read_plan(
    file: Path | None,
    wanted: Overrides,
    *,
    storage: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
    began: float | None = None,
) -> TuneFile:
    """Return the study and program that a file and options describe together.

    Args:
        file: A native file, or one of Google's; None for options alone.
        wanted: The options.
        storage: Where an earlier study is, with which a file goes on; None for the usual place.
        tell: Is told what a file says and Tunesmith does not keep.
        began: When the study began, in seconds since the epoch: a file may have it end at a time by the
            clock, and studies count from their first trial on; None for now.
    """
    if file is None and not wanted.parameters:
        raise click.UsageError("Name a FILE, or give parameters with -p and a program behind --.")
    if file is not None and wanted.parameters:
        raise click.UsageError("Parameters stand in the FILE or in -p, not in both.")
    if file is not None and file.suffix in (".py", ".sh"):
        raise click.UsageError(
            f"{file} is a program. Write a file for it: tunesmith init {file}; or tune it from here:"
            f" tunesmith run -p ... -m ... -- python {file}"
        )
    plan = _inline(wanted) if file is None else _read_file(file, wanted, storage, tell, began)
    changes = {
        "max_trials": wanted.max_trials,
        "parallel_trials": wanted.parallel_trials,
        "seed": wanted.seed,
        "algorithm": _algorithm(plan.spec.algorithm, wanted),
        "objectives": _objectives(wanted, plan.spec.objectives),
        "constraints": _constraints(wanted, plan.spec.constraints),
        "warm_start": tuple(dict.fromkeys([*plan.spec.warm_start, *wanted.warm_start])),
        "space": _with_priors(plan.spec.space, wanted.priors),
        "stopping": parse_stopping(wanted.stopping) if wanted.stopping else None,
        "max_steps": wanted.max_steps,
        "ending": _ending(plan.spec.ending, wanted),
    }
    spec = replace(plan.spec, **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]
    check_stopping(spec, {} if wanted.stopping else plan.places)
    if wanted.name:
        check_study_name(wanted.name)
    return replace(
        plan,
        name=wanted.name or plan.name,
        spec=spec,
        seed_given=plan.seed_given or wanted.seed is not None,
        program=_program(plan.program, wanted),
    )


def read_single(
    file: Path | None, wanted: Overrides, *, tell: Callable[[str], None] = lambda _: None
) -> SingleJob | None:
    """Return the job of a file that tunes nothing and runs once; None for any other file.

    Args:
        file: The file; None for options alone.
        wanted: The options.
        tell: Is told what the file says and Tunesmith does not keep.
    """
    found = None if file is None else read_google(file)
    single = None if found is None or file is None else single_job(found, file, wanted.program)
    if single is None or found is None:
        return None
    for lost in found.lost:
        tell(str(lost))
    if wanted.name:
        check_study_name(wanted.name)
    check_runs(single.job)
    program = _program(single.program, replace(wanted, program=()))
    assert program is not None, "a job has limits"
    Shares(single.job, program.resources)  # raises if it needs more than this machine has
    return replace(single, name=wanted.name or single.name, program=program)


def earlier_in(storage: str | None) -> Callable[[str], StudySpec]:
    """Return what finds an earlier study by its name; raises `NotFoundError` where there is none."""
    return lambda name: open_storage(storage, create=False).study(name).spec


def known_in(storage: str | None) -> Callable[[], Sequence[str]]:
    """Return what gives the names of all studies, to find one that is misspelt."""

    def names() -> Sequence[str]:
        try:
            return open_storage(storage, create=False).study_names()
        except NotFoundError:
            return ()

    return names


def source_folders(file: Path, wanted: Overrides) -> tuple[Path, ...]:
    """Return where what a job's file names is looked for: beside it, and in the working directory.

    What stands behind ``--`` belongs to the working directory first.
    """
    found = (file.absolute().parent, Path.cwd())
    return found[::-1] if wanted.program else found


def check_program(plan: TuneFile) -> Program:
    """Return the plan's program; raise `SpecError` if there is none or it can't be found.

    What a job runs may be on another machine; `open_site` looks for it.
    """
    program = plan.program
    if program is None:
        message = "There is no command. Add `command: python train.py` to the file, or `-- python train.py`."
        raise SpecError([Problem("E121", message)])
    if plan.job is None:
        _check_command(program)
    else:
        check_runs(plan.job)
    make_searcher(plan.spec.algorithm).check(plan.spec)
    refuse_endless(plan.spec)
    if plan.job is None:
        Slots(program.resources)  # raises if a trial needs more than this machine has
    else:
        Shares(plan.job, program.resources)  # likewise
    return program


def _check_command(program: Program) -> None:
    word = program.command[0]
    where = Path(program.directory)
    if not where.is_dir():
        raise SpecError([Problem("E121", f"The command's directory {where} does not exist.")])
    found = shutil.which(str(where / word)) if "/" in word else shutil.which(word)
    if found is None:
        message = f"The command {word!r} can't be found or may not be executed."
        raise SpecError([Problem("E121", message)])
    if (missing := missing_script(program.command, where)) is not None:
        raise SpecError([missing])


def _read_file(
    file: Path,
    wanted: Overrides,
    storage: str | None,
    tell: Callable[[str], None],
    began: float | None,
) -> TuneFile:
    found = read_google(file, now=began)
    if found is None:
        return read_study(file)
    for lost in found.lost:
        tell(str(lost))
    return tune_file(found, file, earlier_in(storage), wanted.program, known_in(storage))


def _inline(wanted: Overrides) -> TuneFile:
    if not wanted.program:
        raise click.UsageError(
            "Give the program behind --, as in: run -p ... -m ... -- python train.py"
        )
    if not wanted.metrics:
        raise click.UsageError("Name the metric: -m accuracy --max, or -m loss --min.")
    spec = StudySpec(space=parse_parameters(wanted.parameters), objectives=_goals(wanted))
    return TuneFile(_name_after(wanted.program), spec)


def _goals(wanted: Overrides) -> tuple[Objective, ...]:
    found = []
    for metric, goal in zip(wanted.metrics, wanted.goals, strict=True):
        if goal is None:
            msg = f"Say whether {metric} should be large (-m {metric} --max) or small (-m {metric} --min)."
            raise click.UsageError(msg)
        found.append(Objective(metric, goal))
    return tuple(found)


def _objectives(wanted: Overrides, before: tuple[Objective, ...]) -> tuple[Objective, ...]:
    objectives = _goals(wanted) or before
    if not wanted.standard_errors:
        return objectives
    given = {objective.metric: objective.standard_error for objective in objectives}
    for text in wanted.standard_errors:
        metric, mark, name = text.rpartition("=")
        if not mark and len(objectives) > 1:
            msg = f"--standard-error: say whose it is, as in {objectives[0].metric}={name}."
            raise click.UsageError(msg)
        given[metric if mark else objectives[0].metric] = name
    return with_standard_errors(objectives, given)


def _constraints(wanted: Overrides, before: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """Return the file's constraints and those of the command line, which win."""
    found = {constraint.metric: constraint for constraint in before}
    own = [_read("--constraint", Constraint.parse, text) for text in wanted.constraints]
    if len({constraint.metric for constraint in own}) < len(own):
        raise click.UsageError("--constraint: each metric can have one.")
    return tuple({**found, **{constraint.metric: constraint for constraint in own}}.values())


def _algorithm(before: Algorithm, wanted: Overrides) -> Algorithm:
    """Return the algorithm; a setting is added to those of the file unless that has another one."""
    same = wanted.algorithm in (None, before.name)
    settings = dict(before.settings) if same else {}
    settings |= dict(map(parse_setting, wanted.settings))
    return Algorithm(wanted.algorithm or before.name, settings)


def _ending(before: Ending, wanted: Overrides) -> Ending:
    """Return when the study has enough: as the file says, but where the command line says otherwise."""
    own = {
        "target": wanted.target,
        "time_s": _time("--time", wanted.time),
        "no_improvement": wanted.no_improvement,
        "expected_gain": wanted.expected_gain,
        "no_improvement_for_s": _time("--no-improvement-for", wanted.no_improvement_for),
        "min_trials": wanted.min_trials,
        "min_time_s": _time("--min-time", wanted.min_time),
        "stop_running": wanted.stop_running,
    }
    said = {name: value for name, value in own.items() if value is not None}
    least_s, most_s = (said.get(n, getattr(before, n)) for n in ("min_time_s", "time_s"))
    if least_s and most_s and least_s > most_s:
        least, most = format_duration(least_s), format_duration(most_s)
        msg = (
            f"--min-time: it is at most the time after which the study ends, {most}; given {least}."
        )
        raise click.UsageError(msg)
    return replace(before, **said)  # type: ignore[arg-type]


def _time(option: str, text: str | None) -> float | None:
    seconds = None if text is None else _read(option, parse_duration, text)
    if seconds == 0:
        msg = f"{option}: a time above zero is needed. Leave it out for no limit."
        raise click.UsageError(msg)
    return seconds


def _with_priors(space: Space, texts: Sequence[str]) -> Space:
    priors = dict(parse_prior(text, space) for text in texts)
    return Space({n: replace(p, prior=priors[n]) if n in priors else p for n, p in space.items()})


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
    resources = replace(
        resources,
        cpus=resources.cpus if wanted.cpus is None else wanted.cpus,
        gpus=resources.gpus if wanted.gpus is None else wanted.gpus,
    )
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
