"""The part of a native file that says what a trial runs: the command, its metrics and its limits."""

import os
import re
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import cast, get_args

from tunesmith.metrics import check_pattern
from tunesmith.model import MetricReading, Program, Resources, ValuesAs
from tunesmith.plugins import plugin_names
from tunesmith.specs.faults import Faults, Span, closest, did_you_mean
from tunesmith.specs.fields import Fields, text_of, word_list
from tunesmith.specs.located import Listing, Node
from tunesmith.specs.quantities import parse_duration, parse_memory

__all__ = ["read_program"]

_KEYS = (
    "command",
    "values_as",
    "directory",
    "environment",
    "metrics",
    "limits",
    "resources",
    "retries",
)
_ALWAYS_KNOWN = ("trial", "trial_dir", "checkpoint_dir", "budget")
# Not ``${HOME}``, which a shell fills in, and not JSON, whose braces hold more than a word.
_PLACEHOLDER = re.compile(r"(?<!\$)\{([^\W\d]\w*)\}")
_DEFAULT_GRACE_S = 10.0
_DEFAULT_RETRIES = 2


def read_program(fields: Fields, parameters: Collection[str], folder: Path) -> Program | None:
    """Return the program that the file describes; None if it has no command or one at fault.

    Args:
        fields: The whole file.
        parameters: The names of all parameters.
        folder: Where the file is; the command runs here, or in a directory relative to it.
    """
    node = fields.node("command")
    if node is None:
        for key in _KEYS:
            if fields.has(key):
                message = f"{key!r} is about the command, and this file has none"
                fields.faults.add("E121", message, fields.key_at(key))
        return None
    words = _command(node, fields.faults)
    values_as = _values_as(fields, words, parameters)
    program = Program(
        command=tuple(word for word, _ in words),
        values_as=values_as,
        directory=_directory(fields, folder),
        environment=_environment(fields),
        reading=_reading(fields),
        resources=_resources(fields),
        retries=_or(fields.whole("retries", low=0), _DEFAULT_RETRIES),
    )
    return program if words else None


def _command(node: Node, faults: Faults) -> list[tuple[str, Span]]:
    """Return the words of the command, each with the place of the whole or of itself."""
    if isinstance(node, Listing):
        words = word_list(node, "a word of the command", faults)
        whole = len(words) == len(node.items)
    else:
        text = text_of(node, "command", faults)
        whole = text is not None
        try:
            # A backslash at the end of a line continues it, as in a shell.
            split = shlex.split((text or "").replace("\\\n", " "))
        except ValueError as error:
            reason = str(error)[0].lower() + str(error)[1:]
            faults.add("E121", f"the command can't be split into words: {reason}", node.at)
            return []
        words = [(word, node.at) for word in split]
    if whole and not (words and words[0][0]):
        faults.add("E121", "the command is empty. Write it as in a shell: python train.py", node.at)
    return words


def _values_as(
    fields: Fields, words: list[tuple[str, Span]], parameters: Collection[str]
) -> ValuesAs:
    text = " ".join(word for word, _ in words)
    used = [name for name in parameters if f"{{{name}}}" in text]
    given = fields.choice("values_as", get_args(ValuesAs))
    values_as = cast("ValuesAs", given or ("placeholders" if used else "flags"))
    if values_as == "placeholders" and words:
        _check_placeholders(fields, words, parameters)
    return values_as


def _check_placeholders(
    fields: Fields, words: list[tuple[str, Span]], parameters: Collection[str]
) -> None:
    known = (*parameters, *_ALWAYS_KNOWN)
    missing = [name for name in parameters if not any(f"{{{name}}}" in word for word, _ in words)]
    for word, at in words:
        for name in _PLACEHOLDER.findall(word):
            if name not in known:
                fields.faults.add(
                    "E121",
                    f"the command names {{{name}}}, and there is no such parameter",
                    fields.faults.within(at, f"{{{name}}}"),
                    hint=did_you_mean(name, known) or f"known are {', '.join(known)}",
                )
                missing = [each for each in missing if each != closest(name, known)]
    if missing:
        message = (
            "with placeholders, a value without one never reaches the program; "
            f"the command has no {', '.join(f'{{{name}}}' for name in missing)}"
        )
        hint = "add it, or say values_as: flags"
        fields.faults.add("E121", message, fields.at("command"), hint=hint)


def _directory(fields: Fields, folder: Path) -> str:
    given = Path(fields.text("directory") or "")
    try:
        given = given.expanduser()
    except RuntimeError:
        message = f"directory: there is no home directory of that user; given {str(given)!r}"
        fields.faults.add("E121", message, fields.at("directory"))
    return os.path.normpath(folder.absolute() / given)


def _environment(fields: Fields) -> Mapping[str, str]:
    inner = fields.inner("environment", owner="environment", code="E122")
    if inner is None:
        return {}
    variables = {}
    for name, entry in inner.table.entries.items():
        if not name or "=" in name or "\0" in name:
            message = f"an environment variable can't be named {name!r}"
            inner.faults.add("E122", message, entry.key_at)
        variables[name] = inner.text(name) or ""
    return variables


def _reading(fields: Fields) -> MetricReading:
    inner = fields.inner("metrics", owner="metrics", code="E130")
    if inner is None:
        return MetricReading()
    pattern = inner.text("pattern") or ""
    try:
        check_pattern(pattern)
    except ValueError as error:
        inner.fault("pattern", str(error))
    sources = inner.node("sources")
    chosen = word_list(sources, "a metric source", inner.faults) if sources else []
    known = plugin_names("metric_sources")
    for name, at in chosen:
        if name not in known:
            message = (
                f"there is no metric source {name!r}; installed are {', '.join(known) or 'none'}"
            )
            inner.faults.add("E130", message, at, hint=did_you_mean(name, known))
    inner.done()
    return MetricReading(tuple(name for name, _ in chosen), pattern)


def _resources(fields: Fields) -> Resources:
    limits = fields.inner("limits", owner="limits", code="E122")
    needs = fields.inner("resources", owner="resources", code="E122")
    time_s = memory_mib = grace_s = cpus = gpus = None
    if limits is not None:
        time_s = limits.quantity("time", parse_duration)
        if time_s == 0:
            limits.fault("time", "limits: time must be above zero. Leave it out for no limit")
        memory_mib = limits.quantity("memory", parse_memory)
        grace_s = limits.quantity("grace", parse_duration)
        limits.done()
    if needs is not None:
        cpus, gpus = needs.whole("cpus", low=0), needs.whole("gpus", low=0)
        needs.done()
    return Resources(
        cpus=_or(cpus, 0),
        gpus=_or(gpus, 0),
        time_limit_s=time_s,
        memory_limit_mib=memory_mib,
        grace_s=_DEFAULT_GRACE_S if grace_s is None else grace_s,
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
