"""Which goal each ``-m`` has, told by the order of a command line's words."""

from collections.abc import Sequence

import click

from tunesmith.model import Goal

__all__ = ["goals_in_order"]


def goals_in_order(options: Sequence[str]) -> tuple[Goal | None, ...]:
    """Return the goal of each metric: of the flag that comes next behind it, or else last before it.

    Args:
        options: The names of all options in the order in which they were given, among them
            ``metrics``, ``maximize`` and ``minimize``.

    Raises:
        click.UsageError: a flag is the goal of no metric.
    """
    goals: dict[str, Goal] = {"maximize": "maximize", "minimize": "minimize"}
    flags = [place for place, option in enumerate(options) if option in goals]
    used: set[int] = set()
    found: list[Goal | None] = []
    for place, option in enumerate(options):
        if option != "metrics":
            continue
        behind = next((flag for flag in flags if flag > place), None)
        flag = behind if behind is not None else max(flags, default=None)
        used |= set() if flag is None else {flag}
        found.append(None if flag is None else goals[options[flag]])
    if unused := [flag for flag in flags if flag not in used]:
        word = {"maximize": "--max", "minimize": "--min"}[options[unused[0]]]
        msg = f"{word} belongs to no metric. Write it behind its metric: -m NAME {word}."
        raise click.UsageError(msg)
    return tuple(found)
