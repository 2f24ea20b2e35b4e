"""``tunesmith convert``: writes a study in another form, and says what that form can't."""

from pathlib import Path
from typing import get_args

import click

from tunesmith.cli.app import Exit
from tunesmith.cli.console import out, say
from tunesmith.cli.options import storage_option
from tunesmith.cli.plan import earlier_in, known_in
from tunesmith.reporting import json_text
from tunesmith.specs import read_study
from tunesmith.specs.google import Converted, Lost, Target, convert, read_google, searched_spec

__all__ = ["convert_command"]


@click.command("convert")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Choice(get_args(Target)),
    default="native",
    show_default=True,
    help="A native file, a job of Cloud ML Engine, or a tuning job of Vertex AI.",
)
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Where to write; standard output by default. A name that ends in .json gets JSON.",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@click.option("--strict", is_flag=True, help="Write nothing, and exit with 6, if anything is lost.")
@storage_option
@click.option("--json", "as_json", is_flag=True, help="Print the text and what is lost as JSON.")
def convert_command(
    *,
    file: Path,
    to: Target,
    path: Path | None,
    force: bool,
    strict: bool,
    storage: str | None,
    as_json: bool,
) -> int:
    """Write FILE in another form, and list what that form can't say.

    \b
    tunesmith convert hptuning_config.yaml -o tune.yaml
    tunesmith convert tune.yaml --to vertex -o job.json

    FILE is a native file, the YAML or JSON of a Cloud ML Engine job (trainingInput), or of a Vertex AI
    tuning job (studySpec, trialJobSpec), or a study of Vizier.
    """
    if path is not None and path.exists() and not force:
        msg = f"{path} is there already. Say --force to overwrite it, or -o another."
        raise click.UsageError(msg)
    converted = _convert(file, to, path, storage)
    for lost in converted.lost:
        say(str(lost))
    if strict and converted.lost:
        say("tunesmith: nothing was written, since not all of it can be said there")
        return Exit.UNMET
    if path is not None:
        _write(path, converted.text)
    if as_json:
        out(json_text(_document(converted, file, to, path)))
    elif path is None:
        out(converted.text.rstrip("\n"))
    else:
        say(f"wrote {path}")
    return Exit.DONE


def _convert(file: Path, to: Target, path: Path | None, storage: str | None) -> Converted:
    folder = None if path is None else path.parent
    as_json = path is not None and path.suffix == ".json"
    found = read_google(file)
    if found is None:
        native = read_study(file)
        return convert(native, native.spec, to, file=file, folder=folder, as_json=as_json)
    spec = searched_spec(found, earlier_in(storage), known_in(storage))
    return convert(found, spec, to, file=file, folder=folder, as_json=as_json)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"Can't write {path}: {error.strerror}."
        raise click.UsageError(msg) from error


def _document(converted: Converted, file: Path, to: Target, path: Path | None) -> dict[str, object]:
    return {
        "schema": "tunesmith.conversion/1",
        "file": str(file),
        "to": to,
        "output": None if path is None else str(path),
        "text": converted.text,
        "not_kept": [_row(lost) for lost in converted.lost if not lost.missing],
        "missing": [_row(lost) for lost in converted.lost if lost.missing],
    }


def _row(lost: Lost) -> dict[str, str]:
    return {"field": lost.field, "why": lost.why}
