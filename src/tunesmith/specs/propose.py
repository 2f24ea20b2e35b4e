"""A range for each option of a script that looks worth tuning, and the reason for leaving the others.

Numbers are searched around their default, learning rates and the like by their logarithm. What says
how long to train, where files are or what the machine has is left alone, told by its name.
"""

import re
from collections.abc import Mapping

from tunesmith.errors import SpaceError
from tunesmith.space import Categorical, Discrete, Double, Integer, Parameter, Scale
from tunesmith.specs.options import DeclaredOption

__all__ = ["propose"]

_LEFT_ALONE: Mapping[str, str] = {
    **dict.fromkeys(
        ["epoch", "epochs", "step", "steps", "iteration", "iterations", "iters"],
        "decides how long a trial takes",
    ),
    **dict.fromkeys(["seed"], "only changes the luck"),
    **dict.fromkeys(
        [
            "dir",
            "directory",
            "path",
            "file",
            "folder",
            "root",
            "logdir",
            "data",
            "dataset",
            "checkpoint",
            "ckpt",
            "resume",
            "output",
            "out",
            "save",
            "load",
            "cache",
        ],
        "says where things are",
    ),
    **dict.fromkeys(
        [
            "device",
            "devices",
            "cuda",
            "gpu",
            "gpus",
            "cpu",
            "cpus",
            "worker",
            "workers",
            "thread",
            "threads",
            "job",
            "jobs",
            "port",
            "host",
            "rank",
            "world",
            "backend",
            "nodes",
            "num_gpus",
        ],
        "describes the machine",
    ),
    **dict.fromkeys(
        [
            "name",
            "tag",
            "project",
            "verbose",
            "verbosity",
            "log",
            "logging",
            "print",
            "interval",
            "every",
            "freq",
            "frequency",
            "debug",
            "version",
            "run",
            "id",
            "test",
            "eval",
        ],
        "does not change what is learned",
    ),
}
_NO_TUNING_KINDS: Mapping[str, str] = {
    "switch": "is a switch; give it values yourself if the program takes --name=true",
    "several": "takes several values",
    "untyped": "has no type, so the program would get a text",
    "unknown": "has a type this scan can't read",
}

# Names are split into words, so that these are found in ``adam_beta1`` and ``input-dropout`` alike.
_SHARES = {"momentum", "dropout", "drop", "gamma", "rho", "ema", "smoothing", "prob", "probability"}
_SHARES |= {"beta", "beta1", "beta2", "mixup", "cutmix", "damping"}
_PARTS = {"subsample", "colsample", "fraction", "ratio", "bagging", "bytree", "bylevel"}
_LEARNING_RATES = {"lr", "eta", "learningrate"}
_DECAYS = {"decay", "wd", "l1", "l2", "reg", "regularization", "lambda"}

_Ends = tuple[float, float, Scale]  # low, high, scale


def propose(option: DeclaredOption) -> tuple[Parameter | None, str]:
    """Return a parameter for the option, or None and why it is left alone."""
    if reason := _reason(option):
        return None, reason
    try:
        if option.choices:
            return _from_choices(option), ""
        parameter = _number(option)
    except SpaceError as error:
        return None, f"suggests no range: {error}"
    if parameter is None:
        return None, _no_range(option)
    return parameter, ""


def _reason(option: DeclaredOption) -> str:
    if not option.long:
        return "can't be given as --name=value"
    words = _words(option.name)
    if reason := next((_LEFT_ALONE[word] for word in words if word in _LEFT_ALONE), ""):
        return reason
    if option.choices:
        untyped = option.kind == "untyped" and not all(isinstance(c, str) for c in option.choices)
        if untyped or option.kind in ("switch", "several"):
            return _NO_TUNING_KINDS[option.kind]
        return "has only one choice" if len(set(option.choices)) < 2 else ""
    if option.kind == "text":
        return "is a text without choices"
    return _NO_TUNING_KINDS.get(option.kind, "")


def _no_range(option: DeclaredOption) -> str:
    if option.default is None:
        return "has no default to search around"
    return f"has the default {option.default}, which suggests no range"


def _from_choices(option: DeclaredOption) -> Parameter:
    values = list(dict.fromkeys(option.choices))
    default = option.default if option.default in values else None
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) == len(values) and not any(isinstance(value, bool) for value in values):
        number = default if isinstance(default, int | float) else None
        return Discrete(sorted(numbers), default=number)
    return Categorical(values, default=default)


def _number(option: DeclaredOption) -> Parameter | None:
    default = option.default
    if isinstance(default, bool) or not isinstance(default, int | float):
        default = None
    whole = option.kind == "int"
    ends = _declared_ends(option) or (
        _whole_ends(default) if whole else _ends(option.name, default)
    )
    if ends is None:
        return None
    low, high, scale = ends
    if default is not None and not low <= default <= high:
        default = None
    if whole:
        return Integer(
            int(low), int(high), scale=scale, default=None if default is None else int(default)
        )
    return Double(low, high, scale=scale, default=None if default is None else float(default))


def _declared_ends(option: DeclaredOption) -> _Ends | None:
    if option.low is None or option.high is None:
        return None
    wide = option.low > 0 and option.high / option.low >= 1000
    return option.low, option.high, "log" if wide else "linear"


def _whole_ends(default: float | None) -> _Ends | None:
    if default is None or default < 1:
        return None
    return max(1, default // 4), default * 4, "log" if default >= 8 else "linear"


def _ends(name: str, default: float | None) -> _Ends | None:
    words = set(_words(name))
    if words & _PARTS and (default is None or 0.1 <= default <= 1):
        return 0.1, 1.0, "linear"
    if words & _SHARES and (default is None or 0 <= default < 1):
        # Between 0.99 and 1 every digit counts.
        return (0.9, 0.9999, "reverse_log") if default and default > 0.99 else (0.0, 0.99, "linear")
    if default:
        return (_round(default / 10), _round(default * 10), "log") if default > 0 else None
    if words & _DECAYS:
        return 1e-6, 1e-1, "log"
    if default is None and (words & _LEARNING_RATES or {"learning", "rate"} <= words):
        return 1e-5, 1e-1, "log"
    return None


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def _words(name: str) -> list[str]:
    parts = re.sub(r"([a-z])([A-Z])", r"\1_\2", name)
    return [word for word in re.split(r"[^a-z0-9]+", parts.casefold()) if word]
