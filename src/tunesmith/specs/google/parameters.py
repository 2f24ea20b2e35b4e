"""Parameters as Google's messages describe them, and the space they make.

A conditional parameter stands below its parent there, and the same name may stand there several times,
each time with other values and another range, if no two can be active together. A space has each name
once and its conditions in the parameter itself. So what stands below becomes a condition; equal
descriptions below one parent become one parameter; and others of one name get a name of their own, such
as ``learning_rate@adam``. Under which name their values reach a program is told beside the space.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunesmith.space import Space, Value
from tunesmith.specs.declaration import Condition, Declaration, Given, build_space
from tunesmith.specs.faults import NOWHERE, Faults, Span
from tunesmith.specs.google.findings import Findings

__all__ = ["Found", "Names", "make_space"]

Names = Mapping[str, str]
"""Names of a space that differ from those under which the program knows the values."""

_NEAR = 1e-10  # how far a condition may be from the value that it means
_LONGEST = 30


@dataclass(slots=True)
class Found:
    """A parameter where a message describes it.

    Attributes:
        declaration: What it is, without conditions.
        path: The field of its description.
        parent: Whose conditional parameter it is; None for none.
        wanted: The parent's values with which it is active.
        wanted_at: Where these stand.
    """

    declaration: Declaration
    path: str
    parent: "Found | None" = None
    wanted: tuple[Given, ...] = ()
    wanted_at: Span = NOWHERE
    name: str = field(init=False, default="")


def make_space(found: Sequence[Found], findings: Findings, path: str) -> tuple[Space | None, Names]:
    """Return the space of all parameters, and its names that are not the program's.

    None, and a fault for each reason, if they make none.

    Args:
        found: The parameters, each behind its parent.
        findings: Takes the faults.
        path: The field of the whole list.
    """
    before = findings.faults.count
    for each in found:
        _match(each, findings)
    kept = _merged(found)
    _check_apart(kept, findings)
    if findings.faults.count > before or not kept:  # why there are none has been told
        return None, {}
    _name(kept)
    scratch = Faults([], file="-")
    space = build_space([_declared(each) for each in kept], scratch)
    findings.retell(scratch, path)
    names = {each.name: each.declaration.name for each in kept}
    return space, {name: own for name, own in names.items() if name != own}


def _match(child: Found, findings: Findings) -> None:
    """Give a child its parent's own numbers in place of those that only come near."""
    if child.parent is None or child.parent.declaration.kind != "discrete":
        return
    known = [given.value for given in child.parent.declaration.values]
    matched = []
    for given in child.wanted:
        near = [v for v in known if abs(float(v) - float(given.value)) <= _NEAR]
        if near:
            matched.append(Given(near[0], given.at))
        else:
            path = findings.fields.get(given.at, child.path)
            texts = ", ".join(map(str, known))
            message = f"{child.parent.declaration.name} is one of {texts}; given {given.value}"
            findings.fault(path, message, given.at, code="E111")
    child.wanted = tuple(matched)


def _merged(found: Sequence[Found]) -> list[Found]:
    """Return the parameters, of equal ones below one parent only the first, with the values of all."""
    kept: list[Found] = []
    with_children = {id(each.parent) for each in found}
    for each in found:
        twin = next((other for other in kept if _equal(each, other)), None)
        if twin is None or {id(each), id(twin)} & with_children or _overlap(each, twin):
            kept.append(each)
        else:
            twin.wanted = (*twin.wanted, *each.wanted)
    return kept


def _equal(one: Found, other: Found) -> bool:
    return (
        one.parent is not None
        and one.parent is other.parent
        and _bare(one.declaration) == _bare(other.declaration)
    )


def _bare(declaration: Declaration) -> tuple[object, ...]:
    """Return what a parameter is, without the places in its description."""
    parts = (declaration.low, declaration.high, declaration.scale, declaration.default)
    single = tuple(given and given.value for given in parts)
    values = tuple(given.value for given in declaration.values)
    return declaration.name, declaration.kind, single, values


def _overlap(one: Found, other: Found) -> bool:
    return bool({g.value for g in one.wanted} & {g.value for g in other.wanted})


def _check_apart(found: Sequence[Found], findings: Findings) -> None:
    """Take note of parameters of one name that could be active together."""
    for i, each in enumerate(found):
        name = each.declaration.name
        for other in found[:i]:
            if other.declaration.name == name and not _exclusive(each, other):
                message = (
                    f"{name!r} is there already ({other.path}). A name stands twice only with"
                    " conditions that exclude each other"
                )
                path = findings.fields.get(each.declaration.at, each.path)
                findings.fault(path, message, each.declaration.at, code="E110")
                break


def _exclusive(one: Found, other: Found) -> bool:
    """Whether some parameter above both would need two values at once."""
    needs = {id(parent): wanted for parent, wanted in _above(one)}
    return any(
        id(parent) in needs and not needs[id(parent)] & wanted for parent, wanted in _above(other)
    )


def _above(child: Found) -> Iterator[tuple[Found, frozenset[Value]]]:
    while child.parent is not None:
        yield child.parent, frozenset(given.value for given in child.wanted)
        child = child.parent


def _name(found: Sequence[Found]) -> None:
    """Give each parameter a name that no other has, its own if possible."""
    own = [each.declaration.name for each in found]
    taken = set(own)
    for each in found:
        name = each.declaration.name
        if own.count(name) > 1:
            name = _qualified(each)
            stem, number = name, 2
            while name in taken:
                name, number = f"{stem}~{number}", number + 1
        taken.add(name)
        each.name = name


def _qualified(each: Found) -> str:
    """Return the name with the values that make the parameter active: ``learning_rate@adam``."""
    if each.parent is None:
        return each.declaration.name
    words = ",".join(str(given.value) for given in each.wanted)
    plain = "".join(
        c if c.isprintable() and c not in "={}" and not c.isspace() else "_" for c in words
    )
    return f"{each.declaration.name}@{plain[:_LONGEST]}"


def _declared(each: Found) -> Declaration:
    if each.parent is None:
        return replace(each.declaration, name=each.name)
    condition = Condition(each.parent.name, each.wanted_at, each.wanted)
    return replace(each.declaration, name=each.name, when=(condition,))
