"""``tunesmith plan``: says what a study will take, before anything is spent."""

from collections.abc import Iterator
from pathlib import Path

import click

from tunesmith.cli.console import out, table
from tunesmith.cli.curves import read_history
from tunesmith.cli.options import stopping_options, storage_option
from tunesmith.cli.plan import Overrides, read_plan
from tunesmith.errors import NotFoundError
from tunesmith.reporting import (
    Outlook,
    early_document,
    ending_text,
    json_text,
    outlook_document,
    outlook_lines,
    rung_rows,
    seconds_per_step,
    stopping_text,
)
from tunesmith.specs import parse_duration
from tunesmith.storage import open_storage

__all__ = ["outlook_block", "plan_command"]


@click.command("plan")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-n", "--trials", "max_trials", type=int, metavar="N", help="Trials in all.")
@click.option("-j", "--parallel", "parallel_trials", type=int, metavar="N", help="Trials at once.")
@stopping_options
@click.option(
    "--step-time",
    metavar="TIME",
    help="How long a trial trains for one step; measured, if the study has run before.",
)
@storage_option
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan_command(
    *, file: Path, step_time: str | None, storage: str | None, as_json: bool, **options: object
) -> None:
    """Show what the study in FILE will take: rungs, steps, time; nothing is started.

    Options stand in for what the file says, to see what they would change.
    """
    plan = read_plan(file, Overrides(**options), storage=storage)  # type: ignore[arg-type]
    step_s = _measured(storage, plan.name) if step_time is None else _given(step_time)
    outlook = Outlook.of(plan.spec, step_s)
    if as_json:
        head = {"schema": "tunesmith.outlook/1", "study": plan.name}
        out(json_text({**head, **early_document(plan.spec), **outlook_document(outlook)}))
        return
    trials = "no bound on trials" if outlook.trials is None else f"{outlook.trials} trials"
    out(f"study {plan.name}: {trials}, {plan.spec.parallel_trials} at a time")
    for line in outlook_block(outlook):
        out(line)
    if step_s is None:
        out("how long a step takes is not known: say --step-time, or run the study for a while")


def outlook_block(outlook: Outlook) -> Iterator[str]:
    """Yield the lines that ``plan`` and ``check`` share."""
    if stopping := stopping_text(outlook.spec):
        yield f"stopping {stopping}"
    if ending := ending_text(outlook.spec):
        yield f"until {ending}"
    if outlook.plan is not None:
        yield table(rung_rows(outlook.plan))
    yield from outlook_lines(outlook)


def _measured(storage: str | None, study: str) -> float | None:
    """Return how long a step took where the study has run before; None if it has not."""
    try:
        opened = open_storage(storage, create=False)
        return seconds_per_step(read_history(opened, study))
    except NotFoundError:
        return None


def _given(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        msg = f"--step-time: {error}"
        raise click.UsageError(msg) from error
