"""A study as the text of a native file, which reads back as the same study."""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import cast

from tunesmith.model import Ending, Program, Setting, StudySpec
from tunesmith.space import Categorical, Double, Integer, Parameter, Prior, Value
from tunesmith.specs.native import TuneFile
from tunesmith.specs.quantities import format_duration, format_memory

__all__ = ["flow", "line", "parameter_yaml", "study_yaml"]

_DEFAULTS = Program(command=("",))
# Plain where no reader of YAML, of whatever version, could take it for anything but text.
_PLAIN = re.compile(r"[^\W\d_][\w./+-]*(?: [\w./+-]+)*")
_PLAIN_LINE = re.compile(r"(?:[^\W\d_]|\.{0,2}/)(?:[\w ./+=,{}()\[\]'\"*@%~$<>|&;-]|:(?=\S))*")
_WORDS_FOR_VALUES = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

_Plain = Value | Mapping[str, "_Plain"] | Iterable["_Plain"]


def study_yaml(tune: TuneFile, *, folder: Path | None = None) -> str:
    """Return the text from which `parse_study` makes an equal value.

    Objectives of one goal are written together, so one that comes between two of the other goal
    changes its place; the first stays the first.

    Args:
        tune: The study.
        folder: Where the file will be; the command's directory is written relative to it.
    """
    lines = [f"study: {flow(tune.name)}", *_spec_lines(tune)]
    if tune.program is not None:
        lines += _program_lines(tune.program, tune.spec, folder)
    return "\n".join(lines) + "\n"


def parameter_yaml(parameter: Parameter) -> str:
    """Return a parameter as a mapping on one line."""
    parts: dict[str, _Plain] = {"type": _type_name(parameter)}
    if isinstance(parameter, Double | Integer):
        parts |= {"min": parameter.low, "max": parameter.high}
        if parameter.step is not None:
            parts["step"] = parameter.step
    else:
        parts["values"] = list(parameter.values)
    if not isinstance(parameter, Categorical) and parameter.scale != "linear":
        parts["scale"] = parameter.scale
    if parameter.default is not None:
        parts["default"] = parameter.default
    if isinstance(parameter.prior, Prior):
        parts["prior"] = parameter.prior.to_document()
    if parameter.when:
        conditions = cast("Iterable[tuple[str, Iterable[Value]]]", parameter.when)
        parts["when"] = {parent: list(values) for parent, values in conditions}
    return flow(parts)


def flow(value: _Plain) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # YAML 1.1 takes 1e-05 for a text; with a point in it, it is a number for everyone.
        return re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))
    if isinstance(value, str):
        return value if _is_plain(value) else '"' + "".join(map(_escaped, value)) + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(part)}" for key, part in value.items()) + "}"
    return "[" + ", ".join(map(flow, value)) + "]"


def line(text: str) -> str:
    """Return a text as the value of a key that has a line to itself, without quotes if possible."""
    plain = (
        _PLAIN_LINE.fullmatch(text) and text == text.strip() and not _is_a_word_for_a_value(text)
    )
    return text if plain else flow(text)


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08X}"


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and not _is_a_word_for_a_value(text)


def _is_a_word_for_a_value(text: str) -> bool:
    return text.casefold() in _WORDS_FOR_VALUES


def _type_name(parameter: Parameter) -> str:
    return type(parameter).__name__.casefold()


def _spec_lines(tune: TuneFile) -> Iterator[str]:
    spec = tune.spec
    yield from _metric_lines(spec)
    if spec.algorithm.settings or spec.algorithm.name != "default":
        yield f"algorithm: {flow(_named(spec.algorithm.name, spec.algorithm.settings))}"
    if spec.warm_start:
        yield f"warm_start: {flow(spec.warm_start)}"
    if stopping := [_named(s.name, s.settings) for s in spec.stopping]:
        yield f"stopping: {flow(stopping[0] if len(stopping) == 1 else stopping)}"
    if until := _until(spec.ending):
        yield f"until: {flow(until)}"
    for key, number, usual in (
        ("max_steps", spec.max_steps, None),
        ("max_trials", spec.max_trials, None),
        ("parallel_trials", spec.parallel_trials, 1),
        ("max_failed_trials", spec.max_failed_trials, None),
        ("seed", spec.seed if tune.seed_given else None, None),
    ):
        if number != usual:
            yield f"{key}: {number}"
    yield "parameters:"
    for name, parameter in spec.space.items():
        yield f"  {flow(name)}: {parameter_yaml(parameter)}"
    if spec.initial:
        yield "initial:"
        yield from (f"  - {flow(point)}" for point in spec.initial)


def _named(name: str, settings: Mapping[str, Setting]) -> _Plain:
    """Return a part as its name, or with settings as a mapping."""
    named: dict[str, _Plain] = {"name": name}
    return named | dict(settings) if settings else name


def _until(ending: Ending) -> dict[str, _Plain]:
    def time(seconds: float | None) -> str | None:
        return None if seconds is None else format_duration(seconds)

    parts: dict[str, _Plain | None] = {
        "target": ending.target,
        "time": time(ending.time_s),
        "no_improvement": ending.no_improvement,
        "no_improvement_for": time(ending.no_improvement_for_s),
        "expected_gain": ending.expected_gain,
        "min_trials": ending.min_trials,
        "min_time": time(ending.min_time_s),
        "stop_running": ending.stop_running,
    }
    return {key: value for key, value in parts.items() if value is not None}


def _metric_lines(spec: StudySpec) -> Iterator[str]:
    goals: dict[str, list[str]] = {}
    for objective in spec.objectives:
        goals.setdefault(objective.goal, []).append(objective.metric)
    for goal, metrics in goals.items():
        yield f"{goal}: {flow(metrics[0] if len(metrics) == 1 else metrics)}"
    if errors := {o.metric: o.standard_error for o in spec.objectives if o.standard_error}:
        only = len(spec.objectives) == 1
        yield f"standard_error: {flow(spec.objective.standard_error if only else errors)}"
    if spec.constraints:
        yield f"constraints: {flow({c.metric: c.condition for c in spec.constraints})}"
    if spec.measurement != "last":
        yield f"measurement: {spec.measurement}"


def _program_lines(program: Program, spec: StudySpec, folder: Path | None) -> Iterator[str]:
    yield f"command: {_command(program.command)}"
    named = any(f"{{{name}}}" in word for word in program.command for name in spec.space)
    if program.values_as != ("placeholders" if named else "flags"):
        yield f"values_as: {program.values_as}"
    here = os.path.relpath(program.directory, folder) if folder else program.directory
    if here != ".":
        yield f"directory: {flow(here)}"
    if program.environment:
        yield "environment:"
        yield from (f"  {flow(key)}: {flow(text)}" for key, text in program.environment.items())
    for key, parts in (
        ("metrics", _reading(program)),
        ("limits", _limits(program)),
        ("resources", _needs(program)),
    ):
        if parts:
            yield f"{key}: {flow(parts)}"
    if program.retries != _DEFAULTS.retries:
        yield f"retries: {program.retries}"


def _command(words: tuple[str, ...]) -> str:
    joined = " ".join(words)
    if _splits_into(joined, words):
        return line(joined)
    quoted = shlex.join(words)
    return line(quoted) if _splits_into(quoted, words) else flow(words)


def _splits_into(command: str, words: tuple[str, ...]) -> bool:
    try:
        return "\\\n" not in command and tuple(shlex.split(command)) == words
    except ValueError:
        return False


def _reading(program: Program) -> dict[str, _Plain]:
    reading = program.reading
    parts: dict[str, _Plain] = {}
    if reading.sources:
        parts["sources"] = list(reading.sources)
    if reading.pattern:
        parts["pattern"] = reading.pattern
    return parts


def _limits(program: Program) -> dict[str, _Plain]:
    resources = program.resources
    parts: dict[str, _Plain] = {}
    if resources.time_limit_s is not None:
        parts["time"] = format_duration(resources.time_limit_s)
    if resources.memory_limit_mib is not None:
        parts["memory"] = format_memory(resources.memory_limit_mib)
    if resources.grace_s != _DEFAULTS.resources.grace_s:
        parts["grace"] = format_duration(resources.grace_s)
    return parts


def _needs(program: Program) -> dict[str, _Plain]:
    resources = program.resources
    needs: dict[str, _Plain] = {"cpus": resources.cpus, "gpus": resources.gpus}
    return {key: count for key, count in needs.items() if count}
