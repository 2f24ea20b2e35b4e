"""What a training script tells about its own tuning: its options, and the metrics it reports."""

import ast
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.space import Parameter
from tunesmith.specs.faults import Faults, Span
from tunesmith.specs.options import Literals, called_name, constants_of, declared_options, literal
from tunesmith.specs.propose import propose

__all__ = ["ScannedOption", "ScannedScript", "scan_script"]

# Before a value that is filled in: by %, by str.format, or by what follows the text.
_METRIC = re.compile(r"([^\W\d][\w/.\-]*) ?= ?(?:%[-+0-9.]*[dfegs]|\{|$)")
_PRINTING = {"print", "echo", "info", "debug", "warning", "write", "log"}
_NO_METRICS = {"epoch", "epochs", "step", "steps", "iteration", "iter", "batch", "time", "elapsed"}
_NO_METRICS |= {
    "elapsed_s",
    "seed",
    "device",
    "size",
    "shape",
    "trial",
    "global_step",
    "checkpoint",
}
_HELD_OUT = ("val", "valid", "validation", "test", "eval", "dev")
_GOOD_NAMES = ("acc", "accuracy", "auc", "f1", "score", "reward", "bleu", "map", "iou", "r2")


@dataclass(frozen=True, slots=True)
class ScannedOption:
    """An option of a script and what is proposed for it.

    Attributes:
        name: As it is given on the command line, without the dashes.
        line: Where it is declared.
        default: Its default, where that is a literal.
        parameter: The range to search; None if the option is left alone.
        reason: Why it is left alone; ``""`` if it is not.
    """

    name: str
    line: int
    default: Literals | None
    parameter: Parameter | None
    reason: str


@dataclass(frozen=True, slots=True)
class ScannedScript:
    """What was found in a training script.

    Attributes:
        options: All its options, in reading order.
        metrics: The metrics it seems to report, the likeliest objective first.
    """

    options: tuple[ScannedOption, ...]
    metrics: tuple[str, ...]


def scan_script(path: Path) -> ScannedScript:
    """Return what the Python script at ``path`` tells, without running it.

    Raises:
        SpecError: it can't be read, or is not Python.
    """
    text = _read(path)
    try:
        tree = ast.parse(text, filename=str(path))
    except (SyntaxError, ValueError) as error:
        faults = Faults(text.split("\n"), file=str(path))
        line, column = getattr(error, "lineno", 0) or 0, getattr(error, "offset", 0) or 0
        what = getattr(error, "msg", None) or str(error)
        faults.add("E140", f"not a Python script: {what}", Span(line, column))
        raise faults.error() from error
    declared = declared_options(tree, constants_of(tree))
    options = [
        ScannedOption(option.name, option.line, option.default, *propose(option))
        for option in declared
    ]
    names = {option.name for option in declared} | {o.name.replace("-", "_") for o in declared}
    return ScannedScript(tuple(options), tuple(_metrics(tree, names)))


def _read(path: Path) -> str:
    try:
        with tokenize.open(path) as script:
            return script.read()
    except OSError as error:
        what = f"the script can't be read: {error.strerror}"
    except (SyntaxError, UnicodeDecodeError) as error:
        what = f"the script can't be read: {error}"
    faults = Faults([], file=str(path))
    faults.add("E140", what)
    raise faults.error()


def _metrics(tree: ast.Module, options: set[str]) -> list[str]:
    """Return the names of metrics that calls in the script report, the likeliest first."""
    found: dict[str, int] = {}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        for name, rank in _reported(call):
            usable = name and not any(c.isspace() or c == "=" or not c.isprintable() for c in name)
            if usable and name.casefold() not in _NO_METRICS and name not in options:
                found[name] = min(rank, found.get(name, rank))
    # The sort is stable: of equals the first one reported stays first.
    return sorted(found, key=lambda name: (found[name] > 0, _doubt(name), found[name]))


def _reported(call: ast.Call) -> Iterator[tuple[str, int]]:
    """Yield the metrics that a call reports, with 0 for a certain one up to 3 for a guess."""
    name = called_name(call)
    for keyword in call.keywords:
        if keyword.arg == "hyperparameter_metric_tag":
            yield from ((tag, 0) for tag in _constant_texts([keyword.value]))
        elif name == "report" and keyword.arg:
            yield keyword.arg, 1
    if name in ("report", "log", "log_dict", "log_metrics"):
        keys = [key for part in call.args if isinstance(part, ast.Dict) for key in part.keys if key]
        yield from ((key, 1 if name == "report" else 3) for key in _constant_texts(keys))
    if name in ("add_scalar", "scalar", "log_metric") and call.args:
        yield from ((tag, 3) for tag in _constant_texts(call.args[:1]))
    if name in _PRINTING:
        yield from ((printed, 2) for part in call.args for printed in _printed(part))


def _printed(part: ast.expr) -> Iterator[str]:
    """Yield the names that stand before ``=`` and a value in a text that is printed."""
    for node in ast.walk(part):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _METRIC.findall(node.value)


def _constant_texts(nodes: Sequence[ast.expr]) -> list[str]:
    return [value for node in nodes if isinstance(value := literal(node, {}), str)]


def _doubt(name: str) -> int:
    """Return how unlikely a metric is the objective: held-out quality first, training loss last."""
    words = set(re.split(r"[^a-z0-9]+", name.casefold()))
    held_out = not words.isdisjoint(_HELD_OUT)
    good = not words.isdisjoint(_GOOD_NAMES)
    training = not words.isdisjoint(("train", "training"))
    return (0 if held_out else 2) + (0 if good else 1) + (3 if training else 0)
