"""The table of commands, each loaded when it is called, and what errors become."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import NoReturn, cast

import click

from tunesmith.errors import (
    MismatchError,
    NotFoundError,
    SpaceError,
    SpecError,
    StorageError,
    TunesmithError,
)

__all__ = ["Exit", "application", "main"]


class Exit:
    """Exit statuses; they never change their meaning."""

    DONE = 0
    INTERNAL = 1
    USAGE = 2
    NOT_FOUND = 3
    STORAGE = 4
    STUDY_FAILED = 5
    UNMET = 6
    TIMEOUT = 124
    INTERRUPTED = 130
    TERMINATED = 143


_COMMANDS = {
    "Tune": {
        "demo": ("demo", "tune a tiny built-in program, to see what this is"),
        "init": ("init", "write a tune.yaml for a training script"),
        "check": ("check", "find faults in a file and show what would run"),
        "plan": ("outlook", "show how many steps and how much time a file will take"),
        "run": ("run", "tune a program"),
        "convert": ("convert", "write a study in another form"),
    },
    "Look": {
        "ls": ("look", "list the studies"),
        "show": ("show", "show a study or a trial"),
        "trials": ("look", "list a study's trials"),
        "best": ("best", "give the best values, ready to paste"),
        "logs": ("logs", "show what trials printed"),
        "importance": ("importance", "show which parameters matter"),
        "export": ("look", "write a study's trials as csv, json or jsonl"),
    },
    "Steer": {
        "stop": ("control", "stop a study or a trial"),
        "pause": ("control", "start no new trials for now, or pause a trial"),
        "resume": ("control", "let a study or a trial go on, or train a trial further"),
        "retry": ("control", "run ended trials again"),
        "enqueue": ("control", "have a study try a point of your own"),
        "set": ("control", "change the budget of a living study"),
        "wait": ("control", "wait until a study ends or is good enough"),
        "delete": ("control", "delete a study and its files"),
    },
    "Team": {
        "serve": ("serve", "serve the studies to a team, over HTTP"),
        "token": ("token", "make, list and revoke the tokens of a server"),
        "login": ("login", "keep a server's token"),
        "logout": ("login", "forget a server's token"),
        "submit": ("submit", "hand a whole job to a server, which runs it"),
        "jobs": ("jobs", "list the jobs of a server"),
        "copy": ("copy", "copy studies from one storage to another"),
        "google-env": ("google_env", "run a program of Google's clients against a server"),
    },
    "Help": {
        "doctor": ("doctor", "report on this installation"),
        "completion": ("doctor", "print the completion script of a shell"),
    },
}


class _Application(click.Group):
    """A group whose commands are modules that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [name for section in _COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        for section in _COMMANDS.values():
            if cmd_name in section:
                module = import_module(f"tunesmith.cli.{section[cmd_name][0]}")
                return cast(
                    "click.Command", getattr(module, f"{cmd_name.replace('-', '_')}_command")
                )
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " `tunesmith --help` lists them."
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, section in _COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, words) for name, (_, words) in section.items()])


@click.group(
    cls=_Application,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Studies are kept in .tunesmith of the working directory; --storage or TUNESMITH_STORAGE"
    " names another place. Names shorten: @ is the last study, @/7 its trial 7, @best its best.",
)
@click.version_option(package_name="tunesmith", prog_name="tunesmith")
def application() -> None:
    """Find good hyperparameters for the training code you already have."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `tunesmith trials @ | head` ends quietly
    try:
        result = application.main(args=arguments, prog_name="tunesmith", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        _say("aborted")
        sys.exit(Exit.INTERRUPTED)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except TunesmithError as error:
        sys.exit(_explain(error))
    except Exception:
        traceback.print_exc()
        _say("internal error: this is a fault of Tunesmith's. Please report the lines above.")
        sys.exit(Exit.INTERNAL)
    sys.exit(result if isinstance(result, int) else Exit.DONE)


def _explain(error: TunesmithError) -> int:
    if os.environ.get("TUNESMITH_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, SpecError):
        from tunesmith.specs import render_problems  # noqa: PLC0415 - only when there is a fault

        print(render_problems(error.problems), file=sys.stderr)
        return Exit.USAGE
    _say(f"error: {error}")
    match error:
        case SpaceError() | MismatchError():
            return Exit.USAGE
        case NotFoundError():
            return Exit.NOT_FOUND
        case StorageError():
            return Exit.STORAGE
    return Exit.USAGE


def _say(text: str) -> None:
    print(text, file=sys.stderr)
