"""Parameters in words for people, and as plain data for files."""

from collections.abc import Mapping
from typing import Any, cast

from tunesmith.errors import SpaceError
from tunesmith.space.parameters import (
    Categorical,
    Discrete,
    Double,
    Integer,
    Parameter,
    parents,
)

__all__ = ["describe", "differences", "from_document", "to_document"]

_KINDS = {"double": Double, "integer": Integer, "discrete": Discrete, "categorical": Categorical}
_SHOWN = 8


def describe(parameter: Parameter) -> str:
    """Return a parameter in a few words."""
    kind = type(parameter).__name__.lower()
    if isinstance(parameter, Double | Integer):
        words = f"{kind} {parameter.low:g}..{parameter.high:g}"
        words += f" step {parameter.step:g}" if parameter.step is not None else ""
    else:
        shown = ", ".join(map(str, parameter.values[:_SHOWN]))
        more = len(parameter.values) - _SHOWN
        words = f"{kind} {shown}" + (f", … ({more} more)" if more > 0 else "")
    if not isinstance(parameter, Categorical) and parameter.scale != "linear":
        words += f" {parameter.scale}"
    if parameter.default is not None:
        words += f", default {parameter.default}"
    conditions = [
        f"{parent} is {' or '.join(map(str, wanted))}" for parent, wanted in parents(parameter)
    ]
    return words + (f" (when {' and '.join(conditions)})" if conditions else "")


def differences(old: Mapping[str, Parameter], new: Mapping[str, Parameter]) -> list[str]:
    """Return one sentence for each parameter that was removed, added or changed."""
    sentences = [
        f"{name}: removed (was {describe(p)})" for name, p in old.items() if name not in new
    ]
    for name, parameter in new.items():
        if name not in old:
            sentences.append(f"{name}: added ({describe(parameter)})")
        elif to_document(name, old[name]) != to_document(name, parameter):
            sentences.append(f"{name}: was {describe(old[name])}, is now {describe(parameter)}")
    return sentences


def to_document(name: str, parameter: Parameter) -> dict[str, object]:
    """Return a parameter as plain data; what has its usual value is left out."""
    document: dict[str, object] = {"name": name, "type": type(parameter).__name__.lower()}
    if isinstance(parameter, Double | Integer):
        document |= {"min": parameter.low, "max": parameter.high}
        if parameter.step is not None:
            document["step"] = parameter.step
    else:
        document["values"] = list(parameter.values)
    if not isinstance(parameter, Categorical) and parameter.scale != "linear":
        document["scale"] = parameter.scale
    if parameter.default is not None:
        document["default"] = parameter.default
    if parameter.when:
        document["when"] = {parent: list(wanted) for parent, wanted in parents(parameter)}
    return document


def from_document(document: Mapping[str, object]) -> tuple[str, Parameter]:
    """Return the name and the parameter of plain data; raise `SpaceError` that names the parameter."""
    given = dict(document)
    name = str(given.pop("name"))
    kind = _KINDS[str(given.pop("type"))]
    bounds = [given.pop(key) for key in ("min", "max", "values") if key in given]
    try:
        return name, cast("Parameter", cast("Any", kind)(*bounds, **given))
    except SpaceError as error:
        msg = f"Parameter {name!r}: {error}"
        raise SpaceError(msg) from None
