"""How a trial's values reach its command: as flags, in placeholders, or in the environment."""

from collections.abc import Mapping
from pathlib import Path

from tunesmith.execution.workdir import CHECKPOINTS
from tunesmith.model import Program, Trial
from tunesmith.space import Space

__all__ = ["command_line", "value_texts", "value_variables"]


def value_texts(values: Mapping[str, object], space: Space) -> dict[str, str]:
    """Return each value as a program reads it: 64 as ``64``, also from a list of floats."""
    return {name: space[name].text(value) for name, value in values.items()}  # type: ignore[arg-type]


def command_line(program: Program, trial: Trial, space: Space, directory: Path) -> list[str]:
    """Return the words of the command with the trial's values in them.

    Flags have the form ``--name=value``: behind a blank, a value that begins with a dash would be
    taken for a flag. A placeholder of an inactive parameter becomes empty.
    """
    texts = value_texts(trial.values, space)
    places = {
        "trial": str(trial.number),
        "trial_dir": str(directory),
        "checkpoint_dir": str(directory / CHECKPOINTS),
        "budget": "" if trial.budget is None else str(trial.budget),
    }
    if program.values_as == "placeholders":
        places = {name: texts.get(name, "") for name in space} | places
    words = [_fill(word, places) for word in program.command]
    if program.values_as == "flags":
        words += [f"--{name}={text}" for name, text in texts.items()]
    return words


def value_variables(program: Program, trial: Trial, space: Space) -> dict[str, str]:
    """Return the environment variables that carry values; none unless the program wants them so."""
    return value_texts(trial.values, space) if program.values_as == "environment" else {}


def _fill(word: str, places: Mapping[str, str]) -> str:
    # Not str.format: a command may hold other braces, such as JSON, and a value may hold any.
    pieces: list[str] = []
    rest = word
    while True:
        before, brace, after = rest.partition("{")
        name, end, tail = after.partition("}")
        pieces.append(before)
        if not brace:
            return "".join(pieces)
        if end and name in places:
            pieces.append(places[name])
            rest = tail
        else:
            pieces.append("{")
            rest = after
