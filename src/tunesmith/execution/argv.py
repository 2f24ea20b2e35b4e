"""How a trial's values reach its command: as flags, in placeholders, or in the environment."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tunesmith.execution.buckets import Buckets
from tunesmith.execution.workdir import CHECKPOINTS
from tunesmith.model import Program, Trial
from tunesmith.model.job import Job, Pool
from tunesmith.space import Space

__all__ = ["command_line", "job_arguments", "value_texts", "value_variables"]

_NO_TEXTS: Mapping[str, str] = {}


def value_texts(values: Mapping[str, object], space: Space) -> dict[str, str]:
    """Return each value as a program reads it: 64 as ``64``, also from a list of floats."""
    return {name: space[name].text(value) for name, value in values.items()}  # type: ignore[arg-type]


def command_line(program: Program, trial: Trial, space: Space, directory: Path) -> list[str]:
    """Return the words of the command with the trial's values in them.

    Flags have the form ``--name=value``: behind a blank, a value that begins with a dash would be
    taken for a flag. A placeholder of an inactive parameter becomes empty.
    """
    texts = value_texts(trial.values, space)
    held = program.values_as == "placeholders"
    words = _filled(
        program.command, trial, directory, {n: texts.get(n, "") for n in space} if held else {}
    )
    if program.values_as == "flags":
        words += [f"--{name}={text}" for name, text in texts.items()]
    return words


def job_arguments(
    job: Job,
    pool: Pool,
    trial: Trial,
    space: Space,
    *,
    directory: Path,
    buckets: Buckets,
    output: str,
) -> list[str]:
    """Return what stands behind the program of a pool of a job.

    Args:
        job: The job.
        pool: The pool.
        trial: The trial.
        space: The study's space.
        directory: The trial's directory.
        buckets: Where buckets are.
        output: Where the trial writes; ``""`` for nowhere.
    """
    words = list(pool.args)
    if not pool.image and pool.package is None:  # a command that was given on this machine
        words = _filled(words, trial, directory)
    words = [buckets.replaced(word) for word in words]
    texts = value_texts(trial.values, space)
    words += [f"--{job.flags.get(name, name)}={text}" for name, text in texts.items()]
    if job.world == "cmle" and output:
        words += ["--job-dir", buckets.told(output)]
    return words


def _filled(
    words: Sequence[str], trial: Trial, directory: Path, texts: Mapping[str, str] = _NO_TEXTS
) -> list[str]:
    """Return words with what the trial is in place of ``{trial}``, ``{trial_dir}`` and the like.

    Args:
        words: The words.
        trial: The trial.
        directory: Its directory.
        texts: What stands for other names.
    """
    places = {
        **texts,
        "trial": str(trial.number),
        "trial_dir": str(directory),
        "checkpoint_dir": str(directory / CHECKPOINTS),
        "budget": "" if trial.budget is None else str(trial.budget),
    }
    return [_fill(word, places) for word in words]


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
