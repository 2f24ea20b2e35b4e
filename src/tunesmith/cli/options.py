"""Options and arguments that several commands share."""

from collections.abc import Callable
from typing import TypeVar

import click

from tunesmith.cli.names import complete_studies

__all__ = ["format_option", "storage_option", "study_argument"]

_Command = TypeVar("_Command", bound=Callable[..., object])


def storage_option(command: _Command) -> _Command:
    """Add ``--storage``."""
    return click.option(
        "--storage",
        metavar="URL",
        help="Where the studies are; .tunesmith of this directory, or TUNESMITH_STORAGE, by default.",
    )(command)


def study_argument(
    name: str, *, required: bool = True, default: str | None = None
) -> Callable[[_Command], _Command]:
    """Add an argument for a study (or a trial of one); ``@`` by default where it is not required."""
    return click.argument(
        name,
        metavar=name.upper() if required else f"[{name.upper()}]",
        required=required,
        default=default,
        shell_complete=complete_studies,
    )


def format_option(*formats: str) -> Callable[[_Command], _Command]:
    """Add ``-o FORMAT`` and ``--json``, which is ``-o json``."""

    def decorate(command: _Command) -> _Command:
        command = click.option("--json", "output", flag_value="json", help="The same as -o json.")(
            command
        )
        return click.option(
            "-o", "--output", "output",
            type=click.Choice(formats), default=formats[0], show_default=True, help="Format.",
        )(command)  # fmt: skip

    return decorate
