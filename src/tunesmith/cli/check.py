"""``tunesmith check``: finds faults in a file, shows what would run, and tries one trial."""

import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from tunesmith.cli.app import Exit
from tunesmith.cli.console import out, say, table
from tunesmith.cli.options import SplitCommand, stopping_options, storage_option
from tunesmith.cli.outlook import outlook_block
from tunesmith.cli.plan import Overrides, check_program, read_plan, read_single, source_folders
from tunesmith.cli.single import JOBS, open_single
from tunesmith.cli.site import JobSite, PoolPlan, SiteChoice, open_site, site_options
from tunesmith.execution import CommandExecutor, Executor, command_line
from tunesmith.execution.single import NOTHING, ONLY
from tunesmith.model import Curve, Ending, Program, StudySpec, Trial, TrialState
from tunesmith.reporting import (
    Outlook,
    duration,
    early_document,
    goal_text,
    json_text,
    number,
    outlook_document,
    part_text,
)
from tunesmith.specs import TuneFile
from tunesmith.stopping import make_schedule
from tunesmith.storage import default_url, files_root, open_storage
from tunesmith.study import Study
from tunesmith.tuner import LEASE_S, Tuner

__all__ = ["check_command"]


@click.command("check", cls=SplitCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--smoke", is_flag=True, help="Run one trial, and see that its metric arrives.")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="How many of the first points to show.",
)
@stopping_options
@site_options
@storage_option
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_context
def check_command(
    ctx: click.Context,
    /,
    *,
    file: Path,
    smoke: bool,
    samples: int,
    choice: SiteChoice,
    storage: str | None,
    as_json: bool,
    **options: object,
) -> int:
    """Find faults in FILE and show what would run; nothing is kept.

    A command behind -- runs in place of the file's, as in `tunesmith run`.
    """
    wanted = Overrides(**options, program=ctx.meta.get("program", ()))  # type: ignore[arg-type]
    folder = Path(ctx.with_resource(tempfile.TemporaryDirectory(prefix="tunesmith-check-")))
    if (single := read_single(file, wanted, tell=say)) is not None:
        wanted.refuse_tuning(file, {"--smoke": smoke})
        root, environments = files_root(storage or default_url()), folder / "environments"
        opened = open_single(single, file, wanted, choice, root=root, environments=environments)
        _show_single(single.name, ctx.with_resource(opened), as_json=as_json)
        return Exit.DONE
    plan = read_plan(file, wanted, storage=storage, tell=say)
    program = check_program(plan)
    site: JobSite | None = None
    if plan.job is not None:
        site = ctx.with_resource(
            open_site(
                plan.job,
                program,
                choice.before(plan.site),
                root=files_root(storage or default_url()),
                environments=folder / "environments",
                folders=source_folders(file, wanted),
            )
        )
    earlier_in = open_storage(storage, create=False) if plan.spec.warm_start else None
    with Study.from_spec(plan.spec, name=plan.name, earlier_in=earlier_in) as study:
        first = study.ask(samples)
    place = Path(".tunesmith") / "trials" / plan.name / "1"
    if site is None:
        command = shlex.join(command_line(program, first[0], plan.spec.space, place))
        pools: list[PoolPlan] = []
    else:
        pools = site.pools(first[0], plan.spec, place)
        command = pools[0].runs
    if as_json:
        out(json_text(_document(plan, first, command, pools)))
    else:
        _print_plan(plan, first, command, pools)
    if not smoke:
        if not as_json:
            say("no faults; `--smoke` runs one trial")
        return Exit.DONE
    return _smoke(plan, program, site, folder)


def _print_plan(
    plan: TuneFile, first: list[Trial], command: str, pools: Sequence[PoolPlan]
) -> None:
    spec = plan.spec
    size = "infinitely many" if spec.space.size is None else f"{spec.space.size:,}"
    outlook = Outlook.of(spec)
    trials = "no bound on" if outlook.trials is None else outlook.trials
    out(f"study {plan.name}: {goal_text(spec)}, the {spec.measurement} measurement counts")
    for constraint in spec.constraints:
        share = f", wanted in {f:g} of trials" if (f := constraint.safe_fraction) else ""
        out(f"a good trial has {constraint}{share}")
    by = part_text(spec.algorithm.name, spec.algorithm.settings)
    out(f"{trials} trials, {spec.parallel_trials} at a time, by {by}")
    if spec.warm_start:
        out(f"learning from {', '.join(spec.warm_start)}")
    if spec.stopping or spec.max_steps or spec.ending != Ending():
        for line in outlook_block(outlook):
            out(line)
    out(f"{len(spec.space)} parameters, {size} points:")
    for name in spec.space:
        out(f"  {name}: {spec.space.describe(name)}")
    out(f"command of trial 1: {command}")
    _print_pools("each trial", pools)
    out("first points:")
    rows = [[str(t.number), *(number(t.values.get(n, "")) for n in spec.space)] for t in first]
    out(table([["#", *spec.space], *rows]))


def _print_pools(whole: str, pools: Sequence[PoolPlan]) -> None:
    """Say what runs beside the primary."""
    if len(pools) > 1:
        out(f"{whole} is {sum(pool.replicas for pool in pools)} processes; beside that one:")
        for pool in pools[1:]:
            same = pool.runs == pools[0].runs
            out(f"  {pool.replicas} {pool.role}: {'the same' if same else pool.runs}")


def _show_single(name: str, site: JobSite, *, as_json: bool) -> None:
    """Print what a job would run that tunes nothing."""
    place = Path(".tunesmith") / JOBS / "trials" / name / "1"
    pools = site.pools(ONLY, NOTHING, place, tuning=False)
    if as_json:
        head = {"schema": "tunesmith.single/1", "job": name, "command": pools[0].runs}
        out(json_text({**head, "pools": [asdict(pool) for pool in pools]}))
        return
    out(f"job {name}: it tunes nothing and runs once")
    out(f"command: {pools[0].runs}")
    _print_pools("it", pools)
    say("no faults; `tunesmith run` runs it")


def _document(
    plan: TuneFile, first: list[Trial], command: str, pools: Sequence[PoolPlan]
) -> dict[str, object]:
    spec = plan.spec
    of_job = {"pools": [asdict(pool) for pool in pools]} if pools else {}
    return {
        "schema": "tunesmith.plan/1",
        "study": plan.name,
        "objectives": [asdict(objective) for objective in spec.objectives],
        "constraints": [asdict(constraint) for constraint in spec.constraints],
        "algorithm": spec.algorithm.name,
        "settings": dict(spec.algorithm.settings),
        "warm_start": list(spec.warm_start),
        **early_document(spec),
        "outlook": outlook_document(Outlook.of(spec)),
        "max_trials": spec.max_trials,
        "parallel_trials": spec.parallel_trials,
        "points": spec.space.size,
        "parameters": spec.space.to_json(),
        "command": command,
        **of_job,
        "samples": [dict(t.values) for t in first],
    }


def _smoke(plan: TuneFile, program: Program, site: JobSite | None, folder: Path) -> int:
    """Run one trial in a folder that is deleted afterwards, and say how it went."""
    say("running one trial ...")
    spec = _one_trial(plan.spec)
    storage = open_storage("sqlite://")
    study = Study.from_spec(spec, name=plan.name, storage=storage, lease_s=LEASE_S)
    if site is not None:
        executor: Executor = site.writing_to(folder / "output").executor(
            study=plan.name, spec=spec, root=folder, worker=study.worker
        )
    else:
        executor = CommandExecutor(
            program, study=plan.name, spec=spec, root=folder, worker=study.worker
        )
    Tuner(study, executor, retries=0, reading=program.reading).work()
    trial = study.trials[0]
    curve = Curve((trial.attempt, m) for m in study.measurements(trial))
    errors = folder / "trials" / plan.name / "1" / "stderr"
    tail = errors.read_text(errors="replace").splitlines()[-12:] if errors.exists() else []
    if trial.state is not TrialState.COMPLETED:
        for line in tail:
            say(f"  | {line}")
        say(f"the trial is {trial.state}: {trial.reason}")
        return Exit.STUDY_FAILED
    assert trial.started is not None
    assert trial.finished is not None
    took = trial.finished - trial.started
    metric = spec.objective.metric
    say(
        f"{metric} {number(trial.metrics[metric])} arrived, {len(curve)} measurements, in {duration(took)}"
    )
    say(_estimate(plan.spec, took, curve.reach))
    return Exit.DONE


def _one_trial(spec: StudySpec) -> StudySpec:
    """Return the study of one trial that trains as long as the study's first will at first."""
    schedule = make_schedule(spec.stopping)
    steps = spec.max_steps if schedule is None else schedule.first_budget(1, spec)
    return replace(
        spec,
        max_trials=1,
        parallel_trials=1,
        warm_start=(),
        stopping=(),
        max_steps=steps,
        ending=Ending(),
    )


def _estimate(spec: StudySpec, took_s: float, steps: int) -> str:
    """Return how long the study would take, by how long one trial took for its steps."""
    outlook = Outlook.of(spec, took_s / steps if steps else None)
    trials = outlook.trials or 1
    at_once = min(spec.parallel_trials, trials)
    # Without steps to go by, the next best guess is that all trials take as long as this one.
    seconds = outlook.seconds(outlook.steps) or took_s * trials / at_once
    words = "1 trial" if trials == 1 else f"{trials} trials"
    return f"{words}, {at_once} at a time, would take about {duration(seconds)}"
