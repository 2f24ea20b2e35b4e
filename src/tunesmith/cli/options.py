"""Options and arguments that several commands share."""

from collections.abc import Callable
from typing import TypeVar

import click

from tunesmith.cli.names import complete_studies

__all__ = ["SplitCommand", "format_option", "stopping_options", "storage_option", "study_argument"]

_Command = TypeVar("_Command", bound=Callable[..., object])


class SplitCommand(click.Command):
    """A command whose arguments may end in ``-- PROGRAM ...``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what stands behind ``--`` aside, word for word, and the order of the options."""
        if "--" in args:
            cut = args.index("--")
            args, ctx.meta["program"] = args[:cut], tuple(args[cut + 1 :])
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        ctx.meta["order"] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


def storage_option(command: _Command) -> _Command:
    """Add ``--storage``."""
    return click.option(
        "--storage",
        metavar="URL",
        help="Where the studies are, also a server's https://...; .tunesmith of this directory, or"
        " TUNESMITH_STORAGE, by default.",
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


def stopping_options(command: _Command) -> _Command:
    """Add what ends trials early, and when the study has enough."""
    for option in reversed((
        click.option(
            "--stopping", multiple=True, metavar="NAME[:SETTING=VALUE,...]",
            help="A stopping rule or schedule: median, asha:min_steps=2; 'none' for none of the file's.",
        ),
        click.option("--max-steps", type=int, metavar="N", help="Steps (epochs) of a whole trial."),
        click.option(
            "--target", type=float, metavar="VALUE", help="End the study at this value of the metric."
        ),
        click.option(
            "--time", metavar="TIME", help="End the study this long after its first trial: 90s, 2h."
        ),
        click.option(
            "--no-improvement", type=int, metavar="N",
            help="End the study when so many trials in a row were no better.",
        ),
        click.option(
            "--expected-gain", type=float, metavar="GAIN",
            help="End the study when one more trial should gain less than this.",
        ),
        click.option(
            "--no-improvement-for", metavar="TIME",
            help="End the study when no trial was better for so long: 30m, 2h.",
        ),
        click.option(
            "--min-trials", type=int, metavar="N",
            help="Let nothing but -n end the study before so many trials have ended.",
        ),
        click.option(
            "--min-time", metavar="TIME",
            help="Let nothing but -n end the study before this time has passed.",
        ),
        click.option(
            "--stop-running/--no-stop-running", default=None,
            help="Whether trials that run when the study has enough end, too; as a rule only at the target"
            " or the time.",
        ),
    )):  # fmt: skip
        command = option(command)
    return command
