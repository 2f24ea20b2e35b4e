"""``tunesmith demo``: tunes a tiny built-in program, to show what this is."""

import shlex
import sys

import click

from tunesmith.cli import demo_program
from tunesmith.cli.console import say
from tunesmith.cli.options import storage_option
from tunesmith.cli.run import run_command

__all__ = ["demo_command"]

_PARAMETERS = ("lr=log:1e-3..1", "units=log:2..64", "activation=tanh,relu", "decay=log:1e-6..1e-1")


@click.command("demo")
@click.option(
    "--trials", type=click.IntRange(min=1), default=20, show_default=True, help="How many."
)
@click.option(
    "-j",
    "--parallel",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="How many at once.",
)
@storage_option
def demo_command(trials: int, parallel: int, storage: str | None) -> int:
    """Tune a tiny neural network that tells two spirals apart; takes a few seconds."""
    words = ["run", *(w for p in _PARAMETERS for w in ("-p", p))]
    words += ["-m", "accuracy", "--max", "-n", str(trials), "-j", str(parallel), "--name", "demo"]
    program = [sys.executable, demo_program.__file__]
    say(f"This runs: tunesmith {shlex.join(words)} -- {shlex.join(program)}")
    status: int = run_command.main(
        [*words[1:], *(["--storage", storage] if storage else []), "--", *program],
        standalone_mode=False,
    )
    say(
        "Now look around: tunesmith show @ · tunesmith trials @ --sort -accuracy · tunesmith best @ --as args"
    )
    say(
        "Then your own:  tunesmith init train.py && tunesmith check tune.yaml --smoke && tunesmith run tune.yaml"
    )
    return status
