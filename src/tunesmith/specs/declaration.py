"""Parameters as they were declared, every part with its place, and the space they make.

Whether a parameter makes sense is known to `tunesmith.space` alone. To learn which part of one is to
blame, it is built up part by part: the first part that the space refuses is at fault.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from tunesmith.errors import SpaceError
from tunesmith.space import (
    Categorical,
    Confidence,
    Discrete,
    Double,
    Integer,
    Parameter,
    Prior,
    Scale,
    Space,
    Value,
)
from tunesmith.specs.faults import NOWHERE, Faults, Span, did_you_mean

__all__ = [
    "KINDS",
    "SCALES",
    "Condition",
    "Declaration",
    "Given",
    "Kind",
    "about",
    "build",
    "build_space",
    "typed_number",
    "value_of",
]

Kind = Literal["double", "integer", "discrete", "categorical"]

KINDS: Mapping[str, Kind] = {
    "double": "double",
    "float": "double",
    "integer": "integer",
    "int": "integer",
    "discrete": "discrete",
    "categorical": "categorical",
    "choice": "categorical",
}
"""The words for each kind; the first of a kind is its name."""

SCALES = ("linear", "log", "reverse_log")


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was declared, and its place."""

    value: Value
    at: Span


@dataclass(frozen=True, slots=True)
class Condition:
    """The values of a parent with which a parameter is active."""

    parent: str
    at: Span
    values: tuple[Given, ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    """A parameter as it was declared.

    Attributes:
        name: Its name.
        at: Where the name stands.
        kind: Which kind of parameter it is.
        low: The lower end; only of a double or integer, likewise ``high`` and ``step``.
        high: The upper end.
        step: The distance between neighbours.
        values: The values; only of a discrete or categorical.
        values_at: Where they stand.
        scale: How it is searched; of all but a categorical.
        default: A value to try first.
        prior: The center of where good values are expected.
        confidence: How sure that is; only with a prior.
        when: Its conditions; all of them must hold.
    """

    name: str
    at: Span
    kind: Kind
    low: Given | None = None
    high: Given | None = None
    step: Given | None = None
    values: tuple[Given, ...] = ()
    values_at: Span = NOWHERE
    scale: Given | None = None
    default: Given | None = None
    prior: Given | None = None
    confidence: Given | None = None
    when: tuple[Condition, ...] = ()


def build(declaration: Declaration, faults: Faults) -> Parameter | None:
    """Return the parameter with its conditions taken at their word; None if it is refused.

    The fault is placed at the first part without which the parameter would make sense.
    """
    low, high = declaration.low, declaration.high
    if low is not None and high is not None and float(low.value) > float(high.value):
        message = f"{declaration.name}: max ({high.value}) must be greater than min ({low.value})"
        faults.add("E110", message, high.at)
        return None
    parameter = None
    for at, grown in _stages(declaration):
        try:
            parameter = _make(grown)
        except SpaceError as error:
            code = "E111" if grown.when else "E110"
            faults.add(code, about(declaration.name, error), at)
            return None
    return parameter


def build_space(
    declarations: Sequence[Declaration], faults: Faults, *, broken: Collection[str] = ()
) -> Space | None:
    """Return the space of all parameters; None, and a fault for each reason, if it is refused.

    Args:
        declarations: Each name once.
        faults: Takes the faults.
        broken: Further names, whose declarations are at fault; conditions may rely on them.
    """
    before = faults.count
    known = {declaration.name: declaration for declaration in declarations}
    typed = [_typed(declaration, known, broken, faults) for declaration in declarations]
    _check_circle(typed, faults)
    bare = {each.name: build(replace(each, when=()), faults) for each in typed}
    alone = {name: parameter for name, parameter in bare.items() if parameter is not None}
    for declaration in typed:
        if declaration.name in alone:
            _check_alone(declaration, alone, faults)
    if broken or faults.count > before:
        return None
    made = {each.name: build(each, faults) for each in typed}
    try:
        return Space({name: parameter for name, parameter in made.items() if parameter is not None})
    except SpaceError as error:
        faults.add("E110", str(error))
        return None


def typed_number(kind: Kind, name: str, value: float, at: Span, faults: Faults) -> Given | None:
    """Return a number as the kind of parameter wants it; None, and a fault, if it can't be that."""
    if not math.isfinite(value):
        faults.add("E110", f"{name}: a bound can't be infinite; given {value}", at)
        return None
    if kind == "double":
        return Given(float(value), at)
    if value == int(value):
        return Given(int(value), at)  # 1e3 is a thousand
    faults.add("E110", f"{name}: integer parameters need whole numbers, not {value}", at)
    return None


def _stages(declaration: Declaration) -> Iterator[tuple[Span, Declaration]]:
    """Yield the declaration as it grows part by part, each time with the place of the new part."""
    high, scale = declaration.high, declaration.scale
    step, default, prior = declaration.step, declaration.default, declaration.prior
    grown = replace(declaration, scale=None, step=None, default=None, prior=None, when=())
    yield declaration.values_at if high is None else high.at, grown
    if scale is not None:
        grown = replace(grown, scale=scale)
        yield scale.at, grown
    if step is not None:
        grown = replace(grown, step=step)
        yield step.at, grown
    if default is not None:
        grown = replace(grown, default=default)
        yield default.at, grown
    if prior is not None:
        grown = replace(grown, prior=prior)
        yield prior.at, grown
    for condition in declaration.when:
        grown = replace(grown, when=(*grown.when, condition))
        yield condition.at, grown


def _make(declared: Declaration) -> Parameter:
    when = {c.parent: [given.value for given in c.values] for c in declared.when} or None
    scale = cast("Scale", declared.scale.value if declared.scale else "linear")
    default = declared.default.value if declared.default else None
    prior = _prior(declared)
    if declared.kind == "categorical":
        choices = [given.value for given in declared.values]
        return Categorical(choices, default=default, prior=prior, when=when)
    number = cast("float | None", default)
    if declared.kind == "discrete":
        values = cast("list[float]", [given.value for given in declared.values])
        return Discrete(values, scale=scale, default=number, prior=prior, when=when)
    if declared.low is None or declared.high is None:
        msg = "A range needs both of its ends."
        raise SpaceError(msg)
    low, high = cast("float", declared.low.value), cast("float", declared.high.value)
    step = cast("float | None", declared.step.value if declared.step else None)
    if declared.kind == "double":
        return Double(low, high, scale=scale, step=step, default=number, prior=prior, when=when)
    ends = cast("tuple[int, int]", (low, high))
    whole = cast("tuple[int | None, int | None]", (step, number))
    return Integer(*ends, scale=scale, step=whole[0], default=whole[1], prior=prior, when=when)


def _prior(declared: Declaration) -> Prior | None:
    if declared.prior is None:
        return None
    confidence = declared.confidence.value if declared.confidence else "medium"
    return Prior(declared.prior.value, cast("Confidence", confidence))


def value_of(parameter: Parameter, wanted: Value) -> Value:
    """Return the value of ``parameter`` that ``wanted`` stands for: equal to it, or of its text.

    Raises:
        SpaceError: there is none.
    """
    if isinstance(parameter, Discrete | Categorical):
        own = _own(wanted, parameter.values)
        return parameter.canonical(wanted if own is None else own)
    if isinstance(parameter, Double) and isinstance(wanted, int) and not isinstance(wanted, bool):
        return parameter.canonical(float(wanted))  # 1 is written, 1.0 is meant
    return parameter.canonical(wanted)


def _typed(
    declaration: Declaration,
    known: Mapping[str, Declaration],
    broken: Collection[str],
    faults: Faults,
) -> Declaration:
    """Return the declaration with the values of its conditions as its parents have them."""
    when = []
    for condition in declaration.when:
        parent = known.get(condition.parent)
        if parent is not None and parent.values:
            values = [_match(declaration.name, given, parent, faults) for given in condition.values]
            matched = tuple(given for given in values if given is not None)
            when += [replace(condition, values=matched)] if len(matched) == len(values) else []
        elif parent is not None or condition.parent in broken:
            when.append(condition)
        else:
            message = f"{declaration.name}: there is no parameter {condition.parent!r} to depend on"
            others = [name for name in (*known, *broken) if name != declaration.name]
            hint = did_you_mean(condition.parent, others)
            faults.add("E111", message, condition.at, hint=hint)
    return replace(declaration, when=tuple(when))


def _match(name: str, wanted: Given, parent: Declaration, faults: Faults) -> Given | None:
    """Return the parent's own value for ``wanted``, which may be its text; None, and a fault, if none."""
    own = _own(wanted.value, [given.value for given in parent.values])
    if own is not None:
        return Given(own, wanted.at)
    texts = [str(given.value) for given in parent.values]
    message = f"{name}: {parent.name} is never {wanted.value!r}. It is one of {', '.join(texts)}."
    faults.add("E111", message, wanted.at, hint=did_you_mean(str(wanted.value), texts))
    return None


def _own(wanted: Value, values: Iterable[Value]) -> Value | None:
    """Return the one of ``values`` that ``wanted`` stands for: equal to it, or else of its text."""
    boolean = isinstance(wanted, bool)
    for value in values:
        if isinstance(value, bool) == boolean and value == wanted:
            return value
    return next((value for value in values if str(value) == str(wanted)), None)


def _check_circle(declarations: Sequence[Declaration], faults: Faults) -> None:
    waiting = {declaration.name: declaration for declaration in declarations}
    while free := [
        name
        for name, declaration in waiting.items()
        if not any(condition.parent in waiting for condition in declaration.when)
    ]:
        for name in free:
            del waiting[name]
    if not waiting:
        return
    # Left are circles and what hangs on them; going up from anywhere leads into a circle.
    path: list[str] = []
    name = next(iter(waiting))
    while name not in path:
        path.append(name)
        name = next(c.parent for c in waiting[name].when if c.parent in waiting)
    circle = sorted(path[path.index(name) :], key=list(waiting).index)
    message = f"{', '.join(circle)}: the conditions lead in a circle"
    faults.add("E111", message, waiting[circle[0]].when[0].at)


def _check_alone(declaration: Declaration, alone: Mapping[str, Parameter], faults: Faults) -> None:
    """Take note of what a space refuses about a parameter's name, or about one of its conditions."""
    name = declaration.name
    try:
        Space({name: alone[name]})
    except SpaceError as error:
        faults.add("E110", str(error), declaration.at)
        return
    for condition in declaration.when:
        child = build(replace(declaration, when=(condition,)), faults)
        if child is not None and condition.parent in alone and condition.parent != name:
            try:
                Space({condition.parent: alone[condition.parent], name: child})
            except SpaceError as error:
                faults.add("E111", about(name, error), condition.at)


def about(name: str, error: SpaceError) -> str:
    """Return the message of ``error``, with the parameter's name if it does not have it yet."""
    named = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(error))
    return str(error) if named else f"{name}: {error}"
