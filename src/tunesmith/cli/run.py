"""``tunesmith run``: tunes a program, from a file or from the command line alone."""

import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import click

from tunesmith.cli.app import Exit
from tunesmith.cli.console import is_live, say
from tunesmith.cli.display import LiveDisplay, PlainDisplay
from tunesmith.cli.events import EventStream
from tunesmith.cli.options import storage_option
from tunesmith.cli.require import Requirement
from tunesmith.errors import NotFoundError, Problem, SpecError
from tunesmith.execution import CommandExecutor
from tunesmith.model import (
    Algorithm,
    Goal,
    MetricReading,
    Objective,
    Program,
    StudySpec,
    StudyState,
    check_study_name,
)
from tunesmith.specs import TuneFile, parse_duration, parse_memory, parse_parameters, read_study
from tunesmith.storage import Storage, files_root, open_storage
from tunesmith.study import Study
from tunesmith.tuner import LEASE_S, Haste, Tuner

__all__ = ["check_program", "read_plan", "run_command"]


class SplitCommand(click.Command):
    """A command whose arguments may end in ``-- PROGRAM ...``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what stands behind ``--`` aside, word for word."""
        if "--" in args:
            cut = args.index("--")
            args, ctx.meta["program"] = args[:cut], tuple(args[cut + 1 :])
        return super().parse_args(ctx, args)


@dataclass(frozen=True, slots=True)
class _Overrides:
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


@click.command("run", cls=SplitCommand, short_help="tune a program")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=RANGE",
    help="A parameter: lr=log:1e-5..1e-1, units=16..256, opt=adam,sgd, drop=0..0.5:0.1.",
)
@click.option(
    "-m", "--metric", "metrics", multiple=True, metavar="NAME", help="The metric to optimise."
)
@click.option("--max/--min", "maximize", default=None, help="Whether it should be large or small.")
@click.option("-n", "--trials", "max_trials", type=int, metavar="N", help="Trials in all.")
@click.option("-j", "--parallel", "parallel_trials", type=int, metavar="N", help="Trials at once.")
@click.option("--algorithm", "--algo", metavar="NAME", help="The searcher.")
@click.option("--seed", type=int, metavar="N", help="Seeds every random choice.")
@click.option("--name", metavar="STUDY", help="The study's name.")
@click.option("--new", is_flag=True, help="Begin a new study, even if one of that name exists.")
@click.option(
    "--time-limit", metavar="TIME", help="End a trial after this time, such as 90s or 1h30m."
)
@click.option("--memory-limit", metavar="SIZE", help="End a trial above this memory, such as 2GiB.")
@click.option(
    "--pattern", default="", metavar="REGEX", help="Finds name and value in printed lines."
)
@click.option(
    "--require", metavar="CONDITION", help="Exit with 6 unless it holds, as in 'accuracy>=0.9'."
)
@storage_option
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
@click.option("-v", "--verbose", is_flag=True, help="Print what trials print, as they print it.")
@click.option("-q", "--quiet", count=True, help="Only the last line; -qq prints nothing.")
@click.pass_context
def run_command(
    ctx: click.Context,
    /,
    *,
    file: Path | None,
    new: bool,
    require: str | None,
    storage: str | None,
    as_json: bool,
    verbose: bool,
    quiet: int,
    **options: object,
) -> int:
    """Tune a program, described by FILE or by options.

    \b
    tunesmith run tune.yaml
    tunesmith run -p lr=log:1e-5..1e-1 -p units=16..256 -m accuracy --max -n 40 -j 2 -- python train.py

    Each trial runs the program with --lr=... --units=... and reads the metric from what it prints
    (accuracy=0.93), from TensorBoard events, cloudml-hypertune or tunesmith.report(). The same
    command goes on where the last one ended. Ctrl-C lets running trials finish; twice stops them.
    """
    wanted = _Overrides(**options, program=ctx.meta.get("program", ()))  # type: ignore[arg-type]
    plan = read_plan(file, wanted)
    requirement = Requirement.parse(require) if require else None
    program = check_program(plan)
    opened = open_storage(storage)
    name = _choose_name(plan, opened, given=bool(wanted.name or file), new=new)
    spec = plan.spec if plan.seed_given else replace(plan.spec, seed=_stored_seed(opened, name))
    study = Study.from_spec(
        spec, name=name, storage=opened, command=shlex.join(program.command), lease_s=LEASE_S
    )
    study.continue_up_to(spec.max_trials)
    if study.record.state is StudyState.FINISHED and not as_json:
        if not quiet:
            say(repr(study))
            say(
                f"More trials: tunesmith set {name} trials=+10, or a larger max_trials. Anew: --new."
            )
        return _exit_status(study, _Signals(), requirement)
    return _tune(study, program, requirement, as_json=as_json, verbose=verbose, quiet=quiet)


def read_plan(file: Path | None, wanted: _Overrides) -> TuneFile:
    """Return the study and program that a file and options describe together."""
    if file is None and not wanted.parameters:
        raise click.UsageError("Name a FILE, or give parameters with -p and a program behind --.")
    if file is not None and wanted.parameters:
        raise click.UsageError("Parameters stand in the FILE or in -p, not in both.")
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
    if plan.spec.max_trials is None and plan.spec.space.size is None:
        message = "The study would never end: say how many trials it may have (max_trials, or -n)."
        raise SpecError([Problem("E103", message)])
    return program


def _inline(wanted: _Overrides) -> TuneFile:
    if not wanted.program:
        raise click.UsageError(
            "Give the program behind --, as in: run -p ... -m ... -- python train.py"
        )
    if not wanted.metrics:
        raise click.UsageError("Name the metric: -m accuracy --max, or -m loss --min.")
    spec = StudySpec(space=parse_parameters(wanted.parameters), objectives=_objectives(wanted))
    return TuneFile(_name_after(wanted.program), spec)


def _objectives(wanted: _Overrides) -> tuple[Objective, ...]:
    if wanted.maximize is None:
        raise click.UsageError("Say whether the metric should be large (--max) or small (--min).")
    goal: Goal = "maximize" if wanted.maximize else "minimize"
    return tuple(Objective(metric, goal) for metric in wanted.metrics)


def _program(program: Program | None, wanted: _Overrides) -> Program | None:
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
            resources, time_limit_s=_quantity("--time-limit", parse_duration, wanted.time_limit)
        )
    if wanted.memory_limit is not None:
        limit = _quantity("--memory-limit", parse_memory, wanted.memory_limit)
        resources = replace(resources, memory_limit_mib=limit)
    if wanted.pattern:
        reading = MetricReading(reading.sources, wanted.pattern)
    return replace(program, resources=resources, reading=reading)


def _quantity(option: str, parse: object, text: str) -> float:
    try:
        return float(parse(text))  # type: ignore[operator]
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from error


def _name_after(program: Sequence[str]) -> str:
    """Return a name after the script, or else after the program."""
    script = next((word for word in program if word.endswith((".py", ".sh"))), program[0])
    stem = Path(script).stem
    return "".join(c if c.isalnum() or c in "_." else "-" for c in stem).strip("-.") or "study"


def _choose_name(plan: TuneFile, storage: Storage, *, given: bool, new: bool) -> str:
    """Return the study's name: the plan's, or the next free one where a new study is meant.

    A command line that names no study goes on with the last one of its own that has not ended, so
    that the same command after a crash continues; otherwise it begins another.
    """
    taken = set(storage.study_names())
    if plan.name not in taken or (given and not new):
        return plan.name
    if not new:
        for name in storage.study_names():
            record = storage.study(name)
            ours = name == plan.name or name.rpartition("-")[0] == plan.name
            if (
                ours
                and record.state is not StudyState.FINISHED
                and not record.spec.differences(plan.spec)
            ):
                return name
    return next(n for i in range(2, len(taken) + 3) if (n := f"{plan.name}-{i}") not in taken)


def _stored_seed(storage: Storage, name: str) -> int:
    import secrets  # noqa: PLC0415 - only for new studies

    try:
        return storage.study(name).spec.seed
    except NotFoundError:
        return secrets.randbits(32)


def _tune(
    study: Study,
    program: Program,
    requirement: Requirement | None,
    *,
    as_json: bool,
    verbose: bool,
    quiet: int,
) -> int:
    study.storage.touch(study.name, shlex.join(program.command))
    executor = CommandExecutor(
        program,
        study=study.name,
        spec=study.spec,
        root=files_root(study.storage.url),
        worker=study.worker,
    )
    display = _display(study, executor.directory, as_json=as_json, verbose=verbose, quiet=quiet)
    tuner = Tuner(
        study,
        executor,
        retries=program.retries,
        reading=program.reading,
        observe=display.observe,
    )
    with display, _signals(tuner, display) as signals:
        tuner.work()
    display.summarize()
    return _exit_status(study, signals, requirement)


def _display(
    study: Study, directory: object, *, as_json: bool, verbose: bool, quiet: int
) -> "EventStream | LiveDisplay | PlainDisplay":
    if as_json:
        return EventStream(study)
    if is_live() and not quiet and not verbose:
        return LiveDisplay(study)
    return PlainDisplay(study, quiet=quiet, follow=directory if verbose else None)  # type: ignore[arg-type]


class _Signals:
    """What signals have asked for so far."""

    def __init__(self) -> None:
        self.interrupts = 0
        self.terminated = False


@contextmanager
def _signals(
    tuner: Tuner, display: "EventStream | LiveDisplay | PlainDisplay"
) -> Iterator[_Signals]:
    """Turn Ctrl-C into haste: once to drain, twice to stop, three times to kill; SIGTERM stops."""
    seen = _Signals()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        seen.interrupts += 1
        running = len(tuner.running)
        if seen.interrupts == 1 and running:
            trials = "1 running trial" if running == 1 else f"{running} running trials"
            display.note(f"finishing {trials}, no new ones. Ctrl-C again to stop them now.")
        elif seen.interrupts == 2:
            display.note(
                "stopping the running trials; they start again next time. Ctrl-C again to kill them."
            )
        tuner.hurry(Haste(min(seen.interrupts, Haste.KILL)))

    def terminate(_number: int, _frame: FrameType | None) -> None:
        seen.terminated = True
        tuner.hurry(Haste.STOP)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, interrupt),
        signal.SIGTERM: signal.signal(signal.SIGTERM, terminate),
        signal.SIGHUP: signal.signal(signal.SIGHUP, terminate),
        # A reader who has gone must not take the tuner, and so its trials, with him.
        signal.SIGPIPE: signal.signal(signal.SIGPIPE, signal.SIG_IGN),
    }
    if before[signal.SIGHUP] is signal.SIG_IGN:  # under nohup
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_status(study: Study, signals: _Signals, requirement: Requirement | None) -> int:
    study.refresh()
    summary = study.storage.summary(study.name)
    if summary.record.state is StudyState.ACTIVE and (signals.interrupts or signals.terminated):
        again = shlex.join(["tunesmith", *sys.argv[1:]])
        say(f"tunesmith: nothing is lost; go on with: {again}")
        return Exit.TERMINATED if signals.terminated else Exit.INTERRUPTED
    if summary.record.state is StudyState.FAILED or (summary.best is None and summary.done):
        why = (
            summary.record.reason
            if summary.record.state is StudyState.FAILED
            else "no trial succeeded"
        )
        say(f"tunesmith: {why}; see: tunesmith logs {study.name} --errors")
        return Exit.STUDY_FAILED
    if requirement is not None and not requirement.holds(summary):
        say(f"tunesmith: ended without meeting --require {requirement}")
        return Exit.UNMET
    return Exit.DONE
