"""A first native file for a training script, with comments that say what to look at."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from tunesmith.specs.script import ScannedOption, ScannedScript
from tunesmith.specs.write import flow, line, parameter_yaml

__all__ = ["init_yaml"]

_SMALLER_IS_BETTER = (
    "loss",
    "error",
    "err",
    "mse",
    "rmse",
    "mae",
    "nll",
    "perplexity",
    "ppl",
    "cost",
)
_TRIALS = 30


def init_yaml(script: Path, scanned: ScannedScript) -> str:
    """Return the text of a native file that tunes ``script``.

    Without an option worth tuning, an example stands in the place of the parameters, as a comment:
    then the text is at fault until a person has filled it in.

    Args:
        script: The script as the command will name it.
        scanned: What `scan_script` found in it.
    """
    return "\n".join(_lines(script, scanned)) + "\n"


def _lines(script: Path, scanned: ScannedScript) -> Iterator[str]:
    yield f"# Tunes {script.name}. Look through it, then: tunesmith check FILE, tunesmith run FILE"
    yield f"study: {flow(script.stem)}"
    yield from _metric(scanned)
    yield f"max_trials: {_TRIALS}"
    yield "parallel_trials: 1      # how many run at once"
    yield ""
    yield "# The first trial has the defaults."
    yield "parameters:"
    for option in scanned.options:
        if option.parameter is not None:
            yield f"  {flow(option.name)}: {parameter_yaml(option.parameter)}  # line {option.line}{_left_out(option)}"
    left = [option for option in scanned.options if option.parameter is None]
    if len(left) == len(scanned.options):
        yield "  # No option that is worth tuning was found. Write yours, such as:"
        yield "  # lr: {type: double, min: 1.0e-4, max: 1.0e-1, scale: log}"
    if left:
        yield "  # Left alone:"
        yield from (
            f"  #   --{option.name} (line {option.line}) {option.reason}" for option in left
        )
    yield ""
    yield "# Each trial gets its values as --name=value behind the command."
    yield f"command: {line(shlex.join(['python', str(script)]))}"


def _left_out(option: ScannedOption) -> str:
    """Return the words that say that the option's default is not among the values searched."""
    if option.default is None or option.parameter is None or option.parameter.default is not None:
        return ""
    return f"; leaves out its default {option.default}"


def _metric(scanned: ScannedScript) -> Iterator[str]:
    if not scanned.metrics:
        yield "# No metric was found in the script. Let it print one, such as accuracy=0.93, and name it:"
        yield "maximize: accuracy"
        return
    metric, *others = scanned.metrics
    words = metric.casefold().replace("/", "_").replace("-", "_").replace(".", "_").split("_")
    goal = "minimize" if any(word in _SMALLER_IS_BETTER for word in words) else "maximize"
    if others:
        yield f"# The script also seems to report {', '.join(map(flow, others))}."
    yield f"{goal}: {flow(metric)}"
