"""``tunesmith init``: writes a tune.yaml for a training script, by reading the script."""

from pathlib import Path

import click

from tunesmith.cli.console import out, say
from tunesmith.specs import init_yaml, scan_script

__all__ = ["init_command"]


@click.command("init")
@click.argument("script", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path),
    default=Path("tune.yaml"),
    show_default=True,
    metavar="FILE",
    help="Where to write; - for standard output.",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def init_command(script: Path, path: Path, force: bool) -> None:
    """Write a commented tune.yaml for SCRIPT.

    Reads its argparse, click or absl options, without running it, and proposes a range for each.
    """
    text = init_yaml(script, scan_script(script))
    if str(path) == "-":
        out(text.rstrip("\n"))
        return
    if path.exists() and not force:
        msg = f"{path} is there already. Say --force to overwrite it, or -o another."
        raise click.UsageError(msg)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"Can't write {path}: {error.strerror}."
        raise click.UsageError(msg) from error
    say(f"wrote {path}; look it over, then: tunesmith check {path} --smoke && tunesmith run {path}")
