"""What ends trials early, and when a study has enough: in a file, and on a command line.

stopping: median                       # or {name: asha, min_steps: 2}, or a list of both kinds
until: {target: 0.98, time: 2h, no_improvement: 20, expected_gain: 0.001, min_trials: 10}

--stopping median --stopping asha:min_steps=2,eta=4
"""

from collections.abc import Mapping, Sequence

from tunesmith.errors import SpecError
from tunesmith.model import Ending, Setting, Stopping, StudySpec
from tunesmith.plugins import plugin_names
from tunesmith.specs.faults import Faults, Place, Span
from tunesmith.specs.fields import Fields
from tunesmith.specs.located import Listing, resolve
from tunesmith.specs.parts import NamedPart, check_name, check_settings, read_part
from tunesmith.specs.quantities import format_duration, parse_duration
from tunesmith.stopping import make_rules, make_schedule

__all__ = ["check_stopping", "parse_stopping", "read_ending", "read_stopping"]

_RULES, _SCHEDULES = "stopping_rules", "schedules"


def read_stopping(fields: Fields) -> tuple[tuple[Stopping, ...], Mapping[str, Place]]:
    """Return the rules and the schedule that a file names, and where it names each."""
    node = fields.node("stopping")
    if node is None:
        return (), {}
    nodes = node.items if isinstance(node, Listing) else (node,)
    parts = [part for each in nodes if (part := read_part(each, "stopping", fields.faults))]
    _check_parts(parts, fields.faults)
    places = {part.name: fields.faults.place(part.at) for part in parts}
    return tuple(Stopping(part.name, part.settings) for part in parts), places


def read_ending(fields: Fields) -> Ending:
    """Return when a file says that the study has enough."""
    inner = fields.inner("until", owner="until", code="E120")
    if inner is None:
        return Ending()
    time_s, idle_s = _time(inner, "time"), _time(inner, "no_improvement_for")
    least_s = _time(inner, "min_time")
    if time_s and least_s and least_s > time_s:
        most, given = format_duration(time_s), format_duration(least_s)
        inner.fault("min_time", f"until: min_time is at most the time, {most}; given {given}")
    gain = inner.number("expected_gain")
    if gain is not None and gain <= 0:
        message = f"until: expected_gain is a number above zero; given {gain}"
        inner.fault("expected_gain", message)
    target = inner.number("target")
    no_improvement = inner.whole("no_improvement", low=1)
    min_trials = inner.whole("min_trials", low=1)
    stop_running = inner.flag("stop_running")
    inner.done()
    if fields.faults.count:  # nobody will ask for it
        return Ending()
    return Ending(target, time_s, no_improvement, gain, idle_s, min_trials, least_s, stop_running)


def _time(fields: Fields, key: str) -> float | None:
    seconds = fields.quantity(key, parse_duration)
    if seconds == 0:
        fields.fault(key, f"until: {key} must be above zero. Leave it out for no limit")
    return seconds


def parse_stopping(arguments: Sequence[str]) -> tuple[Stopping, ...]:
    """Return the rules and the schedule that ``NAME`` or ``NAME:SETTING=VALUE,…`` name.

    ``none`` alone stands for no rule at all.

    Raises:
        SpecError: each problem has its argument as its source, and a column.
    """
    if list(arguments) == ["none"]:
        return ()
    faults = Faults(arguments)
    parts = [_argument(text, line, faults) for line, text in enumerate(arguments, start=1)]
    _check_parts(parts, faults)
    faults.check()
    return tuple(Stopping(part.name, part.settings) for part in parts)


def check_stopping(spec: StudySpec, places: Mapping[str, Place]) -> None:
    """Raise `SpecError` if a rule or the schedule can't serve the study.

    Args:
        spec: The study; its rules are installed and their settings make sense.
        places: Where each is named, as far as that is known; faults are told there.
    """
    problems = []
    for stopping in spec.stopping:
        try:
            for part in (*make_rules([stopping]), make_schedule([stopping])):
                if part is not None:
                    part.check(spec)
        except SpecError as error:
            at = places.get(stopping.name)
            problems += [
                at.problem(p.code, p.message, hint=p.hint) if at else p for p in error.problems
            ]
    if problems:
        raise SpecError(problems)


def _check_parts(parts: Sequence[NamedPart], faults: Faults) -> None:
    """Take note of parts that are not installed, of wrong settings, and of what can't stand together."""
    schedules = plugin_names(_SCHEDULES)
    known = sorted([*plugin_names(_RULES), *schedules])
    names: list[str] = []
    owner = ""
    for part in parts:
        if part.name in names:
            faults.add("E120", f"stopping names {part.name!r} twice", part.at)
        elif part.name in schedules and owner:
            message = f"a study has one schedule, and {owner!r} is one as well as {part.name!r}"
            faults.add("E120", message, part.at)
        elif check_name(part, "stopping rule or schedule", known, faults):
            _check_settings(part, faults)
        names.append(part.name)
        owner = part.name if part.name in schedules else owner


def _check_settings(part: NamedPart, faults: Faults) -> None:
    role = _SCHEDULES if part.name in plugin_names(_SCHEDULES) else _RULES

    def make(settings: Mapping[str, Setting]) -> object:
        stopping = [Stopping(part.name, settings)]
        return make_rules(stopping), make_schedule(stopping)

    check_settings(part, role, make, faults)


def _argument(text: str, line: int, faults: Faults) -> NamedPart:
    name, colon, rest = text.partition(":")
    settings: dict[str, Setting] = {}
    places: dict[str, Span] = {}
    column = len(name) + 2
    for piece in rest.split(",") if colon else ():
        key, equals, given = piece.partition("=")
        at = Span(line, column, max(len(key if equals else piece), 1))
        value = resolve(given.strip())
        if not key.strip() or not given.strip() or value is None:
            message = f"{piece!r} is not SETTING=VALUE, as in asha:min_steps=2,eta=4"
            faults.add("E120", message, Span(line, column, max(len(piece), 1)))
        elif key.strip() in settings:
            faults.add("E104", f"the setting {key.strip()!r} is given twice", at)
        else:
            settings[key.strip()], places[key.strip()] = value, at
        column += len(piece) + 1
    return NamedPart(name.strip(), Span(line, 1, max(len(name), 1)), settings, places)
