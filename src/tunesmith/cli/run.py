"""``tunesmith run``: tunes a program, from a file or from the command line alone."""

import secrets
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import FrameType

import click

from tunesmith.cli.app import Exit
from tunesmith.cli.console import is_live, say
from tunesmith.cli.display import LiveDisplay, PlainDisplay
from tunesmith.cli.events import EventStream
from tunesmith.cli.goals import goals_in_order
from tunesmith.cli.options import SplitCommand, stopping_options, storage_option
from tunesmith.cli.origin import keep_document
from tunesmith.cli.plan import (
    Overrides,
    check_program,
    read_plan,
    read_single,
    source_folders,
)
from tunesmith.cli.require import Requirement
from tunesmith.cli.single import open_single, run_single
from tunesmith.cli.site import JobSite, SiteChoice, open_site, site_options
from tunesmith.errors import NotFoundError, Problem, SpecError
from tunesmith.execution import CommandExecutor, mirrored
from tunesmith.execution.job import JobExecutor
from tunesmith.model import Program, StudySpec, StudyState
from tunesmith.reporting import part_text, stopping_text
from tunesmith.specs import TuneFile
from tunesmith.storage import Storage, default_url, is_remote, make_files_root, open_storage
from tunesmith.study import Study
from tunesmith.study.ending import end_reason
from tunesmith.tuner import LEASE_S, Haste, Tuner

__all__ = ["run_command"]


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
    "-m",
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A metric to optimise; its --max or --min follows.",
)
@click.option("--max", "maximize", is_flag=True, help="The metric before it should be large.")
@click.option("--min", "minimize", is_flag=True, help="The metric before it should be small.")
@click.option(
    "--constraint",
    "constraints",
    multiple=True,
    metavar="CONDITION",
    help="A bound that good trials keep, as in 'latency_ms<=20'.",
)
@click.option(
    "--standard-error",
    "standard_errors",
    multiple=True,
    metavar="[METRIC=]NAME",
    help="The metric that holds the standard error of another.",
)
@click.option(
    "--prior",
    "priors",
    multiple=True,
    metavar="NAME=VALUE[:CONFIDENCE]",
    help="Where a parameter is expected to be good; low, medium or high confidence.",
)
@click.option("-n", "--trials", "max_trials", type=int, metavar="N", help="Trials in all.")
@click.option("-j", "--parallel", "parallel_trials", type=int, metavar="N", help="Trials at once.")
@click.option("--algorithm", "--algo", metavar="NAME", help="The searcher.")
@click.option(
    "-s",
    "--setting",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the searcher.",
)
@click.option(
    "--from",
    "warm_start",
    multiple=True,
    metavar="STUDY",
    help="An earlier study to learn from.",
)
@stopping_options
@site_options
@click.option("--seed", type=int, metavar="N", help="Seeds every random choice.")
@click.option("--name", metavar="STUDY", help="The study's name.")
@click.option("--new", is_flag=True, help="Begin a new study, even if one of that name exists.")
@click.option(
    "--time-limit", metavar="TIME", help="End a trial after this time, such as 90s or 1h30m."
)
@click.option("--memory-limit", metavar="SIZE", help="End a trial above this memory, such as 2GiB.")
@click.option(
    "--cpus", type=click.IntRange(min=0), metavar="N", help="CPUs set aside for each trial."
)
@click.option(
    "--gpus", type=click.IntRange(min=0), metavar="N", help="GPUs set aside for each trial."
)
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
    choice: SiteChoice,
    maximize: bool,  # noqa: ARG001 - read from the order of the options
    minimize: bool,  # noqa: ARG001
    **options: object,
) -> int:
    """Tune a program, described by FILE or by options.

    \b
    tunesmith run tune.yaml
    tunesmith run -p lr=log:1e-5..1e-1 -p units=16..256 -m accuracy --max -n 40 -j 2 -- python train.py

    Each trial runs the program with --lr=... --units=... and reads the metric from what it prints
    (accuracy=0.93), from TensorBoard events, cloudml-hypertune or tunesmith.report(). The same
    command goes on where the last one ended. FILE may also describe a job of Cloud ML Engine or Vertex AI;
    a command behind -- runs in place of its own. Ctrl-C lets running trials finish; twice stops them.
    """
    goals = goals_in_order(ctx.meta["order"])
    wanted = Overrides(**options, goals=goals, program=ctx.meta.get("program", ()))  # type: ignore[arg-type]
    tell = say if not quiet else lambda _: None
    single = read_single(file, wanted, tell=tell)
    if single is not None and file is not None:
        wanted.refuse_tuning(file, {"--new": new, "--require": require})
        root = make_files_root(storage or default_url())
        found = ctx.with_resource(open_single(single, file, wanted, choice, root=root))
        return run_single(found, single.name, root=root, as_json=as_json, quiet=quiet)
    plan = read_plan(file, wanted, storage=storage, tell=tell)
    requirement = Requirement.parse(require) if require else None
    program = check_program(plan)
    opened = open_storage(storage)
    site: JobSite | None = None
    if plan.job is not None:
        assert file is not None, "a job is read from a file"
        root = make_files_root(opened.url)
        site = ctx.with_resource(
            open_site(
                plan.job,
                program,
                choice.before(plan.site),
                root=root,
                environments=root / "environments",
                folders=source_folders(file, wanted),
            )
        )
    name = _choose_name(plan, opened, given=bool(wanted.name or file), new=new)
    if file is not None and (began := _began(opened, name)) is not None:
        plan = read_plan(file, wanted, storage=storage, began=began)
    _refuse_own_past(plan.spec, name)
    spec = plan.spec if plan.seed_given else replace(plan.spec, seed=_stored_seed(opened, name))
    study = Study.from_spec(
        spec, name=name, storage=opened, command=shlex.join(program.command), lease_s=LEASE_S
    )
    study.continue_up_to(spec.max_trials)
    keep_document(study, file)
    shared = is_remote(opened.url)
    if study.spec.parallel_trials != spec.parallel_trials and not shared:
        study.set_budget(parallel_trials=spec.parallel_trials)
    if not quiet:
        _say_what_stays(study, spec, here=wanted.parallel_trials)
    if requirement is not None and (doubt := requirement.doubt(study.storage.summary(name))):
        say(f"tunesmith: {doubt}")
    total = study.spec.max_trials
    if wanted.max_trials is not None and total is not None and wanted.max_trials < total:
        say(
            f"study {name} keeps its total of {total}; lower it: tunesmith set {name} trials={wanted.max_trials}"
        )
    if study.record.state is StudyState.FINISHED and not as_json:
        if not quiet:
            _say_finished(study)
        return _exit_status(study, _Signals(), requirement)
    return _tune(
        study,
        program,
        site,
        requirement,
        # Other machines run the same study, with a number of their own.
        parallel_trials=wanted.parallel_trials if shared else None,
        as_json=as_json,
        verbose=verbose,
        quiet=quiet,
    )


def _say_finished(study: Study) -> None:
    """Show a study that has ended, and say what would give it more trials."""
    say(repr(study))
    if end_reason(study.history, study.now):
        say("More: other conditions, in the file's `until` or as options. Anew: --new.")
    elif study.spec.size is None or study.spec.size > len(study.history.trials):
        say(f"More: tunesmith set {study.name} trials=+10, or a larger max_trials. Anew: --new.")


def _say_what_stays(study: Study, spec: StudySpec, *, here: int | None) -> None:
    """Say which of the wanted settings a study that goes on does not take; ``here`` is ``-j``."""
    kept = study.spec
    stays = []
    if kept.algorithm != spec.algorithm:
        stays.append(f"its algorithm {part_text(kept.algorithm.name, kept.algorithm.settings)}")
    if kept.warm_start != spec.warm_start:
        stays.append(f"what it learns from: {', '.join(kept.warm_start) or 'no earlier study'}")
    if kept.stopping != spec.stopping:
        stays.append(f"what stops its trials: {stopping_text(kept) or 'no rule'}")
    if kept.max_steps != spec.max_steps:
        stays.append(f"its max_steps: {kept.max_steps or 'none'}")
    for part in stays:
        say(f"study {study.name} keeps {part}; --new begins another")
    if here is None and kept.parallel_trials != spec.parallel_trials:
        say(
            f"study {study.name} keeps its {kept.parallel_trials} trials at a time on each machine; on"
            f" this one: -j {spec.parallel_trials}; on all: tunesmith set {study.name}"
            f" parallel={spec.parallel_trials}"
        )


def _choose_name(plan: TuneFile, storage: Storage, *, given: bool, new: bool) -> str:
    """Return the study's name: the given one, or the next free number behind it.

    A command line that names no study gets a number, and goes on with a study of its own that has
    not ended, so that the same command continues after a crash.
    """
    names = storage.study_names()
    command = shlex.join(plan.program.command) if plan.program else ""
    if given and not (new and plan.name in names):
        return plan.name
    for name in () if new else names:
        record = storage.study(name)
        if (
            name.rpartition("-")[0] == plan.name
            and record.state is not StudyState.FINISHED
            and record.command == command
            and record.spec.warm_start == plan.spec.warm_start
            and not record.spec.differences(plan.spec)
        ):
            return name
    first = 2 if given else 1
    return next(n for i in count(first) if (n := f"{plan.name}-{i}") not in names)


def _refuse_own_past(spec: StudySpec, name: str) -> None:
    """Raise `SpecError` if a study is to learn from itself."""
    if name in spec.warm_start:
        message = (
            f"study {name!r} can't learn from itself: give the new one a name of its own (--name). Or let"
            f" {name} go on: tunesmith set {name} trials=+10"
        )
        raise SpecError([Problem("E120", message)])


def _began(storage: Storage, name: str) -> float | None:
    """Return when the study's first trial was suggested; None while it has none."""
    first = storage.trials(name, limit=1) if name in storage.study_names() else ()
    return first[0].queued if first else None


def _stored_seed(storage: Storage, name: str) -> int:
    try:
        return storage.study(name).spec.seed
    except NotFoundError:
        return secrets.randbits(32)


def _tune(
    study: Study,
    program: Program,
    site: JobSite | None,
    requirement: Requirement | None,
    *,
    parallel_trials: int | None,
    as_json: bool,
    verbose: bool,
    quiet: int,
) -> int:
    study.storage.touch(study.name, shlex.join(program.command))
    executor = _executor(study, program, site)
    display = _display(study, executor.directory, as_json=as_json, verbose=verbose, quiet=quiet)
    tuner = Tuner(
        study,
        mirrored(executor, study.storage, study.record, say=display.note),
        parallel_trials=parallel_trials,
        retries=program.retries,
        reading=program.reading,
        observe=display.observe,
        # Where nobody said how many may fail, Google's services end such a job at once.
        first_decides=site is not None and study.spec.max_failed_trials is None,
    )
    with display, _signals(tuner, display) as signals:
        tuner.work()
    display.summarize()
    return _exit_status(study, signals, requirement)


def _executor(
    study: Study, program: Program, site: JobSite | None
) -> CommandExecutor | JobExecutor:
    root, worker = make_files_root(study.storage.url), study.worker
    if site is not None:
        return site.executor(study=study.name, spec=study.spec, root=root, worker=worker)
    return CommandExecutor(program, study=study.name, spec=study.spec, root=root, worker=worker)


def _display(
    study: Study, directory: Callable[[int], Path], *, as_json: bool, verbose: bool, quiet: int
) -> "EventStream | LiveDisplay | PlainDisplay":
    if as_json:
        return EventStream(study)
    if is_live() and not quiet and not verbose:
        return LiveDisplay(study)
    return PlainDisplay(study, quiet=quiet, follow=directory if verbose else None)


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
        if seen.interrupts > Haste.KILL:  # it does not listen: it waits for a server, perhaps
            raise KeyboardInterrupt
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
    going_on = summary.record.state in (StudyState.ACTIVE, StudyState.PAUSED)
    if going_on and (signals.interrupts or signals.terminated):
        say(f"tunesmith: nothing is lost; go on with: {_same_command(study.name)}")
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


def _same_command(study: str) -> str:
    """Return the command that goes on with this study, also if the one just given began it."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    options, program = words[:cut], words[cut:]
    if "--new" in options:
        options.remove("--new")
        options += ["--name", study]
    return shlex.join(["tunesmith", *options, *program])
