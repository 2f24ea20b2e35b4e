"""Parameters and values in a few characters, for command lines and for short lines in files.

    lr=log:1e-5..1e-1                   a double, searched by its logarithm
    units=16..256                       an integer, because both ends are written as integers
    units=int:log:16..256               kind and scale, in any order
    dropout=0..0.5:0.1                  in steps
    width=64,128,512                    a list of numbers: discrete
    optimizer=adam,sgd                  any other list: categorical
    width=choice:64,128                 numbers without an order: categorical
    momentum=0.0..0.99?optimizer=sgd    only where optimizer is sgd
    beta=0.9..0.99?optimizer=adam|lamb  only where it is one of these; further conditions narrow it

Kinds are double (float), integer (int), discrete, categorical (choice); scales are linear, log and
reverse_log. A blank may stand in place of a colon. Values are read as YAML reads them: ``true`` is a
boolean, ``no`` a word. What holds a comma or a ``?name=`` itself, only a file can say.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from tunesmith.errors import SpaceError
from tunesmith.space import (
    CONFIDENCES,
    Categorical,
    Confidence,
    Discrete,
    Parameter,
    Prior,
    Space,
    Value,
)
from tunesmith.specs.declaration import (
    KINDS,
    SCALES,
    Condition,
    Declaration,
    Given,
    Kind,
    about,
    build,
    build_space,
    typed_number,
    value_of,
)
from tunesmith.specs.faults import Faults, Span, did_you_mean
from tunesmith.specs.located import number, resolve

__all__ = [
    "declare",
    "kind_of_values",
    "parse_assignment",
    "parse_parameter",
    "parse_parameters",
    "parse_prior",
    "parse_setting",
]

_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})(?:\s*:\s*({_NUMBER}))?")
_CONDITION = re.compile(r"(.*)\?([^?=]+)=([^?]*)", re.DOTALL)
_PREFIX = re.compile(r"\s*([^\W\d]\w*)(?:\s*:\s*|\s+)")
_LISTS = ("discrete", "categorical")
_SHAPES = "Write a range such as 16..256 or log:1e-5..1e-1, or a list such as adam,sgd"


def parse_parameter(text: str) -> tuple[str, Parameter]:
    """Return the name and the parameter that ``NAME=RANGE`` describes.

    Its conditions are taken at their word, since its parents are not known here.

    Raises:
        SpecError: each problem has the argument as its source, and a column.
    """
    faults = Faults([text])
    declaration = _argument(text, 1, faults)
    parameter = None if declaration is None else build(declaration, faults)
    if faults.count or declaration is None or parameter is None:
        raise faults.error()
    return declaration.name, parameter


def parse_parameters(arguments: Sequence[str]) -> Space:
    """Return the space that all ``NAME=RANGE`` describe together.

    Raises:
        SpecError: each problem has its argument as its source, and a column.
    """
    faults = Faults(arguments)
    declared: dict[str, Declaration] = {}
    for line, text in enumerate(arguments, start=1):
        declaration = _argument(text, line, faults)
        if declaration is not None and declaration.name in declared:
            faults.add("E104", f"the parameter {declaration.name!r} is given twice", declaration.at)
        elif declaration is not None:
            declared[declaration.name] = declaration
    broken = {text.partition("=")[0].strip() for text in arguments} - set(declared)
    space = build_space(list(declared.values()), faults, broken=broken)
    if faults.count or space is None:
        raise faults.error()
    return space


def parse_assignment(text: str, space: Space) -> tuple[str, Value]:
    """Return the name and the value that ``NAME=VALUE`` gives to a parameter of ``space``.

    Raises:
        SpecError: no such parameter, or no value of it; with the argument as source and a column.
    """
    faults = Faults([text])
    whole = _Piece(text, 1, 1)
    name = whole.part(0, text.find("="))
    if "=" not in text or not name.text:
        faults.add("E112", f"{text!r} is not NAME=VALUE, such as lr=0.01", whole.at)
        raise faults.error()
    if name.text not in space:
        hint = did_you_mean(name.text, space) or f"known are {', '.join(space)}"
        faults.add("E112", f"there is no parameter {name.text!r}", name.at, hint=hint)
        raise faults.error()
    given = whole.part(text.index("=") + 1)
    parameter = space[name.text]
    # A choice may look like a number, so the text as it stands is looked for first.
    choices = parameter.values if isinstance(parameter, Discrete | Categorical) else ()
    as_it_stands = given.text in map(str, choices)
    wanted = given.text if as_it_stands else _given(given).value
    try:
        return name.text, value_of(parameter, wanted)
    except SpaceError as error:
        hint = did_you_mean(given.text, map(str, choices))
        faults.add("E112", about(name.text, error), given.at, hint=hint)
        raise faults.error() from error


def parse_prior(text: str, space: Space) -> tuple[str, Prior]:
    """Return the name and the prior that ``NAME=CENTER`` or ``NAME=CENTER:CONFIDENCE`` gives.

    Raises:
        SpecError: no such parameter, or no value of it; with the argument as source and a column.
    """
    center, mark, confidence = text.rpartition(":")
    if not mark or confidence not in CONFIDENCES:
        center, confidence = text, "medium"
    name, value = parse_assignment(center, space)
    return name, Prior(value, cast("Confidence", confidence))


def parse_setting(text: str) -> tuple[str, Value]:
    """Return the name and the value of an algorithm's setting that ``NAME=VALUE`` gives.

    Raises:
        SpecError: ``text`` is not of that form; with the argument as source and a column.
    """
    faults = Faults([text])
    whole = _Piece(text, 1, 1)
    name, given = whole.part(0, text.find("=")), whole.part(text.find("=") + 1)
    if "=" not in text or not name.text or not given.text:
        faults.add("E120", f"{text!r} is not NAME=VALUE, such as points=5", whole.at)
        raise faults.error()
    return name.text, _given(given).value


def declare(name: str, name_at: Span, text: str, at: Span, faults: Faults) -> Declaration | None:
    """Return what the range ``text`` declares; None, and a fault, if it is no range and no list.

    Args:
        name: The parameter's name, for messages.
        name_at: Where the name stands.
        text: What stands behind ``NAME=``.
        at: Where ``text`` begins.
        faults: Takes the faults.
    """
    piece = _Piece(text, at.line, at.column).part(0)
    conditions: list[Condition] = []
    while match := _CONDITION.fullmatch(piece.text):
        conditions.insert(0, _condition(name, piece, match, faults))
        piece = piece.part(0, match.end(1))
    kind, scale, piece = _prefixes(piece)
    bare = Declaration(name, name_at, kind or "double", scale=scale, when=tuple(conditions))
    if match := _RANGE.fullmatch(piece.text):
        return _range(bare, kind, piece, match, faults)
    if kind in _LISTS or (kind is None and "," in piece.text):
        return _list(bare, kind, piece, faults)
    if "," in piece.text:
        message = f"{name}: {kind} parameters take a range such as 16..256, not a list"
        faults.add("E110", message, piece.at)
    else:
        message = f"{name}: {piece.text!r} is no range and no list. {_SHAPES}."
        faults.add("E110", message, piece.at, hint=_hint(piece))
    return None


def kind_of_values(values: Iterable[Value]) -> Kind:
    """Return what a list without a type is: discrete if all are numbers, or else categorical."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return "discrete" if numbers else "categorical"


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of an argument, and where it begins."""

    text: str
    line: int
    column: int

    @property
    def at(self) -> Span:
        return Span(self.line, self.column, max(len(self.text), 1))

    def part(self, start: int, stop: int | None = None) -> "_Piece":
        """Return the part between two indices, without blanks around it."""
        part = self.text[start:stop]
        skipped = len(part) - len(part.lstrip())
        return _Piece(part.strip(), self.line, self.column + start + skipped)

    def split(self, mark: str) -> list["_Piece"]:
        """Return the parts between the marks."""
        ends = [i for i, character in enumerate(self.text) if character == mark]
        starts = [0, *(end + 1 for end in ends)]
        return [self.part(*ends) for ends in zip(starts, [*ends, None], strict=True)]


def _argument(text: str, line: int, faults: Faults) -> Declaration | None:
    """Return what ``NAME=RANGE`` declares; None, and a fault, if it is not of that form."""
    whole = _Piece(text, line, 1)
    name = whole.part(0, text.find("="))
    if "=" not in text or not name.text:
        message = f"{text!r} is not NAME=RANGE, such as lr=log:1e-5..1e-1"
        faults.add("E110", message, whole.at)
        return None
    start = text.index("=") + 1
    return declare(name.text, name.at, text[start:], Span(line, start + 1), faults)


def _condition(name: str, piece: _Piece, match: re.Match[str], faults: Faults) -> Condition:
    parent = piece.part(*match.span(2))
    values = piece.part(*match.span(3)).split("|")
    if not all(value.text for value in values):
        example = f"?{parent.text}=sgd or ?{parent.text}=sgd|adam"
        message = f"{name}: a condition needs values, such as {example}"
        faults.add("E111", message, piece.part(*match.span(3)).at)
    return Condition(parent.text, parent.at, tuple(_given(value) for value in values))


def _prefixes(piece: _Piece) -> tuple[Kind | None, Given | None, _Piece]:
    kind: Kind | None = None
    scale: Given | None = None
    # Whatever follows ``choice:`` belongs to the first choice.
    while kind != "categorical" and (match := _PREFIX.match(piece.text)):
        if match[1] in KINDS and kind is None:
            kind = KINDS[match[1]]
        elif match[1] in SCALES and scale is None:
            scale = Given(match[1], piece.part(*match.span(1)).at)
        else:
            break
        piece = piece.part(match.end())
    return kind, scale, piece


def _range(
    bare: Declaration, kind: Kind | None, piece: _Piece, match: re.Match[str], faults: Faults
) -> Declaration | None:
    if kind in _LISTS:
        message = f"{bare.name}: {kind} parameters take a list such as 64,128, not a range"
        faults.add("E110", message, piece.at)
        return None
    parts = [piece.part(*match.span(group)) for group in (1, 2, 3) if match[group]]
    found = [number(part.text) for part in parts]
    numbers = [math.inf if value is None else value for value in found]  # None: too many digits
    kind = kind or ("integer" if all(isinstance(n, int) for n in numbers) else "double")
    givens: list[Given | None] = [
        typed_number(kind, bare.name, n, part.at, faults)
        for n, part in zip(numbers, parts, strict=True)
    ]
    low, high, step = [*givens, None][:3]
    if low is None or high is None:
        return None
    return replace(bare, kind=kind, low=low, high=high, step=step)


def _list(
    bare: Declaration, kind: Kind | None, piece: _Piece, faults: Faults
) -> Declaration | None:
    parts = piece.split(",")
    for part in parts:
        hint = _hint(part) if kind is None else ""
        if not part.text:
            message = f"{bare.name}: a value of the list is empty. Write it like adam,sgd"
            faults.add("E110", message, part.at)
            return None
        if hint or (kind is None and _RANGE.fullmatch(part.text)):
            message = f"{bare.name}: {part.text!r} in a list is ambiguous. {_SHAPES}."
            faults.add("E110", message, part.at, hint=hint)
            return None
    values = tuple(_given(part) for part in parts)
    kind = kind or kind_of_values(given.value for given in values)
    if kind == "categorical" and bare.scale is not None:
        message = f"{bare.name}: categorical parameters have no scale"
        faults.add("E110", message, bare.scale.at)
        return None
    return replace(bare, kind=kind, values=values, values_at=piece.at)


def _given(piece: _Piece) -> Given:
    value = resolve(piece.text)
    return Given(piece.text if value is None else value, piece.at)


def _hint(piece: _Piece) -> str:
    match = _PREFIX.match(piece.text)
    known = (*SCALES, *KINDS)
    return did_you_mean(match[1], known) if match and match[1] not in known else ""
